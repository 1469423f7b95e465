"""lexemes of texts -> shingles, and hashes of whole texts and samples.

A shingle is k lexemes in a row of one text, hashed as ``mix(sum h[i] * P**(k-1-i) mod 2**64)``. A text of fewer than k
lexemes gives one shingle, the whole, tagged with its length. The verbatim view takes k = 5, the renamed view k = 10: it
has a few dozen words only, so five in a row are found everywhere. Among n different shingles any two share a hash with
a probability of at most n**2 / 2**65 (n = 10**8: 0.03 %). Lexemes and their hashes: `governance.languages.lexer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32, int64, uint64

from governance.kernels import I64, U8, kernel

VERBATIM, RENAMED = 5, 10  # lexemes per shingle

_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # finaliser of MurmurHash3
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_P = np.uint64(0x9E3779B97F4A7C15)  # odd, so multiplying by it loses nothing
_SEED = np.uint64(0xD6E8FEB86659FD93)


@kernel()
def mix(value: Any) -> Any:
    """Spread the bits of a uint64 over all 64 (a bijection)."""
    value ^= value >> uint64(33)
    value *= _MIX_1
    value ^= value >> uint64(33)
    value *= _MIX_2
    return value ^ (value >> uint64(33))


@kernel(
    int64(
        uint64[::1], I64, U8, I64, int64, uint64[::1],
        int64[::1], int32[::1], uint64[::1], uint64[:, ::1],
    )
)  # fmt: skip
def shingle_texts(
    lexemes: Any, text_ends: Any, roles: Any, sample_ends: Any, k: int, ring: Any,
    starts: Any, counts: Any, text_keys: Any, sample_keys: Any,
) -> int:  # fmt: skip
    """
    Put the shingles of each text, in order and with repeats, in the place of its lexemes.

    Args:
        lexemes: hashes of the lexemes of text ``j`` are ``lexemes[text_ends[j]:text_ends[j + 1]]``; 0 is none. Filled
            from the start with shingles.
        roles: a small number per text.
        sample_ends: texts of sample ``i`` are ``sample_ends[i]`` to ``sample_ends[i + 1]``.
        ring: working room, shape (k,).
        starts, counts, text_keys: per text, filled: where its shingles start (one entry more at the end), its number
            of lexemes, and a hash of all of them (0 without any).
        sample_keys: per sample, shape (n, 2), filled: 128 bits over the roles and lexemes of its texts, those without
            lexemes left out; two zeros for a sample without any.

    Returns:
        The number of shingles written.
    """
    oldest = uint64(1)
    for _ in range(k):
        oldest *= _P
    used = 0
    for i in range(sample_keys.shape[0]):
        key_a, key_b, total = _SEED, _P, 0
        for j in range(sample_ends[i], sample_ends[i + 1]):
            starts[j] = used
            whole_a, whole_b, roll = _SEED, _P, uint64(0)
            count, at = 0, 0
            ring[:] = uint64(0)
            for m in range(text_ends[j], text_ends[j + 1]):
                value = lexemes[m]
                if value == 0:
                    continue
                roll = roll * _P + value - ring[at] * oldest
                ring[at] = value
                at = at + 1 if at + 1 < k else 0
                whole_a = mix(whole_a ^ value)
                whole_b = (whole_b + value) * _P
                whole_b ^= whole_b >> uint64(29)
                count += 1
                if count >= k:  # a shingle takes the place of a lexeme that has been read
                    lexemes[used] = mix(roll)
                    used += 1
            counts[j] = count
            if count == 0:
                continue
            if count < k:
                lexemes[used] = mix(roll ^ (_SEED * uint64(count)))
                used += 1
            total += count
            text_keys[j] = whole_a if whole_a != 0 else uint64(1)
            tag = (uint64(count) << uint64(8)) | uint64(roles[j])
            key_a = mix(mix(key_a ^ whole_a) ^ tag)
            key_b = mix((key_b + whole_b) * _P ^ tag)
        if total:
            sample_keys[i, 0] = key_a
            sample_keys[i, 1] = key_b
    starts[sample_ends[sample_keys.shape[0]]] = used
    return used
