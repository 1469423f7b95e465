"""a match of a secret rule, the text around it -> keep it or not.

A pattern says what has the shape of a secret; these functions drop what only looks like one: references to a value
kept elsewhere, placeholders of documentation, masks, types, prompts. Every drop follows from what the value *is*
as a whole; a real secret that merely contains ``todo`` or ``foo`` stays.

All regular expressions are RE2, since they read what users wrote. Personal data is judged in ``pii_validators``.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import math
from collections import Counter
from typing import Any

import re2

from governance.scan.registry import named_validator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MASKS = frozenset("xX*1.•#_-")
"""Characters that people, and ``scrub``, write in place of a secret."""

# Words of which documentation makes its placeholders. A value is a placeholder only if nothing else is in it.
_WORDS = sorted(
    _words(
        """
    an? add any api access account admin? app apply auth bar basic baz bearer but change changed change[_-]?it
    changeme client code confirm credentials? current data database db default demo digest do dummy empty enter
    env example fake false fill fixme foo for from generated? get goes hash hashed hello here hidden hint if in
    input insert invalid is it key label like login masked me missing mock my mysql name new nil no none nope not
    null old omitted optional or our pass passcode passphrase passw?o?r?d passwd password password[12]? passwords
    pgp placeholder plain private provide put pw pwd real redacted replace required reset sample secret secrets
    set some something ssh string strong sup?er tbd temp test tested testing text that the this to todo token
    tokens true type undefined unknown unset update use user username valid value wrong x+ y+ z+ your yours
    """
    )
)
_PLACEHOLDER = re2.compile(rf"(?i)[<\[{{(]*(?:(?:{'|'.join(_WORDS)})[\s_.:!?*-]*)+[>\]}})]*")

# `$NAME`, `${x}`, `#{x}`, `{{ x }}`, `%s`, `%(x)s`, `<x>`, `@x@`, `os.getenv(x)`: the value stands elsewhere.
_REFERENCE = re2.compile(
    "(?s)"
    + "|".join(
        (
            r"\$[A-Za-z_]\w*",
            r".*[$#@%]\{.*",
            r".*\$\(.*",
            r".*\{\{.*",
            r"%[A-Za-z_]\w*%",
            r".*%(?:\([\w.-]+\))?[sdr].*",
            r".*\{\w*(?:[.\[]\w+\]?)*(?:[:!]\S*)?\}.*",
            r"<.*>",
            r"@[\w.-]+@",
            r"\[[\w\s.-]*\]",
            r"`.*",
            r"(?:ENC\(|enc:|vault:|\{cipher\}|secretKeyRef|!\w|ref\+|arn:|op://|projects/|keyring:|file:|env:|classpath:).*",
            r"(?i:.*(?:getenv|environ|process\.env|env\.|config\.|secrets\.|settings\.|props?\.|self\.|this\.|args\.|options\.|request\.).*)",
        )
    )
)
_IDENTIFIER_WITH_PASSWORD = re2.compile(
    r"(?i)[A-Za-z][A-Za-z]*(?:[-_. /:]+[A-Za-z]*)+|[a-z]+(?:[A-Z][a-z]+)*(?:Password|Passwd|Pwd|Secret|Token|Key)s?"
)
_PASSWORD_WORD = re2.compile(r"(?i)pass|pwd|secret|token|credential|key|auth")
_PATH = re2.compile(
    r"[A-Za-z]:(?:[/\\]+[\w.@-]+)+|[.~]{0,2}(?:/[\w.@-]+){2,}/?|[a-z][a-z0-9+.-]*://\S*|"
    r"[\w/.-]+\.(?:txt|pem|key|json|ya?ml|xml|conf|cfg|ini|env|html?|php|jsp|py|js|java|go|rb)"
)
_TYPE = re2.compile(
    r"(?i)(?:str|string|text|char|varchar|bytes?|bytearray|secretstr|any|int|integer|number|object|bool|boolean|optional|"
    r"void|nonnull|nullable|final|const|charsequence|json|array|list|dict|map|required|sometimes|confirmed)(?:[\[(<|?].*|;)?"
)
# Passwords that a product or an image is shipped with; single words, so only this list tells them from identifiers.
DEFAULT_PASSWORDS = _words(
    """
    root toor admin guest postgres tiger nacos sentinel minioadmin raspberry
    """
)
_ESCAPE = re2.compile(r"\\.|\s")


def is_masked(value: str) -> bool:
    """
    Return True if *value* is one character repeated, or only characters people mask with.

    Escapes and white space do not count, so a masked key keeps its lines.

    >>> is_masked("xxxx"), is_masked("1111"), is_masked("****-****"), is_masked("x1y2")
    (True, True, True, False)
    """
    seen = set(_ESCAPE.sub("", value))
    return len(seen) <= 1 or seen <= MASKS


def is_placeholder(value: str) -> bool:
    """
    Return True if *value* consists of nothing but placeholder words.

    >>> [is_placeholder(v) for v in ("changeme", "<your-password>", "YOUR_TOKEN_HERE", "foo8Tq!todo")]
    [True, True, True, False]
    """
    return len(value) <= 80 and _PLACEHOLDER.fullmatch(value) is not None


def is_reference(value: str) -> bool:
    """
    Return True if *value* names a place where the secret stands instead of being it.

    >>> [is_reference(v) for v in ("${DB_PASSWORD}", "os.environ['X']", "{{ vault_pw }}", "%s", "S3cr3t!")]
    [True, True, True, True, False]
    """
    return _REFERENCE.fullmatch(value[:512]) is not None


def entropy(value: str) -> float:
    """
    Return the Shannon entropy of the characters of *value*, in bits per character (0 for an empty text).

    >>> entropy("aabb")
    1.0
    """
    n = len(value)
    return -sum(c / n * math.log2(c / n) for c in Counter(value).values())


def _is_sequence(value: str) -> bool:
    """True if most neighbours follow each other (``abcdef``, ``0123456789``), as in keys made up for a document."""
    steps = sum(ord(b) - ord(a) in {0, 1} for a, b in itertools.pairwise(value))
    return len(value) >= 8 and steps >= 0.6 * (len(value) - 1)


_PREFIX = re2.compile(r"[A-Za-z0-9]{1,12}(?:[-_.][A-Za-z0-9]{1,8}){0,2}[-_.]")


def _random(value: str) -> bool:
    """True if the part of *value* after its vendor prefix was drawn at random rather than written by a person."""
    prefix = _PREFIX.match(value)
    body = value[prefix.end() :] if prefix and len(value) - prefix.end() >= 12 else value
    folded = body.lower()
    return (
        len(set(body)) >= min(8, len(body) // 2)
        and not _is_sequence(body)
        and not body.rstrip("=").endswith(("EXAMPLE", "EXAMPLEKEY"))
        and not any(mask in folded for mask in ("xxxxx", "*****", "....", "00000000"))
    )


@named_validator("random_token")
def random_token(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep a token of a vendor's shape unless it is a mask, a sequence or a documented ``...EXAMPLE`` key.

    A failed checksum is no reason to drop: a truncated or mistyped token still opens doors to whoever can guess the
    rest, and training data gains nothing from it.

    >>> random_token("glpat-" + "a" * 20, "", 0, 0)
    False
    """
    return _random(value)


@named_validator("discord_bot_token")
def discord_bot_token(value: str, text: str, start: int, end: int) -> bool:
    """Keep a token whose first part is base64 of a snowflake, 17 to 20 digits (Discord, *Reference: Snowflakes*)."""
    head = _decode(value.split(".", 1)[0])
    return head.isdigit() and 17 <= len(head) <= 20 and _random(value)


@named_validator("jwt")
def jwt(value: str, text: str, start: int, end: int) -> bool:
    """Keep a JSON Web Token whose header is a JSON object with ``alg`` (RFC 7519 section 5, RFC 7515 section 4.1.1)."""
    head: Any
    try:
        head = json.loads(_decode(value.split(".", 1)[0]))
    except (ValueError, RecursionError):
        return False
    return isinstance(head, dict) and "alg" in head and not is_masked(value.rsplit(".", 1)[-1] or "y1")


def _decode(part: str) -> bytes:
    """Base64 or base64url with or without padding; empty where it is neither."""
    try:
        return base64.b64decode(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


_ARMOR_NOISE = re2.compile(r"\\[nrt]|-----[^-]*-----|[A-Za-z-]+: [^\n\\]*|[^A-Za-z0-9+/=]")


@named_validator("private_key")
def private_key(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep the body of a PEM, OpenSSH or OpenPGP private key block that holds at least 40 base64 characters.

    The shortest real body, an Ed25519 key in PKCS #8 (RFC 8410), has 64. Encrypted keys count: passphrases are guessed.
    Bodies of documentation (``...``, ``MII...``) are too short, masked ones are one character repeated.
    """
    body = _ARMOR_NOISE.sub("", value)
    return len(body) >= 40 and len(set(body)) >= 12 and not _is_sequence(body)


_LINE_ENDS = re2.compile(r"(?:\\[nrt])+$")


def _is_prose(value: str) -> bool:
    """A prompt, label, path, identifier or type, but no password."""
    if not value.isascii() or value[-1] in ":?" or "  " in value or ", " in value:
        return True
    if _PATH.fullmatch(value) or _TYPE.fullmatch(value):
        return True
    return bool(_IDENTIFIER_WITH_PASSWORD.fullmatch(value) and _PASSWORD_WORD.search(value))


def _is_password(value: str) -> bool:
    value = _LINE_ENDS.sub("", value)
    return (
        4 <= len(value) <= 128
        and not any(c.isspace() for c in value)
        and not is_masked(value)
        and not is_placeholder(value)
        and not is_reference(value)
        and not _is_prose(value)
        and sum(c.isalnum() for c in value) >= 3
    )


def _is_mixed(value: str) -> bool:
    """Letters with a digit or a sign that no identifier has, or a known default: cannot be a name of something."""
    if value.lower() in DEFAULT_PASSWORDS:
        return True
    return any(c.isalpha() for c in value) and any(c.isdigit() or c in "!@#$%^&*+=?~|" for c in value)


@named_validator("password_literal")
def password_literal(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep a quoted literal that a password variable is given: it is a value, whatever it looks like.

    >>> [password_literal(v, "", 0, 0) for v in ("hunter2", "password", "Enter password:", "${DB_PASSWORD}")]
    [True, False, False, False]
    """
    return _is_password(value) and not _name_says_otherwise(text, start)


_OTHER_NAME = re2.compile(
    r"(?i)(?:type|field|label|name|prompt|hint|regex|pattern|format|url|uri|path|file|title|header|column|param|placeholder|error|message|msg|id)['\"]?\s*[\])]?\s*(?:[:=]|=>|,|\()\s*[a-z]{0,2}\\?['\"]?$"
)


def _name_says_otherwise(text: str, start: int) -> bool:
    """True where the assigned name says that the value is a label, a field name and the like."""
    return _OTHER_NAME.search(text[max(0, start - 40) : start]) is not None


_CODE = re2.compile(
    r"[\w.]*[A-Za-z_]\w*(?:\(.*|\[.*)|\w+(?:\.\w+)+|.*(?:->|::|=>| [|?] ).*|[\[{(].*|.*[;,{(\[]|"
    r"[rbfu]?['\"].*|[-+|>&*!].?"
)
_SNAKE = re2.compile(r"_*[a-z]+\d?(?:_[a-z0-9]+)*|[a-z]+(?:[A-Z][a-z]+)+\d?|[A-Z][A-Z_]+\d?")
_ENV_KEY = re2.compile(r"(?:^|\n)\s*(?:export |set |ENV |ARG |- )?(?:[A-Z][A-Z0-9_]*|[a-z][\w-]*(?:\.[\w-]+)+)=$")


@named_validator("password_config")
def password_config(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep the unquoted value of a password key in YAML, properties, dotenv, a command line or prose.

    The same line may be code, where an unquoted right side is an expression. ``DB_PASSWORD=hunter`` and
    ``spring.datasource.password=hunter`` (no blanks, a key that no keyword argument can have) are configuration;
    anywhere else a plain word or identifier is taken for a reference, a type or prose.

    >>> t = "DB_PASSWORD=hunter"
    >>> password_config("hunter", t, 12, 18), password_config("get_pw()", "pw = get_pw()", 5, 13)
    (True, False)
    """
    if _CODE.fullmatch(value) or not _is_password(value):
        return False
    if value.isdigit():
        return len(value) >= 6 or _is_env(text, start)
    if _is_env(text, start):
        return True
    return value in DEFAULT_PASSWORDS or (_is_mixed(value) and not _SNAKE.fullmatch(value))


def _is_env(text: str, start: int) -> bool:
    return _ENV_KEY.search(text[max(0, start - 80) : start]) is not None


@named_validator("password_mixed")
def password_mixed(value: str, text: str, start: int, end: int) -> bool:
    """Keep a value in a place that may also hold a plain word: the argument after ``"password"``, a ``-p`` option."""
    return _is_password(value) and _is_mixed(value) and not _CODE.fullmatch(value)


@named_validator("password_chinese")
def password_chinese(value: str, text: str, start: int, end: int) -> bool:
    """Keep the value after the Chinese words for password; there may also stand a type or a sentence."""
    return password_config(value, text, start, end) or (value.isdigit() and _is_password(value))


@named_validator("password_plain")
def password_plain(value: str, text: str, start: int, end: int) -> bool:
    """Keep what stands in a place that only holds a password: a connection string, an XML element."""
    return _is_password(value) and value[-1] not in ",)"  # else an argument of a call


_HEX_DIGEST = re2.compile(r"[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")
_DIGEST_CONTEXT = re2.compile(
    r"(?i)sha\d*|md5|hash|digest|checksum|integrity|etag|commit|public|fingerprint|nonce|uuid|guid"
)
_UUID = re2.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@named_validator("secret_literal")
def secret_literal(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep the literal of a key, token or secret variable if it was drawn at random.

    Random means: 16 characters or more, letters and digits mixed, at least 3 bits of entropy per character, no
    words joined by separators, no digest that stands beside its name.
    """
    if not _is_password(value) or _name_says_otherwise(text, start) or not _random(value):
        return False
    digits = sum(c.isdigit() for c in value)
    if digits < 2 or digits == len(value) or entropy(value) < 3.0:
        return False
    if _HEX_DIGEST.fullmatch(value) and _DIGEST_CONTEXT.search(text[max(0, start - 60) : start]):
        return False
    return not _made_of_words(value)


def _made_of_words(value: str) -> bool:
    """True for ``urn:ietf:params:oauth2``, ``X-Api-Key-2``: pieces between separators are words or short numbers."""
    pieces = [p for p in re2.split(r"[^A-Za-z0-9]+", value) if p]
    wordy = sum(len(p) for p in pieces if p.isalpha() or (p.isdigit() and len(p) <= 4))
    return len(pieces) > 1 and wordy >= 0.6 * sum(map(len, pieces))


@named_validator("bearer_token")
def bearer_token(value: str, text: str, start: int, end: int) -> bool:
    """Keep the token of an ``Authorization: Bearer`` header (RFC 6750) if it was drawn at random."""
    digits = sum(c.isdigit() for c in value)
    return digits >= 2 and _random(value) and not is_placeholder(value) and not _made_of_words(value)


_DOCUMENTED = frozenset({"Aladdin:open sesame", "Aladdin:OpenSesame", "test:123£"})  # RFC 7617, MDN


@named_validator("basic_credentials")
def basic_credentials(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep the credentials of an ``Authorization: Basic`` header that decode to ``user:password`` (RFC 7617).

    The RFC's own example, placeholders and masks are dropped.
    """
    try:
        pair = _decode(value).decode()
    except UnicodeDecodeError:
        return False
    _, colon, password = pair.partition(":")
    if not (colon and password and pair.isprintable()) or pair in _DOCUMENTED:
        return False
    return not (is_placeholder(password) or is_masked(password) or is_reference(password))


@named_validator("url_credentials")
def url_credentials(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep the password of ``scheme://user:password@host`` (RFC 3986 section 3.2.1) unless it is a placeholder.

    *value* is the password. ``user:pass@`` and ``user:password@`` are what manuals write.
    """
    if is_placeholder(value) or is_masked(value) or is_reference(value) or value.startswith("/"):
        return False
    user = re2.search(r"//([^/\s:@]*):$", text[max(0, start - 80) : start])
    name = user.group(1).lower() if user else ""
    if value.lower() in DEFAULT_PASSWORDS:
        return True
    return len(value) >= 3 and not value.startswith(":") and value.lower() != name
