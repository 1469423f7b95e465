"""samples -> duplicates: every sample that another one stands for, with that witness and their similarity.

What is compared
    The *lexemes* of a text (see `lexer`). A *shingle* is five of them in a row, inside one text; a text of 1 to 4
    lexemes is one shingle. Shingles of a sample: those of all its texts.
    A *prompt* (a text that is not an output) that several samples share, lexeme by lexeme, is compared as a whole: its
    shingles do not count; for two samples that share it, it counts nowhere, and if only one has it, it counts one. What
    two samples share because they were asked the same says nothing about copying. Without this rule one long
    instruction, or one class card with a sample per method, would make near-duplicates of everything.
    Which prompts are shared is asked after equal samples have been set aside.

Kinds
    *exact*: the same ``sample_id``. *lexemes*: the same lexemes in all texts, so they differ in white space only.
    *near*: ``J(A, B) = |A and B| / |A or B| >= threshold``, counted exactly, never estimated. Samples without any
    lexeme are *empty*: never compared, though exact copies of them are still exact copies.

Who is removed
    Leader clustering in an order by content: more lexemes first, then the smaller sample id. A sample is removed if and
    only if it is a duplicate of one that is kept, and it names the most similar of those (then the first in the
    order). So every removal has a direct witness, chains never merge what was not compared, and the order of rows
    changes nothing but which of several exact copies stays (the first of the dataset).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance.dedup.join import Pairs, as_fraction, near_pairs
from governance.dedup.sets import Groups, Places, read_groups, read_places, sample_ids
from governance.samples import DUPLICATES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Duplicates:
    """
    The duplicates of a dataset.

    Attributes:
        table: schema `samples.DUPLICATES`, one row per removed sample, ordered by ``n``.
        candidates: pairs that were compared exactly.
        pairs: those of them that are near-duplicates.
        clusters: kept samples that stand for at least one removed one.
        largest: samples in the largest cluster, the kept one included; 0 without a cluster.
    """

    table: pa.Table
    candidates: int
    pairs: int
    clusters: int
    largest: int


def cluster_duplicates(
    samples: Path,
    con: DuckDBPyConnection,
    *,
    threshold: float = 0.8,
    threads: int = 2,
    work: Path,
    memory_limit: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Duplicates:
    """
    Find the duplicates among the samples of the Arrow IPC file *samples*.

    Args:
        samples: schema `samples.SAMPLES`; mapped, not read as a whole.
        con: where the join runs; nothing is left in it.
        threshold: Jaccard from 0.5 to 1.0, at most six decimals.
        work: folder for what does not fit into memory.
        memory_limit: bytes for the join; default: the connection's own limit.
        progress: called with the share that is done, 0 to 1.

    Raises:
        UsageError: the threshold is out of range.
    """
    as_fraction(threshold)
    places = read_places(samples)
    groups = read_groups(samples, places, threads=threads)
    if progress:
        progress(0.4)
    pairs = near_pairs(groups.sets, con, threshold=threshold, threads=threads)
    if progress:
        progress(0.9)
    witness, similarity = _choose_leaders(pairs, groups, places)
    table = _removed(places, groups, witness, similarity)
    sizes = np.unique(table.column("cluster").to_numpy(), return_counts=True)[1]
    if progress:
        progress(1.0)
    return Duplicates(table, pairs.candidates, pairs.left.size, sizes.size, int(sizes.max(initial=-1)) + 1)


def _choose_leaders(pairs: Pairs, groups: Groups, places: Places) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return per group its witness (itself if it is kept) and their similarity."""
    witness = np.arange(groups.leader.size)
    similarity = np.ones(groups.leader.size)
    members = np.unique(np.concatenate([pairs.left, pairs.right]))
    ids = sample_ids(places, groups.leader[members])
    order = np.lexsort((ids, -groups.lexemes[members]))
    rank = np.empty(groups.leader.size, np.int64)
    rank[members[order]] = np.arange(members.size)
    swap = rank[pairs.left] > rank[pairs.right]
    before = np.where(swap, pairs.right, pairs.left)
    after = np.where(swap, pairs.left, pairs.right)
    # In this order the fate of `before` is settled when its edge is read, and the best edge of `after` comes first.
    edges = np.lexsort((rank[before], -pairs.similarity, rank[after]))
    for a, b, value in zip(
        before[edges].tolist(), after[edges].tolist(), pairs.similarity[edges].tolist(), strict=True
    ):
        if witness[b] == b and witness[a] == a:
            witness[b], similarity[b] = a, value
    return witness, similarity


def _removed(places: Places, groups: Groups, witness: NDArray[np.int64], similarity: NDArray[np.float64]) -> pa.Table:
    """Return the DUPLICATES rows: members of a removed group name the leader of the group that removed it."""
    rows = np.arange(places.first.size)
    grouped = groups.group >= 0
    group = np.where(grouped, groups.group, 0)
    kept, value = places.first.copy(), np.ones(rows.size)
    kind = np.zeros(rows.size, np.int8)
    if groups.leader.size:
        own = witness[group] == group
        kept = np.where(grouped, groups.leader[witness[group]], kept)
        value = np.where(grouped, similarity[group], value)
        kind = np.where(grouped & ~own, 2, np.where(grouped & (places.first != groups.leader[group]), 1, 0)).astype(
            np.int8
        )
    removed = np.flatnonzero(kept != rows)
    n = places.table.column("n").to_numpy()
    removed = removed[np.argsort(n[removed], kind="stable")]
    this, that = places.table.take(pa.array(removed)), places.table.take(pa.array(kept[removed]))
    columns = [
        *this.columns,
        that.column("n"),
        that.column("file"),
        that.column("row"),
        that.column("sample_id"),
        pa.array(value[removed]),
        pa.DictionaryArray.from_arrays(kind[removed], ["exact", "lexemes", "near"]).cast(pa.string()),
    ]
    return pa.table(columns, schema=DUPLICATES)
