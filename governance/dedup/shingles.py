"""shingles -> sorted sets, document frequencies, prefixes, verified similarities.

The kernels of near-duplicate search. They take flat buffers, hold no Python object and release the GIL, so that
threads work on disjoint ranges of samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int32, int64, uint16, uint64, void

from governance.kernels import F64, FLAGS, I32, I64, PAIR, U16, U64, kernel


@kernel(int64(U64, I64, I64, FLAGS, uint64[::1], uint64[::1], int64[::1]))
def build_sets(raw: Any, starts: Any, sample_ends: Any, taken: Any, table: Any, out: Any, sizes: Any) -> int:
    """
    Write the sorted distinct shingles of every sample to *out*, one after another, and their number to ``sizes[i]``.

    The hashes are spread evenly, so an open hash table indexed by their *leading* bits keeps them nearly sorted:
    one pass inserts and drops repeats, one insertion sort over the compacted table finishes. Only texts with
    ``taken`` count. *table* must be zero on entry, is zero on return, and holds at least five entries per shingle
    of the largest sample, and never fewer than 16. The hash 0 is stored as 1. Returns how many were written.
    """
    first = 0
    for i in range(sizes.size):
        total = 0
        for j in range(sample_ends[i], sample_ends[i + 1]):
            if taken[j]:
                total += starts[j + 1] - starts[j]
        if total == 0:
            sizes[i] = 0
            continue
        bits = 1
        while (1 << bits) < 2 * total:
            bits += 1
        shift = uint64(64 - bits)
        distinct = 0
        for j in range(sample_ends[i], sample_ends[i + 1]):
            if not taken[j]:
                continue
            for k in range(starts[j], starts[j + 1]):
                value = raw[k] if raw[k] != 0 else uint64(1)
                slot = int64(value >> shift)
                while table[slot] != 0 and table[slot] != value:
                    slot += 1
                if table[slot] == 0:
                    table[slot] = value
                    distinct += 1
        place = found = 0
        while found < distinct:  # without a branch on what is a matter of chance
            out[first + found] = table[place]
            found += table[place] != 0
            table[place] = 0
            place += 1
        for m in range(first + 1, first + distinct):
            value = out[m]
            at = m
            while at > first and out[at - 1] > value:
                out[at] = out[at - 1]
                at -= 1
            out[at] = value
        sizes[i] = distinct
        first += distinct
    return first


@kernel(void(U64, uint16[::1], int64, int64, int64))
def count_hashes(hashes: Any, counts: Any, shift: int, low: int, high: int) -> None:
    """
    Add every hash to ``counts[hash >> shift]``, which stops at 65535, if that place is in ``[low, high)``.

    Threads that count the same hashes into one table take a part of its places each, so no update is ever lost.
    """
    for k in range(hashes.size):
        slot = int64(hashes[k] >> uint64(shift))
        if low <= slot < high and counts[slot] < 65535:
            counts[slot] += uint16(1)


@kernel()
def sink(heap: Any, at: int, size: int) -> None:
    """Move ``heap[at]`` down until no child is smaller. A prefix is short, so a heap beats sorting."""
    value = heap[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value


@kernel(
    int64(
        U64, I64, I64, U16, int64, int64, int64, int64, int64,
        uint64[::1], uint64[::1], int32[::1], int32[::1],
    ))  # fmt: skip
def choose_prefixes(
    sets: Any, starts: Any, sizes: Any, counts: Any, shift: int, first: int, last: int, p: int, q: int,
    keys: Any, out_hash: Any, out_sample: Any, out_position: Any,
) -> int:  # fmt: skip
    """
    Write the prefix of every sample of ``[first, last)`` at the threshold p / q, without what cannot match.

    The total order is (count of the hash's bucket, hash). The count is at least the document frequency, which only
    makes the order less sharp, and a count of 1 proves that no other sample has the shingle: it takes its place
    in the prefix and is not written.

    Args:
        keys: working room, one entry per shingle of the largest sample.
        out_hash, out_sample, out_position: filled; room for the prefixes of the range. Positions count from 0.

    Returns:
        The number of rows written.
    """
    written = 0
    for i in range(first, last):
        size = sizes[i]
        length = size - (p * size + q - 1) // q + 1
        start = starts[i]
        shared = 0
        for k in range(size):
            count = counts[int64(sets[start + k] >> uint64(shift))]
            if count > 1:  # the place in the sorted set stands for the hash: unique, and in the same order
                keys[shared] = (uint64(count) << uint64(48)) | uint64(k)
                shared += 1
        alone = size - shared
        if size == 0 or alone >= length:
            continue
        for at in range(shared // 2 - 1, -1, -1):
            sink(keys, at, shared)
        for m in range(length - alone):
            out_hash[written] = sets[start + int64(keys[0] & uint64(0xFFFFFFFFFFFF))]
            out_sample[written] = i
            out_position[written] = alone + m
            written += 1
            shared -= 1
            keys[0] = keys[shared]
            sink(keys, 0, shared)
    return written


@kernel(int64(U64, int64, int64, U64, int64, int64, int64))
def common(a: Any, a_at: int, a_end: int, b: Any, b_at: int, b_end: int, need: int) -> int:
    """
    Return how many values two ascending runs have in common, or -1 as soon as *need* is out of reach.
    """
    found = 0
    while a_at < a_end and b_at < b_end:
        if found + min(a_end - a_at, b_end - b_at) < need:
            return -1
        if a[a_at] == b[b_at]:
            found += 1
            a_at += 1
            b_at += 1
        elif a[a_at] < b[b_at]:
            a_at += 1
        else:
            b_at += 1
    return found if found >= need else -1


@kernel(float64(int64, int64, U64, I64, I64, U64, I64, int64, int64))
def similarity(
    a: int, b: int, sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int, q: int
) -> float:
    """
    Return the similarity of samples *a* and *b*, or -1 where it is below p / q.

    With s common shingles and w common whole prompts it is s / (|A| + |B| - s - 2 w), sizes with whole prompts: what
    both were asked in the same words counts neither above nor below the line. It is decided in whole numbers.
    """
    w = common(whole, whole_ends[a], whole_ends[a + 1], whole, whole_ends[b], whole_ends[b + 1], 0)
    rest = whole_ends[a + 1] - whole_ends[a] + whole_ends[b + 1] - whole_ends[b] - 2 * w
    both = sizes[a] + sizes[b] + rest
    need = max((p * both + p + q - 1) // (p + q), 1)
    s = common(sets, starts[a], starts[a] + sizes[a], sets, starts[b], starts[b] + sizes[b], need)
    return s / (both - s) if s >= 0 else -1.0


@kernel(void(I32, I32, U64, I64, I64, U64, I64, int64, int64, float64[::1]))
def verify_pairs(
    left: Any, right: Any, sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int, q: int, out: Any
) -> None:
    """Write the `similarity` of every pair to *out*."""
    for k in range(left.size):
        out[k] = similarity(left[k], right[k], sets, starts, sizes, whole, whole_ends, p, q)


@kernel(
    PAIR(
        I64, I64, I64, F64, I64, I64, I64, I64, U64, I64, I64, U64, I64, int64, int64, int64[::1], float64[::1]
    )
)  # fmt: skip
def sweep(
    order: Any, before: Any, after_ends: Any, values: Any, hot: Any, places: Any, hot_ends: Any, lists: Any,
    sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int, q: int, witness: Any, best: Any,
) -> tuple[int, int]:  # fmt: skip
    """
    Go through samples in *order* and keep each that is no duplicate of one kept before.

    All samples are named by their place in *order*, from 0; the entries of *order* itself are places in *sets*.

    Args:
        before, after_ends, values: verified pairs; of sample i with ``before[after_ends[i]:after_ends[i + 1]]``, all
            smaller than i and ascending, and their similarities.
        hot, hot_ends: numbers of the shingles that stand in so many prefixes that they were not joined; of sample i
            ``hot[hot_ends[i]:hot_ends[i + 1]]``, and at the same offset in *places* their positions in its prefix.
        lists: ``lists[h]`` to ``lists[h + 1]`` is how many prefixes hold hot shingle h, summed up.
        witness, best: per sample, filled: the most similar kept sample (the first of several) and the similarity;
            itself and 1.0 if it is kept.

    Returns:
        How many pairs were compared here, and how many of them reach p / q: samples with a hot shingle, against the
        kept ones that have it too. So k copies of each other cost k comparisons, and not k * k.
    """
    compared = reached = 0
    kept_with, kept_place = np.empty(hot.size, np.int64), np.empty(hot.size, np.int64)
    filled = lists[:-1].copy()
    seen = np.full(order.size, -1, np.int64)
    for i in range(order.size):
        witness[i], best[i] = i, -1.0
        for e in range(after_ends[i], after_ends[i + 1]):
            seen[before[e]] = i
            if witness[before[e]] == before[e] and values[e] > best[i]:
                witness[i], best[i] = before[e], values[e]
        for k in range(hot_ends[i], hot_ends[i + 1]):
            for m in range(lists[hot[k]], filled[hot[k]]):
                j = kept_with[m]
                if seen[j] == i:
                    continue
                a, b = order[i], order[j]
                left = min(sizes[a] - places[k], sizes[b] - kept_place[m])  # in common at most, if this is the first
                if (p + q) * left < p * (sizes[a] + sizes[b]):
                    continue
                seen[j] = i
                compared += 1
                value = similarity(a, b, sets, starts, sizes, whole, whole_ends, p, q)
                reached += value >= 0
                if value > best[i] or (value >= 0 and value == best[i] and j < witness[i]):
                    witness[i], best[i] = j, value
        if best[i] < 0:
            best[i] = 1.0
            for k in range(hot_ends[i], hot_ends[i + 1]):
                kept_with[filled[hot[k]]], kept_place[filled[hot[k]]] = i, places[k]
                filled[hot[k]] += 1
    return compared, reached


@kernel(
    int64(
        int64, int64, I64, I64, I64, I64, I64, I64, I64, I64, U64, I64, I64, U64, I64, int64, int64,
        int64[::1], int64[::1], float64[::1],
    )
)  # fmt: skip
def meet(
    first: int, last: int, rows: Any, hot: Any, places: Any, hot_ends: Any, lists: Any, others: Any, order: Any,
    other_places: Any, sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int, q: int,
    seen: Any, partner: Any, best: Any,
) -> int:  # fmt: skip
    """
    Find for samples of one side some sample of the other side that only hot shingles lead to.

    Args:
        first, last: the samples to look at, places in *rows*, which holds places in *sets*.
        hot, places, hot_ends: of sample i the numbers of its hot shingles, ``hot[hot_ends[i]:hot_ends[i + 1]]``, and
            their positions in its prefix.
        lists: the samples of the other side in whose prefixes hot shingle h stands are
            ``others[lists[h]:lists[h + 1]]``, places in *order*, ascending; *other_places* are the positions there.
        order: places in *sets*, in the order in which they are tried.
        seen: working room, one entry per sample of *order*, -1 on entry.
        partner, best: per sample of *rows*, filled: the first that reaches p / q, as a place in *sets*, and the
            similarity; -1 where there is none.

    Returns:
        How many pairs were compared.
    """
    compared = 0
    for i in range(first, last):
        a = rows[i]
        partner[i], best[i] = -1, -1.0
        for k in range(hot_ends[i], hot_ends[i + 1]):
            for m in range(lists[hot[k]], lists[hot[k] + 1]):
                j = others[m]
                if seen[j] == i:
                    continue
                b = order[j]
                left = min(sizes[a] - places[k], sizes[b] - other_places[m])  # in common at most, if this is the first
                if (p + q) * left < p * (sizes[a] + sizes[b]):
                    continue
                seen[j] = i
                compared += 1
                value = similarity(a, b, sets, starts, sizes, whole, whole_ends, p, q)
                if value >= 0:
                    partner[i], best[i] = b, value
                    break
            if partner[i] >= 0:
                break
    return compared
