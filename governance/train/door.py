"""a dataset -> its samples in memory, if a verdict that holds approves exactly these bytes; else the reason why not.

The only way in which this project opens data for training. The order matters: the samples are read into memory of this
process, then their digest is computed from that memory, then a signed verdict is looked for that names this digest. So
what was approved is what is handed over, and a file that changes between the two changes nothing.

A verdict holds if a key of the trust file or of the policy signed it, it names this dataset and, where one is given,
this pipeline and this policy, has not expired, is PASSED, and every file of its run is as it was signed. A later run
under the pipeline of the same name that is CLOSED takes it back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from governance.errors import GateClosed, GovernanceError, SignatureError, WorkspaceError
from governance.files import read_json
from governance.gate.run_check import CheckedRun, check_run, signed_outcome
from governance.ingest import SamplesDigest, bad_digest, ingest_files, ingest_stored, whole_digest
from governance.samples import Text, iter_texts

if TYPE_CHECKING:
    from governance.gate.keys import Trust
    from governance.gate.verdict import VerifiedVerdict
    from governance.settings import Pipeline, Policy
    from governance.store import Workspace

MAPS = 8  # column maps of earlier checks that are tried where none is given


@dataclass(frozen=True)
class Wanted:
    """What a verdict has to be given under; None is any."""

    policy: Policy | None = None
    pipeline: Pipeline | None = None
    pipeline_digest: str | None = None


@dataclass(frozen=True)
class GatedDataset:
    """
    Samples that may be trained on, and why.

    Attributes:
        digest: of the dataset, computed from `samples` as they were in memory, and from `bad`.
        samples: schema SAMPLES, in memory of this process.
        bad: digest of the dataset's bad records, which nobody trains on; 32 bytes, empty without any.
        checked: the run that approves it.
    """

    digest: str
    samples: pa.Table
    bad: bytes
    checked: CheckedRun
    trust: Trust
    wanted: Wanted
    seal: bytes

    @property
    def verdict(self) -> VerifiedVerdict:
        """What approves it."""
        return self.checked.verdict

    @property
    def run(self) -> Path:
        """The folder of the run that the verdict belongs to."""
        return self.checked.folder

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that it passed under, as the signature covers it."""
        return self.checked.pipeline

    def __len__(self) -> int:
        return int(self.samples.num_rows)

    def __iter__(self) -> Iterator[list[Text]]:
        for batch in self.samples.to_batches(max_chunksize=1_000):
            yield from (texts for _, texts in iter_texts(batch))

    def recheck(self) -> None:
        """
        See again whether the data is what was approved and whether the approval still holds.

        The memory is hashed as it lies (about a second per gigabyte), which changes whenever a sample does.

        Raises:
            SignatureError, WorkspaceError: it does not, with the reason.
        """
        if seal_of(self.samples) != self.seal:
            raise SignatureError(f"the samples in memory changed after dataset {self.digest[:16]} was approved")
        _holds(self.run, self.digest, self.trust, self.wanted)


def open_gated(
    dataset: Path | str,
    workspace: Workspace,
    *,
    policy: Policy | None = None,
    pipeline: Pipeline | None = None,
    pipeline_digest: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str = "auto",
    max_row_bytes: int = 64 << 20,
    mask: Callable[[str], str] = str,
) -> GatedDataset:
    """
    Open *dataset* for training.

    Args:
        dataset: a file, a folder, or the digest of a dataset in the workspace.
        policy: if given, the verdict has to have been judged under it, and only its keys count beside the trust file.
        pipeline: if given, the pipeline that it has to have passed under, as it reads in its file.
        pipeline_digest: if given, the digest of that pipeline with its sources resolved.
        columns: as they were given to the check; without, what earlier checks of this name were given.
        encoding, max_row_bytes: as they were given to the check.
        mask: hides what may not be shown of a file's name.

    Raises:
        GateClosed: no run of the workspace has approved this dataset, or a later one closed it.
        SignatureError: there is a verdict about it and it does not hold, with the reason.
        InputError: the dataset cannot be read.
    """
    from governance.gate.keys import load_trust

    wanted = Wanted(policy, pipeline, pipeline_digest)
    given = {**(pipeline.columns if pipeline else {}), **(columns or {})}
    trust = load_trust(workspace.root, policy.trusted_keys if policy else ())
    first = ""
    for tried in [given] if given else [given, *_earlier_maps(workspace, mask(Path(dataset).name))]:
        with workspace.work() as work:
            samples, bad = _read(dataset, workspace, work, tried, encoding, max_row_bytes, mask)
        digest = digest_samples(samples, bad)
        first = first or digest
        checked = approval(workspace, digest, trust, wanted)
        if checked is not None:
            return GatedDataset(digest, samples, bad, checked, trust, wanted, seal_of(samples))
    raise GateClosed(
        f"dataset {first[:16]} was never checked in {workspace.root}, or it changed since; "
        "run: governance check, with the same pipeline"
    )


def approval(workspace: Workspace, digest: str, trust: Trust, wanted: Wanted) -> CheckedRun | None:
    """
    Return the newest run that approves *digest*; None if there is no run about it.

    Raises:
        GateClosed, SignatureError, WorkspaceError: there are runs, and none that opens the gate.
    """
    reasons: list[GovernanceError] = []
    closed: dict[str, str] = {}  # pipeline -> run
    for run in _runs_about(workspace, digest):
        try:
            checked = _holds(run, digest, trust, wanted)
        except GovernanceError as problem:
            reasons.append(problem)
            outcome = signed_outcome(run, trust)
            if outcome is not None and outcome[0] != "PASSED" and outcome[2] == digest:
                closed.setdefault(outcome[1], run.name)
            continue
        later = closed.get(checked.verdict.pipeline)
        if later is not None:
            raise GateClosed(
                f"dataset {digest[:16]} passed in run {run.name} and was CLOSED by the later run {later} under the "
                f"pipeline of the same name; see: governance report {later}"
            )
        return checked
    if reasons:
        raise reasons[0]
    return None


def _holds(run: Path, digest: str, trust: Trust, wanted: Wanted) -> CheckedRun:
    return check_run(
        run, trust, now=_now(), digest=digest, policy=wanted.policy, pipeline=wanted.pipeline,
        pipeline_digest=wanted.pipeline_digest,
    )  # fmt: skip


def _runs_about(workspace: Workspace, digest: str) -> list[Path]:
    """The runs whose evidence names this dataset, newest first; what a damaged run says is not believed anyway."""
    names = [r["run"] for r in workspace.list_runs() if r["digest"] == digest]
    return [workspace.runs / name for name in names]


def _earlier_maps(workspace: Workspace, name: str) -> list[dict[str, str]]:
    """
    The column maps that datasets of this name were checked with, newest first.

    A hint alone: what is read with it has another digest than what was read with another map.
    """
    maps: list[dict[str, str]] = []
    for row in workspace.list_runs():
        if row["dataset"] == name and len(maps) < MAPS:
            try:
                found = read_json(workspace.runs / row["run"] / "evidence.json")["dataset"]["columns"]
                found = {str(k): str(v) for k, v in found.items()}
            except (WorkspaceError, KeyError, TypeError, AttributeError):
                continue
            if found and found not in maps:
                maps.append(found)
    return maps


def _read(
    dataset: Path | str, workspace: Workspace, work: Path, columns: dict[str, str], encoding: str, max_row_bytes: int,
    mask: Callable[[str], str],
) -> tuple[pa.Table, bytes]:  # fmt: skip
    """Return the samples, in memory, and the digest of the bad records."""
    stored = workspace.dataset_file(str(dataset))
    if stored is not None:
        ingested = ingest_stored(stored, stored.parent.name, work)
    else:
        ingested = ingest_files(
            Path(dataset), work, columns=columns, encoding=encoding, max_row_bytes=max_row_bytes, mask=mask
        )
    # Read, not mapped: what is mapped changes with the file.
    with pa.OSFile(str(ingested.samples)) as source:
        samples = pa.ipc.open_file(pa.BufferReader(source.read_buffer())).read_all()
    return samples, bad_digest(ingested, stored)


def digest_samples(samples: pa.Table, bad: bytes = b"") -> str:
    """Return the digest of the dataset of *samples* (schema SAMPLES) and *bad* records, computed from their bytes."""
    seen = SamplesDigest()
    for batch in samples.to_batches(max_chunksize=1_000):
        seen.update(batch)
    return whole_digest(seen.digest(), bad)


def seal_of(table: pa.Table) -> bytes:
    """
    Return the SHA-256 of the memory that *table* lies in, 32 bytes: another value in it is another seal.

    Equal tables that lie otherwise have other seals: it says that nothing was touched, not what a table holds.
    """
    digest = hashlib.sha256()
    for column in table.columns:
        for chunk in column.chunks:
            digest.update(f"{chunk.type} {len(chunk)} {chunk.offset}\n".encode())
            for buffer in chunk.buffers():
                digest.update(b"-" if buffer is None else b"%d\n" % buffer.size)
                if buffer is not None:
                    digest.update(buffer)
    return digest.digest()


def _now() -> dt.datetime:
    """The clock of the machine; SOURCE_DATE_EPOCH changes what is written, never what has expired."""
    return dt.datetime.now(dt.UTC)


def describe(data: GatedDataset) -> dict[str, Any]:
    """Return what an adapter records of the data that it saw."""
    return {
        "dataset": data.digest,
        "samples": len(data),
        "run": data.run.name,
        "pipeline": data.verdict.pipeline_digest,
        "rules": data.verdict.rules_digest,
        "policy": data.verdict.policy_digest,
        "signer": data.verdict.keyid,
        "signed_here": data.verdict.signed_here,
        "expires": data.verdict.expires.isoformat(),
    }


def iter_records(samples: pa.Table | Iterable[pa.RecordBatch]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, record) of every sample: the record as the user gave it, with its texts in their places."""
    from governance.ingest import fill_record

    batches = samples.to_batches(max_chunksize=1_000) if isinstance(samples, pa.Table) else samples
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("file", "record", "texts"))
        for file, record, texts in zip(*columns, strict=True):
            yield file, fill_record(record, {t["field"]: t["text"] for t in texts})
