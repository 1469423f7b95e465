"""lexemes of texts -> their fingerprints, chosen by winnowing; sorted fingerprints -> where a query's stand.

A *gram* is K = 25 lexemes in a row of one text and one view, hashed as ``mix(sum h[i] * P**(24-i) mod 2**64)``. Of
every W = 26 grams in a row a source keeps the one with the smallest hash (robust winnowing, Schleimer, Wilkerson and
Aiken 2003): the one kept before as long as it still is the smallest, else the rightmost. So any run of
K + W - 1 = 50 lexemes holds a kept gram, and a query that looks up all of its grams meets every common run of
50 lexemes or more. Of texts of random lexemes 2 / (W + 1) = 7.4 % of the grams are kept; where a text repeats one
lexeme, 1 / W.

A text of 25 to 49 lexemes keeps at least one gram. A shorter one has a single fingerprint, the whole of it with its
length, which only an equal text or an equal stretch has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import boolean, int64, uint8, uint32, uint64, void

from governance.kernels import I64, U8, U64, _input, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

K = 25  # lexemes per gram
W = 26  # grams per window
GUARANTEED = K + W - 1  # lexemes; a common run of this many is always met

U32 = _input(uint32)

_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # finaliser of MurmurHash3
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_P = np.uint64(0x9E3779B97F4A7C15)  # odd, so multiplying by it loses nothing
_P_K = np.uint64(pow(0x9E3779B97F4A7C15, K, 2**64))
_SEED = np.uint64(0xD6E8FEB86659FD93)
_RING = 32  # a power of two, at least K and W


@kernel()
def _mix(value: Any) -> Any:
    value ^= value >> uint64(33)
    value *= _MIX_1
    value ^= value >> uint64(33)
    value *= _MIX_2
    return value ^ (value >> uint64(33))


@kernel(int64(U64, I64, I64, uint64[::1], int64[::1], int64[::1]))
def drop_zeros(values: Any, places: Any, ends: Any, out: Any, out_places: Any, out_ends: Any) -> int:
    """Write what is not 0 of *values*, with its place, and the ends of the texts among those; return how many."""
    used = 0
    for text in range(ends.size - 1):
        out_ends[text] = used
        for i in range(ends[text], ends[text + 1]):
            if values[i] != 0:
                out[used], out_places[used] = values[i], places[i]
                used += 1
    out_ends[ends.size - 1] = used
    return used


@kernel(int64(U64, I64, I64, int64, uint64[::1], uint32[::1]))
def winnow(values: Any, places: Any, ends: Any, base: int, out: Any, out_places: Any) -> int:
    """
    Write the fingerprints of every text, in the order of their places.

    Args:
        values: lexeme hashes of all texts, none of them 0.
        places: what stands for the first lexeme of a gram, per lexeme: its byte offset, or its number.
        ends: text j has the lexemes ``ends[j]`` to ``ends[j + 1]``.
        base: added to every place; the sum stays below 2**32.
        out, out_places: filled; room for one entry per lexeme.

    Returns:
        The number of fingerprints.
    """
    queue, hashes = np.empty(_RING, np.int64), np.empty(_RING, np.uint64)  # grams of the window, hashes ascending
    used = 0
    for text in range(ends.size - 1):
        first, count = ends[text], ends[text + 1] - ends[text]
        roll = uint64(0)
        head = tail = 0
        kept, kept_hash = -1, uint64(0)
        for i in range(count):
            roll = roll * _P + values[first + i]
            if i >= K:
                roll -= values[first + i - K] * _P_K
            gram = i - K + 1
            if gram < 0:
                continue
            value = _mix(roll)
            while tail > head and hashes[(tail - 1) % _RING] >= value:
                tail -= 1
            queue[tail % _RING], hashes[tail % _RING] = gram, value
            tail += 1
            if queue[head % _RING] <= gram - W:
                head += 1
            if gram < W - 1 and i < count - 1:
                continue
            smallest = hashes[head % _RING]
            if kept > gram - W and kept >= 0 and kept_hash == smallest:
                continue
            kept, kept_hash = queue[head % _RING], smallest
            out[used], out_places[used] = kept_hash, uint32(base + places[first + kept])
            used += 1
        if 0 < count < K:
            out[used] = _mix(roll ^ (_SEED * uint64(count)))
            out_places[used] = uint32(base + places[first])
            used += 1
    return used


@kernel(int64(U64, I64, int64, uint64[::1], int64[::1], int64[::1]))
def all_grams(values: Any, ends: Any, size: int, out: Any, at: Any, texts: Any) -> int:
    """
    Write the hash of every run of *size* lexemes in every text, the place of its first lexeme and its text.

    With ``size == K`` these are the grams, and a shorter text gives its one fingerprint; with fewer, every stretch
    that could be the whole of a source of *size* lexemes.

    Returns:
        How many there are; at most one per lexeme.
    """
    power = uint64(1)
    for _ in range(size):
        power *= _P
    used = 0
    for text in range(ends.size - 1):
        first, count = ends[text], ends[text + 1] - ends[text]
        roll = uint64(0)
        for i in range(count):
            roll = roll * _P + values[first + i]
            if i >= size:
                roll -= values[first + i - size] * power
            if i >= size - 1:
                out[used] = _mix(roll) if size == K else _mix(roll ^ (_SEED * uint64(size)))
                at[used], texts[used] = first + i - size + 1, text
                used += 1
        if 0 < count < size and size == K:
            out[used] = _mix(roll ^ (_SEED * uint64(count)))
            at[used], texts[used] = first, text
            used += 1
    return used


@kernel(void(U64, U32, int64, uint32[::1], uint32[::1], uint32[::1]))
def sort_fingerprints(hashes: Any, places: Any, bits: int, directory: Any, rest: Any, out_places: Any) -> None:
    """
    Sort by (hash, place) into buckets of the leading *bits*, which are left out of what is stored.

    Args:
        hashes, places: fingerprints; the places of equal hashes ascend.
        directory: 2**bits + 1 zeros, filled: where each bucket starts.
        rest: filled: the 32 bits after the leading ones.
    """
    shift = uint64(64 - bits)
    for i in range(hashes.size):
        bucket = int64(hashes[i] >> shift) if bits else 0
        directory[bucket + 1] += uint32(1)
    for bucket in range(directory.size - 1):
        directory[bucket + 1] += directory[bucket]
    filled = directory[:-1].copy()
    for i in range(hashes.size):
        bucket = int64(hashes[i] >> shift) if bits else 0
        slot = filled[bucket]
        filled[bucket] += uint32(1)
        rest[slot] = uint32((hashes[i] << uint64(bits)) >> uint64(32))
        out_places[slot] = places[i]
    for bucket in range(directory.size - 1):
        low, high = int64(directory[bucket]), int64(directory[bucket + 1])
        if high - low > 64:  # a gram that ten thousand files share; insertion would be quadratic
            order = np.argsort(rest[low:high], kind="mergesort")
            rest[low:high] = rest[low:high][order]
            out_places[low:high] = out_places[low:high][order]
            continue
        for i in range(low + 1, high):
            value, place, at = rest[i], out_places[i], i
            while at > low and rest[at - 1] > value:
                rest[at], out_places[at] = rest[at - 1], out_places[at - 1]
                at -= 1
            rest[at], out_places[at] = value, place


@kernel(void(U64, int64, U32, U32, int64[::1], int64[::1]))
def probe(hashes: Any, bits: int, directory: Any, rest: Any, low_out: Any, high_out: Any) -> None:
    """Write per hash the half-open range of its entries in *rest*; empty where no source has it."""
    shift = uint64(64 - bits)
    for i in range(hashes.size):
        bucket = int64(hashes[i] >> shift) if bits else 0
        value = uint32((hashes[i] << uint64(bits)) >> uint64(32))
        low, high = int64(directory[bucket]), int64(directory[bucket + 1])
        end = high
        while low < high:
            middle = (low + high) >> 1
            if rest[middle] < value:
                low = middle + 1
            else:
                high = middle
        low_out[i] = low
        high = low
        step = 1
        while high < end and rest[high] == value:  # galloping: a hot hash has a hundred thousand entries
            low, high, step = high, high + step, step * 2
        high = min(high, end)
        while high > low + 1 and rest[high - 1] != value:
            middle = (low + high) >> 1
            if rest[middle] == value:
                low = middle
            else:
                high = middle
        high_out[i] = high


@kernel()
def _half(packed: Any, at: int) -> Any:
    """The half byte of lexeme *at*."""
    return (packed[at >> 1] >> (4 * (at & 1))) & 15


@kernel(int64(I64, I64, I64, U32, int64[:, ::1]))
def list_places(at: Any, low: Any, sizes: Any, places: Any, out: Any) -> int:
    """
    Write what stands at ``places[low[i]:low[i] + sizes[i]]`` of every gram, with where the gram stands in the query.

    Args:
        at: first lexeme of each gram in the query, ascending.
        out: shape (2, sum of sizes), filled: lexeme of the query, lexeme of the segment; by the difference of the two.

    Returns:
        How many there are.
    """
    used = 0
    lexemes, found = np.empty(out.shape[1], np.int64), np.empty(out.shape[1], np.int64)
    for i in range(at.size):
        for k in range(low[i], low[i] + sizes[i]):
            lexemes[used], found[used] = at[i], places[k]
            used += 1
    order = np.argsort(found - lexemes, kind="mergesort")  # stable: lexemes ascend
    for i in range(used):
        out[0, i], out[1, i] = lexemes[order[i]], found[order[i]]
    return used


@kernel()
def _text_at(ends: Any, place: int) -> Any:
    """The number of the text that lexeme *place* belongs to; *ends* starts with 0."""
    low, high = 0, ends.size - 1
    while low < high:
        middle = (low + high) >> 1
        if ends[middle + 1] <= place:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(int64(U64, I64, U8, I64, int64[:, ::1], int64, int64[:, ::1]))
def grow_places(
    query: Any, query_ends: Any, packed: Any, source_ends: Any, places: Any, least: int, out: Any
) -> int:  # fmt: skip
    """
    Grow places as far as the low half bytes of the lexeme hashes agree: no further than that can a common run reach.

    Args:
        query, query_ends: lexeme hashes of the query texts.
        packed: half bytes of all lexemes of a segment, two per byte, the first one low.
        source_ends: where the texts of the segment start and end in them.
        places: what `list_places` wrote.
        least: shorter ones are dropped, unless they reach from end to end of a source text.
        out: shape (5, places), filled: text, source text, first lexeme in the query, length, first lexeme there.

    Returns:
        How many are left; what another one holds is not grown again.
    """
    used = 0
    text, source = 0, -1
    diagonal, reached, source_end = 0, -1, -1
    for i in range(places.shape[1]):
        a, b = places[0, i], places[1, i]
        if i and b - a == diagonal and a < reached and b < source_end:
            continue
        text, source = _text_at(query_ends, a), _text_at(source_ends, b)
        low, source_end = source_ends[source], source_ends[source + 1]
        diagonal = b - a
        left = 0
        while a - left > query_ends[text] and b - left > low:
            if query[a - left - 1] & uint64(15) != _half(packed, b - left - 1):
                break
            left += 1
        right = 0
        while a + right < query_ends[text + 1] and b + right < source_end:
            if query[a + right] & uint64(15) != _half(packed, b + right):
                break
            right += 1
        reached = a + max(right, 1)
        if left + right >= least or (right and left + right == source_end - low):
            out[0, used], out[1, used] = text, source
            out[2, used], out[3, used], out[4, used] = a - left, left + right, b - left
            used += 1
    return used


@kernel(int64(U64, I64, U64, I64, I64, I64, int64, int64[:, ::1]))
def equal_stretches(query: Any, at: Any, source: Any, to: Any, lengths: Any, whole: Any, least: int, out: Any) -> int:
    """
    Write every maximal stretch of equal lexemes in pairs of runs: number of the pair, first lexeme in it, length.

    Args:
        at, to, lengths: pair i is ``query[at[i]:at[i] + lengths[i]]`` and ``source[to[i]:to[i] + lengths[i]]``.
        whole: lexemes of the source text; a shorter stretch than *least* counts if it has all of them.
        out: shape (3, room), room for one stretch per *least* lexemes of each pair, and one more.

    Returns:
        How many there are.
    """
    used = 0
    for i in range(at.size):
        run = 0
        for k in range(lengths[i] + 1):
            if k < lengths[i] and query[at[i] + k] == source[to[i] + k]:
                run += 1
                continue
            if run and (run >= least or run == whole[i]):
                out[0, used], out[1, used], out[2, used] = i, k - run, run
                used += 1
            run = 0
    return used


@kernel(void(I64, I64, I64, I64, boolean[::1], int64[::1]))
def judge_runs(places: Any, unseen: Any, at: Any, grams: Any, complete: Any, most: Any) -> None:
    """
    Write per run whether one window of W grams in it holds no unseen gram, and the fewest places of any such window.

    Args:
        places, unseen: summed up over the lexemes: ``places[j] - places[i]`` is how many places the grams that start
            at lexemes i to j - 1 have, and *unseen* how many of these grams were not looked at in all their places.
        at, grams: first lexeme and number of grams of each run; a run with fewer than W grams is one window.
    """
    for i in range(at.size):
        window = min(grams[i], W)
        complete[i], most[i] = False, 1 << 62
        for k in range(at[i], at[i] + grams[i] - window + 1):
            complete[i] |= unseen[k + window] == unseen[k]
            most[i] = min(most[i], places[k + window] - places[k])


@kernel(void(U8, I64, I64, I64, uint8[::1]))
def gather(data: Any, low: Any, high: Any, offsets: Any, out: Any) -> None:
    """Copy the pieces ``[low, high)`` of *data* to *offsets*."""
    for i in range(low.size):
        size = high[i] - low[i]
        out[offsets[i] : offsets[i] + size] = data[low[i] : high[i]]


def directory_bits(count: int) -> int:
    """
    Return how many leading bits name the bucket of one of *count* fingerprints: four to eight in each.

    >>> directory_bits(0), directory_bits(1000), directory_bits(1 << 24)
    (0, 7, 22)
    """
    return max(0, (max(count, 1) // 4).bit_length() - 1)


def view_lexemes(
    values: NDArray[np.uint64], places: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (hashes, places, text ends) of one view: what is not 0 of *values*."""
    out, out_places = np.empty(values.size, np.uint64), np.empty(values.size, np.int64)
    out_ends = np.zeros(ends.size, np.int64)
    used = drop_zeros(values, places, ends, out, out_places, out_ends)
    return out[:used], out_places[:used], out_ends
