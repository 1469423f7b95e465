"""lexemes of texts, benchmark items -> where an item stands: its longest run, and the window that holds most of it.

A *shingle* is k lexemes in a row of one text; its *id* is its place among the sorted distinct shingles of all items. A
shingle weighs its idf. ``weight(window) / weight(item)`` over distinct shingles is the item's containment in a window,
and a window is what grows from one shared shingle in both directions until 12 shingles in a row are none of the item's.

Only some places are tried. For containment t, an item's rarest shingles that together weigh more than 1 - t of it are
its *seeds*: a window without any of them holds less than t. For runs of r lexemes, the rarest of every (r - k + 1) // 2
shingles in a row is a seed too: a run of r holds one such block whole. So nothing is missed, and of 115,000 items
against 50,000 samples only pairs that share a rare shingle are looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, float64, int32, int64, uint8, uint64, void

from governance.kernels import F64, FLAGS, I32, I64, U64, kernel

MISSES = 11  # shingles in a row that are none of the item's; one more ends a window

_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # finaliser of MurmurHash3
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_P = np.uint64(0x9E3779B97F4A7C15)


@kernel(void(U64, I64, int64, uint64[::1]))
def shingle(values: Any, ends: Any, k: int, out: Any) -> None:
    """Write the hash of the *k* lexemes from every lexeme on; 0 where the text has fewer left."""
    power = uint64(1)
    for _ in range(k):
        power *= _P
    for text in range(ends.size - 1):
        roll = uint64(0)
        for i in range(ends[text], ends[text + 1]):
            roll = roll * _P + values[i]
            first = i - k + 1
            if first > ends[text]:
                roll -= values[first - 1] * power
            out[i] = uint64(0)
            if first >= ends[text]:
                value = roll
                value ^= value >> uint64(33)
                value *= _MIX_1
                value ^= value >> uint64(33)
                value *= _MIX_2
                value ^= value >> uint64(33)
                out[first] = value if value != 0 else uint64(1)


@kernel(void(U64, U64, I64, int64, int32[::1]))
def look_up(values: Any, keys: Any, buckets: Any, shift: int, out: Any) -> None:
    """
    Write the place of every value among the ascending *keys*, or -1.

    Args:
        buckets: keys whose leading bits are b stand from ``buckets[b]`` to ``buckets[b + 1]``.
        shift: bits that are not leading.
    """
    for i in range(values.size):
        bucket = int64(values[i] >> uint64(shift))
        found = -1
        for j in range(buckets[bucket], buckets[bucket + 1]):
            if keys[j] == values[i]:
                found = j
                break
        out[i] = found


@kernel(void(I32, I64, FLAGS, int64, int32[::1], int64[::1]))
def count_texts(ids: Any, ends: Any, wanted: Any, base: int, last: Any, counts: Any) -> None:
    """
    Add to ``counts[id]`` every wanted text that holds *id*, once.

    Args:
        base: number of the first text; *last* remembers per id the last text that counted, from -1.
    """
    for text in range(ends.size - 1):
        if not wanted[text]:
            continue
        for i in range(ends[text], ends[text + 1]):
            found = ids[i]
            if found >= 0 and last[found] != base + text:
                last[found] = base + text
                counts[found] += 1


@kernel(void(I32, I64, F64, float64[::1], int32[::1]))
def weigh(ids: Any, ends: Any, idf: Any, weights: Any, seen: Any) -> None:
    """Write per item what its distinct ids weigh; *seen* starts with -1."""
    for item in range(ends.size - 1):
        total = 0.0
        for i in range(ends[item], ends[item + 1]):
            if ids[i] >= 0 and seen[ids[i]] != item:
                seen[ids[i]] = item
                total += idf[ids[i]]
        weights[item] = total


@kernel(void(I32, I64, F64, F64, FLAGS, float64, int64, uint8[::1], int32[::1]))
def choose_seeds(
    ids: Any, ends: Any, idf: Any, weights: Any, wanted: Any, threshold: float, block: int, out: Any, seen: Any
) -> None:  # fmt: skip
    """
    Mark the seeds of every wanted item, see the head of this file.

    Args:
        block: shingles of which one is a seed for runs; 0 for none.
        seen: working room per id, from -1.
    """
    for item in range(ends.size - 1):
        if not wanted[item]:
            continue
        first, last = ends[item], ends[item + 1]
        while last > first and ids[last - 1] < 0:  # behind the last shingle
            last -= 1
        keys = np.empty(last - first, np.float64)
        for i in range(first, last):
            keys[i - first] = -idf[ids[i]]
        need = (1.0 - threshold) * weights[item] + 1e-9
        for at in np.argsort(keys):
            i = first + at
            if seen[ids[i]] == item:
                continue
            seen[ids[i]] = item
            out[i] = 1
            need -= idf[ids[i]]
            if need < 0:
                break
        for start in range(first, last, block if block > 0 else last - first + 1):
            if block == 0:
                break
            best = start
            for i in range(start + 1, min(start + block, last)):
                if idf[ids[i]] > idf[ids[best]]:
                    best = i
            out[best] = 1


@kernel(int64(I32, I64, int64, int64, int64[::1], int64[::1]))
def _meet(ids: Any, posts: Any, first: int, last: int, places: Any, entries: Any) -> int:
    """Write every (place in the text, entry of the posting lists) and return how many there are; room may be 0."""
    used = 0
    for i in range(first, last):
        if ids[i] >= 0:
            for entry in range(posts[ids[i]], posts[ids[i] + 1]):
                if used < places.size:
                    places[used], entries[used] = i, entry
                used += 1
    return used


@kernel()
def _run(values: Any, first: int, last: int, item: Any, item_first: int, item_last: int, at: int, place: int) -> Any:
    """Return the first lexeme and the length of the common run through *at* and *place*; 0 if they differ."""
    if values[at] != item[place]:
        return at, 0
    start, length = at, 1
    while start > first and place - (at - start) > item_first and values[start - 1] == item[place - (at - start) - 1]:
        start -= 1
    length = at - start + 1
    while (
        start + length < last
        and place - (at - start) + length < item_last
        and values[start + length] == item[place - (at - start) + length]
    ):
        length += 1
    return start, length


@kernel()
def _window(ids: Any, first: int, last: int, at: int, stamp: Any, mark: int) -> Any:
    """Return the first shingle of the window around *at* and the one behind its last."""
    start, misses, i = at, 0, at - 1
    while i >= first and misses <= MISSES:
        if ids[i] >= 0 and stamp[ids[i]] == mark:
            start, misses = i, 0
        else:
            misses += 1
        i -= 1
    end, misses, i = at + 1, 0, at + 1
    while i < last and misses <= MISSES:
        if ids[i] >= 0 and stamp[ids[i]] == mark:
            end, misses = i + 1, 0
        else:
            misses += 1
        i += 1
    return start, end


@kernel(void(I64, I64, I64, boolean[::1]))
def mark_covered(begins: Any, lasts: Any, groups: Any, out: Any) -> None:
    """
    Mark every span that lies within one of an earlier group.

    Args:
        begins, lasts: shape (n,), first and last lexeme of each span; the groups stand one after another.
        groups: shape (n,), number of each span's group, ascending; spans of one group do not cover each other.
    """
    keys = np.sort(begins)
    furthest = np.full(begins.size + 1, -1, np.int64)  # a Fenwick tree: the furthest last lexeme by rank of the first
    done = 0
    for i in range(begins.size):
        while groups[done] != groups[i]:
            at = np.searchsorted(keys, begins[done]) + 1
            while at <= keys.size:
                furthest[at] = max(furthest[at], lasts[done])
                at += at & -at
            done += 1
        at, best = np.searchsorted(keys, begins[i]) + 1, int64(-1)
        while at > 0:
            best = max(best, furthest[at])
            at -= at & -at
        out[i] = best >= lasts[i]


@kernel(
    int64(
        U64, I32, I32, I64, U64, I32, I64, I64, I32, I64, F64, F64, int64, int64, int64,
        int32[::1], int32[::1], int64[:, ::1], float64[::1],
    )
)  # fmt: skip
def find_items(
    values: Any, ids: Any, seeds: Any, ends: Any, item_values: Any, item_ids: Any, item_ends: Any,
    posts: Any, post_item: Any, post_place: Any, idf: Any, weights: Any, k: int, least: int, mark: int,
    stamp: Any, seen: Any, rows: Any, scores: Any,
) -> int:  # fmt: skip
    """
    Write one row per text and item that share a seed.

    Args:
        values, ids: lexemes of the texts and, from each on, its shingle; text j from ``ends[j]`` to ``ends[j + 1]``.
        seeds: per lexeme of the texts, the posting list to look into, or -1.
        posts, post_item, post_place: posting lists: the item and the place in *item_values* of every seed.
        least: a window is looked for only in items of at least so many lexemes.
        mark: a number above all that *stamp* and *seen* hold; one more per row is used.
        rows: filled: text, item, first lexeme and length of the longest run, its place in *item_values*, first lexeme
            and lexemes of the best window, and how many of these stand in shared shingles.
        scores: filled: the part of the item that the window holds, 0 to 1.

    Returns:
        How many rows there are; where that is more than *rows* holds, it is called again with more room.
    """
    used = 0
    for text in range(ends.size - 1):
        first, last = ends[text], ends[text + 1]
        none = np.empty(0, np.int64)
        count = _meet(seeds, posts, first, last, none, none)
        if count == 0:
            continue
        places, entries = np.empty(count, np.int64), np.empty(count, np.int64)
        _meet(seeds, posts, first, last, places, entries)
        owners = np.empty(count, np.int64)
        for j in range(count):
            owners[j] = (int64(post_item[entries[j]]) << int64(32)) | int64(j)
        owners.sort()
        j = 0
        while j < count:
            item = owners[j] >> int64(32)
            begin = j
            while j < count and owners[j] >> int64(32) == item:
                j += 1
            if used >= rows.shape[0]:
                used += 1
                continue
            a, b = item_ends[item], item_ends[item + 1]
            run_at, run, run_place, covered, diagonal = 0, 0, 0, int64(-1), int64(0)
            for m in range(begin, j):
                h = owners[m] & int64(0xFFFFFFFF)
                at, place = places[h], post_place[entries[h]]
                if at < covered and at - place == diagonal:
                    continue
                start, length = _run(values, first, last, item_values, a, b, at, place)
                covered, diagonal = start + length, at - place
                if length > run:
                    run_at, run, run_place = start, length, place - (at - start)
            best, window_at, window_end, past, shared = 0.0, run_at, run_at, int64(-1), int64(0)
            if b - a >= least and weights[item] > 0:
                now = mark + 2 * used
                for i in range(a, b):
                    if item_ids[i] >= 0:
                        stamp[item_ids[i]] = now
                for m in range(begin, j):
                    at = places[owners[m] & int64(0xFFFFFFFF)]
                    if at < past or ids[at] < 0:
                        continue
                    start, end = _window(ids, first, last, at, stamp, now)
                    past, total, covered, reach = end, 0.0, int64(0), start
                    for i in range(start, end):
                        if ids[i] >= 0 and stamp[ids[i]] == now:
                            covered += min(i + k, last) - max(i, reach)
                            reach = min(i + k, last)
                        if ids[i] >= 0 and stamp[ids[i]] == now and seen[ids[i]] != now + 1:
                            seen[ids[i]] = now + 1
                            total += idf[ids[i]]
                    for i in range(start, end):
                        if ids[i] >= 0 and seen[ids[i]] == now + 1:
                            seen[ids[i]] = 0
                    if total > best:
                        best, window_at, window_end, shared = total, start, min(end + k - 1, last), covered
                best = min(best / weights[item], 1.0)
            rows[used, 0], rows[used, 1], rows[used, 2], rows[used, 3] = text, item, run_at, run
            rows[used, 4], rows[used, 5], rows[used, 6] = run_place, window_at, window_end - window_at
            rows[used, 7] = shared
            scores[used] = best
            used += 1
    return used
