"""a dataset -> training, validation, test and audit files by whole groups, compared with each other after writing.

A *group* is what has to stay together: samples that are equal or near each other, over any chain (`dedup.components`),
and where asked those of one class (column ``group``) or one repository. The parts are written, read back as any other
dataset would be, and every two of them are searched for copies; the folder appears only if there are none.

What several samples were asked in the same words is compared as a whole (see `dedup.cluster`), and which prompts are
shared depends on what is compared. So two parts alone may hold a pair that was none in the dataset. Such groups are
joined and the split is made again.
"""

from __future__ import annotations

import math
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.context import Options, Progress, Setup
from governance.dedup.across import match_contents, read_contents
from governance.dedup.assign import apportion, assign_components
from governance.dedup.components import Links, chance_overlap, column_keys, join_equal, join_pairs, link_samples
from governance.engines.tables import open_database, read_samples
from governance.errors import GateClosed, UsageError, WorkspaceError
from governance.files import sync_tree, write_json
from governance.gate.copies import shown_name
from governance.ingest import Ingested, fill_record, ingest_files, write_records
from governance.pipeline import ingest, prepare
from governance.samples import ORIGINS, SAMPLES
from governance.store import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

SCHEMA = "governance/split/1"
PARTS = ("train", "validation", "test", "audit")
TIES = ("cluster", "group", "repository")
STRATA = ("step", "language", "repository", "licence", "group")
ROUNDS = 5  # splits; one is the rule, see above
RANDOM_SEEDS = 5  # random splits that the result is compared with
LISTED_STRATA = 200  # strata in split.json; the rest is one line


@dataclass(frozen=True)
class SplitSettings:
    """
    What decides a split, beside the data.

    Attributes:
        train, validation, test: shares; they sum to 1. A part with the share 0 is not written.
        audit: samples that are held out as twins, for the audit after training; taken before the shares.
        seed: another one gives another split.
        by: what a group is: ``cluster`` always, ``group`` and ``repository`` where named.
        stratify: columns whose values every part gets in proportion.
        threshold: Jaccard similarity from which two samples stay together, 0.5 to 1.

    Raises:
        UsageError: a value that cannot be.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    audit: int = 0
    seed: int = 0
    by: tuple[str, ...] = ("cluster", "group")
    stratify: tuple[str, ...] = ("step", "language")
    threshold: float = 0.6

    def __post_init__(self) -> None:
        shares = [self.train, self.validation, self.test]
        if not all(math.isfinite(s) and 0 <= s <= 1 for s in shares) or abs(sum(shares) - 1) > 1e-6:
            raise UsageError(
                f"--train {self.train} --validation {self.validation} --test {self.test} sum to {sum(shares):g}; "
                "expected shares from 0 to 1 that sum to 1"
            )
        if self.train <= 0:
            raise UsageError("--train 0: expected a share above 0; without training data there is nothing to hold out")
        if self.audit < 0:
            raise UsageError(f"--audit {self.audit}: expected a number of samples, 0 or more")
        if not 0.5 <= self.threshold <= 1:
            raise UsageError(f"--threshold is {self.threshold}, expected 0.5 to 1")
        for name, values, allowed in (("by", self.by, TIES), ("stratify", self.stratify, STRATA)):
            wrong = [v for v in values if v not in allowed]
            if wrong:
                raise UsageError(f"--{name} {wrong[0]!r}: expected one or more of {','.join(allowed)}")


@dataclass(frozen=True)
class _Bench:
    """What every step of one split needs."""

    setup: Setup
    options: Options
    settings: SplitSettings
    work: Path
    con: DuckDBPyConnection

    @property
    def progress(self) -> Progress:
        """Who is told of the stages."""
        return self.options.progress or Progress()

    @property
    def copies_at(self) -> float:
        """The similarity from which a sample of one part is a copy of one in another."""
        return max(self.setup.pipeline.dedup.threshold, self.settings.threshold)


def split_dataset(dataset: Path | str, out: Path, settings: SplitSettings, options: Options) -> dict[str, Any]:
    """
    Split *dataset* into the folder *out*: a file per part in the format of the dataset, and ``split.json``.

    Shape, columns and key order are those of the input, the order of rows too. Records that cannot be read are in no
    part; they are counted, and kept in the quarantine of the workspace.

    Returns:
        What stands in ``split.json``: settings, digests, counts, overlap between the parts. No text.

    Raises:
        UsageError: *out* exists, a part would be empty, or *settings* do not fit the dataset.
        GateClosed: two parts still share a copy; nothing is written.
    """
    _check_folder(dataset, out)
    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    with workspace.work() as work:
        ingested = ingest(dataset, setup, options, workspace, work)
        if settings.audit >= max(ingested.count, 1) or not ingested.count:
            raise UsageError(_too_few(setup.sensitive.masked(str(dataset)), ingested, settings))
        spill = work / "spill"
        spill.mkdir(exist_ok=True)
        con = open_database(memory_limit=options.shares.search, threads=options.shares.threads, spill=spill)
        bench = _Bench(setup, options, settings, work, con)
        with _new_folder(out) as folder:
            account, dealt = _split(bench, ingested, folder)
            account["dataset"]["name"] = setup.sensitive.masked(Path(dataset).name)
            write_json(folder / "split.json", account)
            _keep(workspace, ingested, dealt)
        con.close()
    return account


def _check_folder(dataset: Path | str, out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out}: exists already; nothing is overwritten, name another folder")
    if Path(dataset).is_dir() and Path(dataset).resolve() in [out.resolve(), *out.resolve().parents]:
        raise UsageError(f"{out}: lies in the dataset's own folder and would become part of it; name another folder")


def _too_few(name: str, ingested: Ingested, settings: SplitSettings) -> str:
    if not ingested.count:
        bad = f"; {ingested.quarantine.num_rows} records cannot be read" if ingested.quarantine.num_rows else ""
        return f"{name}: has no sample that can be read{bad}; there is nothing to split"
    return f"--audit {settings.audit}: {name} has {ingested.count} samples; hold out fewer than that"


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside *out* that becomes *out* at the end, or is gone."""
    temporary = out.parent / f".{out.name}.{secrets.token_hex(6)}.tmp"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        sync_tree(temporary)
        temporary.rename(out)
    except OSError as problem:
        raise WorkspaceError(f"{out}: cannot be written: {problem.strerror}; choose another place") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True)
class _Plan:
    """What is to be dealt out: the group and the stratum of every sample, and how many samples each part wants."""

    component: NDArray[np.int64]
    largest: dict[str, int]  # samples of the largest group after each tie was made
    strata: NDArray[np.int64]
    names: list[tuple[str | None, ...]]  # values of each stratum
    wanted: dict[str, int]


@dataclass(frozen=True)
class _Dealt:
    """A split that was written and compared: the part of every sample, the parts as they were read back, the copies."""

    component: NDArray[np.int64]
    part: NDArray[np.int64]
    read: dict[str, Ingested]
    overlap: list[dict[str, Any]]
    rounds: int


def _split(bench: _Bench, ingested: Ingested, folder: Path) -> tuple[dict[str, Any], _Dealt]:
    """Write the parts into *folder*; returns the account and what was dealt."""
    settings, samples = bench.settings, read_samples(ingested.samples)
    with bench.progress.stage("dedup"):
        links = link_samples(
            ingested.samples, bench.con, threshold=settings.threshold, threads=bench.options.workers,
            work=bench.work / "spill",
        )  # fmt: skip
    plan = _Plan(
        *_groups(links, samples, settings), *_strata(samples, settings.stratify), _wanted(samples.num_rows, settings)
    )
    dealt = _deal(bench, ingested, plan, folder)
    account = _account(bench, ingested, plan, dealt)
    chance = chance_overlap(links, dealt.part, threshold=bench.copies_at, seeds=RANDOM_SEEDS)
    names = list(plan.wanted)
    account["random"] = {
        "seeds": RANDOM_SEEDS,
        "complete": links.complete,
        "parts": {names[k]: {"exact": exact, "copies": copies} for k, (exact, copies) in chance.items()},
    }
    account["strata"] = _strata_rows(plan, dealt.part, settings.stratify, bench.setup.sensitive.masked)
    return account, dealt


def _deal(bench: _Bench, ingested: Ingested, plan: _Plan, folder: Path) -> _Dealt:
    """
    Assign, write, read back and compare, until no two parts share a copy.

    Raises:
        UsageError: a part would be empty.
        GateClosed: it does not come to rest.
    """
    component, ids = plan.component, sample_ids(ingested)
    for rounds in range(1, ROUNDS + 1):
        part = assign_components(component, ids, plan.strata, list(plan.wanted.values()), seed=bench.settings.seed)
        _refuse_empty(part, plan, component)
        with bench.progress.stage("write"):
            read = _write_parts(bench, ingested, part, plan.wanted, folder)
        with bench.progress.stage("compare"):
            overlap, pairs = _compare(bench, read)
        if not pairs:
            return _Dealt(component, part, read, overlap, rounds)
        component = _joined(bench, ingested, component, part, pairs)
    raise GateClosed(f"after {ROUNDS} splits two parts still share a copy; nothing was written")


def sample_ids(ingested: Ingested) -> NDArray[np.bytes_]:
    """Return the ids of all samples, shape (n,), as bytes that sort like the ids."""
    return np.array(read_samples(ingested.samples)["sample_id"].to_pylist(), dtype="S64")


def _groups(links: Links, samples: pa.Table, settings: SplitSettings) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return the component of every sample, and the samples of the largest one after every tie was made."""
    component = links.component
    largest = {"cluster": _largest(component)}
    for column in ("group", "repository"):
        if column in settings.by:
            component = join_equal(component, column_keys(samples[column]))
            largest[column] = _largest(component)
    return component, largest


def _largest(component: NDArray[np.int64]) -> int:
    return int(np.bincount(component).max(initial=0))


def _strata(samples: pa.Table, columns: Sequence[str]) -> tuple[NDArray[np.int64], list[tuple[str | None, ...]]]:
    """
    Number the strata of the samples by their values, so that the order of rows changes nothing.

    Returns:
        Shape (n,), from 0, and the values of each stratum.
    """
    values = [samples[c].to_pylist() for c in columns]
    rows = list(zip(*values, strict=True)) if values else [()] * samples.num_rows
    names = sorted(set(rows), key=lambda row: tuple((v is not None, v or "") for v in row))
    number = {row: k for k, row in enumerate(names)}
    return np.fromiter((number[row] for row in rows), np.int64, len(rows)), names


def _wanted(count: int, settings: SplitSettings) -> dict[str, int]:
    """Return how many samples each part should have; what has no share is left out."""
    shares = {"train": settings.train, "validation": settings.validation, "test": settings.test}
    shares = {name: share for name, share in shares.items() if share > 0}
    numbers = apportion(count - settings.audit, list(shares.values()))
    # A part that was asked for is filled, if only with the smallest group, so it wants at least one.
    wanted = {name: max(n, 1) for name, n in zip(shares, numbers, strict=True)}
    return wanted | ({"audit": settings.audit} if settings.audit else {})


def _refuse_empty(part: NDArray[np.int64], plan: _Plan, component: NDArray[np.int64]) -> None:
    sizes = np.bincount(part, minlength=len(plan.wanted))
    empty = [name for k, name in enumerate(plan.wanted) if not sizes[k]]
    if empty:
        groups = np.unique(component).size
        held = f"the largest has {_largest(component)}"
        raise UsageError(
            f"{' and '.join(empty)} would be empty: {part.size} samples are {groups} group{'s' * (groups != 1)} "
            f"({held}), and a group is not divided; ask for fewer parts, or tie by less (--by)"
        )


def _write_parts(
    bench: _Bench, ingested: Ingested, part: NDArray[np.int64], wanted: Mapping[str, int], folder: Path
) -> dict[str, Ingested]:
    """Write a file per part and read each back as any dataset is read."""
    formats = {f.format for f in ingested.files}
    suffix = formats.pop() if len(formats) == 1 else ""
    suffix = "jsonl" if suffix in ("", "arrow", "stored") else suffix
    schema = _parquet_schema(ingested) if suffix == "parquet" else None
    read = {}
    for k, name in enumerate(wanted):
        path = folder / f"{name}.{suffix}"
        write_records(_records(ingested.samples, part == k), path, parquet_schema=schema)
        place = bench.work / f"part-{name}"
        place.mkdir(exist_ok=True)
        read[name] = ingest_files(
            path, place, columns={**bench.setup.pipeline.columns, **bench.options.columns},
            max_row_bytes=bench.options.max_row_bytes, processes=bench.options.workers,
        )  # fmt: skip
        if read[name].count != int((part == k).sum()):
            raise GateClosed(
                f"{path.name}: {read[name].count} samples were read back, {int((part == k).sum())} were written; "
                "convert the dataset to .jsonl and split that"
            )
    return read


def _parquet_schema(ingested: Ingested) -> pa.Schema | None:
    import pyarrow.parquet as pq

    schemas = [pq.read_schema(f.path) for f in ingested.files]
    return schemas[0] if all(s.equals(schemas[0]) for s in schemas) else None


def _records(samples: Path, chosen: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
    """Yield the records of the *chosen* samples, batch by batch, in their order."""
    for batch in _batches(samples, chosen):
        for record, texts in zip(batch.column("record").to_pylist(), batch.column("texts").to_pylist(), strict=True):
            yield fill_record(record, {t["field"]: t["text"] for t in texts})


def _batches(samples: Path, chosen: NDArray[np.bool_]) -> Iterator[pa.RecordBatch]:
    base = 0
    with pa.memory_map(str(samples)) as source:
        reader = pa.ipc.open_file(source)
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k)
            mask = chosen[base : base + batch.num_rows]
            base += batch.num_rows
            if mask.any():
                yield batch if mask.all() else batch.filter(pa.array(mask))


def _compare(bench: _Bench, read: Mapping[str, Ingested]) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """Return the copies between every two parts, and which two have any."""
    rows, shared = [], []
    names, threads, spill = list(read), bench.options.workers, bench.work / "spill"
    contents = {name: read_contents(part.samples, threads=threads, work=spill) for name, part in read.items()}
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            found = match_contents(
                contents[names[j]], contents[first], bench.con, threshold=bench.copies_at, threads=threads, work=spill
            )
            kinds = found["kind"].to_pylist()
            exact = kinds.count("exact")
            rows.append({"part": names[j], "against": first, "exact": exact, "near": len(kinds) - exact})
            if kinds:
                shared.append((i, j))
    return rows, shared


def _joined(
    bench: _Bench,
    ingested: Ingested,
    component: NDArray[np.int64],
    part: NDArray[np.int64],
    pairs: Sequence[tuple[int, int]],
) -> NDArray[np.int64]:
    """Join the groups that are near each other in two parts alone, over all their pairs, not only those reported."""
    for i, j in pairs:
        chosen = (part == i) | (part == j)
        path = bench.work / "two-parts.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
            base = 0
            for batch in _batches(ingested.samples, chosen):
                numbers = pa.array(np.arange(base, base + batch.num_rows))
                writer.write_batch(batch.set_column(0, "n", numbers))
                base += batch.num_rows
        rows = np.flatnonzero(chosen)
        links = link_samples(path, bench.con, threshold=bench.copies_at, threads=bench.options.workers)
        component = join_pairs(component, rows, rows[links.component])
    return component


def _account(bench: _Bench, ingested: Ingested, plan: _Plan, dealt: _Dealt) -> dict[str, Any]:
    first = np.unique(dealt.component, return_index=True)[1]
    sizes = np.bincount(dealt.component)[dealt.component[first]]
    size, count = np.unique(sizes, return_counts=True)
    samples = np.bincount(dealt.part, minlength=len(plan.wanted)).tolist()
    groups = np.bincount(dealt.part[first], minlength=len(plan.wanted)).tolist()
    files = {name: read.files[0] for name, read in dealt.read.items()}
    return {
        "schema": SCHEMA,
        "dataset": {
            "digest": ingested.digest,
            "records": ingested.records,
            "samples": ingested.count,
            "quarantined": ingested.quarantine.num_rows,
        },
        "settings": {**asdict(bench.settings), "copies_at": bench.copies_at},
        "rounds": dealt.rounds,
        "groups": {
            "count": int(first.size),
            "largest": plan.largest,
            "sizes": {str(s): int(c) for s, c in zip(size.tolist(), count.tolist(), strict=True)},
        },
        "parts": {
            name: {
                "file": files[name].path.name, "sha256": files[name].sha256, "digest": dealt.read[name].digest,
                "samples": samples[k], "wanted": plan.wanted[name], "groups": groups[k],
            }
            for k, name in enumerate(plan.wanted)
        },
        "overlap": dealt.overlap,
    }  # fmt: skip


def _strata_rows(
    plan: _Plan, part: NDArray[np.int64], columns: Sequence[str], mask: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Return the samples of every stratum per part, the largest strata first; what is left over is one line."""
    if not columns:
        return []
    parts, width = list(plan.wanted), len(plan.names)
    counts = np.bincount(plan.strata * len(parts) + part, minlength=width * len(parts)).reshape(width, -1)
    order = np.argsort(-counts.sum(axis=1), kind="stable").tolist()
    rows = [
        {
            **{c: shown_name(v, mask) for c, v in zip(columns, plan.names[k], strict=True)},
            **{name: int(counts[k, p]) for p, name in enumerate(parts)},
        }
        for k in order[:LISTED_STRATA]
    ]
    if order[LISTED_STRATA:]:
        rest = counts[order[LISTED_STRATA:]].sum(axis=0)
        rows.append({"strata": width - LISTED_STRATA, **{name: int(rest[p]) for p, name in enumerate(parts)}})
    return rows


def _keep(workspace: Workspace, ingested: Ingested, dealt: _Dealt) -> None:
    """Note in the dataset store what the parts were made from, and keep the records that are in none."""
    workspace.save_quarantine(ingested.digest, ingested.quarantine)
    lost, origins = workspace.losses(ingested.digest), workspace.origins(ingested.digest)
    for k, part in enumerate(dealt.read.values()):
        files = [{"name": f.name, "sha256": f.sha256, "bytes": f.bytes} for f in part.files]
        manifest: dict[str, Any] = {"samples": part.count, "files": files, "parents": [ingested.digest]}
        if lost is not None:  # what cleaning lost on the way is lost for every part
            manifest["losses"] = lost.to_pylist()
        workspace.save_dataset(part.digest, part.samples, manifest)
        if origins is not None:
            place = {n: i for i, n in enumerate(np.flatnonzero(dealt.part == k).tolist())}
            rows = [{**row, "n": place[row["n"]]} for row in origins.to_pylist() if row["n"] in place]
            workspace.save_origins(part.digest, pa.Table.from_pylist(rows, schema=ORIGINS))
