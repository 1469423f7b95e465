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
    changes nothing but which of several exact copies stays (the first of the dataset). Where renamed copies are removed
    too, both relations decide at once (see `together`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance.dedup.arrays import arrow, arrow_words, numbers
from governance.dedup.join import as_fraction, no_pairs, row_partition, spill_folder
from governance.dedup.leaders import choose_leaders, pairs_members
from governance.dedup.methods import Method, Sketch, find_pairs
from governance.dedup.renamed import LEAST_LEXEMES, Copies, RenamedView, choose_copies, read_renamed
from governance.dedup.sets import Groups, read_groups
from governance.dedup.texts import Places, read_places, sample_ids
from governance.dedup.together import decide_together, long_enough
from governance.samples import DUPLICATES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

KINDS = arrow_words(["exact", "lexemes", "near", "renamed"])
HOT = 200  # prefixes; shingles in more are compared with kept samples only, see `near_pairs`


@dataclass(frozen=True)
class Duplicates:
    """
    The duplicates of a dataset.

    Attributes:
        table: schema `samples.DUPLICATES`, one row per removed sample, ordered by ``n``.
        candidates: pairs that were compared exactly.
        pairs: those of them that are near-duplicates; two removed samples need not have been compared.
        clusters: kept samples that stand for at least one removed one.
        largest: samples in the largest cluster, the kept one included; 0 without a cluster.
        copies: schema `samples.DUPLICATES`, kind *renamed*: samples that are not in *table* and are renamed copies of a
            kept one (see `renamed`), ordered by ``n``; empty where they were not asked for. Decided together, those
            that are equal to one of them stand here too, and every witness in *table* and here is kept.
        sketch: of the method ``minhash``, with its recall; None for ``exact``, which finds all.
    """

    table: pa.Table
    candidates: int
    pairs: int
    clusters: int
    largest: int
    copies: pa.Table = field(default_factory=lambda: pa.Table.from_batches([], DUPLICATES))
    sketch: Sketch | None = None


def cluster_duplicates(
    samples: Path,
    con: DuckDBPyConnection,
    *,
    threshold: float = 0.8,
    threads: int = 2,
    work: Path,
    memory_limit: int | None = None,
    kinds: Collection[str] = ("exact", "lexemes", "near"),
    renamed: bool = False,
    together: bool = False,
    method: Method = "exact",
    permutations: int = 128,
    progress: Callable[[int], None] | None = None,
) -> Duplicates:
    """
    Find the duplicates among the samples of the Arrow IPC file *samples*.

    Args:
        samples: schema `samples.SAMPLES`; read batch by batch.
        con: where the join runs; no table is left in it, but it keeps the two settings below.
        threshold: Jaccard from 0.5 to 1.0, at most six decimals.
        work: folder for what memory cannot hold.
        memory_limit: bytes for the join; default: the connection's own limit. Where the shingles, 8 bytes each, would
            take more than that, they go to a file in *work*.
        kinds: what counts as a duplicate; a kind also needs those before it.
        renamed: look for renamed copies among the samples kept.
        together: they will be removed too, so that none may be the witness of another.
        method: how near-duplicates are searched: ``exact``, or ``minhash`` with so many *permutations* (128 or 256).
        progress: told how many samples more are done; the sum is their number.

    Raises:
        UsageError: the threshold is out of range.
    """
    as_fraction(threshold)
    places = read_places(samples)
    spill = spill_folder([samples], work, memory_limit)
    groups = read_groups(samples, places, threads=threads, work=spill)
    total = places.first.size
    if progress:
        progress(total // 2)
    partition = row_partition(memory_limit)
    _configure(con, work, memory_limit)
    if "near" in kinds:
        pairs, sketch = find_pairs(
            groups.sets, con, threshold=threshold, method=method, permutations=permutations,
            threads=threads, hot=HOT, partition=partition,
        )  # fmt: skip
    else:
        pairs, sketch = no_pairs(), None

    def view_of(wanted: NDArray[np.bool_]) -> RenamedView:
        return read_renamed(samples, wanted, con, threads=threads, hot=HOT, partition=partition, work=spill)

    gone = np.zeros(groups.leader.size, np.bool_)
    copies: Copies | None = None
    if renamed and together:
        view, order = view_of(long_enough(groups, places)), _preference(np.arange(gone.size), groups, places)
        decided = decide_together(pairs, view, groups, places, order, threshold=threshold)
        witness, similarity, compared, reached = (
            decided.witness, decided.similarity, decided.compared, decided.reached,
        )  # fmt: skip
        gone, copies = decided.gone, decided.copies
    else:
        order = _preference(pairs_members(pairs), groups, places)
        witness, similarity, compared, reached = choose_leaders(pairs, groups.sets, order, threshold=threshold)
    groups = dataclasses.replace(groups, sets=groups.sets.take(np.empty(0, np.int64)))  # lets hundreds of MB go
    table = _removed(places, groups, witness, similarity, kinds, gone)
    if renamed and copies is None:
        own = (witness == np.arange(witness.size)) & (groups.lexemes >= LEAST_LEXEMES)
        kept = groups.leader[_preference(np.flatnonzero(own), groups, places)]
        wanted = np.zeros(total, np.bool_)
        wanted[kept] = True
        copies = choose_copies(view_of(wanted), kept)
    sizes = np.unique(numbers(table.column("cluster")), return_counts=True)[1]
    found = Duplicates(
        table=table,
        candidates=pairs.candidates + compared,
        pairs=pairs.left.size + reached,
        clusters=sizes.size,
        largest=int(sizes.max(initial=-1)) + 1,
        sketch=sketch,
    )
    if copies is not None:
        found = dataclasses.replace(found, copies=_rows(places, *copies, np.full(copies[0].size, 3, np.int8)))
    if progress:
        progress(total - total // 2)
    return found


def _configure(con: DuckDBPyConnection, work: Path, memory_limit: int | None) -> None:
    """Let *con* spill to *work* and use at most *memory_limit* bytes, where its settings may be changed."""
    names = ("lock_configuration", "enable_external_access", "temp_directory")
    asked = "select " + ", ".join(f"current_setting('{name}')" for name in names)
    locked, may_set_folder, folder = con.execute(asked).fetchall()[0]
    if locked:
        return
    if may_set_folder and folder != str(work):  # DuckDB refuses to change a folder that it has spilled to
        con.execute("set temp_directory = '{}'".format(str(work).replace("'", "''")))
    if memory_limit:
        con.execute(f"set memory_limit = '{memory_limit // 1024}KiB'")


def _preference(members: NDArray[np.int64], groups: Groups, places: Places) -> NDArray[np.int64]:
    """Sort groups: more lexemes first, then the smaller sample id."""
    ids = sample_ids(places, groups.leader[members])
    return members[np.lexsort((ids, -groups.lexemes[members]))]


def _removed(
    places: Places,
    groups: Groups,
    witness: NDArray[np.int64],
    similarity: NDArray[np.float64],
    kinds: Collection[str],
    gone: NDArray[np.bool_],
) -> pa.Table:
    """
    Return the DUPLICATES rows: members of a removed group name the leader of the group that removed it.

    Groups that are *gone* as renamed copies have no rows here.
    """
    rows = np.arange(places.first.size)
    grouped = (groups.group >= 0) & ("lexemes" in kinds)
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
        kept = np.where((groups.group >= 0) & gone[group], rows, kept)
    removed = np.flatnonzero(kept != rows)
    return _rows(places, removed, kept[removed], value[removed], kind[removed])


def _rows(
    places: Places,
    copies: NDArray[np.int64],
    kept: NDArray[np.int64],
    similarity: NDArray[np.float64],
    kind: NDArray[np.int8],
) -> pa.Table:
    """Return the samples at *copies*, with those at *kept*, as DUPLICATES, ordered by ``n``."""
    by_n = np.argsort(numbers(places.table.column("n"))[copies], kind="stable")
    this, that = places.table.take(arrow(copies[by_n])), places.table.take(arrow(kept[by_n]))
    columns = [*this.columns, *that.columns, arrow(similarity[by_n]), KINDS.take(arrow(kind[by_n]))]
    return pa.table(columns, schema=DUPLICATES)
