"""two datasets -> every sample of one that a sample of the other stands for, verified.

The question behind a split, a registry and a held-out set: does this text stand there too? Both datasets are compared
as one, so the rules of `cluster` hold, also the one on prompts that several samples share; but pairs are looked for
between the two only.

Every sample with a partner at the threshold is found. It names the most similar of those that share a rare shingle
with it; if all that they share is frequent (`HOT`), the first by content that reaches the threshold: which of ten
thousand files with one licence header is the nearest would take all pairs to say.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance.dedup.arrays import arrow, arrow_words, distinct, numbers
from governance.dedup.grams import VERBATIM
from governance.dedup.join import PARTITION, Pairs, Sets, as_fraction, near_pairs, row_partition, spill_folder
from governance.dedup.leaders import row_ends
from governance.dedup.sets import Groups, Shingled, group_pieces, lex_verbatim, shingle_pieces
from governance.dedup.shingles import meet
from governance.dedup.spool import Spool
from governance.dedup.texts import WHO, Places, places_of, read_pieces, read_places, sample_ids

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

ACROSS = pa.schema(
    [
        ("n", pa.int64()),  # the sample of the dataset
        ("file", pa.string()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("other", pa.int64()),  # `n` of its partner in the other dataset
        ("other_file", pa.string()),
        ("other_row", pa.int64()),
        ("other_sample_id", pa.string()),
        ("similarity", pa.float64()),
        ("kind", pa.string()),  # exact, lexemes, near
    ]
)

HOT = 200  # prefixes; a shingle in more is not joined, see `meet`
_KINDS = arrow_words(["exact", "lexemes", "near"])


@dataclass(frozen=True)
class Contents:
    """What is compared of a dataset: who its samples are, and the shingles of one of each exact copy."""

    places: Places
    pieces: list[Shingled]


def find_across(
    samples: Path,
    others: Path,
    con: DuckDBPyConnection,
    *,
    threshold: float = 0.8,
    threads: int = 2,
    work: Path,
    memory_limit: int | None = None,
) -> pa.Table:
    """
    Return one row per sample of *samples* that has a duplicate in *others*.

    Args:
        samples, others: Arrow IPC files of schema `samples.SAMPLES`.
        con: where the join runs.
        work: folder for what memory cannot hold.
        memory_limit: bytes for the join; where the shingles, 8 bytes each, would take more, they go to files.

    Returns:
        Schema `ACROSS`, ordered by ``n``.

    Raises:
        UsageError: the threshold is out of range.
    """
    as_fraction(threshold)
    spill = spill_folder([samples, others], work, memory_limit)
    one = read_contents(samples, threads=threads, work=spill)
    other = read_contents(others, threads=threads, work=spill)
    return match_contents(
        one, other, con, threshold=threshold, threads=threads, work=spill, partition=row_partition(memory_limit)
    )


def read_contents(samples: Path, *, threads: int, work: Path | None = None) -> Contents:
    """Read the Arrow IPC file *samples*; with *work* the shingles go to a file there."""
    places = read_places(samples)
    wanted = places.first == np.arange(places.first.size)
    with ThreadPoolExecutor(threads) as pool:
        store = Spool(0, work) if work else None
        pieces = shingle_pieces(read_pieces(samples, wanted), lex_verbatim, VERBATIM, pool, threads, store)
    return Contents(places, pieces)


def match_contents(
    one: Contents,
    other: Contents,
    con: DuckDBPyConnection,
    *,
    threshold: float,
    threads: int = 2,
    work: Path | None = None,
    partition: int = PARTITION,
    signatures: tuple[NDArray[np.uint32], NDArray[np.uint32]] | None = None,
) -> pa.Table:
    """
    Return the ACROSS rows of *one* in *other*; both can be used again.

    Args:
        signatures: of the samples of both, shape (n, 128) each: near pairs are then looked for in their bands and
            verified (see `buckets`), so a few may be missed, and more where the datasets share prompts that were
            signed word by word; default: the exact join.
    """
    count = one.places.first.size
    places = _join_places(one.places, other.places)
    shifted = [dataclasses.replace(p, first=p.first + count, last=p.last + count) for p in other.pieces]
    firsts = [c.places.first == np.arange(c.places.first.size) for c in (one, other)]
    with ThreadPoolExecutor(threads) as pool:
        pieces, wanted = one.pieces + shifted, np.concatenate(firsts)
        groups = group_pieces(pieces, wanted, places, pool, threads, work, last_use=False)
    del pieces, shifted
    rows = np.arange(places.first.size)
    best = np.full(rows.size, -1, np.int64)  # per sample of the first dataset, the position of its partner
    value, kind = np.zeros(rows.size), np.zeros(rows.size, np.int8)
    theirs = rows >= count
    for code, key in ((0, places.first), (1, groups.group)):
        witness = np.full(int(key.max(initial=-1)) + 2, -1, np.int64)
        witness[key[theirs][::-1]] = rows[theirs][::-1]  # the last write stays: the first of the other dataset
        witness[-1] = -1  # the group of samples without lexemes is none
        new = ~theirs & (best < 0) & (witness[key] >= 0)
        best[new], value[new], kind[new] = witness[key[new]], 1.0, code
    first_other = np.full(groups.leader.size, -1, np.int64)
    member = np.flatnonzero(theirs & (groups.group >= 0))[::-1]
    first_other[groups.group[member]] = member
    signed = None if signatures is None else np.concatenate(signatures)[groups.leader]
    nearest, near_value = _near(groups, places, first_other, con, threshold, threads, partition, signed)
    left = np.flatnonzero(~theirs & (best < 0) & (groups.group >= 0))
    left = left[nearest[groups.group[left]] >= 0]
    best[left] = first_other[nearest[groups.group[left]]]
    value[left], kind[left] = near_value[groups.group[left]], 2
    return _table(one.places.table, other.places.table, np.flatnonzero(best >= 0), best - count, value, kind)


def _join_places(one: Places, other: Places) -> Places:
    """Number the samples of both as one dataset."""
    tables = [one.table, other.table]
    n = arrow(np.arange(sum(table.num_rows for table in tables)))
    joined = pa.concat_tables([table.drop_columns(["n"]) for table in tables])
    return places_of(pa.Table.from_arrays([pa.chunked_array([n]), *joined.columns], schema=WHO))


def _near(
    groups: Groups,
    places: Places,
    first_other: NDArray[np.int64],
    con: DuckDBPyConnection,
    threshold: float,
    threads: int,
    partition: int,
    signed: NDArray[np.uint32] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return per group without a sample of the other dataset the nearest group with one, -1 where none, and J."""
    there = first_other >= 0
    sets = groups.sets
    if signed is None:
        pairs = near_pairs(
            sets, con, threshold=threshold, threads=threads, hot=HOT, partition=partition, side=there.view(np.int8)
        )
    else:
        pairs = _signed_pairs(sets, signed, there, threshold, threads)
    turned = there[pairs.left]
    here, partner = np.where(turned, pairs.right, pairs.left), np.where(turned, pairs.left, pairs.right)
    order = np.lexsort((-first_other[partner], pairs.similarity))  # the last write stays: most similar, then the first
    nearest, value = np.full(there.size, -1, np.int64), np.zeros(there.size)
    nearest[here[order]], value[here[order]] = partner[order], pairs.similarity[order]
    ours = ~there[pairs.hot_sample] & (nearest[pairs.hot_sample] < 0)
    if ours.any() and there[pairs.hot_sample].any():
        _meet_hot(groups, places, pairs, ours, there[pairs.hot_sample], threshold, threads, nearest, value)
    return nearest, value


def _signed_pairs(
    sets: Sets, signed: NDArray[np.uint32], there: NDArray[np.bool_], threshold: float, threads: int
) -> Pairs:
    """Return the near pairs of *sets* on two sides that have a band of their signatures in common."""
    from governance.dedup.bands import choose_bands
    from governance.dedup.buckets import fold_bands, minhash_pairs

    bands = choose_bands(threshold, signed.shape[1])
    keys = np.empty((signed.shape[0], bands.bands), np.uint32)
    fold_bands(np.ascontiguousarray(signed), bands.rows, keys)
    pairs = minhash_pairs(sets, threshold=threshold, bands=bands, threads=threads, hot=HOT, keys=keys)
    cross = there[pairs.left] != there[pairs.right]
    return dataclasses.replace(
        pairs, left=pairs.left[cross], right=pairs.right[cross], similarity=pairs.similarity[cross]
    )


def _meet_hot(
    groups: Groups,
    places: Places,
    pairs: Pairs,
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    threshold: float,
    threads: int,
    nearest: NDArray[np.int64],
    value: NDArray[np.float64],
) -> None:
    """Fill *nearest* and *value* for samples whose partners, if any, are found through hot shingles alone."""
    p, q = as_fraction(threshold)
    shingles, hot = np.unique(pairs.hot_hash, return_inverse=True)
    members = distinct(pairs.hot_sample[ours | theirs]).astype(np.int64)
    sets, at = (groups.sets.take(members), np.arange(members.size)) if groups.sets.mapped else (groups.sets, members)
    rows, owner = np.unique(pairs.hot_sample[ours], return_inverse=True)
    by_owner = np.lexsort((pairs.hot_position[ours], owner))
    order = distinct(pairs.hot_sample[theirs]).astype(np.int64)
    order = order[np.lexsort((sample_ids(places, groups.leader[order]), -groups.lexemes[order]))]
    rank = np.zeros(groups.leader.size, np.int64)
    rank[order] = np.arange(order.size)
    others = rank[pairs.hot_sample[theirs]]
    by_shingle = np.lexsort((others, hot[theirs]))
    local = np.zeros(groups.leader.size, np.int64)
    local[members] = at
    partner, best = np.full(rows.size, -1, np.int64), np.full(rows.size, -1.0)
    arguments = (
        local[rows], hot[ours][by_owner], pairs.hot_position[ours][by_owner].astype(np.int64),
        row_ends(owner, rows.size), row_ends(hot[theirs], shingles.size), others[by_shingle], local[order],
        pairs.hot_position[theirs][by_shingle].astype(np.int64),
        sets.hashes, sets.starts, sets.sizes, sets.whole, sets.whole_ends, p, q,
    )  # fmt: skip
    edges = [rows.size * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(
            pool.map(
                lambda k: meet(edges[k], edges[k + 1], *arguments, np.full(order.size, -1, np.int64), partner, best),
                range(threads),
            )
        )
    found = partner >= 0
    back = members if groups.sets.mapped else np.arange(nearest.size)
    nearest[rows[found]], value[rows[found]] = back[partner[found]], best[found]


def _table(
    here: pa.Table,
    there: pa.Table,
    rows: NDArray[np.int64],
    best: NDArray[np.int64],
    value: NDArray[np.float64],
    kind: NDArray[np.int8],
) -> pa.Table:
    rows = rows[np.argsort(numbers(here.column("n"))[rows], kind="stable")]
    columns = [*here.take(arrow(rows)).columns, *there.take(arrow(best[rows])).columns]
    return pa.table([*columns, arrow(value[rows]), _KINDS.take(arrow(kind[rows]))], schema=ACROSS)
