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

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.dedup.arrays import arrow, distinct
from governance.dedup.shingles import choose_prefixes, count_hashes, verify_pairs
from governance.dedup.spool import Hashes, map_ahead
from governance.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

PARTITION = 8_000_000  # prefix rows joined at a time, about
_ROW = 400  # bytes that the join of one prefix row takes at most, with room to spare
_SETS = 4  # bytes of shingles that are in memory at once per byte of the samples' file, about
_RANGE = 2_000_000  # shingles in one piece of work of a thread
_COUNT = 16_000_000  # shingles counted between two releases of a mapped file
_TABLE = 26  # bits; 2**bits counters at most, 2 bytes each
_VERIFY = 1 << 16  # pairs in one piece of work
_GATHER = 8_000_000  # shingles of mapped sets that are copied to be compared


@dataclass(frozen=True)
class Sets:
    """
    Shingle sets of n samples.

    Attributes:
        hashes: shape (m,), uint64; the set of sample i is ``hashes[starts[i]:starts[i] + sizes[i]]``, ascending.
            No hash is 0; what stands between two sets is counted, and never compared.
        starts, sizes: shape (n,), int64.
        whole: shape (w,), uint64; ids of whole prompts, ascending; of sample i
            ``whole[whole_ends[i]:whole_ends[i + 1]]``.
        whole_ends: shape (n + 1,), int64.
        stored: where *hashes* stand, if that is a file.
    """

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    whole: NDArray[np.uint64]
    whole_ends: NDArray[np.int64]
    stored: Hashes | None = None

    @property
    def mapped(self) -> bool:
        """Whether the hashes come from a file, so that what is read of them should be released."""
        return self.stored is not None and self.stored.mapped is not None

    def release(self) -> None:
        """Let go of the pages of a mapped file."""
        if self.stored is not None:
            self.stored.release()

    def take(self, rows: NDArray[np.int64]) -> Sets:
        """Return copies in memory of the sets at *rows*, which ascend; pages of a mapped file are let go on the way."""
        sizes = self.sizes[rows]
        starts = np.cumsum(sizes) - sizes
        hashes = np.empty(int(sizes.sum()), np.uint64)
        for first, last in _ranges(sizes, _RANGE):
            shift = np.repeat(self.starts[rows[first:last]] - starts[first:last], sizes[first:last])
            span = slice(int(starts[first]), int(starts[last - 1] + sizes[last - 1]))
            hashes[span] = self.hashes[shift + np.arange(span.start, span.stop)]
            self.release()
        whole_sizes = np.diff(self.whole_ends)[rows]
        whole_ends = np.concatenate([[0], np.cumsum(whole_sizes)]).astype(np.int64)
        at = np.repeat(self.whole_ends[:-1][rows] - whole_ends[:-1], whole_sizes) + np.arange(whole_ends[-1])
        return Sets(hashes, starts, sizes, self.whole[at], whole_ends)


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

    def among(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return what concerns only the sets with *chosen*, shape (n,)."""
        both, hot = chosen[self.left] & chosen[self.right], chosen[self.hot_sample]
        return Pairs(
            self.left[both], self.right[both], self.similarity[both], self.candidates,
            self.hot_hash[hot], self.hot_sample[hot], self.hot_position[hot],
        )  # fmt: skip


def spill_folder(files: Sequence[Path], work: Path, memory_limit: int | None) -> Path | None:
    """Return *work* if the shingles of the samples in *files* would take more than *memory_limit* bytes, else None."""
    if memory_limit is None or _SETS * sum(file.stat().st_size for file in files) <= memory_limit:
        return None
    return work


def row_partition(memory_limit: int | None) -> int:
    """Return how many prefix rows may be joined at a time within *memory_limit* bytes."""
    return min(PARTITION, max(memory_limit // _ROW, 1)) if memory_limit else PARTITION


def no_pairs() -> Pairs:
    """Return no pair at all."""
    numbers, hashes = np.empty(0, np.int32), np.empty(0, np.uint64)
    return Pairs(numbers, numbers, np.empty(0), 0, hashes, numbers, numbers)


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
    side: NDArray[np.int8] | None = None,
) -> Pairs:
    """
    Return every pair of *sets* whose similarity is at least *threshold* (0.5 to 1), and no other.

    The join runs in *con*, over partitions of the shingle hashes. The result does not depend on *threads*. A shingle in
    the prefixes of k samples makes k * k / 2 pairs; with *hot*, a shingle in more prefixes than that is left out of the
    join and handed back, for a caller who does not need all pairs. Pairs that only such shingles join are then missing.

    Args:
        partition: prefix rows joined at a time, about; about 200 bytes each.
        side: shape (n,), 0 or 1; only pairs of samples with different values are looked for.

    Raises:
        UsageError: the threshold is out of range.
    """
    p, q = as_fraction(threshold)
    asked = sets
    if side is not None:
        from governance.dedup.filters import possible_sets  # its kernels are for two sides only

        possible = possible_sets(sets, side, p, q)
        if not possible.any():
            return no_pairs()
        asked = dataclasses.replace(sets, sizes=np.where(possible, sets.sizes, 0))
    with ThreadPoolExecutor(threads) as pool:
        counts, shift = _count(sets, pool, threads)
        rows, held = _prefix_rows(asked, counts, shift, p, q, pool, threads)
        del counts
        if hot is None:
            is_hot = np.zeros(held.size, np.bool_)
        else:
            is_hot = held > hot
        hot_rows = [column[is_hot] for column in rows[:3]]
        rows = [column[~is_hot] for column in rows]
        if side is not None:
            rows.append(side[rows[1]])
        candidates = _join(rows, con, p, q, partition)
        del rows
        left = (candidates >> np.uint64(32)).astype(np.int32)
        right = (candidates & np.uint64(0xFFFFFFFF)).astype(np.int32)
        del candidates
        similarity = verify(sets, left, right, p, q, pool)
    good = similarity >= 0
    return Pairs(left[good], right[good], similarity[good], left.size, *hot_rows)


def verify(
    sets: Sets, left: NDArray[np.int32], right: NDArray[np.int32], p: int, q: int, pool: ThreadPoolExecutor
) -> NDArray[np.float64]:
    """
    Return the similarity of every pair, or -1 where it is below p / q.

    Sets in a mapped file are copied for as many pairs at a time as fit `_GATHER`, read in the order of the file: a
    page of the file holds a few sets, and pairs need them in any order.
    """
    out = np.empty(left.size, np.float64)
    blocks = [(0, left.size)]
    if sets.mapped:
        blocks = list(_ranges(sets.sizes[left] + sets.sizes[right], _GATHER))
    for first, last in blocks:
        some, a, b = sets, left[first:last], right[first:last]
        if sets.mapped:
            rows, places = np.unique(np.concatenate([a, b]), return_inverse=True)
            some = sets.take(rows.astype(np.int64))
            a, b = np.split(places.astype(np.int32), 2)
        block = out[first:last]

        def compare(r: slice, some: Sets = some, a: Any = a, b: Any = b, block: Any = block) -> None:
            arrays = (some.hashes, some.starts, some.sizes, some.whole, some.whole_ends)
            verify_pairs(a[r], b[r], *arrays, p, q, block[r])

        list(pool.map(compare, [slice(k, k + _VERIFY) for k in range(0, a.size, _VERIFY)]))
    return out


def _ranges(weights: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Cut positions into ranges of about *most* weight each."""
    ends = np.cumsum(weights)
    first = 0
    while first < weights.size:
        target = (ends[first - 1] if first else 0) + most
        last = max(first + 1, int(np.searchsorted(ends, target, "right")))
        yield first, last
        first = last


def _table_bits(rows: int) -> int:
    return min(_TABLE, max(12, (2 * rows).bit_length()))


def _count(sets: Sets, pool: ThreadPoolExecutor, threads: int) -> tuple[NDArray[np.uint16], int]:
    """
    Count in how many samples the hashes of each bucket stand, up to 65535; a 1 is a proof.
    """
    table, shift = np.zeros(1 << _table_bits(sets.hashes.size), np.uint16), 64 - _table_bits(sets.hashes.size)
    for first in range(0, sets.hashes.size, _COUNT):
        _count_into(table, shift, sets.hashes[first : first + _COUNT], pool, threads)
        sets.release()
    return table, shift


def _prefix_rows(
    sets: Sets, counts: NDArray[np.uint16], shift: int, p: int, q: int, pool: ThreadPoolExecutor, threads: int
) -> tuple[list[NDArray[Any]], NDArray[np.uint16]]:
    """
    Return the prefix shingles that may meet another, and in how many prefixes each stands (at least, up to 65535).

    The first are the columns hash, sample, position, size of the sample.
    """
    lengths = sets.sizes - (p * sets.sizes + q - 1) // q + 1
    largest = int(sets.sizes.max(initial=0))
    none = (np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.int32))

    def choose(span: tuple[int, int]) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32]]:
        first, last = span
        room = int(lengths[first:last].sum())
        hashes, samples, positions = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.int32)
        keys = np.empty(min(largest, int(sets.sizes[first:last].max())), np.uint64)
        used = choose_prefixes(
            sets.hashes, sets.starts, sets.sizes, counts, shift, first, last, p, q, keys, hashes, samples, positions
        )
        return hashes[:used].copy(), samples[:used].copy(), positions[:used].copy()

    parts = [none]
    for part in map_ahead(pool, choose, _ranges(sets.sizes, _RANGE), 2 * threads):
        parts.append(part)
        sets.release()
    # A shingle in one prefix only meets nothing. Counting again is sharper: the prefixes are a tenth of the shingles.
    bits = _table_bits(4 * sum(part[0].size for part in parts))
    again, shift = np.zeros(1 << bits, np.uint16), 64 - bits
    for part in parts:
        _count_into(again, shift, part[0], pool, threads)

    def keep(k: int) -> list[NDArray[Any]]:
        hashes, samples, positions = parts[k]
        parts[k] = none
        held = again[(hashes >> np.uint64(shift)).astype(np.int64)]
        met = held > 1
        return [hashes[met], samples[met], positions[met], sets.sizes[samples[met]].astype(np.int32), held[met]]

    *rows, held = (np.concatenate(column) for column in zip(*map(keep, range(len(parts))), strict=True))
    return rows, held


def _count_into(
    table: NDArray[np.uint16], shift: int, hashes: NDArray[np.uint64], pool: ThreadPoolExecutor, threads: int
) -> None:
    """Count *hashes* by their leading bits. Every worker reads all of them and counts a part of the table's places."""
    workers = max(1, min(threads, hashes.size // 100_000))
    edges = [table.size * k // workers for k in range(workers + 1)]
    list(pool.map(lambda k: count_hashes(hashes, table, shift, edges[k], edges[k + 1]), range(workers)))


_JOIN = """
with part as (select * from dedup_prefixes where hash % {parts} = {part})
select distinct
    (least(a.sample, b.sample)::ubigint << 32) | greatest(a.sample, b.sample)::ubigint as pair
from part a join part b on a.hash = b.hash
    and (a.size < b.size or (a.size = b.size and a.sample < b.sample))
where a.position < a.size - (2 * {p} * a.size + {p} + {q} - 1) // ({p} + {q}) + 1
    and {q} * a.size::bigint >= {p} * b.size::bigint
    and ({p} + {q}) * least(a.size - a.position, b.size - b.position)::bigint
        >= {p} * (a.size + b.size)::bigint{cross}
"""


def _join(rows: list[NDArray[Any]], con: DuckDBPyConnection, p: int, q: int, partition: int) -> NDArray[np.uint64]:
    """Return the candidate pairs, left in the upper and right in the lower 32 bits, ascending."""
    names = ("hash", "sample", "position", "size", "side")[: len(rows)]
    table = pa.Table.from_arrays([arrow(column) for column in rows], names)
    cross = " and a.side <> b.side" if len(rows) == 5 else ""
    parts = 1 + table.num_rows // partition
    found = []
    con.register("dedup_prefixes", table)
    try:
        for part in range(parts):
            result = con.execute(_JOIN.format(p=p, q=q, parts=parts, part=part, cross=cross)).fetchnumpy()
            found.append(result["pair"])
    finally:
        con.unregister("dedup_prefixes")
    return distinct(np.concatenate(found))
