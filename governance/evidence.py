"""measured tables, a verdict -> an immutable run folder: evidence, tables, documents, signature."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import platform
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import governance
from governance.context import Checked, Measured, Options, Setup
from governance.files import canonical, sha256_file, write_json
from governance.gate import metrics
from governance.gate.copies import copy_facts
from governance.gate.judge import GateResult, Verdict
from governance.gate.measure import worst_places
from governance.gate.overlap_facts import overlap_facts
from governance.gate.recorder import Recorder
from governance.report.stored import run_spans
from governance.store import Workspace

SCHEMA = "governance/evidence/1"
COMPARED = ("protected-overlap", "benchmark-overlap", "held-out-overlap")  # metrics whose places `overlap` lists
TOOLS = (
    "duckdb", "pyarrow", "hyperscan", "google-re2", "numba", "numpy", "great_expectations", "presidio_anonymizer",
    "tree-sitter",
)  # fmt: skip


def write_run(
    name: str,
    measured: Measured,
    setup: Setup,
    options: Options,
    workspace: Workspace,
    verdict: Verdict,
    ledger: Any,
    recorder: Recorder | None,
) -> Checked:
    """
    Write the run and return it.

    The folder holds ``evidence.json``, the tables as Parquet, the documents, ``gx/`` where recording is on,
    ``manifest.json``, which lists the SHA-256 of all of them, and ``verdict.dsse.json``, which signs the manifest.
    """
    from governance.gate.signing import make_statement, sign
    from governance.report.documents import evidence_json, write_documents
    from governance.report.tables import RunTables

    digest = measured.ingested.digest
    wanted = f"{options.now:%Y%m%dT%H%M%SZ}-{digest[:8]}-{setup.pipeline.digest()[:4]}"
    with workspace.new_run(wanted) as (run, folder):
        if recorder is not None:
            recorder.start(verdict.results, folder / "gx", run, options.now)
        write_tables(measured, folder, ledger)
        tables = RunTables.read(folder)

        def write(judged: Verdict) -> dict[str, Any]:
            evidence = build_evidence(run, name, measured, setup, options, judged, ledger)
            (folder / "evidence.json").write_text(evidence_json(evidence), "utf-8")
            spans = run_spans(workspace, evidence, tables, sensitive=setup.sensitive)
            write_documents(folder, evidence, tables, spans, options.formats)
            return evidence

        evidence = write(verdict)  # while the gates are recorded
        if recorder is not None and (lines := recorder.disagreements()):
            verdict = _closed(verdict, lines)
            evidence = write(verdict)
        write_json(folder / "manifest.json", _manifest(run, folder, setup, options, digest))
        statement = make_statement(
            verdict, dataset=evidence["dataset"]["name"], digest=digest,
            pipeline=(setup.pipeline.name, setup.pipeline.digest()), rules_digest=setup.digest,
            policy=(setup.policy.name, setup.policy.digest()) if setup.policy else None, run=run,
            created=options.now, expires=expiry(measured, setup, options),
            manifest=sha256_file(folder / "manifest.json"),
            accepted=sum(f["accepted"] for f in evidence["findings"]),
        )  # fmt: skip
        (folder / "verdict.dsse.json").write_bytes(canonical(sign(statement, signing_key(options, workspace))))
    return Checked(run, workspace.runs / run, evidence, verdict)


def signing_key(options: Options, workspace: Workspace) -> Any:
    """The key that signs: of ``--signing-key``, of the environment, or the workspace's own. Raises UsageError."""
    from governance.gate.keys import load_signing_key

    environ = {"GOVERNANCE_SIGNING_KEY": str(options.signing_key)} if options.signing_key else os.environ
    return load_signing_key(workspace.root, environ)


def expiry(measured: Measured, setup: Setup, options: Options) -> dt.datetime:
    """The last moment of the verdict: the pipeline's days, the policy's, or the end of an acceptance it stands on."""
    days = setup.pipeline.expires_days
    if setup.policy and setup.policy.expires_days:
        days = min(days, setup.policy.expires_days)
    end = options.now + dt.timedelta(days=days)
    if measured.baseline and measured.baseline.expires:
        end = min(end, dt.datetime.combine(measured.baseline.expires, dt.time(), dt.UTC))
    return end


def _closed(verdict: Verdict, lines: list[str]) -> Verdict:
    """Where Great Expectations does not agree, one line per gate, the verdict is CLOSED."""
    disagreements = [f"the recorder disagrees: {d}" for d in lines]
    return dataclasses.replace(verdict, status="CLOSED", reasons=(*verdict.reasons, *disagreements))


def build_evidence(
    run: str, name: str, measured: Measured, setup: Setup, options: Options, verdict: Verdict, ledger: Any
) -> dict[str, Any]:
    """Return ``evidence.json`` as a value; its keys are in docs/architecture.md, its schema in reports/."""
    from governance.report.checklist import checklist_items
    from governance.report.messages import rule_texts

    rules = {r.rule_id: r for r in setup.rules}
    con, ingested, pipeline = measured.connection, measured.ingested, setup.pipeline
    evidence: dict[str, Any] = {
        "schema": SCHEMA,
        "run": run,
        "created": timestamp(options.now),
        "tool": {"name": "governance", "version": governance.__version__},
        "verdict": {
            "status": verdict.status,
            "expires": timestamp(expiry(measured, setup, options)),
            "reasons": list(verdict.reasons),
        },
        "dataset": {
            "name": setup.sensitive.masked(Path(name).name),
            "digest": ingested.digest,
            "records": ingested.records,
            "samples": ingested.count,
            "quarantined": ingested.quarantine.num_rows,
            **metrics.dataset_facts(con),
            "unchanged": not any("changed while it was checked" in r for r in verdict.reasons),
            "columns": {**pipeline.columns, **options.columns},
            "files": [
                {
                    "name": f.name, "sha256": f.sha256, "bytes": f.bytes, "format": f.format, "encoding": f.encoding,
                    "shape": f.shape, "records": f.records, "quarantined": f.quarantined,
                }
                for f in ingested.files
            ],
        },
        "pipeline": {"name": pipeline.name, "digest": pipeline.digest()},
        "policy": {"name": setup.policy.name, "digest": setup.policy.digest()} if setup.policy else None,
        "rules": {
            "digest": setup.digest,
            "packs": sorted({r.pack for r in setup.rules}),
            "count": len(setup.rules),
            "disabled": list(pipeline.disable),
            "replaced": list(pipeline.replace),
            "changed": sorted(pipeline.params),
            "folders": len(pipeline.rule_folders) + len(options.rules),
        },
        "metrics": metrics.metric_values(con),
        "gates": [_gate(con, g, setup, options, (setup.sensitive.masked(name), run)) for g in verdict.results],
        "baseline": _baseline(measured),
        "expectations": [
            {"name": e.name, "status": e.status, "checked": e.checked, "required": e.required, "detail": e.detail}
            for e in measured.expectations
        ],
        "breaches": [g.gate for g in verdict.breaches],
        "findings": [f | rule_texts(rules[f["rule"]]) for f in metrics.finding_counts(con)],
        "probes": {
            "planted": measured.planted,
            "found": measured.planted - len(measured.missed),
            "missed": measured.missed,
        },
        "duplicates": {
            **metrics.duplicate_facts(con, pipeline.dedup.threshold),
            **copy_facts(con, measured.tables.samples, measured.search, setup.sensitive.masked),
            "renamed": len(measured.tables.copies["sample_id"].unique()),
            "stricter_licences": count_stricter(measured.tables),
        },
        "overlaps": overlap_facts(
            con, measured.compared, pipeline.overlap, measured.items, measured.undecidable, setup.sensitive.masked
        ),
        "distributions": metrics.distributions(con),
        "ledger": ledger.summary() if ledger else None,
    }  # fmt: skip
    evidence["checklist"] = checklist_items(evidence)
    return evidence


def _baseline(measured: Measured) -> dict[str, Any] | None:
    use = measured.baseline
    if use is None:
        return None
    expires = use.expires.isoformat() if use.expires else None
    return {"sha256": use.sha256, "entries": use.entries, "used": use.used, "expires": expires}


def _gate(con: Any, result: GateResult, setup: Setup, options: Options, names: tuple[str, str]) -> dict[str, Any]:
    spec = result.spec
    worst = worst_places(con, spec, setup.gate_rules(result.gate)) if result.failed else []
    return {
        "gate": result.gate,
        "metric": spec.metric,
        "title": spec.title or result.gate,
        "title_zh": spec.title_zh or spec.title or result.gate,
        "status": result.status,
        "level": spec.level,
        "required": spec.required,
        "checked": result.checked,
        "failed": result.failed,
        "value": result.value,
        "limit": spec.limit,
        "unit": spec.unit,
        "of": spec.of,
        "detail": result.detail,
        "worst": worst,
        "remedy": spec.remedy,
        "command": next_action(result, options, *names),
    }


def next_action(result: GateResult, options: Options, dataset: str, run: str) -> str:
    """Return the command that opens the gate, or shows what keeps it closed; empty for a gate that is open."""
    if result.status in ("PASSED", "WAIVED", "NOT_RUN"):
        return ""
    settings = [dataset, "--pipeline", options.pipeline]
    for column, role in options.columns.items():
        settings += ["--column", f"{column}={role}"]
    for folder in options.rules:
        settings += ["--rules", str(folder)]
    compare = options.compare
    named = (("--index", compare.indexes), ("--benchmark", compare.benchmarks), ("--held-out", compare.held_out))
    settings += [part for option, paths in named for path in paths for part in (option, str(path))]
    if result.spec.remedy != "none":
        path = Path(dataset)
        suffix = "".join(path.suffixes) if path.is_file() else ".jsonl"
        return shlex.join(["governance", "clean", *settings, "--out", f"{path.name.split('.')[0]}.clean{suffix}"])
    if result.spec.metric == "unknown-licence":
        return shlex.join(["governance", "check", *settings]) + " --column COLUMN=licence"
    if result.spec.metric in COMPARED:
        return shlex.join(["governance", "overlap", *settings])
    if result.spec.rules:
        return shlex.join(["governance", "show", run, "--rule", result.spec.rules[0]])
    return f"governance report {run}"


def count_stricter(tables: Any) -> int:
    """Count the clusters in which a copy has a stricter licence than the kept sample."""
    from governance.dedup.licences import stricter_clusters

    if not tables.duplicates.num_rows:
        return 0
    return len(stricter_clusters(tables.duplicates, tables.samples["licence"].to_pylist()))


def write_tables(measured: Measured, folder: Path, ledger: Any) -> None:
    """Write the tables of the run as Parquet; none of them holds text."""
    tables = measured.tables
    named = {
        "findings": tables.findings,
        "stories": tables.stories,
        "routes": tables.routes,
        "duplicates": tables.duplicates,
        "copies": tables.copies,
        "overlaps": tables.overlaps,
        "quarantine": tables.quarantine.drop_columns(["raw"]),
    }
    if ledger is not None:
        named["ledger"] = ledger.table()
    if tables.origins is not None and tables.origins.num_rows:
        named["origins"] = tables.origins
    for name, table in named.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")


def _manifest(run: str, folder: Path, setup: Setup, options: Options, digest: str) -> dict[str, Any]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        "schema": "governance/manifest/1",
        "run": run,
        "created": timestamp(options.now),
        "dataset": digest,
        "pipeline": {"digest": setup.pipeline.digest(), "settings": setup.pipeline.model_dump(mode="json")},
        "policy": setup.policy.model_dump(mode="json") if setup.policy else None,
        "rules": {"digest": setup.digest, "ids": [f"{r.rule_id}@{r.version}" for r in setup.rules]},
        "tools": {"governance": governance.__version__, "python": platform.python_version(), **_versions()},
        "files": {p.relative_to(folder).as_posix(): sha256_file(p) for p in files},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def timestamp(moment: dt.datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_table(folder: Path, name: str) -> pa.Table:
    """Read one table of a run."""
    return pq.read_table(folder / f"{name}.parquet")
