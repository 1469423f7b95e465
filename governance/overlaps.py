"""a dataset, what it must not share with -> OVERLAPS: protected sources, benchmark items, the held-out set.

The three comparisons meet here because two steps are needed: `overlap` for indexes and items, `dedup` for held-out
sets. Each has a probe, made up on the spot and sent through the same code; a gate whose probe is missed is an ERROR.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from governance.context import Compare, Options, Progress, Setup
from governance.engines.tables import open_database
from governance.errors import InputError, PipelineError, RuleError, UsageError
from governance.files import sha256_file
from governance.samples import OVERLAPS
from governance.settings import GateSpec, Pipeline
from governance.store import Workspace

if TYPE_CHECKING:
    from governance.overlap.benchmark import Found, Items
    from governance.overlap.lookup import SourceIndex

PROTECTED, BENCHMARK, HELD_OUT = "protected-overlap", "benchmark-overlap", "held-out-overlap"

GATES = {
    PROTECTED: ("Nothing is shared with a protected source", "与受保护来源没有重叠"),
    BENCHMARK: ("No sample holds a benchmark item", "不含基准测试题目"),
    HELD_OUT: ("No sample stands in the held-out set", "与留出集没有重叠"),
}
"""Metric -> title of the gate that a source named on the command line brings; its limit is 0."""


@dataclass(frozen=True)
class Overlaps:
    """
    What was compared and found.

    Attributes:
        table: schema `samples.OVERLAPS`.
        compared: the metrics that something was compared for.
        missed: the metrics whose probe was missed.
        undecidable: names of benchmark items that are too common to judge by.
        items: how many benchmark items were looked for.
        unfinished: samples with a text that stands in more places of an index than are looked at; its gate is an ERROR.
    """

    table: pa.Table
    compared: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    undecidable: tuple[str, ...] = ()
    items: int = 0
    unfinished: int = 0


NOTHING = Overlaps(OVERLAPS.empty_table())


def resolve_sources(pipeline: Pipeline, folder: Path, options: Options) -> tuple[Pipeline, Compare]:
    """
    Return what the dataset is compared with, and the pipeline with the digest of every part of it.

    The verdict depends on these sources, so ``overlap.digests`` of the returned pipeline, and with it the pipeline's
    own digest, names them. Sources of the command line are named by their last part, and bring a gate with limit 0
    where the pipeline has none of their metric.

    Args:
        folder: of the pipeline file, which its paths are relative to.

    Raises:
        PipelineError: a source is missing, or its digest is not the one that the pipeline pins.
        SourceIndexError: an index that cannot be used.
    """
    named = pipeline.overlap
    if not (options.compare or named.indexes or named.benchmarks or named.held_out):
        return pipeline, Compare()
    places: dict[str, tuple[Path, ...]] = {}
    lists: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    for kind in ("indexes", "benchmarks", "held_out"):
        own = [(name, folder / name) for name in getattr(named, kind)]
        given = [(path.name or str(path), path) for path in getattr(options.compare, kind)]
        chosen = dict([*own, *given])
        places[kind], lists[kind] = tuple(chosen.values()), list(chosen)
        for name, path in [*own, *given]:
            digest = _digest(kind, path, options)
            if named.digests.get(name, digest) != digest:
                raise PipelineError(
                    f"pipeline {pipeline.name!r}: overlap.digests: {name!r} has digest {digest[:16]}, expected "
                    f"{named.digests[name][:16]}; it is another one than the pipeline was written for"
                )
            if digests.setdefault(name, digest) != digest:
                raise UsageError(f"two sources are called {name!r}; give one of them another name")
    unknown = [name for name in named.digests if name not in digests]
    if unknown:
        raise PipelineError(f"pipeline {pipeline.name!r}: overlap.digests: {unknown[0]!r} is no source of the pipeline")
    overlap = named.model_copy(update={**lists, "digests": digests})
    gates = {**pipeline.gates, **_gates(pipeline, options)}
    return pipeline.model_copy(update={"overlap": overlap, "gates": gates}), Compare(**places)


def _gates(pipeline: Pipeline, options: Options) -> dict[str, GateSpec]:
    """The gates that sources of the command line bring; an index may hold protected sources, items, or both."""
    have = {gate.metric for gate in pipeline.gates.values()}
    wanted = [HELD_OUT] if options.compare.held_out else []
    wanted += [BENCHMARK] if options.compare.benchmarks else []
    for path in options.compare.indexes:
        kinds = _kinds(path)
        wanted += [PROTECTED] if kinds - {"benchmark"} or not kinds else []
        wanted += [BENCHMARK] if "benchmark" in kinds else []
    return {
        name: GateSpec(metric=name, title=GATES[name][0], title_zh=GATES[name][1], limit=0)
        for name in GATES
        if name in wanted and name not in have and name not in pipeline.gates
    }


def _kinds(path: Path) -> set[str]:
    """The kinds of sources in the index at *path*."""
    from governance.overlap.index import open_segments, read_manifest

    kinds: set[str] = set()
    for segment in open_segments(path, read_manifest(path)):
        kinds |= set(segment.sources["kind"].unique().to_pylist())
    return kinds


def _digest(kind: str, path: Path, options: Options) -> str:
    """SHA-256 of an index's manifest, a file, or the files of a folder; a dataset of the workspace has its own."""
    if kind == "indexes":
        from governance.overlap.index import read_manifest

        return str(read_manifest(path)["sha256"])
    if path.is_file():
        return sha256_file(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            line = f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    stored = Workspace(options.workspace, make=False).dataset_file(path.name) if kind == "held_out" else None
    if stored is not None:
        return stored.parent.name
    what = "held-out dataset" if kind == "held_out" else "benchmark"
    raise PipelineError(f"{path}: no such {what}; expected a file or a folder")


def find_overlaps(samples: Path, setup: Setup, options: Options, work: Path) -> Overlaps:
    """
    Compare the samples of the Arrow IPC file *samples* with everything that *setup* names.

    Raises:
        SourceIndexError: an index is damaged, of another version, or keyed and without its key.
        InputError: a held-out set or benchmark cannot be read.
    """
    from governance.overlap.found import name_samples

    if not setup.compare:
        return NOTHING
    run = _Run(samples, setup, options, work)
    with (options.progress or Progress()).stage("overlap"):
        run.look()
    table = name_samples(run.found, samples, allow=setup.pipeline.overlap.allow, mask=setup.sensitive.masked)
    undecidable = tuple(setup.sensitive.masked(name) for name in run.undecidable)
    late = len(set(run.unfinished))
    missed = tuple(dict.fromkeys([*run.missed, PROTECTED] if late else run.missed))
    return Overlaps(table, tuple(run.compared), missed, undecidable, run.items, late)


def overlap_dataset(
    dataset: str,
    options: Options,
    *,
    least: int | None = None,
    threshold: float | None = None,
    rephrased: float | None = None,
) -> Overlaps:
    """
    Return what *dataset* shares with the sources of the pipeline and those of *options*; nothing is judged.

    Raises:
        UsageError: there is no source, or a number is out of range.
        RuleError: a planted case was missed, so that what was not found proves nothing.
    """
    from governance.pipeline import ingest, prepare

    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    if not setup.compare:
        raise UsageError("nothing to compare with; give --index, --benchmark or --held-out, or a pipeline that does")
    if least is not None and not 50 <= least <= 100_000:
        raise UsageError(f"--least {least}: expected 50 to 100000; an index finds all runs of 50 lexemes, not of fewer")
    if threshold is not None and not 0.5 <= threshold <= 1.0:
        raise UsageError(f"--threshold {threshold}: expected 0.5 to 1.0")
    if rephrased is not None and not 0.05 <= rephrased <= 1.0:
        raise UsageError(f"--rephrased {rephrased}: expected 0.05 to 1.0; 0.4 is a good first try")
    chosen = (("least", least), ("threshold", threshold), ("rephrased", rephrased))
    given = {k: v for k, v in chosen if v is not None}
    overlap = setup.pipeline.overlap.model_copy(update=given)
    setup = dataclasses.replace(setup, pipeline=setup.pipeline.model_copy(update={"overlap": overlap}))
    with workspace.work() as work:
        ingested = ingest(dataset, setup, options, workspace, work)
        if not ingested.count:
            raise InputError(f"{setup.sensitive.masked(dataset)}: has no readable sample, so nothing can be compared")
        found = find_overlaps(ingested.samples, setup, options, work)
    if found.unfinished:
        raise RuleError(
            f"{found.unfinished} samples are unfinished: parts of them stand in more places of an index than are "
            "looked at, so what was not found in them proves nothing; make a smaller index"
        )
    if found.missed:
        raise RuleError(f"{', '.join(found.missed)}: missed what was planted, so nothing it did not find is proved")
    return found


class _Run:
    """One comparison; the attributes fill as it goes."""

    def __init__(self, samples: Path, setup: Setup, options: Options, work: Path) -> None:
        self.samples, self.setup, self.options, self.work = samples, setup, options, work
        self.found: list[pa.Table] = []
        self.compared: list[str] = []
        self.missed: list[str] = []
        self.undecidable: list[str] = []
        self.unfinished: list[int] = []
        self.items = 0

    def look(self) -> None:
        """Open every source, compare, and send the probes."""
        from governance.overlap.benchmark import find_benchmark_items
        from governance.overlap.item_texts import read_items
        from governance.overlap.protected import benchmark_sources, find_protected
        from governance.overlap_probe import missed_probes

        least = self.setup.pipeline.overlap.least
        parts = []
        for name, index in self._indexes():
            items = benchmark_sources(index)
            if index.keyed or not items.all():
                late = self.unfinished
                self.found.append(find_protected(self.samples, index, name=name, least=least, unfinished=late))
            if items.any() and not index.keyed:
                parts.append((name, index))
            self._note(PROTECTED, not items.all())
            self._note(BENCHMARK, bool(items.any()))
        if parts:
            items_ = read_items(parts)
            found = find_benchmark_items(self.samples, items_, threads=self.options.workers)
            self.found.append(found.named(items_))
            if (least_cosine := self.setup.pipeline.overlap.rephrased) is not None:
                self.found.append(self._rephrased(items_, found, least_cosine))
            self.items = items_.count
            self.undecidable = [items_.table["source"][int(i)].as_py() for i in found.undecidable]
        for name, path in self._held_out():
            self.found.append(self._across(name, path))
        self.missed = missed_probes(self.compared, self.setup, self.options, self.work)

    def _rephrased(self, items: Items, found: Found, threshold: float) -> pa.Table:
        """What is like an item, without the samples that hold the very item."""
        import numpy as np

        from governance.overlap.benchmark import Found
        from governance.overlap.rephrased import find_rephrased

        wanted = np.ones(items.count, np.bool_)
        wanted[found.undecidable] = False
        like = find_rephrased(self.samples, items, wanted, threshold=threshold, threads=self.options.workers)
        known = set(zip(found.hits["place"].to_pylist(), found.hits["item"].to_pylist(), strict=True))
        pairs = zip(like["place"].to_pylist(), like["item"].to_pylist(), strict=True)
        like = like.filter(pa.array([pair not in known for pair in pairs], pa.bool_()))
        return Found(like, found.undecidable).named(items)

    def _note(self, metric: str, compared: bool) -> None:
        if compared and metric not in self.compared:
            self.compared.append(metric)

    def _indexes(self) -> Iterator[tuple[str, SourceIndex]]:
        """Open the indexes, and the benchmark files as indexes that are gone with the run."""
        from governance.index_build import build_index
        from governance.overlap.keyed import read_key
        from governance.overlap.lookup import SourceIndex

        overlap, compare = self.setup.pipeline.overlap, self.setup.compare
        key = read_key(self.options.index_key) if self.options.index_key else None
        for name, path in zip(overlap.indexes, compare.indexes, strict=True):
            yield name, SourceIndex.open(path, key)
        for i, (name, path) in enumerate(zip(overlap.benchmarks, compare.benchmarks, strict=True)):
            place = self.work / f"benchmark-{i}"
            build_index([str(path)], place, kind="benchmark", name=Path(name).name, threads=self.options.workers)
            yield name, SourceIndex.open(place)

    def _held_out(self) -> Iterator[tuple[str, Path]]:
        """Read the held-out sets as datasets."""
        from governance.pipeline import ingest

        names, paths = self.setup.pipeline.overlap.held_out, self.setup.compare.held_out
        workspace = Workspace(self.options.workspace)
        for i, (name, path) in enumerate(zip(names, paths, strict=True)):
            place = self.work / f"held-out-{i}"
            place.mkdir()
            ingested = ingest(str(path), self.setup, self.options, workspace, place)
            if bad := ingested.quarantine.num_rows:
                raise InputError(
                    f"{self.setup.sensitive.masked(str(path))}: {bad} held-out records cannot be read, so nothing can "
                    "be said of them; mend or remove them"
                )
            self._note(HELD_OUT, ingested.count > 0)
            yield name, ingested.samples

    def _across(self, name: str, others: Path) -> pa.Table:
        threshold = self.setup.pipeline.overlap.threshold
        place = self.work / "across"
        place.mkdir(exist_ok=True)
        return held_out_rows(self.samples, others, name, threshold, self.options, place)


def held_out_rows(samples: Path, others: Path, name: str, threshold: float, options: Options, work: Path) -> pa.Table:
    """Return the samples of *samples* that stand in *others*, exactly or nearly, as rows of schema FOUND."""
    import numpy as np

    from governance.dedup.across import find_across
    from governance.overlap.found import FOUND

    con = open_database(memory_limit=options.memory_limit // 2, threads=options.workers, spill=work)
    found = find_across(samples, others, con, threshold=threshold, threads=options.workers, work=work)
    con.close()
    count = found.num_rows
    rows = pa.array(found["other_row"].to_pylist(), pa.int64())
    source = [f"{f}#{r}" for f, r in zip(found["other_file"].to_pylist(), rows.to_pylist(), strict=True)]
    none, zero = pa.nulls(count, pa.string()), pa.array(np.zeros(count, np.int64))
    columns = {
        "place": _places(samples, found), "field": pa.array([""] * count, pa.string()),
        "start": zero, "end": zero, "line": zero, "end_line": zero,
        "class": pa.array(["held-out"] * count, pa.string()), "source": pa.array(source, pa.string()),
        "source_repository": none, "source_path": found["other_file"], "source_licence": none,
        "source_line": pa.nulls(count, pa.int64()), "source_end_line": pa.nulls(count, pa.int64()),
        "lexemes": zero, "score": found["similarity"], "df": pa.array(np.ones(count, np.int64)),
        "index": pa.array([name] * count, pa.string()),
    }  # fmt: skip
    return pa.table([columns[n] for n in FOUND.names], schema=FOUND)


def _places(samples: Path, found: pa.Table) -> pa.Array:
    """Return the place in the file of every sample that *found* names by ``n``."""
    import numpy as np

    with pa.memory_map(str(samples)) as source:
        reader = pa.ipc.open_file(source)
        parts = [reader.get_batch(k).column("n").to_numpy() for k in range(reader.num_record_batches)]
    numbers = np.concatenate([np.empty(0, np.int64), *parts])
    order = np.argsort(numbers, kind="stable")
    return pa.array(order[np.searchsorted(numbers[order], found["n"].to_numpy())])
