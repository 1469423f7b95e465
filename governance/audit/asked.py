"""the training data, held-out twins -> the samples that models are asked for, twins without copies of members."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance.audit.probes import MEMBER, TWIN, Sample, choose_samples
from governance.engines.tables import open_database, read_samples
from governance.ingest import Ingested, ingest_files, ingest_stored
from governance.samples import SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from governance.context import Options
    from governance.settings import Pipeline
    from governance.store import Workspace


@dataclass(frozen=True)
class Asked:
    """
    Who is asked.

    Attributes:
        samples: members, then twins.
        trained: all that was trained on, schema SAMPLES.
        members, twins: digests of the two datasets; empty where there is none.
        copied_twins: twins left out because the training data holds a copy of them.
        unreadable: records of both that could not be read.
    """

    samples: list[Sample]
    trained: pa.Table
    members: str
    twins: str
    copied_twins: int
    unreadable: int

    @property
    def groups(self) -> NDArray[np.int64]:
        """The number of the group of every sample."""
        names = [s.group for s in self.samples]
        numbers = {name: k for k, name in enumerate(sorted(set(names)))}
        return np.fromiter((numbers[name] for name in names), np.int64, len(names))


def find_asked(
    members: str | None, twins: str | None, pipeline: Pipeline, options: Options, workspace: Workspace, work: Path
) -> Asked:
    """
    Read both datasets and choose whom to ask.

    How often a member stands in the training data is counted among its near-duplicates there.

    Raises:
        InputError: a dataset that cannot be read at all.
    """
    limits, threshold = pipeline.audit, pipeline.dedup.threshold
    trained = _read(members, options, workspace, work / "members") if members else None
    held_out = _read(twins, options, workspace, work / "twins") if twins else None
    samples: list[Sample] = []
    table, copied = SAMPLES.empty_table(), 0
    if trained is not None:
        table = read_samples(trained.samples)
        copies = _copies(trained, threshold, options, work)
        samples += choose_samples(table, MEMBER, limits.members, seed=limits.seed, copies=copies)
    if held_out is not None:
        others = read_samples(held_out.samples)
        if trained is not None and held_out.count and trained.count:
            clean = _without_copies(held_out, trained, threshold, options, work)
            others, copied = others.filter(pa.array(clean)), int((~clean).sum())
        samples += choose_samples(others, TWIN, limits.twins, seed=limits.seed)
    bad = sum(i.quarantine.num_rows for i in (trained, held_out) if i is not None)
    one, other = (i.digest if i is not None else "" for i in (trained, held_out))
    return Asked(samples, table, one, other, copied, bad)


def _read(dataset: str, options: Options, workspace: Workspace, place: Path) -> Ingested:
    place.mkdir()
    stored = workspace.dataset_file(dataset)
    if stored is not None:
        return ingest_stored(stored, stored.parent.name, place)
    return ingest_files(
        Path(dataset), place, columns=options.columns, encoding=options.encoding,
        max_row_bytes=options.max_row_bytes, processes=options.workers,
    )  # fmt: skip


def _copies(trained: Ingested, threshold: float, options: Options, work: Path) -> NDArray[np.int64]:
    """Return, per row, the size of its cluster of near-duplicates."""
    from governance.dedup.cluster import cluster_duplicates

    numbers = read_samples(trained.samples)["n"].to_numpy()
    if not numbers.size:
        return np.ones(0, np.int64)
    con = open_database(memory_limit=options.shares.search, threads=options.shares.threads, spill=work)
    found = cluster_duplicates(trained.samples, con, threshold=threshold, threads=options.shares.threads, work=work)
    con.close()
    order = np.argsort(numbers, kind="stable")
    kept = np.arange(numbers.size)
    removed = np.searchsorted(numbers[order], found.table["n"].to_numpy())
    kept[order[removed]] = order[np.searchsorted(numbers[order], found.table["cluster"].to_numpy())]
    return np.bincount(kept, minlength=numbers.size)[kept]


def _without_copies(
    twins: Ingested, trained: Ingested, threshold: float, options: Options, work: Path
) -> NDArray[np.bool_]:
    """Return, per twin, whether the training data holds no copy of it; one that was learned is no control."""
    from governance.dedup.across import match_contents, read_contents

    threads = options.shares.threads
    con = open_database(memory_limit=options.shares.search, threads=threads, spill=work)
    one, other = (read_contents(i.samples, threads=threads) for i in (twins, trained))
    found = match_contents(one, other, con, threshold=threshold, threads=threads)
    con.close()
    numbers = read_samples(twins.samples)["n"].to_numpy()
    return ~np.isin(numbers, found["n"].to_numpy())
