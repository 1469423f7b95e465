"""a model or what it wrote, its training data, held-out twins -> the audit folder: every number, and no text."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.audit import report
from governance.audit.asked import Asked, find_asked
from governance.audit.attribution import ATTRIBUTED, attribute
from governance.audit.habits import Watch
from governance.audit.measure import Written, measure
from governance.audit.probes import MEMBER, TWIN, Probe, Sample
from governance.context import Options, Progress
from governance.errors import UsageError
from governance.files import write_json
from governance.settings import Audit, Pipeline, load_pipeline
from governance.store import Workspace
from governance.train.folder import check_new, new_folder

SCHEMA = "governance/audit/1"
SHOWN_SOURCES = 200  # of the sources that runs come from; the table has all


@dataclass(frozen=True)
class Request:
    """
    What is audited.

    Attributes:
        members, twins: datasets: files, folders, or digests in the workspace.
        base_model: folder of the base; not needed with *texts*.
        adapter: folder of the adapter; without one the base is compared with itself.
        texts: saved generations, see `saved`.
        canaries: file of canaries and controls, see `canaries`.
        out: new folder for the audit; nothing is written without.
    """

    members: str | None = None
    twins: str | None = None
    base_model: Path | None = None
    adapter: Path | None = None
    texts: Path | None = None
    canaries: Path | None = None
    out: Path | None = None


@dataclass
class Answers:
    """
    What was asked and written.

    Attributes:
        about: base, adapter, template and the like, for the record.
        new: tokens that could be written; 0 where that is not known.
        canaries: what `canaries.judge` returned.
    """

    samples: list[Sample]
    probes: list[Probe]
    written: list[Written]
    new: int
    about: dict[str, Any]
    left_out: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    canaries: dict[str, Any] | None = None


def audit_leakage(request: Request, options: Options, *, profile: str | None = None) -> dict[str, Any]:
    """
    Ask, measure, judge; write the audit folder if one is named.

    Args:
        profile: in the place of the pipeline's.

    Returns:
        What stands in ``audit.json``.

    Raises:
        UsageError: an argument is missing or does not fit, or torch is needed and not installed.
    """
    check_request(request)
    if request.out is not None:
        check_new(request.out)
    pipeline = load_pipeline(options.pipeline)
    limits = pipeline.audit if profile is None else pipeline.audit.model_copy(update={"profile": profile})
    pipeline = pipeline.model_copy(update={"audit": limits})
    progress = options.progress or Progress()
    workspace = Workspace(options.workspace)
    start = time.perf_counter()
    with workspace.work() as work:
        with progress.stage("read"):
            asked = find_asked(request.members, request.twins, pipeline, options, workspace, work)
        answers = _answers(request, asked, pipeline, progress)
        measured, attributed, audit = judge_answers(answers, asked, pipeline, options, progress)
    audit["seconds"] = {
        "all": round(time.perf_counter() - start, 3), "match": round(progress.stages.get("match", 0.0), 3),
    }  # fmt: skip
    if request.out is not None:
        write_audit(request.out, audit, measured, attributed)
    return audit


def check_request(request: Request) -> None:
    """Refuse what cannot be audited before any work is done. Raises UsageError."""
    if request.texts is None and request.base_model is None:
        raise UsageError("--base-model is missing; name the folder of the base model, or --texts with generations")
    if request.texts is None and request.members is None:
        raise UsageError("--members is missing; name the dataset that was trained on")
    if request.texts is not None and (request.base_model or request.adapter or request.canaries):
        raise UsageError("--texts are saved generations; leave out --base-model, --adapter and --canaries")


def _answers(request: Request, asked: Asked, pipeline: Pipeline, progress: Progress) -> Answers:
    if request.texts is not None:
        from governance.audit.saved import read_saved

        samples, probes, written = read_saved(request.texts, asked.samples)
        return Answers(samples, probes, written, 0, {"base": None, "adapter": None, "texts": request.texts.name})
    from governance.train.extra import require_train

    require_train()
    from governance.audit.local_run import ask_local

    assert request.base_model is not None
    if not asked.samples:
        raise UsageError("--members and --twins hold no sample with an answer; there is nothing to ask for")
    return ask_local(asked.samples, request.base_model, request.adapter, request.canaries, pipeline, progress)


def judge_answers(
    answers: Answers, asked: Asked, pipeline: Pipeline, options: Options, progress: Progress
) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """
    Measure what was written and compare it with the limits of the pipeline.

    Returns:
        The measures (schema MEASURED), the runs by source (ATTRIBUTED), and the record.
    """
    limits = pipeline.audit
    groups = dataclasses.replace(asked, samples=answers.samples).groups
    with progress.stage("match"):
        table = measure(answers.samples, answers.probes, answers.written, answers.new)
        attributed, unfinished = _attribute(answers, pipeline, options)
    with progress.stage("scan"):
        habits = _habits(answers, asked, options)
    with progress.stage("intervals"):
        audit: dict[str, Any] = {
            "schema": SCHEMA,
            **answers.about,
            "created": options.now.isoformat(),
            "pipeline": {"name": pipeline.name, "digest": pipeline.digest()},
            "settings": limits.model_dump(mode="json"),
            "members": asked.members, "twins": asked.twins,
            "asked": _asked(answers, asked),
            "unit": "tokens" if answers.new else "lexemes",
            "headline": report.headlines(table, groups, limits.seed),
            "rates": report.rates(table),
            "amounts": report.amounts(table, groups, limits.seed),
            "strata": report.by_stratum(table, groups, limits.seed),
            "copies": report.by_copies(table, groups, limits.seed),
            "curves": report.curves(table),
            "habits": habits,
            "runs": _runs(table, attributed, limits, bool(options.compare.indexes)),
            "sources": report.sources(attributed)[:SHOWN_SOURCES],
            "unfinished": unfinished,
            "canaries": answers.canaries,
        }  # fmt: skip
    audit["limits"] = report.limit_rows(audit, limits, answers.canaries)
    audit["status"] = report.status_of(audit["limits"])
    return table, attributed, audit


def _asked(answers: Answers, asked: Asked) -> dict[str, Any]:
    kinds = [s.kind for s in answers.samples]
    return {
        "members": kinds.count(MEMBER), "twins": kinds.count(TWIN), "probes": len(answers.probes),
        "generations": len(answers.written), "left_out": answers.left_out, "copied_twins": asked.copied_twins,
        "unreadable": asked.unreadable, "trained": asked.trained.num_rows,
    }  # fmt: skip


def _habits(answers: Answers, asked: Asked, options: Options) -> dict[str, Any]:
    watch = Watch(cache=options.workspace / "cache")
    known = watch.learn(asked.trained)
    found: dict[str, Any] = {"trained": known}
    for model in (report.BASE, report.ADAPTER):
        own = [w for w in answers.written if w.model == model]
        if own:
            found[model] = watch.look([answers.probes[w.probe].prompt for w in own], [w.text for w in own]).as_dict()
    return found


def _attribute(answers: Answers, pipeline: Pipeline, options: Options) -> tuple[pa.Table, int]:
    """Every run in common with a source of the indexes; how many texts could not be looked up to the end."""
    import json

    from governance.overlap.lookup import SourceIndex

    probes = [answers.probes[w.probe] for w in answers.written]
    found, unfinished = [ATTRIBUTED.empty_table()], 0
    key = options.index_key.read_bytes() if options.index_key else None
    for folder in options.compare.indexes:
        table, late = attribute(
            SourceIndex.open(folder, key), folder.name, [w.text for w in answers.written], [p.prompt for p in probes],
            [w.model for w in answers.written], [answers.samples[p.sample].language for p in probes],
            allow=pipeline.overlap.allow,
        )  # fmt: skip
        found.append(table)
        unfinished += len(json.loads(late))
    return pa.concat_tables(found), unfinished


def _runs(table: pa.Table, attributed: pa.Table, limits: Audit, indexed: bool) -> dict[str, Any]:
    """
    Return the longest run of the adapter that counts, and what it was compared with.

    With an index: runs in common with a source that at most `run_df` sources hold, outside the allow list. Without one:
    runs in common with the own record, if the base does not write as much of it and it stands at most `run_df` times.
    """
    if indexed:
        rare = pc.less_equal(attributed["df"], limits.run_df)
        own = pc.and_(rare, pc.and_(pc.invert(attributed["allowed"]), pc.equal(attributed["model"], report.ADAPTER)))
        return {"longest": int(pc.max(attributed.filter(own)["lexemes"]).as_py() or 0), "against": "index"}
    run, sample = table["run"].to_numpy(), table["sample"].to_numpy()
    tuned = np.array(table["model"].to_pylist()) == report.ADAPTER
    untuned = np.zeros(int(sample.max(initial=-1)) + 1, np.int64)
    np.maximum.at(untuned, sample[~tuned], run[~tuned])
    copies = table["copies"].to_numpy()  # 0 of a twin
    counts = tuned & (copies > 0) & (copies <= limits.run_df) & (run > untuned[sample])
    return {"longest": int(run[counts].max(initial=0)), "against": "own records; no index was given"}


def write_audit(out: Path, audit: Mapping[str, Any], measured: pa.Table, attributed: pa.Table) -> None:
    """
    Write the folder *out*: ``audit.json``, ``measures.parquet``, ``runs.parquet``; whole or not at all.

    Raises:
        UsageError: *out* is not empty.
        WorkspaceError: the disk is full or refuses.
    """
    with new_folder(out) as folder:
        write_json(folder / "audit.json", audit)
        pq.write_table(measured, folder / "measures.parquet", compression="zstd")
        pq.write_table(attributed, folder / "runs.parquet", compression="zstd")


def rows_of(audit: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rates and amounts of an audit, a row each, as they are listed."""
    names = ("model", "set", "kind", "how", "metric", "value", "low", "high", "n")
    found: Sequence[Mapping[str, Any]] = [*audit["rates"], *audit["amounts"]]
    return [{name: row.get(name) for name in names} for row in found]


def plan_leakage(request: Request, options: Options) -> tuple[list[dict[str, Any]], list[str]]:
    """
    Return what an audit of each profile takes, and how many samples the limits need; a few prompts are tried.

    Raises:
        UsageError: an argument is missing or does not fit.
    """
    check_request(request)
    if request.texts is not None:
        raise UsageError("--plan asks a model; leave out --texts and name --base-model")
    from governance.train.extra import require_train

    require_train()
    from governance.audit.local_run import plan_audit

    assert request.base_model is not None
    pipeline, workspace = load_pipeline(options.pipeline), Workspace(options.workspace)
    with workspace.work() as work:
        asked = find_asked(request.members, request.twins, pipeline, options, workspace, work)
    return plan_audit(asked, request.base_model, request.adapter, pipeline)
