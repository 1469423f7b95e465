"""a match of a pii rule, the text around it -> keep it or not.

Each function names the standard whose structure, ranges and check digits it tests. None asks a clock or a network.
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools

import re2

from governance.scan.registry import named_validator
from governance.templates import cn_id_character, luhn_digit


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DIGITS = re2.compile(r"[0-9]+")


def _digits(value: str) -> str:
    return "".join(_DIGITS.findall(value))


def _alone(text: str, start: int, end: int, glue: str = "._-") -> bool:
    """
    True if the match is not a part of a longer number or name.

    A character of *glue* joins only if a letter or digit stands on its other side: ``10.`` ends a sentence,
    ``10.5`` goes on. Only ASCII counts, since Chinese has no blanks between words.
    """
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if _word(before[-1:]) or _word(after[:1]):
        return False
    if len(before) == 2 and before[1] in glue and _word(before[0]):
        return False
    return not (len(after) == 2 and after[0] in glue and _word(after[1]))


def _word(c: str) -> bool:
    return c != "" and c.isascii() and (c.isalnum() or c == "_")


@named_validator("cn_resident_id")
def cn_resident_id(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep an 18-character resident identity number of the People's Republic of China (GB 11643-1999).

    Province code (GB/T 2260), a date that exists, and the ISO 7064 MOD 11-2 check character.

    >>> cn_resident_id("11010519491231002X", "11010519491231002X", 0, 18)
    True
    """
    if not _alone(text, start, end) or value[:2] not in _CN_PROVINCES:
        return False
    try:
        datetime.date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return False
    return cn_id_character(value[:17]) == value[17].upper()


_CN_PROVINCES = _words(
    """
    11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83
    """
)


_OPERATORS = "=(+-*/<>[%&|^,"


def _is_constant(text: str, start: int, end: int, words: str) -> bool:
    """
    True if a bare number stands where code computes with it, and no word beside it says what it is.

    ``seed(4202165767276)`` and ``2**34 = 17179869184`` are constants; in quotes, in prose, after ``phone =`` it is not.
    """
    before, near = text[max(0, start - 64) : start], text[max(0, start - 10) : end + 10]
    left = before.rstrip()
    if not left or left[-1] not in _OPERATORS or (left[-1] == "," and before[-1:] == ","):
        return False
    return near.isascii() and re2.search(words, before) is None


_PHONE_WORDS = r"(?i)phone|mobile|contact|\btel|\bcell|\b(?:call|sms|fax)\b|msisdn|number|手机|电话|联系|热线"
_CARD_WORDS = r"(?i)card|pan\b|account|acct|bank|credit|debit|visa|pay|number|iban|卡|账|帐|银行"


@named_validator("bank_card")
def bank_card(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep a payment card number: issuer range, length of that range and Luhn digit (ISO/IEC 7812-1).

    Ranges as the networks publish them: Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay, Mir. Round
    numbers (eight zeros at the end) are constants. The networks' test numbers are kept, nobody can tell them apart.

    >>> bank_card("4111 1111 1111 1111", "4111 1111 1111 1111", 0, 19)
    True
    """
    number = _digits(value)
    if not _alone(text, start, end) or number.endswith("00000000") or luhn_digit(number[:-1]) != number[-1]:
        return False
    if number == value and _is_constant(text, start, end, _CARD_WORDS):
        return False
    return any(low <= number[: len(low)] <= high and len(number) in sizes for low, high, sizes in _CARDS)


_CARDS: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("6011", "6011", frozenset({16, 19})),  # Discover
    ("644", "659", frozenset({16, 19})),
    ("3528", "3589", frozenset({16, 19})),  # JCB
    ("300", "305", frozenset({14, 16})),  # Diners Club
    ("36", "36", frozenset({14, 16})),
    ("38", "39", frozenset({14, 16})),
    ("62", "62", frozenset({16, 17, 18, 19})),  # UnionPay
    ("81", "81", frozenset({16, 17, 18, 19})),
    ("2200", "2204", frozenset({16, 19})),  # Mir
)


@named_validator("iban")
def iban(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep an International Bank Account Number: length of its country, remainder 1 modulo 97 (ISO 13616-1, ISO 7064).

    >>> iban("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32", 0, 27)
    True
    """
    number = value.replace(" ", "")
    if not _alone(text, start, end) or _IBAN_LENGTHS.get(number[:2]) != len(number):
        return False
    return int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1


_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in _words(
        """
        NO15 BE16 DK18 FI18 FO18 GL18 NL18 SD18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 XK20 MN20 CH21 HR21 LI21 LV21
        BG22 BH22 CR22 DE22 GB22 GE22 IE22 ME22 RS22 VA22 AE23 GI23 IL23 IQ23 OM23 TL23 SO23 AD24 CZ24 ES24 MD24 PK24
        RO24 SA24 SE24 SK24 TN24 VG24 LY25 PT25 ST25 IS26 TR26 BI27 DJ27 FR27 GR27 IT27 MC27 MR27 SM27 AL28 AZ28 BY28
        CY28 DO28 GT28 HN28 HU28 LB28 NI28 PL28 SV28 BR29 EG29 PS29 QA29 UA29 JO30 KW30 MU30 YE30 MT31 SC31 LC32 RU33
        """
    )
}


@named_validator("cn_mobile")
def cn_mobile(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep a mobile number of mainland China: 11 digits in a range that MIIT has given to an operator,
    with or without +86.

    Round numbers (five zeros at the end) are constants.
    """
    number = _digits(value)[-11:]
    return (
        _alone(text, start, end, glue="._-:/")
        and number[1:3] not in {"40", "41", "42", "43", "54", "60", "61", "63", "64", "68", "69", "79", "94"}
        and not number.endswith("00000")
        and not _is_run(number[3:])
        and not (len(value) == 11 and _is_constant(text, start, end, _PHONE_WORDS))
    )


def _is_run(digits: str) -> bool:
    """True for one digit repeated, as in ``13000000000`` and masks."""
    return len(set(digits)) == 1


@named_validator("cn_landline")
def cn_landline(value: str, text: str, start: int, end: int) -> bool:
    """Keep a fixed-line number of mainland China beside a word for telephone: area code 010, 02x or 0[3-9]xx."""
    return _alone(text, start, end, glue="._") and len(set(_digits(value)[-7:])) > 1


# Country codes of ITU-T E.164, shortest first; 1 and 7 are shared by several countries.
_COUNTRY_CODES = _words(
    """
    1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82
    84 86 90 91 92 93 94 95 98
    """
) | _words(
    """
    211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241
    242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290
    291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383
    385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599
    670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 850 852 853 855 856 880
    886 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 992 993 994 995 996 998
    """
)


@named_validator("phone_e164")
def phone_e164(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep an international number: +, a country code, 9 to 15 digits in all (ITU-T E.164).

    Numbers of the North American plan are judged as ``phone_nanp`` judges them. ``a +1234567890`` after an operand is
    an addition.
    """
    number = _digits(value)
    if not 9 <= len(number) <= 15 or not any(number[:k] in _COUNTRY_CODES for k in (1, 2, 3)):
        return False
    if not _alone(text, start, end, glue="._-") or text[max(0, start - 1) : start] in (")", "]", "+", "*", "/"):
        return False
    if _is_run(number[-7:]) or number[-7:] == "0000000" or (number.startswith("1234") and len(number) != 11):
        return False
    return _is_nanp(number[1:]) if number[0] == "1" else True


@named_validator("phone_nanp")
def phone_nanp(value: str, text: str, start: int, end: int) -> bool:
    """Keep a number of the North American Numbering Plan: NXX-NXX-XXXX, no N11 codes, not 555-01xx (fiction)."""
    return _alone(text, start, end, glue="._-/") and _is_nanp(_digits(value)[-10:])


def _is_nanp(number: str) -> bool:
    area, exchange, line = number[:3], number[3:6], number[6:]
    return (
        len(number) == 10
        and area[0] in "23456789"
        and exchange[0] in "23456789"
        and "11" not in (area[1:], exchange[1:])
        and not (exchange == "555" and line.startswith("01"))
        and len(set(exchange + line)) > 1
    )


@named_validator("us_ssn")
def us_ssn(value: str, text: str, start: int, end: int) -> bool:
    """Keep a US social security number: no area 000, 666, 9xx, no group 00, no serial 0000 (SSA), not the specimens."""
    area, group, serial = value[:3], value[4:6], value[7:]
    if area in {"000", "666"} or area[0] == "9" or group == "00" or serial == "0000":
        return False
    if all(_is_run(group) for group in value.split("-")):
        return False
    return _alone(text, start, end) and value not in {"078-05-1120", "219-09-9999", "123-45-6789"}


_GENERIC_TLDS = _words(
    """
    com org net edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia xxx app dev cloud
    online site xyz tech shop top club vip wang ltd ink work art fun store website space live news group email
    company solutions systems services software agency digital network world life today team tools academy center
    global support blog design studio media consulting engineering technology
    """
)
# Delegated country domains (IANA root zone); their codes are those of ISO 3166-1.
_COUNTRY_TLDS = _words(
    """
    ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc
    cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga
    gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp
    ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms
    mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro
    rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt
    tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
    """
)
_RESERVED = re2.compile(
    r"(?i).*@(?:.+\.)?(?:example|test|invalid|localhost|local)(?:\.[a-z]{2,3})?|"
    r".*@(?:.+\.)?(?:example|domain|yourdomain|mydomain|company|yourcompany|host|server|foo|bar|email|xyz|abc|site)\.[a-z.]{2,6}"
)
_ROBOTS = _words(
    """
    git svn hg noreply no-reply donotreply do-not-reply mailer-daemon nobody root
    """
)
_PLACEHOLDER_LOCAL = _words(
    """
    user username you your your.name your-name your.email youremail name someone somebody foo bar me xxx x abc
    """
)


@named_validator("email_address")
def email_address(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep an e-mail address (RFC 5321) that can belong to someone.

    Dropped: names reserved for documentation (RFC 2606, RFC 6761) and the placeholder domains of manuals, mailboxes
    that no person reads (``noreply``), ssh remotes (``git@github.com:``), the user part of a URL, and domains that no
    registry has (``icon@2x.png``, ``a@b.T``).
    """
    local, _, domain = value.lower().rpartition("@")
    top = domain.rsplit(".", 1)[-1]
    if top not in _GENERIC_TLDS and top not in _COUNTRY_TLDS:
        return False
    if _RESERVED.fullmatch(value) or local in _ROBOTS or local.split("+")[-1] in _ROBOTS:
        return False
    if local in _PLACEHOLDER_LOCAL or set(local) <= set("x*."):
        return False
    if len(local) > 64 or any(len(set(label)) == 1 for label in domain.split(".")):
        return False
    if ".." in value or local[0] in ".-+%" or local[-1] in ".-" or domain.startswith("-"):
        return False
    after, before = text[end : end + 2], text[max(0, start - 80) : start]
    if after[:1] in ("(", "@") or (after[:1] == ":" and after[1:2] not in ("", " ", "\n")):
        return False
    return before[-1:] != "@" and re2.search(r"(?i)[a-z][a-z0-9+.-]*://[^\s/'\"]*$", before) is None


# Resolvers that anyone may use; they identify nobody.
_PUBLIC_RESOLVERS = _words(
    """
    8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 114.114.114.114
    114.114.115.115 223.5.5.5 223.6.6.6 119.29.29.29 180.76.76.76
    """
)
_VERSION_CONTEXT = re2.compile(
    r"(?i)(?:version|release|build|revision|firmware|oid|section|chapter|rfc|chrome|firefox|safari|opera|edg|mozilla|"
    r"[^a-z]v|[^a-z]ver|==|>=|<=|~=|[a-z]/|jar|assembly|snmp|asn)[^\n]{0,20}$"
)


@named_validator("ipv4_public")
def ipv4_public(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep an IPv4 address of the public internet (IANA special-purpose registry, RFC 6890).

    Dropped: private, loopback, link-local, multicast, documentation (RFC 5737) and reserved ranges, masks, well-known
    resolvers, and version numbers: a version word before it, four numbers below 20 or three below 10.

    >>> ipv4_public("93.184.216.34", "host 93.184.216.34", 5, 18)
    True
    """
    octets = [int(part) for part in value.split(".")]
    if not _alone(text, start, end) or value in _PUBLIC_RESOLVERS or max(octets) < 20 or octets[3] in (0, 255):
        return False
    if not ipaddress.IPv4Address(value).is_global or octets[0] >= 224 or len(set(octets)) == 1:
        return False
    if len({b - a for a, b in itertools.pairwise(octets)}) == 1 or sum(o < 10 for o in octets) >= 3:
        return False
    return _VERSION_CONTEXT.search(text[max(0, start - 32) : start]) is None


@named_validator("ipv6_public")
def ipv6_public(value: str, text: str, start: int, end: int) -> bool:
    """Keep a global unicast IPv6 address (RFC 4291); documentation ranges (RFC 3849, RFC 9637) are dropped."""
    if (
        not _alone(text, start, end, glue=":._-")
        or text[end : end + 1] == ":"
        or text[max(0, start - 1) : start] == ":"
    ):
        return False
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return False
    documented = address in _DOCUMENTATION_V6[0] or address in _DOCUMENTATION_V6[1]
    return address.is_global and value[0] in "23" and not documented and len(_DIGITS.findall(value)) >= 3


_DOCUMENTATION_V6 = (ipaddress.IPv6Network("2001:db8::/32"), ipaddress.IPv6Network("3fff::/20"))


@named_validator("mac_address")
def mac_address(value: str, text: str, start: int, end: int) -> bool:
    """
    Keep the hardware address of one device (IEEE 802 EUI-48), one separator throughout.

    Dropped: group and locally administered addresses (low bits of the first octet), the documentation range of
    RFC 7042, and octets that count up or repeat.
    """
    octets = [int(part, 16) for part in re2.split("[:-]", value)]
    if not _alone(text, start, end, glue=":._-") or len({c for c in value if c in ":-"}) != 1 or octets[0] & 3:
        return False
    steps = {(b - a) % 256 for a, b in itertools.pairwise(octets)}
    return octets[:3] != [0, 0, 0x5E] and len(set(octets)) >= 4 and len(steps) > 1
