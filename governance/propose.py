"""a dataset, a pipeline -> a pipeline file of one's own, with limits beside today's numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml

from governance.context import Options, Setup
from governance.errors import UsageError
from governance.files import write_durably
from governance.gate.judge import GateResult
from governance.pipeline import ingest, judge, measure_samples, prepare
from governance.settings import Pipeline, pipeline_path
from governance.store import Workspace

GUESSES = {
    "instruction": ("instruction", "question", "query", "prompt", "problem", "task", "request", "ask"),
    "input": ("input", "context", "passage", "background"),
    "output": ("output", "answer", "response", "completion", "solution", "code", "target", "label", "reply"),
    "licence": ("licence", "license"),
}
"""Role -> names of columns that usually play it."""


def propose_pipeline(dataset: str | None, out: Path, options: Options) -> None:
    """
    Write the pipeline file *out*; with a dataset, each gate carries the number measured on it today.

    A limit stays the shipped one even where today's number is over it, for a limit is what one wants to reach; the
    comment says what a ratchet ("never worse than today") would be.

    Raises:
        UsageError: *out* exists.
    """
    if out.exists():
        raise UsageError(f"{out}: exists; name another file with --out")
    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    results: dict[str, GateResult] = {}
    columns: dict[str, str] = dict(options.columns)
    if dataset is not None:
        with workspace.work() as work:
            ingested = ingest(dataset, setup, options, workspace, work)
            if not ingested.count and ingested.quarantine.num_rows:
                columns |= _guess_columns(ingested.quarantine.slice(0, 100).to_pylist())
                if columns:
                    options = dataclasses.replace(options, columns=columns)
                    ingested = ingest(dataset, setup, options, workspace, work)
            measured = measure_samples(ingested, setup, options, work)
            results = {r.gate: r for r in judge(measured, setup, options).results}
            measured.connection.close()
    write_durably(out, _text(setup, columns, results, dataset, pipeline_path(options.pipeline).parent).encode())


def _guess_columns(bad: list[dict[str, Any]]) -> dict[str, str]:
    """A column map for records of no known shape, from the names of their columns."""
    keys: dict[str, None] = {}
    for record in bad:
        try:
            value = json.loads(bytes(record["raw"]))
        except (ValueError, TypeError):
            continue
        if isinstance(value, dict):
            keys |= dict.fromkeys(k for k, v in value.items() if isinstance(v, str))
    found: dict[str, str] = {}
    for role, names in GUESSES.items():
        for name in names:
            hit = next((k for k in keys if k.lower() == name and k not in found), None)
            if hit is not None:
                found[hit] = role
                break
    return found if "output" in found.values() else {}


def _text(
    setup: Setup, columns: dict[str, str], results: dict[str, GateResult], dataset: str | None, base: Path
) -> str:
    pipeline: Pipeline = setup.pipeline
    rest = pipeline.model_dump(mode="json", exclude={"gates"}, exclude_defaults=True)
    if pipeline.rule_folders:  # relative to the file they stand in
        rest["rule_folders"] = [str((base / f).resolve()) for f in pipeline.rule_folders]
    head = rest | {
        "name": "own", "title": pipeline.title, "title_zh": pipeline.title_zh, "instruction": pipeline.instruction,
        "packs": pipeline.packs, "columns": {**pipeline.columns, **columns}, "disable": pipeline.disable,
        "dedup": pipeline.dedup.model_dump(), "expires_days": pipeline.expires_days,
    }  # fmt: skip
    lines = [f"# Proposed from the pipeline {pipeline.name!r}." + (" Numbers are today's." if dataset else "")]
    lines.append(_dump({k: v for k, v in head.items() if v}).rstrip())
    lines.append("gates:")
    for name, spec in pipeline.gates.items():
        fields = spec.model_dump(mode="json", exclude_defaults=True)
        if name in results:
            lines.append(f"  # today: {_today(results[name])}")
        lines += ["  " + line for line in _dump({name: fields}).rstrip().splitlines()]
    return "\n".join(lines) + "\n"


def _today(result: GateResult) -> str:
    if result.value is None:
        return result.detail or "not measured"
    number = f"{result.value:.4g}" if result.spec.unit == "rate" else f"{result.failed}"
    over = f"; closed, a ratchet would be {number}" if result.value > result.spec.limit else "; open"
    return f"{number} ({result.failed:,} of {result.checked:,} {result.spec.of}){over}"


def _dump(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=110)
    return text
