"""texts of samples -> their shingles, as stable 64-bit hashes of five lexemes in a row.

One general lexer for code and prose. A *word* is a run of letters, marks, digits and underscores of any script;
Chinese and Japanese characters stand alone, and so does every other character that is not white space. So
``int 订单Id2 = 3.5;`` is ``int 订 单 Id2 = 3 . 5 ;``.

Hashes are FNV-1a over the bytes, mixed with the finaliser of MurmurHash3: the same number on every machine and in
every version, which DuckDB's and Python's ``hash()`` do not promise.

A shingle is 5 lexemes in a row of one text, hashed as ``mix(sum h[i] * P**(4-i) mod 2**64)``. A text of 1 to 4 lexemes
gives one shingle, the whole, tagged with its length. Among n different shingles any two share a hash with a probability
of at most n**2 / 2**65 (n = 10**8: 0.03 %).
"""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import int32, int64, uint64

from governance.kernels import FLAGS, I32, I64, U8, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACE, WORD, ALONE = 0, 1, 2

K = 5  # lexemes per shingle

_TABLE_SIZE = 0x32400  # code points; no letter is assigned above, so all of those stand alone

_CJK = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x3035),  # kana repeat marks
    (0x3038, 0x303C),
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # kana supplements
    (0x20000, 0x323AF),  # Han, extensions B to H
)

_BASIS = np.uint64(0xCBF29CE484222325)  # FNV-1a, 64 bits
_PRIME = np.uint64(0x100000001B3)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # finaliser of MurmurHash3
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_P = np.uint64(0x9E3779B97F4A7C15)  # odd, so multiplying by it loses nothing
_P5 = np.uint64(pow(0x9E3779B97F4A7C15, K, 2**64))
_SEED = np.uint64(0xD6E8FEB86659FD93)


@functools.cache
def character_classes() -> NDArray[np.uint8]:
    """
    Return the class of every code point below 0x32400, shape (205824,): SPACE, WORD or ALONE.

    It follows the Unicode version of the running Python; a letter that a newer version adds stands alone here.
    """
    classes = np.full(_TABLE_SIZE, ALONE, np.uint8)
    for point in range(_TABLE_SIZE):
        character = chr(point)
        if character.isspace():
            classes[point] = SPACE
        elif character == "_" or unicodedata.category(character)[0] in "LMN":
            classes[point] = WORD
    for first, last in _CJK:
        classes[first : last + 1] = ALONE
    return classes


@kernel()
def mix(value: Any) -> Any:
    """Spread the bits of a uint64 over all 64 (a bijection)."""
    value ^= value >> uint64(33)
    value *= _MIX_1
    value ^= value >> uint64(33)
    value *= _MIX_2
    return value ^ (value >> uint64(33))


@kernel()
def lex_text(data: Any, at: int, end: int, classes: Any, out: Any, used: int) -> int:
    """
    Write the hashes of the lexemes of ``data[at:end]`` to ``out[used:]``, at most one per byte; return how many.

    Arrow promises UTF-8; bytes that are not are lexemes of their own, and nothing is read past *end*. A lexeme that
    would hash to 0 hashes to 1.
    """
    first, length = used, 0
    state = _BASIS
    while at < end:
        byte = data[at]
        kind, width = classes[byte], 1
        if byte >= 0x80:
            kind = np.uint8(ALONE)
            width = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            if at + width > end:
                width = 1
            if width > 1:
                point = int64(byte) & (0x7F >> width)
                for k in range(1, width):
                    point = (point << 6) | (int64(data[at + k]) & 0x3F)
                if point < classes.size:
                    kind = classes[point]
        if kind != WORD and length:
            value = mix(state)
            out[used] = value if value != 0 else uint64(1)
            used += 1
            state, length = _BASIS, 0
        if kind != SPACE:
            for k in range(at, at + width):
                state = (state ^ uint64(data[k])) * _PRIME
            length = width
        at += width
        if kind == ALONE or (at >= end and length):
            value = mix(state)
            out[used] = value if value != 0 else uint64(1)
            used += 1
            state, length = _BASIS, 0
    return used - first


@kernel(
    int64(
        U8, I64, U8, I32, FLAGS, int64, int64, U8,
        uint64[::1], int64[::1], int32[::1], uint64[::1], uint64[:, ::1],
    )
)  # fmt: skip
def lex_samples(
    data: Any, text_ends: Any, roles: Any, sample_ends: Any, wanted: Any, first: int, last: int, classes: Any,
    out: Any, starts: Any, lexemes: Any, text_keys: Any, sample_keys: Any,
) -> int:  # fmt: skip
    """
    Lex the wanted samples of ``[first, last)`` and write the shingles of each text, in order and with repeats.

    Args:
        data: bytes of all texts; text ``j`` is ``data[text_ends[j]:text_ends[j + 1]]``.
        roles: a small number per text.
        sample_ends: texts of sample ``i`` are ``sample_ends[i]`` to ``sample_ends[i + 1]``.
        out: room for one shingle per byte of text.
        starts, lexemes, text_keys: per text of the range, filled: where in *out* its shingles start (one entry more
            at the end), its number of lexemes, and a hash of all of them (0 without any).
        sample_keys: per sample of the range, shape (last - first, 2), filled: 128 bits over the roles and lexemes of
            its texts, those without lexemes left out; two zeros for a sample without any.

    Returns:
        The number of shingles written.
    """
    used = 0
    base = sample_ends[first]
    for i in range(first, last):
        key_a, key_b, total = _SEED, _P, 0
        for j in range(sample_ends[i], sample_ends[i + 1]):
            starts[j - base] = used
            if not wanted[i]:
                continue
            count = lex_text(data, text_ends[j], text_ends[j + 1], classes, out, used)
            whole_a, whole_b = _SEED, _P
            roll = uint64(0)
            h0 = h1 = h2 = h3 = h4 = uint64(0)
            for k in range(used, used + count):
                value = out[k]
                roll = roll * _P + value - h0 * _P5
                h0, h1, h2, h3, h4 = h1, h2, h3, h4, value
                whole_a = mix(whole_a ^ value)
                whole_b = (whole_b + value) * _P
                whole_b ^= whole_b >> uint64(29)
                if k - used >= K - 1:  # a shingle takes the place of a lexeme that has been read
                    out[k - K + 1] = mix(roll)
            lexemes[j - base] = count
            if count == 0:
                continue
            if count < K:
                out[used] = mix(roll ^ (_SEED * uint64(count)))
            used += max(1, count - K + 1)
            total += count
            text_keys[j - base] = whole_a if whole_a != 0 else uint64(1)
            tag = (uint64(count) << uint64(8)) | uint64(roles[j])
            key_a = mix(mix(key_a ^ whole_a) ^ tag)
            key_b = mix((key_b + whole_b) * _P ^ tag)
        if total:
            sample_keys[i - first, 0] = key_a
            sample_keys[i - first, 1] = key_b
    starts[sample_ends[last] - base] = used
    return used
