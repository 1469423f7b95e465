"""shingles -> sorted sets, document frequencies, prefixes, verified similarities.

The kernels of near-duplicate search. They take flat buffers, hold no Python object and release the GIL, so that
threads work on disjoint ranges of samples.
"""

from __future__ import annotations

from typing import Any

from numba import float64, int32, int64, uint16, uint64, void

from governance.dedup.kernels import FLAGS, I32, I64, U16, U64, kernel


@kernel(void(U64, I64, I64, FLAGS, int64[::1], uint64[::1], uint64[::1], int64[::1]))
def build_sets(
    raw: Any, starts: Any, sample_ends: Any, taken: Any, room: Any, table: Any, out: Any, sizes: Any
) -> None:
    """
    Write the sorted distinct shingles of every sample to ``out[room[i]:]`` and their number to ``sizes[i]``.

    The hashes are spread evenly, so an open hash table indexed by their *leading* bits keeps them nearly sorted:
    one pass inserts and drops repeats, one insertion sort over the compacted table finishes. Only texts with
    ``taken`` count. *table* must be zero on entry, is zero on return, and holds at least five entries per shingle
    of the largest sample, and never fewer than 16. The hash 0 is stored as 1.
    """
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
        first = room[i]
        place = 0
        for m in range(distinct):
            while table[place] == 0:
                place += 1
            smallest = table[place]
            table[place] = 0
            at = first + m
            while at > first and out[at - 1] > smallest:
                out[at] = out[at - 1]
                at -= 1
            out[at] = smallest
        sizes[i] = distinct


@kernel(void(U64, uint16[::1]))
def count_hashes(hashes: Any, counts: Any) -> None:
    """Add every hash but 0 to ``counts[hash mod size]``, which stops at 65535; the size is a power of two."""
    mask = uint64(counts.size - 1)
    for k in range(hashes.size):
        slot = int64(hashes[k] & mask)
        if hashes[k] != 0 and counts[slot] < 65535:
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
        U64, I64, I64, U16, int64, int64, int64, int64,
        uint64[::1], uint64[::1], int32[::1], int32[::1],
    ))  # fmt: skip
def choose_prefixes(
    sets: Any, starts: Any, sizes: Any, counts: Any, first: int, last: int, p: int, q: int,
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
    mask = uint64(counts.size - 1)
    written = 0
    for i in range(first, last):
        size = sizes[i]
        length = size - (p * size + q - 1) // q + 1
        start = starts[i]
        shared = 0
        for k in range(size):
            count = counts[int64(sets[start + k] & mask)]
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


@kernel(int64(I32, I32, U64, I64, I64, U64, I64, int64, int64, float64[::1]))
def verify_pairs(
    left: Any, right: Any, sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int, q: int, out: Any
) -> int:
    """
    Write the similarity of every pair to *out*, -1 where it is below p / q; return how many reach it.

    With s common shingles and w common whole prompts the similarity is s / (|A| + |B| - s - 2 w), sizes with whole
    prompts: what both were asked in the same words counts neither above nor below the line. It is decided in whole
    numbers.
    """
    hits = 0
    for k in range(left.size):
        a, b = left[k], right[k]
        w = common(whole, whole_ends[a], whole_ends[a + 1], whole, whole_ends[b], whole_ends[b + 1], 0)
        rest = whole_ends[a + 1] - whole_ends[a] + whole_ends[b + 1] - whole_ends[b] - 2 * w
        both = sizes[a] + sizes[b] + rest
        need = max((p * both + p + q - 1) // (p + q), 1)
        s = common(sets, starts[a], starts[a] + sizes[a], sets, starts[b], starts[b] + sizes[b], need)
        if s >= 0:
            out[k] = s / (both - s)
            hits += 1
        else:
            out[k] = -1.0
    return hits
