"""licences of copies -> which asks the most of whoever uses the text.

A removed copy is gone from the data, its licence is not: the kept text is the same text. So a kept sample inherits the
strictest licence of its cluster; without that, removing copies would turn copyleft code into permissive code, and
nobody could see it.

The order is one of obligations, not of law; it says which of two licences must not be forgotten:

    0  public domain       nothing is asked: CC0-1.0, Unlicense, 0BSD
    1  permissive          attribution: MIT, BSD, Apache-2.0, ISC, CC-BY
    2  weak copyleft       changes to the licensed files stay free: LGPL, MPL, EPL, CDDL
    3  strong copyleft     the whole work becomes free: GPL, CC-BY-SA
    4  network copyleft    also where it is only offered as a service: AGPL, EUPL, OSL
    5  not free            use is restricted or not granted: CC-BY-NC, BUSL, SSPL, "proprietary"
    6  not recognised      a licence is named, and this table does not know it
    7  none                nothing is named, or that nothing is known

In an SPDX expression AND asks for both and takes the stricter, OR leaves the choice and takes the looser; an exception
(WITH) that allows linking takes strong copyleft down to weak. Ids and names are matched by family, because this table
needs the order only. A parser of expressions alone (`license-expression`) would bring the ids without the order and
without the names that package metadata uses, so it is no dependency here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum

import pyarrow as pa

LONGEST = 500  # characters of an expression that is parsed
NO_ASSERTION = "NOASSERTION"  # SPDX: nothing is said; what is written where a copy's licence is not known


class Strictness(IntEnum):
    """What a licence asks for, from nothing to not known."""

    PUBLIC_DOMAIN = 0
    PERMISSIVE = 1
    WEAK_COPYLEFT = 2
    STRONG_COPYLEFT = 3
    NETWORK_COPYLEFT = 4
    NOT_FREE = 5
    NOT_RECOGNISED = 6
    NONE = 7


_NONE = frozenset({"", "unknown", "none", "noassertion", "null", "nil", "n/a", "na", "other", "nan", "undefined", "-"})

# SPDX ids, lower-case, without a "+", "-only" or "-or-later" at the end; the first family that fits counts.
_IDS = tuple(
    (kind, re.compile(rf"(?:{pattern})\Z"))
    for kind, pattern in (
        (Strictness.NOT_FREE, r"cc-by-(?:sa-)?n[cd](?:-.*)?|busl-.*|sspl-.*|elastic-.*|polyform-.*|commons-clause.*"),
        (Strictness.NOT_FREE, r"unlicensed|proprietary|commercial|licenseref-.*(?:proprietary|commercial|internal).*"),
        (
            Strictness.NOT_FREE,
            r"json|hippocratic-.*|ms-lpl|aladdin|rpl-.*|cal-1\.0.*|nposl-.*|bigscience-.*|openrail.*",
        ),
        (Strictness.NETWORK_COPYLEFT, r"agpl(?:-?v?[\d.]+)?|eupl-.*|osl-.*|cpal-.*|apsl-.*|honest-.*"),
        (Strictness.STRONG_COPYLEFT, r"gpl(?:-?v?[\d.]+)?|cc-by-sa-.*|gfdl.*|sleepycat|qpl-.*|cecill-[12].*|ms-rl"),
        (Strictness.WEAK_COPYLEFT, r"lgpl(?:-?v?[\d.]+)?|lgpllr|mpl(?:-?v?[\d.]+)?(?:-no-copyleft-exception)?|epl-.*"),
        (Strictness.WEAK_COPYLEFT, r"cddl-.*|cpl-.*|ipl-.*|spl-.*|ofl-.*|lppl-.*|cecill-c|artistic-1.*|vim|erlpl-.*"),
        (Strictness.PUBLIC_DOMAIN, r"cc0(?:-.*)?|unlicense|0bsd|pddl-.*|wtfpl|blessing|nist-pd.*|sax-pd.*|cc-pddc"),
        (Strictness.PERMISSIVE, r"mit(?:-.*)?|mitnfa|bsd(?:-.*)?|apache(?:-?v?[\d.]+)?|isc|zlib.*|x11.*|ncsa|bsl-1\.0"),
        (Strictness.PERMISSIVE, r"psf(?:-.*)?|python-.*|cnri-.*|postgresql|unicode-.*|openssl.*|artistic-2\.0|afl-.*"),
        (
            Strictness.PERMISSIVE,
            r"cc-by-\d.*|ecl-.*|mulanpsl-.*|upl-.*|curl|libpng.*|bzip2-.*|hpnd.*|ruby|php-3.*|w3c.*",
        ),
        (
            Strictness.PERMISSIVE,
            r"zpl-.*|info-zip|ftl|blueoak-.*|icu|ntp.*|tcl|boost-1\.0|ms-pl|intel|cecill-b|beerware",
        ),
    )
)

# Words of names as package metadata has them; the text is lower-case with every run of other characters as one blank.
_WORDS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            Strictness.NOT_FREE,
            r"\bnon ?commercial\b|\bno ?deriv|\bproprietary\b|\ball rights reserved\b|\bcommercial\b",
        ),
        (
            Strictness.NOT_FREE,
            r"\bbusiness source\b|\bserver side public\b|\bcc by nc\b|\bconfidential\b|\bunlicensed\b",
        ),
        (Strictness.NETWORK_COPYLEFT, r"\baffero\b|\bagpl|\beuropean union public\b|\beupl\b"),
        (
            Strictness.WEAK_COPYLEFT,
            r"\blgpl|\blesser general public\b|\blibrary general public\b|\bclasspath exception\b",
        ),
        (Strictness.STRONG_COPYLEFT, r"\bgpl|\bgnu general public\b|\bgnu public\b|\bshare ?alike\b|\bcc by sa\b"),
        (
            Strictness.WEAK_COPYLEFT,
            r"\bmozilla public\b|\bmpl\b|\beclipse public\b|\bcommon development and distr|\bcddl",
        ),
        (Strictness.PUBLIC_DOMAIN, r"\bpublic domain\b|\bcc0\b|\bcc zero\b|\bunlicense\b"),
        (Strictness.PERMISSIVE, r"\bmit\b|\bexpat\b|\bapache\b|\basl 2\b|\bbsd\b|\bisc\b|\bboost\b|\bzlib\b|\bpsf\b"),
        (Strictness.PERMISSIVE, r"\bpython software foundation\b|\bcc by\b|\bcreative commons attribution\b|\bx11\b"),
    )
)
_LINKING = re.compile(
    r"classpath-.*|gcc-.*|.*linking.*|openjdk-.*|linux-syscall-note|font-.*|bison-.*|autoconf-.*|wxwindows-.*|"
    r"gnu-javamail-.*|ecos-.*|fltk-.*|libtool-.*|gnat-.*|mif-.*|swi-.*|u-boot-.*|universal-foss-.*|qwt-.*"
)
_TOKEN = re.compile(r"\s*(?:([()])|([A-Za-z0-9.+:_-]+))")
_BINDS = {"OR": 1, "AND": 2}


def strictness(licence: str | None) -> Strictness:
    """
    Return what *licence*, an SPDX expression or the name that a package gives it, asks for.

    >>> [strictness(text).name for text in ("MIT OR GPL-3.0-only", "MIT AND GPL-3.0-only", "GNU GPLv2", "Acme 1", None)]
    ['PERMISSIVE', 'STRONG_COPYLEFT', 'STRONG_COPYLEFT', 'NOT_RECOGNISED', 'NONE']
    """
    text = " ".join((licence or "").split())
    if text.lower() in _NONE:
        return Strictness.NONE
    if len(text) > LONGEST:
        return Strictness.NOT_RECOGNISED
    # A slash is how Cargo wrote OR; a comma leaves open which it is, so it asks for both.
    for spelled in (text, text.replace("/", " OR "), re.sub(r"[,;&]", " AND ", text)):
        found = _expression(spelled)
        # Only the structure tells whether a part that is not known may be chosen away; a single word may be a name.
        if found is not None and (found < Strictness.NOT_RECOGNISED or len(_tokens(spelled)) > 1):
            return found
    words = re.sub(r"[^a-z0-9]+", " ", text.lower())
    return next((kind for kind, pattern in _WORDS if pattern.search(words)), Strictness.NOT_RECOGNISED)


def _expression(text: str) -> Strictness | None:
    """Return what an SPDX expression asks for; None if it is none. By two stacks: nesting costs no recursion."""
    values: list[Strictness] = []
    operators: list[str] = []
    expects = True  # an id or "(" comes next
    tokens = _tokens(text)
    if not tokens:
        return None
    for k, piece in enumerate(tokens):
        word = piece.upper()
        if k and tokens[k - 1].upper() == "WITH":
            continue  # the exception, read with its licence
        if word == "WITH":
            if expects or k + 1 == len(tokens):
                return None
            if values[-1] == Strictness.STRONG_COPYLEFT and _LINKING.fullmatch(tokens[k + 1].lower()):
                values[-1] = Strictness.WEAK_COPYLEFT
        elif word in _BINDS:
            if expects:
                return None
            while operators and operators[-1] != "(" and _BINDS[operators[-1]] >= _BINDS[word]:
                _reduce(values, operators.pop())
            operators.append(word)
            expects = True
        elif piece == "(":
            if not expects:
                return None
            operators.append(piece)
        elif piece == ")":
            while operators and operators[-1] != "(":
                _reduce(values, operators.pop())
            if expects or not operators:
                return None
            operators.pop()
        else:
            if not expects:
                return None
            values.append(_id(piece))
            expects = False
    if expects or "(" in operators:
        return None
    while operators:
        _reduce(values, operators.pop())
    return values[0]


def _tokens(text: str) -> list[str]:
    """Cut an expression into ids, operators and parentheses; empty where something else stands in it."""
    out, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            return []
        out.append(found[1] or found[2])
        at = found.end()
    return out


def _reduce(values: list[Strictness], operator: str) -> None:
    right = values.pop()
    values[-1] = max(values[-1], right) if operator == "AND" else min(values[-1], right)


def _id(name: str) -> Strictness:
    name = re.sub(r"(?:\+|-only|-or-later)\Z", "", name.lower())
    if name in _NONE:
        return Strictness.NONE
    return next((kind for kind, pattern in _IDS if pattern.match(name)), Strictness.NOT_RECOGNISED)


def strictest(own: str | None, others: Iterable[str | None]) -> str | None:
    """
    Return the licence of a kept sample whose removed copies had *others*: *own*, unless one of them asks for more.

    Of several that ask for the same the first in the order of the alphabet; `NO_ASSERTION` for one that is not known.

    >>> strictest("MIT", ["Apache-2.0", "GPL-2.0-only"]), strictest("MIT", ["ISC"]), strictest("MIT", [None, "ISC"])
    ('GPL-2.0-only', 'MIT', 'NOASSERTION')
    """
    level, found = max(
        ((strictness(other), other or "") for other in set(others)),
        key=lambda item: (item[0], [-ord(c) for c in item[1]]),
        default=(Strictness.PUBLIC_DOMAIN, ""),
    )
    if level <= strictness(own):
        return own
    return NO_ASSERTION if level is Strictness.NONE else found


def stricter_clusters(duplicates: pa.Table, licences: Sequence[str | None]) -> dict[int, str]:
    """
    Return the clusters with a copy whose licence asks for more than that of the kept sample, and that licence.

    Args:
        duplicates: schema `samples.DUPLICATES`.
        licences: of every sample, by ``n``.

    Returns:
        ``n`` of the kept sample -> the licence it would inherit, by ascending ``n``.
    """
    members: dict[int, set[str | None]] = {}
    for n, kept in zip(duplicates["n"].to_pylist(), duplicates["cluster"].to_pylist(), strict=True):
        members.setdefault(kept, set()).add(licences[n])
    found = {kept: strictest(licences[kept], others) for kept, others in sorted(members.items())}
    return {kept: value for kept, value in found.items() if value is not None and value != licences[kept]}
