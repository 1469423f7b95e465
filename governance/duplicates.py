"""ingested samples, how to search -> their duplicates, and whether the search finds what is planted for it.

Apart from the pipeline, and asked with plain values, because a helping process imports this module: it then needs
neither the models of the settings nor anything else of a check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow as pa

from governance.engines.tables import open_database

if TYPE_CHECKING:
    from governance.dedup.cluster import Duplicates
    from governance.gate.copies import Search

KINDS = ("exact", "lexemes", "near", "renamed")


class How(NamedTuple):
    """
    How duplicates are searched.

    Attributes:
        threshold, method, permutations: as in the pipeline's ``dedup``.
        together: whether renamed copies are removed with the others.
        memory: bytes for DuckDB, and as many for the shingles.
        threads: of DuckDB and of the kernels.
    """

    threshold: float
    method: Literal["exact", "minhash"]
    permutations: int
    together: bool
    memory: int
    threads: int


class Searched(NamedTuple):
    """What a search for duplicates hands on; no value of `dedup`, whose import is what a helper takes over."""

    duplicates: pa.Table
    copies: pa.Table
    search: Search
    probe_found: bool


def search_and_probe(samples: Path, how: How, work: Path, progress: Callable[[int], None] | None = None) -> Searched:
    """Search the duplicates, and see whether the same search finds what is planted for it."""
    found = search(samples, how, work, progress=progress)
    return Searched(found.table, found.copies, describe(found, how), probe_found(how, work))


def search(
    samples: Path,
    how: How,
    work: Path,
    kinds: Collection[str] = KINDS,
    progress: Callable[[int], None] | None = None,
) -> Duplicates:
    """Search the duplicates of the Arrow file *samples*; what does not fit into memory goes below *work*."""
    from governance.dedup.cluster import cluster_duplicates

    spill = work / "spill"
    spill.mkdir(exist_ok=True)
    con = open_database(memory_limit=how.memory, threads=how.threads, spill=spill)
    found = cluster_duplicates(
        samples, con, threshold=how.threshold, threads=how.threads, work=spill, memory_limit=how.memory, kinds=kinds,
        renamed="renamed" in kinds, progress=progress, together=how.together, method=how.method,
        permutations=how.permutations,
    )  # fmt: skip
    con.close()
    return found


def describe(found: Duplicates, how: How) -> Search:
    """Say how *found* was found; by the exact join nothing is estimated, so its recall is 1.0 by construction."""
    from governance.gate.copies import Search

    search = Search(method=how.method, threshold=how.threshold, compared=found.candidates, pairs=found.pairs)
    sketch = found.sketch
    if sketch is None:
        return search
    return dataclasses.replace(
        search, permutations=sketch.permutations, bands=sketch.bands.bands, rows=sketch.bands.rows,
        expected_recall=sketch.bands.recall_at, measured_recall=sketch.recall.value,
        measured_on=sketch.recall.samples, measured_pairs=sketch.recall.pairs,
    )  # fmt: skip


def probe_found(how: How, work: Path) -> bool:
    """Send one near-duplicate pair, and one sample unlike both, through the same search."""
    from governance.dedup.cluster import cluster_duplicates
    from governance.dedup.probe import probe_pair

    path = work / "duplicate-probe.arrow"
    for attempt in range(1 if how.method == "exact" else 3):
        probe_pair(path, how.threshold, attempt)
        con = open_database(threads=1)
        found = cluster_duplicates(
            path, con, threshold=how.threshold, threads=1, work=work, method=how.method,
            permutations=how.permutations,
        )  # fmt: skip
        con.close()
        pairs = zip(found.table["row"].to_pylist(), found.table["kept_row"].to_pylist(), strict=True)
        if [sorted(pair) for pair in pairs] == [[0, 1]]:
            return True
    return False
