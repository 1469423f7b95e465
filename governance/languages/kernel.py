"""bytes, tables of syntax -> lexemes: the compiled half of the lexer.

Two things happen in one pass, and the first never looks at the second:

- *One lexeme, whatever the language.* The next lexeme is cut from the bytes and hashed.
- *What the language makes of it.* Where a comment or string opens, its end is looked for at once; lexemes that start
  before it belong to it. All others are names, keywords, numbers or operators.

Every look ahead is bounded: a search that fails is paid from a budget of eight times the text, and where that is spent
the shapes that search (regular expressions, heredocs, code in strings, strings over several lines) are not looked for
any more. So no text takes more than linear time.
"""

from __future__ import annotations

# mypy: disable-error-code="assignment,arg-type,return-value,no-any-return"
# ruff: noqa: SIM109, PLR1714  # compiled, a comparison with each is faster than a search in a tuple
from typing import Any

import numpy as np
from numba import boolean, int32, int64, types, uint8, uint32, uint64

from governance.kernels import I32, I64, U8, U64, kernel
from governance.languages import syntax
from governance.languages.characters import ALONE, DIGIT, HAN, LETTER, SPACE

WORD, CJK, IDENTIFIER, KEYWORD, NUMBER, STRING, COMMENT, OPERATOR = range(8)
"""Kinds. WORD and CJK are those of prose."""

(R_OPEN, R_OPEN_LEN, R_CLOSE, R_CLOSE_LEN, R_SHAPE, R_KIND, R_FLAGS, R_HOLE, R_HOLE_LEN, R_MORE) = range(10)
"""Columns of a delimiter as the kernel reads it: four texts of the pool, and whether the next row has the same byte."""

ANY_CASE, DOCSTRINGS, DOLLARS, TAGGED, FOLDS, PROSE = 1, 2, 4, 8, 16, 32
"""Flags of a language."""

BASIS = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bits
PRIME = np.uint64(0x100000001B3)
MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # finaliser of MurmurHash3
MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)


def hash_bytes(lexeme: bytes) -> int:
    """
    Return the hash that the kernel gives to a lexeme of these bytes: FNV-1a, then MurmurHash3's finaliser, never 0.

    >>> hex(hash_bytes(b"return"))
    '0x7fa71c73b6cd1c13'
    """
    mask = 2**64 - 1
    value = int(BASIS)
    for byte in lexeme:
        value = (value ^ byte) * int(PRIME) & mask
    value ^= value >> 33
    value = value * int(MIX_1) & mask
    value ^= value >> 33
    value = value * int(MIX_2) & mask
    return (value ^ (value >> 33)) or 1


ID, NUM, STR = (np.uint64(hash_bytes(name)) for name in (b" identifier", b" number", b" string"))
"""What names, numbers and strings fold to. No lexeme holds a space, so none has these hashes."""

OPENS, CLOSES, BRACKET, NAMES = 1, 2, 4, 8
"""
Marks of a byte that begins an operator: it may begin a comment or string (or the rest of one that has a prefix), it
closes a bracket, it opens one, it is part of names.
"""

IN_COMMENT, IN_STRING, IN_TEXT = 0, 1, 2

_U32 = types.Array(uint32, 1, "C", readonly=True)


@kernel()
def mix(value: Any) -> Any:
    """Spread the bits of a uint64 over all 64 (a bijection)."""
    value ^= value >> uint64(33)
    value *= MIX_1
    value ^= value >> uint64(33)
    value *= MIX_2
    return value ^ (value >> uint64(33))


@kernel()
def is_name(byte: int) -> bool:
    """Return whether an ASCII byte can stand in a name."""
    return 65 <= byte <= 90 or 97 <= byte <= 122 or 48 <= byte <= 57 or byte == 95


@kernel()
def decode(first: int, second: int, third: int, fourth: int) -> int:
    """Return code point * 8 + bytes of a character that is not ASCII; 0xFFFFFF * 8 + 1 if that is no UTF-8."""
    if 0xC2 <= first < 0xE0 and second & 0xC0 == 0x80:
        return ((first & 0x1F) << 6 | second & 0x3F) << 3 | 2
    if 0xE0 <= first < 0xF0 and second & 0xC0 == 0x80 and third & 0xC0 == 0x80:
        point = (first & 0x0F) << 12 | (second & 0x3F) << 6 | third & 0x3F
        if point >= 0x800 and not 0xD800 <= point <= 0xDFFF:
            return point << 3 | 3
    if 0xF0 <= first <= 0xF4 and second & 0xC0 == 0x80 and third & 0xC0 == 0x80 and fourth & 0xC0 == 0x80:
        point = (first & 0x07) << 18 | (second & 0x3F) << 12 | (third & 0x3F) << 6 | fourth & 0x3F
        if 0x10000 <= point <= 0x10FFFF:
            return point << 3 | 4
    return 0xFFFFFF << 3 | 1


@kernel()
def letter_width(data: Any, at: int, end: int, classes: Any) -> int:
    """Return how many bytes the letter or digit at *at* has; 0 if that is none."""
    byte = data[at]
    if byte < 0x80:
        return int64(classes[byte] == LETTER or classes[byte] == DIGIT)
    two = int64(data[at + 1]) if at + 1 < end else 0
    three = int64(data[at + 2]) if at + 2 < end else 0
    four = int64(data[at + 3]) if at + 3 < end else 0
    both = decode(int64(byte), two, three, four)
    return both & 7 if both >> 3 < classes.size and classes[both >> 3] == LETTER else 0


@kernel()
def number_end(data: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of the number at *at*: digits and letters, with ``.5`` behind, and ``e-5`` in a decimal one."""
    decimal = True
    last = 0  # small letter
    while at < end:
        byte = int64(data[at])
        width = letter_width(data, at, end, classes)
        if width:
            if byte != 95 and not 48 <= byte <= 57 and (byte | 32 != 101 or last == 101):
                decimal = False
            last = byte | 32
        elif at + 1 >= end or not 48 <= data[at + 1] <= 57:
            break
        elif byte == 46:
            width, last = 1, 0
        elif (byte == 43 or byte == 45) and decimal and last == 101:
            width, last, decimal = 1, 0, False
        else:
            break
        at += width
    return at


@kernel()
def cut_lexemes(
    data: Any, at: int, end: int, classes: Any, numbers: Any, pairs: Any, triples: Any, placing: bool,
    verbatim: Any, starts: Any, ends: Any, kinds: Any, used: int,
) -> int:  # fmt: skip
    """
    Write the lexemes of ``data[at:end]`` to ``verbatim[used:]`` and so on; return the next free place.

    No language comes in here. There is no call per lexeme in it either: Numba would count the references to every
    array that it passes, which costs more than the lexeme.
    """
    while at < end:
        byte = data[uint64(at)]
        kind, width = classes[byte], 1
        if byte >= 0x80:
            two = int64(data[uint64(at + 1)]) if at + 1 < end else 0
            three = int64(data[uint64(at + 2)]) if at + 2 < end else 0
            four = int64(data[uint64(at + 3)]) if at + 3 < end else 0
            both = decode(int64(byte), two, three, four)
            width = both & 7
            kind = classes[uint64(both >> 3)] if both >> 3 < classes.size else uint8(ALONE)
        if kind == SPACE:
            at += width
            continue
        start, state = at, BASIS
        if kind == LETTER:
            found = WORD
            while width:
                for k in range(at, at + width):
                    state = (state ^ uint64(data[uint64(k)])) * PRIME
                at += width
                width = 0
                while at < end:
                    byte = data[uint64(at)]
                    kind = classes[byte]
                    if byte >= 0x80:
                        width = letter_width(data, at, end, classes)
                        break
                    if kind != LETTER and kind != DIGIT:
                        break
                    state = (state ^ uint64(byte)) * PRIME
                    at += 1
        else:
            found = OPERATOR
            at += width
            if kind == DIGIT:
                found = NUMBER
                at = number_end(data, start, end, classes)
            elif kind == HAN:
                found = CJK
            elif byte < 0x80 and at < end and (pairs[numbers[byte]] >> numbers[data[uint64(at)]]) & uint32(1):
                at += 1
                if at < end:
                    packed = (int64(byte) << 16) | (int64(data[uint64(at - 1)]) << 8) | int64(data[uint64(at)])
                    longer = 0
                    for k in range(triples.size):
                        longer |= triples[uint64(k)] == packed
                    at += longer
            for k in range(start, at):
                state = (state ^ uint64(data[uint64(k)])) * PRIME
        state ^= state >> uint64(33)
        state *= MIX_1
        state ^= state >> uint64(33)
        state *= MIX_2
        state ^= state >> uint64(33)
        here = uint64(used)
        verbatim[here] = state if state != 0 else uint64(1)
        if placing:
            starts[here], ends[here], kinds[here] = start, at, found
        used += 1
        if at < end:
            at += data[uint64(at)] == 32  # no branch: whether one space follows cannot be predicted
    return used


@kernel()
def looks_at(data: Any, at: int, end: int, pool: Any, text: int, length: int, fold: bool) -> bool:
    """Return whether ``data[at:end]`` begins with a text of the pool; small letters match both, if *fold*."""
    if at + length > end:
        return False
    for k in range(length):
        byte = data[at + k]
        if byte != pool[text + k] and not (fold and 65 <= byte <= 90 and byte + 32 == pool[text + k]):
            return False
    return True


@kernel()
def line_end(data: Any, at: int, end: int) -> int:
    """Return where the line of *at* ends, before its line feed or carriage return."""
    while at < end and data[at] != 10 and data[at] != 13:
        at += 1
    return at


@kernel()
def block_end(data: Any, at: int, end: int, pool: Any, rules: Any, rule: int) -> int:
    """Return the end of a block comment whose opening text ends at *at*; *end* without a closing text."""
    opened, opened_len, close, close_len = (
        rules[rule + R_OPEN],
        rules[rule + R_OPEN_LEN],
        rules[rule + R_CLOSE],
        rules[rule + R_CLOSE_LEN],
    )
    nested = rules[rule + R_FLAGS] & syntax.NESTED
    depth = 1
    while at < end:
        if data[at] == pool[close] and looks_at(data, at, end, pool, close, close_len, False):
            at += close_len
            depth -= 1
            if depth == 0:
                return at
        elif nested and data[at] == pool[opened] and looks_at(data, at, end, pool, opened, opened_len, False):
            at += opened_len
            depth += 1
        else:
            at += 1
    return end


@kernel()
def hole_end(data: Any, at: int, end: int, opened: int, several: bool) -> int:
    """Return where the code in a string ends, behind its bracket; -1 if it does not. Strings in it are passed over."""
    closed = 41 if opened == 40 else 125
    depth, quote = 1, 0
    while at < end:
        byte = data[at]
        if byte == 92:
            at += 1
        elif not several and (byte == 10 or byte == 13):
            return -1
        elif quote:
            if byte == quote:
                quote = 0
        elif byte == 34 or byte == 39 or byte == 96:
            quote = byte
        elif byte == opened:
            depth += 1
        elif byte == closed:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


@kernel()
def quoted_end(data: Any, at: int, end: int, pool: Any, rules: Any, rule: int, budget: Any) -> int:
    """
    Return the end of a string whose opening text ends at *at*.

    Without a closing text that is the end of the line; of everything if the closing text is longer than a byte and
    the string may have lines. An escaped end of line ends no string.
    """
    begin = at
    close, close_len, flags = rules[rule + R_CLOSE], rules[rule + R_CLOSE_LEN], rules[rule + R_FLAGS]
    hole, hole_len = rules[rule + R_HOLE], rules[rule + R_HOLE_LEN]
    several = (flags & syntax.MULTILINE) != 0 and (close_len > 1 or budget[0] > 0)
    closing = pool[close]
    holed = pool[hole] if hole_len else closing
    while at < end:
        byte = data[uint64(at)]
        if byte > 13 and byte != closing and byte != 92 and byte != holed:  # nearly all
            at += 1
            continue
        if not several and (byte == 10 or byte == 13):
            return at
        if hole_len and byte == pool[hole] and budget[0] > 0 and looks_at(data, at, end, pool, hole, hole_len, False):
            at += hole_len
            inner = hole_end(data, at, end, pool[hole + hole_len - 1], several)
            if inner > 0:
                at = inner
            else:
                budget[0] -= end - at
        elif byte == 92 and flags & syntax.BACKSLASH:
            at += 1
            if at + 1 < end and data[at] == 13 and data[at + 1] == 10:
                at += 1
            at += 1
        elif (
            byte == 92
            and flags & syntax.MAYBE
            and at + 2 < end
            and data[at + 1] == pool[close]
            and is_name(data[at + 2])
        ):
            at += 2
        elif byte == pool[close] and looks_at(data, at, end, pool, close, close_len, False):
            at += close_len
            if not flags & syntax.DOUBLED or not looks_at(data, at, end, pool, close, close_len, False):
                return at
            at += close_len
        else:
            at += 1
    if several and close_len == 1:
        budget[0] -= end - begin
        return line_end(data, begin, end)
    return end


@kernel()
def character_end(data: Any, at: int, end: int) -> int:
    """Return the end of one quoted character or escape that begins at *at*, or -1."""
    if at >= end or data[at] == 39 or data[at] == 10 or data[at] == 13:
        return -1
    if data[at] == 92:
        stop = at + 2
        while stop < end and stop < at + 12 and data[stop] != 39 and data[stop] != 10 and data[stop] != 13:
            stop += 1
    else:
        stop = at + 1
        while stop < end and stop < at + 4 and 0x80 <= data[stop] < 0xC0:
            stop += 1
    return stop + 1 if stop < end and data[stop] == 39 else -1


@kernel()
def fenced_end(data: Any, at: int, end: int, lead: int, first: int, size: int, trail: int) -> int:
    """Return the end of the byte *lead*, ``data[first:first + size]`` and the byte *trail* (-1: none), or *end*."""
    while at + 1 + size <= end:
        if data[at] == lead:
            m = 0
            while m < size and data[at + 1 + m] == data[first + m]:
                m += 1
            stop = at + 1 + size
            if m == size and (trail < 0 or (stop < end and data[stop] == trail)):
                return stop if trail < 0 else stop + 1
        at += 1
    return end


@kernel()
def tagged_end(data: Any, at: int, end: int, shape: int) -> int:
    """Return the end of a string that names its own closing text at *at* (CPP_RAW, HASHED, DOLLAR), or -1."""
    stop = at
    if shape == syntax.CPP_RAW:
        while stop < end and stop < at + 17 and data[stop] > 32 and data[stop] not in (34, 40, 41, 92):
            stop += 1
        return fenced_end(data, stop + 1, end, 41, at, stop - at, 34) if stop < end and data[stop] == 40 else -1
    if shape == syntax.HASHED:
        while stop < end and stop < at + 255 and data[stop] == 35:
            stop += 1
        return fenced_end(data, stop + 1, end, 34, at, stop - at, -1) if stop < end and data[stop] == 34 else -1
    while stop < end and stop < at + 63 and (is_name(data[stop]) or data[stop] >= 128):
        stop += 1
    if stop >= end or data[stop] != 36 or (stop > at and 48 <= data[at] <= 57):
        return -1
    return fenced_end(data, stop + 1, end, 36, at, stop + 1 - at, -1)


@kernel()
def regex_end(data: Any, at: int, end: int) -> int:
    """Return the end of a regular expression whose first slash ends at *at*, flags included; -1 if its line ends."""
    inside = False
    while at < end and data[at] != 10 and data[at] != 13:
        byte = data[at]
        if byte == 92:
            at += 1
        elif byte == 91:
            inside = True
        elif byte == 93:
            inside = False
        elif byte == 47 and not inside:
            at += 1
            while at < end and 97 <= data[at] <= 122:
                at += 1
            return at
        at += 1
    return -1


@kernel()
def percent_end(data: Any, at: int, end: int) -> int:
    """Return the end of a Ruby per cent literal whose sign ends at *at*, or -1."""
    if at < end and (data[at] | 32) in (113, 119, 105, 114, 115, 120):
        at += 1
    if at >= end:
        return -1
    opened = data[at]
    closed = opened
    if opened == 40:
        closed = uint8(41)
    elif opened == 91 or opened == 123 or opened == 60:
        closed = uint8(opened + 2)
    elif opened != 124 and opened != 33:
        return -1
    depth = 1
    at += 1
    while at < end:
        byte = data[at]
        if byte == 92:
            at += 1
        elif byte == closed:
            depth -= 1
            if depth == 0:
                return at + 1
        elif byte == opened:
            depth += 1
        at += 1
    return -1


@kernel()
def heredoc(data: Any, at: int, end: int, body: int, dashed: bool) -> Any:
    """
    Return (start, end) of the text that the heredoc operator ending at *at* announces, or (-1, 0).

    The text begins at *body*, or at the next line if that is 0. *dashed*: a bare word must begin with a capital.
    """
    marked = at < end and (data[at] == 45 or data[at] == 126)
    if marked:
        at += 1
    while not dashed and at < end and (data[at] == 32 or data[at] == 9):
        at += 1
    quote = uint8(0)
    if at < end and (data[at] == 34 or data[at] == 39 or data[at] == 96):
        quote = data[at]
        at += 1
    word = at
    while at < end and is_name(data[at]):
        at += 1
    size = at - word
    if size == 0 or 48 <= data[word] <= 57 or (quote and (at >= end or data[at] != quote)):
        return -1, 0
    if dashed and not quote and not marked and not 65 <= data[word] <= 90:
        return -1, 0
    start = body if body else line_end(data, at, end) + 1
    k = start
    while k < end:
        stop = line_end(data, k, end)
        while k < stop and (data[k] == 32 or data[k] == 9):
            k += 1
        m = 0
        while m < size and k + m < stop and data[k + m] == data[word + m]:
            m += 1
        if m == size and not (k + m < stop and is_name(data[k + m])):
            return start, k + m
        k = stop + 1
    return -1, 0


@kernel()
def outside_end(data: Any, at: int, end: int) -> int:
    """Return where the text around code ends: before the next ``<?``."""
    while at + 1 < end:
        if data[at] == 60 and data[at + 1] == 63:
            return at
        at += 1
    return end


@kernel()
def stands_right(data: Any, begin: int, at: int, end: int, rules: Any, rule: int, value: bool) -> bool:
    """Return whether a delimiter may stand at *at*, by what is around it; *value*: a value stands before it."""
    shape, flags = rules[rule + R_SHAPE], rules[rule + R_FLAGS]
    before = data[at - 1] if at > begin else uint8(10)
    inner = at + rules[rule + R_OPEN_LEN]
    after = data[inner] if inner < end else uint8(10)
    if flags & syntax.WORD_START and before > 32 and before not in (38, 40, 41, 59, 124):
        return False
    if flags & syntax.APART and (is_name(before) or before >= 128):
        return False
    if flags & syntax.NO_BRACKET and after == 91:
        return False
    if before == 92 and (shape == syntax.QUOTED or shape == syntax.CHARACTER):
        return False
    if flags & syntax.LINE_START:
        while at > begin and (data[at - 1] == 32 or data[at - 1] == 9):
            at -= 1
        return at == begin or data[at - 1] == 10 or data[at - 1] == 13
    if shape == syntax.REGEX or shape == syntax.PERCENT:
        if shape == syntax.REGEX and (after == 42 or after == 47):
            return False
        if value:
            return (flags & syntax.SPACED) != 0 and before <= 32 and after > 32 and after != 61
        return before != 60
    return True


@kernel()
def delimited_end(
    data: Any, begin: int, at: int, end: int, pool: Any, rules: Any, rule: int, value: bool, fold: bool, budget: Any
) -> int:
    """
    Return the end of the comment or string that *rule* opens at *at*, or -1 if it does not.

    *begin* is where the text begins, *value*: the lexeme before can stand left of an operator.
    """
    if not looks_at(data, at, end, pool, rules[rule + R_OPEN], rules[rule + R_OPEN_LEN], fold):
        return -1
    if not stands_right(data, begin, at, end, rules, rule, value):
        return -1
    shape = rules[rule + R_SHAPE]
    inner = at + rules[rule + R_OPEN_LEN]
    stop = int64(-1)
    if shape == syntax.QUOTED:
        stop = quoted_end(data, inner, end, pool, rules, rule, budget)
    elif shape == syntax.LINE:
        stop = line_end(data, inner, end)
    elif shape == syntax.BLOCK:
        stop = block_end(data, inner, end, pool, rules, rule)
    elif shape == syntax.CHARACTER:
        stop = character_end(data, inner, end)
    elif shape == syntax.OUTSIDE:
        stop = outside_end(data, inner, end)
    elif shape == syntax.HASHED:
        stop = tagged_end(data, inner - 1, end, shape)
    elif shape == syntax.CPP_RAW or shape == syntax.DOLLAR:
        stop = tagged_end(data, inner, end, shape)
    elif budget[0] > 0:
        stop = regex_end(data, inner, end) if shape == syntax.REGEX else percent_end(data, inner, end)
        if stop < 0:
            budget[0] -= (line_end(data, inner, end) if shape == syntax.REGEX else end) - inner
    return min(stop, end)


@kernel()
def region_at(
    data: Any, begin: int, at: int, end: int, row: int, rules: Any, pool: Any, value: bool, late: Any, budget: Any
) -> Any:
    """
    Return (end, IN_...) of the comment or string at *at* by the delimiters from *row* on, or (-1, IN_TEXT).

    A heredoc begins later: its place is written to *late*, after that of another one on this line.
    """
    while row >= 0:
        rule = 10 * row
        if rules[rule + R_SHAPE] != syntax.HEREDOC:
            stop = delimited_end(data, begin, at, end, pool, rules, rule, value, False, budget)
            if stop > at:
                if rules[rule + R_SHAPE] == syntax.OUTSIDE:
                    return stop, IN_TEXT
                return stop, IN_COMMENT if rules[rule + R_KIND] == syntax.COMMENT else IN_STRING
        elif budget[0] > 0 and looks_at(data, at, end, pool, rules[rule + R_OPEN], rules[rule + R_OPEN_LEN], False):
            body = late[1] if late[0] >= 0 else 0
            here, there = heredoc(
                data, at + rules[rule + R_OPEN_LEN], end, body, (rules[rule + R_FLAGS] & syntax.DASHED) != 0
            )
            if here < 0:
                budget[0] -= end - at
            else:
                late[0] = late[0] if late[0] >= 0 else here
                late[1] = there
        row = row + 1 if rules[rule + R_MORE] else -1
    return int64(-1), IN_TEXT


@kernel()
def prefixed_end(
    data: Any, begin: int, start: int, at: int, end: int, first: int, last: int, rules: Any, pool: Any, budget: Any
) -> int:
    """Return the end of the string that the word ``data[start:at]`` is the prefix of, or -1."""
    for row in range(first, last):
        rule = 10 * row
        stop = delimited_end(data, begin, start, end, pool, rules, rule, False, True, budget)
        if stop > at:
            return stop
    return int64(-1)


@kernel(inline=True)
def docstring(data: Any, begin: int, start: int, stop: int, end: int) -> bool:
    """Return whether ``data[start:stop]`` is all there is on its lines, but for a comment or a semicolon behind it."""
    while start > begin and (data[start - 1] == 32 or data[start - 1] == 9):
        start -= 1
    while stop < end and (data[stop] == 32 or data[stop] == 9):
        stop += 1
    first = start == begin or data[start - 1] == 10 or data[start - 1] == 13
    continued = start - 1 > begin and data[start - 2] == 92 and data[start - 1] == 10
    return first and not continued and (stop >= end or data[stop] in (10, 13, 35, 59))


@kernel(inline=True)
def mark_region(
    k: int, last: int, region: int, kind: int, folds: int, starts: Any, kinds: Any, renamed: Any, text: int
) -> int:
    """Write kinds and folded hashes of the lexemes from *k* on that start before *region*; return the next one."""
    if text:
        while k < last and starts[uint64(k)] < region:
            k += 1
        return k
    if folds or kind == COMMENT:
        renamed[uint64(k)] = uint64(0) if kind == COMMENT else STR
        kinds[uint64(k)] = kind
        k += 1
        while k < last and starts[uint64(k)] < region:
            renamed[uint64(k)] = 0
            kinds[uint64(k)] = kind
            k += 1
        return k
    while k < last and starts[uint64(k)] < region:
        kinds[uint64(k)] = kind
        k += 1
    return k


@kernel(inline=True)
def fold_code(
    data: Any, k: int, last: int, seen: int, limit: int, flag: int, marks: Any, words: Any, words_at: int,
    words_mask: int, words_shift: int, starts: Any, ends: Any, kinds: Any, renamed: Any, depth: int, name_end: int,
) -> Any:  # fmt: skip
    """
    Fold the lexemes from *k* on up to the first that may open a comment or string, or that starts at *limit*.

    Without branches as far as it goes, since no processor can predict what kind of lexeme comes next.

    Lexeme *seen* opens none. *marks*: of every byte that may begin an operator of this language.

    Returns:
        (next lexeme, depth of brackets, end of the last lexeme if it was a name).
    """
    folds, any_case = flag & FOLDS != 0, flag & ANY_CASE != 0
    spare = 0 if flag & PROSE else 1
    shift, mask, table = uint64(words_shift), uint64(words_mask), uint64(words_at)
    while k < last:
        here = uint64(k)
        start, found = int64(starts[here]), kinds[here]
        byte = data[uint64(start)]
        mark = int64(marks[byte])
        if start >= limit or (mark & OPENS and k != seen):
            break
        name = spare & (int64(found <= CJK) | (mark >> 3))
        key = renamed[here]
        stop = int64(ends[here])
        if any_case and name:
            key = BASIS
            for at in range(start, stop):
                small = data[uint64(at)]
                small = small + 32 if 65 <= small <= 90 else small
                key = (key ^ uint64(small)) * PRIME
            key ^= key >> uint64(33)
            key *= MIX_1
            key ^= key >> uint64(33)
            key *= MIX_2
            key ^= key >> uint64(33)
        slot = table + (((key >> shift) & mask) << uint64(1))
        known = int64(words[slot] == key) | int64(words[slot + uint64(1)] == key)
        joined = int64(name_end == start)
        known &= name & (joined ^ 1)
        other = name & (known ^ 1)
        depth = max(0, depth + (mark >> 2 & 1) - (mark >> 1 & 1))
        name_end = stop if other else int64(-1)
        kinds[here] = uint8(IDENTIFIER + known) if name else found
        if folds:
            folded = uint64(0) if joined else ID
            folded = folded if other else key
            renamed[here] = NUM if found == NUMBER else folded
        k += 1
    return k, depth, name_end


@kernel()
def fold_lexemes(
    data: Any, begin: int, end: int, language: int, rules: Any, pool: Any, first: Any, prefixed: Any, flags: Any,
    words: Any, word_tables: Any, marks: Any, late: Any, budget: Any,
    starts: Any, ends: Any, kinds: Any, renamed: Any, k: int, last: int,
) -> None:  # fmt: skip
    """
    Fold the lexemes *k* to *last*, those of ``data[begin:end]``: their verbatim hashes stand in *renamed*.
    """
    flag = int64(flags[language])
    words_at, words_mask = int64(word_tables[3 * language]), int64(word_tables[3 * language + 1])
    words_shift = int64(word_tables[3 * language + 2])
    own = marks[256 * language : 256 * language + 256]
    first_prefix, last_prefix = int64(prefixed[2 * language]), int64(prefixed[2 * language + 1])
    late[0], budget[0] = -1, 8 * (end - begin) + 4096
    depth, name_end, value = 0, int64(-1), 0
    if flag & TAGGED:
        region = outside_end(data, begin, end)
        if region < end:
            k = mark_region(k, last, region, COMMENT, 0, starts, kinds, renamed, 1)
    seen, plain = int64(-1), k  # lexemes from *plain* on are folded
    while k < last:
        limit = late[0] if late[0] >= 0 else end
        before = k
        k, depth, name_end = fold_code(
            data, k, last, seen, limit, flag, own, words, words_at, words_mask, words_shift, starts, ends, kinds,
            renamed, depth, name_end,
        )  # fmt: skip
        if k >= last:
            break
        if k > before:
            kind = kinds[k - 1]
            value = int64(kind == IDENTIFIER or kind == NUMBER or own[data[starts[k - 1]]] & CLOSES != 0)
        start = int64(starts[k])
        region, opened = int64(-1), IN_STRING
        if late[0] >= 0 and start >= late[0]:
            region, late[0] = late[1], -1
        else:
            word = int64(starts[max(plain, k - 1)])
            behind_name = k > plain and (kinds[k - 1] == IDENTIFIER or kinds[k - 1] == KEYWORD) and ends[k - 1] == start
            if first_prefix < last_prefix and behind_name and start - word <= 4:
                region = prefixed_end(data, begin, word, start, end, first_prefix, last_prefix, rules, pool, budget)
                if region > start:
                    start, k = word, k - 1
            if region < 0:
                row = first[language * 256 + int64(data[start])]
                region, opened = region_at(data, begin, start, end, row, rules, pool, value, late, budget)
        seen = k
        if region > start:
            if opened == IN_STRING and flag & DOCSTRINGS and depth == 0 and docstring(data, begin, start, region, end):
                opened = IN_COMMENT
            value = 1 if opened == IN_STRING else value
            kind = COMMENT if opened == IN_COMMENT else STRING
            k = mark_region(k, last, region, kind, flag & FOLDS, starts, kinds, renamed, opened == IN_TEXT)
            plain = k


_OUT = (uint64[::1], uint64[::1], int32[::1], int32[::1], uint8[::1], int64[::1])


@kernel(
    int64(
        U8, I64, U8, U8, I32, U8, I32, I32, U8, U64, I32, U8, U8, _U32, I64, boolean, *_OUT
    )
)  # fmt: skip
def lex_segments(
    data: Any, segments: Any, languages: Any, classes: Any, rules: Any, pool: Any, first: Any, prefixed: Any,
    flags: Any, words: Any, word_tables: Any, marks: Any, numbers: Any, pairs: Any, triples: Any, renaming: bool,
    verbatim: Any, renamed: Any, starts: Any, ends: Any, kinds: Any, segment_ends: Any,
) -> int:  # fmt: skip
    """
    Lex ``data[segments[s]:segments[s + 1]]`` in ``languages[s]``, for every s; return the number of lexemes.

    Args:
        classes: of characters; rules to triples: the tables of `lexer.tables`.
        renaming: fill *renamed*, and *kinds* by language.
        verbatim: room for one lexeme per byte. So are starts, ends, kinds, and *renamed* if asked for; without room
            in them, starts, ends and kinds are not filled.
        segment_ends: filled; lexemes of segment s are ``segment_ends[s]`` to ``segment_ends[s + 1]``.
    """
    used = 0
    segment_ends[0] = 0
    placing = starts.size > 0
    late, budget = np.empty(2, np.int64), np.empty(1, np.int64)
    for s in range(languages.size):
        begin, end = segments[s], segments[s + 1]
        last = cut_lexemes(
            data, begin, end, classes, numbers, pairs, triples, placing, verbatim, starts, ends, kinds, used
        )
        if renaming:
            for k in range(used, last):
                renamed[k] = verbatim[k]
            if languages[s] != 0:
                fold_lexemes(
                    data, begin, end, int64(languages[s]), rules, pool, first, prefixed, flags, words, word_tables,
                    marks, late, budget, starts, ends, kinds, renamed, used, last,
                )  # fmt: skip
        used = last
        segment_ends[s + 1] = used
    return used
