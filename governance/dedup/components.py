"""verified pairs -> connected components: which samples have to stay together when a dataset is split.

Removal never chains (see `cluster`); a split has to. If A is near B and B is near C, then A in the training part and C
in the held-out part leave B in one of them, with its near copy in the other. So samples are joined over every pair that
reaches the threshold, complete, and a component goes to one side as a whole.

Union-find, the smaller number as root (Tarjan 1975; path halving: van Leeuwen, Tarjan 1984). The result is a partition:
no order of pairs or rows changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numba import int64, void

from governance.dedup.join import Pairs, Sets, as_fraction, near_pairs
from governance.dedup.sets import Groups, read_groups
from governance.dedup.texts import Places, read_places
from governance.kernels import I64, U64, kernel

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

HOT = 1_000  # prefixes; members of a shingle in more are compared only until they are in one component


@dataclass(frozen=True)
class Links:
    """
    What ties the n samples of a file together.

    Attributes:
        places: who the samples are; ``places.first`` ties equal ones.
        groups: groups of equal lexemes.
        pairs: verified pairs of groups at the threshold.
        component: shape (n,), int64; per sample the position of the first sample of its component.
        complete: whether *pairs* holds every pair; if not, *component* still knows them all.
    """

    places: Places
    groups: Groups
    pairs: Pairs
    component: NDArray[np.int64]
    complete: bool


@kernel()
def find(parent: Any, i: int) -> int:
    """Return the root of *i*; halves the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel(void(I64, I64, int64[::1]))
def unite(left: Any, right: Any, parent: Any) -> None:
    """Join ``left[k]`` with ``right[k]`` for every k; the smaller root stays."""
    for k in range(left.size):
        a, b = find(parent, left[k]), find(parent, right[k])
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b


@kernel(void(int64[::1]))
def flatten(parent: Any) -> None:
    """Point every item at its root."""
    for i in range(parent.size):
        parent[i] = parent[parent[i]]  # a parent is never the larger one, so its own is final already


@kernel()
def reaches(a: int, b: int, sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int, q: int) -> bool:
    """Say whether the similarity of two samples is at least p / q, as `shingles.similarity` counts it."""
    small, large = min(sizes[a], sizes[b]), max(sizes[a], sizes[b])
    if q * small < p * large:
        return False
    i, j, common = starts[a], starts[b], 0
    while i < starts[a] + sizes[a] and j < starts[b] + sizes[b]:
        x, y = sets[i], sets[j]
        common += x == y
        i += x <= y
        j += y <= x
    one_only = 0
    i, j = whole_ends[a], whole_ends[b]
    while i < whole_ends[a + 1] or j < whole_ends[b + 1]:
        if j == whole_ends[b + 1] or (i < whole_ends[a + 1] and whole[i] < whole[j]):
            i += 1
            one_only += 1
        elif i == whole_ends[a + 1] or whole[j] < whole[i]:
            j += 1
            one_only += 1
        else:
            i += 1
            j += 1
    return bool(q * common >= p * (sizes[a] + sizes[b] - common + one_only) and common > 0)


@kernel(void(I64, I64, I64, U64, I64, I64, U64, I64, int64, int64, int64[::1]))
def unite_hot(
    hot: Any, hot_ends: Any, lists: Any, sets: Any, starts: Any, sizes: Any, whole: Any, whole_ends: Any, p: int,
    q: int, parent: Any,
) -> None:  # fmt: skip
    """
    Join the near pairs that share a hot shingle.

    Args:
        hot, hot_ends: the numbers of the hot shingles of sample i are ``hot[hot_ends[i]:hot_ends[i + 1]]``.
        lists: ``lists[h]`` to ``lists[h + 1]`` is how many samples have hot shingle h, summed up.

    Two that are in one component are not compared, no two are compared twice, and a list whose samples are all in one
    component is not looked through for a sample that is in it too: a family of k near copies costs k comparisons.
    """
    samples = hot_ends.size - 1
    held = np.empty(hot.size, np.int64)
    filled = lists[:-1].copy()
    mixed = np.zeros(lists.size, np.bool_)  # the list has samples of several components
    seen = np.full(samples, -1, np.int64)
    for i in range(samples):
        for k in range(hot_ends[i], hot_ends[i + 1]):
            h = hot[k]
            if filled[h] == lists[h]:
                continue
            if mixed[h]:
                root = find(parent, held[lists[h]])
                mixed[h] = False
                for m in range(lists[h], filled[h]):
                    if find(parent, held[m]) != root:
                        mixed[h] = True
                        break
            for m in range(lists[h], filled[h]):
                j = held[m]
                a, b = find(parent, i), find(parent, j)
                if a == b:
                    if not mixed[h]:
                        break
                    continue
                if seen[j] == i:
                    continue
                seen[j] = i
                if reaches(i, j, sets, starts, sizes, whole, whole_ends, p, q):
                    parent[max(a, b)] = min(a, b)
        for k in range(hot_ends[i], hot_ends[i + 1]):
            h = hot[k]
            held[filled[h]] = i
            if filled[h] > lists[h] and find(parent, held[lists[h]]) != find(parent, i):
                mixed[h] = True
            filled[h] += 1


def join_equal(component: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Return the components after samples with equal *keys* were joined; a negative key ties nothing.

    >>> join_equal(np.array([0, 1, 1, 3]), np.array([7, -1, 7, -1])).tolist()
    [0, 0, 0, 3]
    """
    tied = np.flatnonzero(keys >= 0)
    first = np.full(int(keys.max(initial=-1)) + 1, -1, np.int64)
    first[keys[tied][::-1]] = tied[::-1]  # the last write stays: the first of them
    return join_pairs(component, tied, first[keys[tied]])


def join_pairs(component: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Return the components after ``left[k]`` and ``right[k]`` were joined for every k.

    >>> join_pairs(np.arange(5), np.array([4, 3]), np.array([3, 1])).tolist()
    [0, 1, 2, 1, 1]
    """
    parent = component.astype(np.int64)
    unite(np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64), parent)
    flatten(parent)
    return parent


def link_samples(
    samples: Path, con: DuckDBPyConnection, *, threshold: float, threads: int = 2, work: Path | None = None
) -> Links:
    """
    Tie the samples of the Arrow IPC file *samples* that are equal, equal by lexemes, or near at *threshold*.

    Args:
        work: folder for the shingles; default: they stand in memory.

    Raises:
        UsageError: the threshold is not 0.5 to 1.
    """
    as_fraction(threshold)
    places = read_places(samples)
    groups = read_groups(samples, places, threads=threads, work=work)
    pairs = near_pairs(groups.sets, con, threshold=threshold, threads=threads, hot=HOT)
    parent = np.arange(groups.leader.size)
    unite(pairs.left.astype(np.int64), pairs.right.astype(np.int64), parent)
    _unite_hot(pairs, groups.sets, threshold, parent)
    flatten(parent)
    rows = np.arange(places.first.size)
    component = join_pairs(rows, rows, places.first)
    component = join_equal(component, groups.group)
    component = join_pairs(component, groups.leader, groups.leader[parent])
    return Links(places, groups, pairs, component, not pairs.hot_sample.size)


def _unite_hot(pairs: Pairs, sets: Sets, threshold: float, parent: NDArray[np.int64]) -> None:
    """Join the groups that only a hot shingle brings together."""
    if not pairs.hot_sample.size:
        return
    p, q = as_fraction(threshold)
    rows, member = np.unique(pairs.hot_sample.astype(np.int64), return_inverse=True)
    some = sets.take(rows)
    numbers, shingle = np.unique(pairs.hot_hash, return_inverse=True)
    by_member = np.lexsort((shingle, member))
    own = np.arange(rows.size)
    unite_hot(
        shingle[by_member].astype(np.int64), _ends(member, rows.size), _ends(shingle, numbers.size),
        some.hashes, some.starts, some.sizes, some.whole, some.whole_ends, p, q, own,
    )  # fmt: skip
    flatten(own)
    unite(rows, rows[own], parent)


def _ends(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return where the entries of 0, 1, ... end when *numbers* are sorted, with a 0 before: shape (count + 1,)."""
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))]).astype(np.int64)


def column_keys(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number per value of a string column, equal for equal values; -1 where there is none."""
    array = column.combine_chunks()
    codes = array.dictionary_encode().indices
    values = np.frombuffer(codes.buffers()[1] or b"", np.int32)[codes.offset : codes.offset + len(codes)]
    keys = values.astype(np.int64)
    if codes.null_count:
        keys[np.asarray(codes.is_null())] = -1
    return keys


def chance_overlap(
    links: Links, part: NDArray[np.int64], *, threshold: float, seeds: int
) -> dict[int, tuple[float, float]]:
    """
    Return what random splits of the same sizes would have had, without regard to groups.

    Args:
        part: shape (n,); the part of every sample, 0 the training part.
        threshold: at least that of *links*.
        seeds: random splits; the shares are their means.

    Returns:
        Per held-out part the share of its samples (0 to 1) that have an exact copy in the training part, and that have
        any: equal texts, equal lexemes, near at *threshold*. Where *links* is not complete it is at least that.
    """
    near = links.pairs.similarity >= threshold
    left, right = links.pairs.left[near], links.pairs.right[near]
    first, group = links.places.first, links.groups.group
    sums = {k: np.zeros(2) for k in np.unique(part).tolist() if k}
    for seed in range(seeds):
        drawn = np.random.Generator(np.random.PCG64(seed)).permutation(part)
        train = drawn == 0
        seen = np.zeros(part.size, np.bool_)
        seen[first[train]] = True
        in_train = np.zeros(links.groups.leader.size + 1, np.bool_)  # the last is for samples without lexemes
        in_train[group[train]] = True
        in_train[-1] = False
        has_near = in_train.copy()
        has_near[left[in_train[right]]] = True
        has_near[right[in_train[left]]] = True
        exact = seen[first]
        for k, total in sums.items():
            mine = drawn == k
            total += [exact[mine].mean(), (exact | has_near[group])[mine].mean()]
    return {k: (float(total[0]) / seeds, float(total[1]) / seeds) for k, total in sums.items()}
