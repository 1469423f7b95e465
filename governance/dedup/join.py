"""shingle sets -> every pair whose similarity reaches the threshold, verified.

The prefix-filter join (Chaudhuri, Ganti, Kaushik 2006; positional filter: Xiao et al., PPJoin, 2008). Sort the shingles
of every sample by one total order, rarest first. If two sets A, B have ``J(A, B) >= t``, they share at least
``t (|A| + |B|) / (1 + t)`` shingles, so they also share one within the first ``|A| - ceil(t |A|) + 1`` of A and the
first ``|B| - ceil(t |B|) + 1`` of B. So joining prefixes misses no pair at any threshold; every candidate is then
compared exactly. Recall and precision are 1 by construction. For the smaller set of a pair the first
``|A| - ceil(2 t |A| / (1 + t)) + 1`` are enough.

Whole prompts (see `cluster`) are left out of the join: they can only lower the similarity of two samples below that of
their shingles, so the candidates stay a superset. Bounds are whole numbers: the threshold is the fraction that its
decimal notation says, 0.8 is 4/5.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.dedup.shingles import choose_prefixes, count_hashes, verify_pairs
from governance.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

PARTITION = 8_000_000  # prefix rows joined at a time, about
_RANGE = 2_000_000  # shingles in one piece of work of a thread
_TABLE = 1 << 26  # counters at most; 2 bytes each
_VERIFY = 1 << 16  # pairs in one piece of work


@dataclass(frozen=True)
class Sets:
    """
    Shingle sets of n samples.

    Attributes:
        hashes: shape (m,), uint64; the set of sample i is ``hashes[starts[i]:starts[i] + sizes[i]]``, ascending.
            What stands between two sets is 0, and no hash is.
        starts, sizes: shape (n,), int64; starts ascend.
        whole: shape (w,), uint64; ids of whole prompts, ascending; of sample i
            ``whole[whole_ends[i]:whole_ends[i + 1]]``.
        whole_ends: shape (n + 1,), int64.
    """

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    whole: NDArray[np.uint64]
    whole_ends: NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """
    The verified pairs, left < right, in ascending order.

    Attributes:
        left, right: shape (k,), int32; positions in the `Sets`.
        similarity: shape (k,), float64, at least the threshold.
        candidates: how many pairs were compared to find them.
        hot_hash, hot_sample, hot_position: shape (h,); the prefix shingles that were not joined because more than
            `hot` prefixes hold them, the samples of those prefixes, and where in the prefix they stand.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    similarity: NDArray[np.float64]
    candidates: int
    hot_hash: NDArray[np.uint64]
    hot_sample: NDArray[np.int32]
    hot_position: NDArray[np.int32]


def as_fraction(threshold: float) -> tuple[int, int]:
    """
    Return the threshold as (p, q), the fraction that its decimal notation says.

    Raises:
        UsageError: below 0.5, above 1, or more than six decimals.

    >>> as_fraction(0.8)
    (4, 5)
    """
    if not 0.5 <= threshold <= 1.0:
        raise UsageError(f"dedup threshold is {threshold}, expected 0.5 to 1")
    exact = Fraction(str(threshold))
    if exact.denominator > 10**6:
        raise UsageError(f"dedup threshold is {threshold}, expected at most six decimals")
    return exact.numerator, exact.denominator


def near_pairs(
    sets: Sets,
    con: DuckDBPyConnection,
    *,
    threshold: float,
    threads: int = 2,
    hot: int | None = None,
    partition: int = PARTITION,
) -> Pairs:
    """
    Return every pair of *sets* whose similarity is at least *threshold* (0.5 to 1), and no other.

    The join runs in *con*, over partitions of the shingle hashes. The result does not depend on *threads*. A shingle in
    the prefixes of k samples makes k * k / 2 pairs; with *hot*, a shingle in more prefixes than that is left out of the
    join and handed back, for a caller who does not need all pairs. Pairs that only such shingles join are then missing.

    Args:
        partition: prefix rows joined at a time, about; about 200 bytes each.

    Raises:
        UsageError: the threshold is out of range.
    """
    p, q = as_fraction(threshold)
    with ThreadPoolExecutor(threads) as pool:
        counts = _count(sets, pool, threads)
        rows, held = _prefix_rows(sets, counts, p, q, pool)
        del counts
        if hot is None:
            is_hot = np.zeros(held.size, np.bool_)
        else:
            is_hot = held > hot
        hot_rows = [column[is_hot] for column in rows[:3]]
        candidates = _join([column[~is_hot] for column in rows], con, p, q, partition)
        del rows
        left = (candidates >> np.uint64(32)).astype(np.int32)
        right = (candidates & np.uint64(0xFFFFFFFF)).astype(np.int32)
        del candidates
        similarity = np.empty(left.size, np.float64)
        ranges = [slice(k, k + _VERIFY) for k in range(0, left.size, _VERIFY)]
        list(
            pool.map(
                lambda r: verify_pairs(
                    left[r],
                    right[r],
                    sets.hashes,
                    sets.starts,
                    sets.sizes,
                    sets.whole,
                    sets.whole_ends,
                    p,
                    q,
                    similarity[r],
                ),
                ranges,
            )
        )
    good = similarity >= 0
    return Pairs(left[good], right[good], similarity[good], left.size, *hot_rows)


def _ranges(weights: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Cut positions into ranges of about *most* weight each."""
    ends = np.cumsum(weights)
    first = 0
    while first < weights.size:
        target = (ends[first - 1] if first else 0) + most
        last = max(first + 1, int(np.searchsorted(ends, target, "right")))
        yield first, last
        first = last


def _table_size(rows: int) -> int:
    return min(_TABLE, 1 << max(12, (2 * rows).bit_length()))


def _count(sets: Sets, pool: ThreadPoolExecutor, threads: int) -> NDArray[np.uint16]:
    """
    Count in how many samples the hashes of each bucket stand, up to 65535.

    Every worker has a table of its own: a lost update of a shared one could turn a 2 into a 1, and a 1 is a proof.
    """
    size = _table_size(sets.hashes.size)
    ranges = list(_ranges(sets.sizes, _RANGE))
    workers = max(1, min(threads, 4, len(ranges)))

    def count(worker: int) -> NDArray[np.uint16]:
        table = np.zeros(size, np.uint16)
        for first, last in ranges[worker::workers]:
            end = sets.starts[last] if last < sets.starts.size else sets.hashes.size
            count_hashes(sets.hashes[sets.starts[first] : end], table)
        return table

    tables = list(pool.map(count, range(workers)))
    total = tables[0]
    for table in tables[1:]:
        np.add(total, np.minimum(table, np.uint16(65535) - total), out=total)
    return total


def _prefix_rows(
    sets: Sets, counts: NDArray[np.uint16], p: int, q: int, pool: ThreadPoolExecutor
) -> tuple[list[NDArray[Any]], NDArray[np.uint16]]:
    """
    Return the prefix shingles that may meet another, and in how many prefixes each stands (at least, up to 65535).

    The first are the columns hash, sample, position, size of the sample.
    """
    lengths = sets.sizes - (p * sets.sizes + q - 1) // q + 1
    largest = int(sets.sizes.max(initial=0))

    def choose(span: tuple[int, int]) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32]]:
        first, last = span
        room = int(lengths[first:last].sum())
        hashes, samples, positions = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.int32)
        keys = np.empty(min(largest, int(sets.sizes[first:last].max())), np.uint64)
        used = choose_prefixes(
            sets.hashes, sets.starts, sets.sizes, counts, first, last, p, q, keys, hashes, samples, positions
        )
        return hashes[:used].copy(), samples[:used].copy(), positions[:used].copy()

    parts = list(pool.map(choose, _ranges(sets.sizes, _RANGE)))
    none = (np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.int32))
    hashes, samples, positions = (np.concatenate(column) for column in zip(none, *parts, strict=True))
    # A shingle in one prefix only meets nothing. Counting again is sharper: the prefixes are a tenth of the shingles.
    again = np.zeros(_table_size(4 * hashes.size), np.uint16)
    count_hashes(hashes, again)
    held = again[(hashes & np.uint64(again.size - 1)).astype(np.int64)]
    met = held > 1
    return [hashes[met], samples[met], positions[met], sets.sizes[samples[met]].astype(np.int32)], held[met]


_JOIN = """
with part as (select * from dedup_prefixes where hash % {parts} = {part})
select distinct
    (least(a.sample, b.sample)::ubigint << 32) | greatest(a.sample, b.sample)::ubigint as pair
from part a join part b on a.hash = b.hash
    and (a.size < b.size or (a.size = b.size and a.sample < b.sample))
where a.position < a.size - (2 * {p} * a.size + {p} + {q} - 1) // ({p} + {q}) + 1
    and {q} * a.size::bigint >= {p} * b.size::bigint
    and ({p} + {q}) * least(a.size - a.position, b.size - b.position)::bigint
        >= {p} * (a.size + b.size)::bigint
"""


def _join(rows: list[NDArray[Any]], con: DuckDBPyConnection, p: int, q: int, partition: int) -> NDArray[np.uint64]:
    """Return the candidate pairs, left in the upper and right in the lower 32 bits, ascending."""
    table = pa.table(dict(zip(("hash", "sample", "position", "size"), rows, strict=True)))
    parts = 1 + table.num_rows // partition
    found = []
    con.register("dedup_prefixes", table)
    try:
        for part in range(parts):
            result = con.execute(_JOIN.format(p=p, q=q, parts=parts, part=part)).fetchnumpy()
            found.append(result["pair"])
    finally:
        con.unregister("dedup_prefixes")
    return np.unique(np.concatenate(found))
