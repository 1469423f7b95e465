"""`{upper*16}` in a rule's texts -> sixteen characters made from the rule's id.

No file of the repository then holds anything that looks like a key, and the same rule always gives the same texts.
Only ``{name*count}`` is a template; ``{customerId}`` and ``${X}`` stay as they are.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALPHABETS = {
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "lower": "abcdefghijklmnopqrstuvwxyz0123456789",
    "digits": "0123456789",
    "nonzero": "123456789",
    "hex": "0123456789abcdef",
    "base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "base62": BASE62,
    "base64": BASE62 + "+/",
    "base64url": BASE62 + "-_",
    "bech32": "ACDEFGHJKLMNPQRSTUVWXYZ023456789",
    "password": "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#%+",
}
_TEMPLATE = re.compile(r"\{([a-z0-9_]+)\*(\d+)\}")


def _stream(seed: str) -> Iterator[int]:
    block = 0
    while True:
        yield from hashlib.sha256(f"{seed}#{block}".encode()).digest()
        block += 1


def fill(text: str, seed: str) -> str:
    """
    Return *text* with every template filled, always the same for one *seed*.

    ``{same*N}`` is one character N times; ``{crc32_base62*N}`` is the base62 CRC32, zero-padded, of the letters and
    digits right before it; ``{luhn*1}`` is the Luhn digit of the digits right before it; ``{cnid*1}`` the ISO 7064
    MOD 11-2 character of the 17 digits before it; ``{iban*18}`` a valid German IBAN of 18 digits; ``{base64_digits*N}``
    the base64 of N digits and ``{basic*N}`` of ``app:`` and an N-character password. A name that is none of these
    stays as it stands.

    >>> fill("id = {digits*4}", "a") == fill("id = {digits*4}", "a")
    True
    >>> fill("/users/{userId}", "a"), fill("x{same*3}", "a")
    ('/users/{userId}', 'xaaa')
    >>> fill("7992739871{luhn*1}", "a")
    '79927398713'
    """
    stream = _stream(seed)
    out: list[str] = []
    end = 0
    for m in _TEMPLATE.finditer(text):
        out.append(text[end : m.start()])
        out.append(_one(m.group(1), int(m.group(2)), "".join(out), stream) or m.group())
        end = m.end()
    return "".join(out) + text[end:]


def _one(name: str, count: int, before: str, stream: Iterator[int]) -> str:
    if name == "same":
        return "a" * count
    if name == "crc32_base62":
        token = re.search(r"[0-9A-Za-z]*\Z", before)
        number = zlib.crc32((token.group() if token else "").encode())
        digits = ""
        while number:
            number, rest = divmod(number, 62)
            digits = BASE62[rest] + digits
        return digits.rjust(count, "0")
    if name == "luhn":
        body = re.search(r"[0-9]*\Z", before)
        return luhn_digit(body.group() if body else "")
    if name == "cnid":
        return cn_id_character(before[-17:])
    if name == "iban":
        account = "".join(str(next(stream) % 10) for _ in range(count))
        return f"DE{98 - int(account + '131400') % 97:02d}{account}"
    if name == "base64_digits":
        return _base64("1" + "".join(str(next(stream) % 10) for _ in range(count - 1)))
    if name == "basic":
        return _base64("app:" + (_one("password", count, before, stream)))
    alphabet = ALPHABETS.get(name)
    return "".join(alphabet[next(stream) % len(alphabet)] for _ in range(count)) if alphabet else ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def luhn_digit(body: str) -> str:
    """
    Return the digit that makes *body* followed by it pass the Luhn check (ISO/IEC 7812-1).

    >>> luhn_digit("7992739871")
    '3'
    """
    total = 0
    for i, c in enumerate(reversed(body)):
        d = int(c) * (2 if i % 2 == 0 else 1)
        total += d - 9 if d > 9 else d
    return str(-total % 10)


def cn_id_character(body: str) -> str:
    """
    Return the check character of the 17 digits of a Chinese resident id (GB 11643, ISO 7064 MOD 11-2).

    >>> cn_id_character("11010519491231002")
    'X'
    """
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]
