"""a dataset, a pipeline file -> a run: every step in order, judged, written, signed."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from governance import duplicates
from governance.aside import Helpers
from governance.context import BaselineUse, Checked, Measured, Options, Progress, Setup, today
from governance.duplicates import How, search_and_probe
from governance.engines.tables import Tables, open_database, read_samples, refused_memory
from governance.errors import PipelineError
from governance.files import sha256_file
from governance.ingest import Ingested, files_unchanged, ingest_files, ingest_stored, stored_bad
from governance.memory import return_memory
from governance.overlaps import NOTHING, find_overlaps, resolve_sources
from governance.rules import Rule, load_rules, select
from governance.settings import Pipeline, load_pipeline, load_policy, pipeline_path
from governance.store import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from governance.aside import Aside
    from governance.dedup.cluster import Duplicates
    from governance.dedup.registry import Registry
    from governance.gate.baseline import Entry
    from governance.gate.copies import Search
    from governance.gate.judge import GateResult, Verdict


def prepare(options: Options, workspace: Workspace) -> Setup:
    """Load pipeline, policy, rules and key. Raises PipelineError, RuleError, GovernanceError."""
    from governance.gate.keys import load_fingerprint_key

    pipeline = load_pipeline(options.pipeline)
    base = pipeline_path(options.pipeline).parent
    pipeline, compare = resolve_sources(pipeline, base, options)
    folders = [base / f for f in pipeline.rule_folders] + list(options.rules)
    packs = None if pipeline.packs == ["*"] else pipeline.packs
    cache = options.workspace / "cache"
    own = {r.pack for f in folders for r in load_rules(None, [f], builtin=False, cache=cache)}
    wanted = None if packs is None else [*packs, *sorted(own - set(packs))]
    rules = load_rules(wanted, folders, replace=pipeline.replace, cache=cache)
    disabled = set(select(rules, pipeline.disable))
    rules = tuple(_with_params(r, pipeline) for r in rules if r.rule_id not in disabled)
    check_gates(pipeline, rules)
    policy = load_policy(options.policy) if options.policy else None
    return Setup(pipeline, policy, rules, load_fingerprint_key(workspace.root, options.fingerprint_key), compare)


def _with_params(rule: Rule, pipeline: Pipeline) -> Rule:
    own = pipeline.params.get(rule.rule_id)
    return dataclasses.replace(rule, params={**rule.params, **own}) if own else rule


def check_gates(pipeline: Pipeline, rules: Sequence[Rule]) -> None:
    """Refuse a pipeline whose gates, parameters or disabled rules name no rule: such a gate could never close."""
    known = {r.rule_id for r in rules}
    for name, gate in pipeline.gates.items():
        for pattern in gate.rules or []:
            if not select(rules, [pattern]):
                raise PipelineError(
                    f"pipeline {pipeline.name!r}: gates.{name}.rules: {pattern!r} fits no rule of the packs "
                    f"{', '.join(sorted({r.pack for r in rules}))}"
                )
    for rule_id in pipeline.params:
        if rule_id not in known:
            raise PipelineError(f"pipeline {pipeline.name!r}: params: {rule_id!r} is no rule of its packs")


def measure_samples(
    ingested: Ingested,
    setup: Setup,
    options: Options,
    work: Path,
    *,
    ledger: pa.Table | None = None,
    duplicates: bool = True,
    searcher: Aside | None = None,
) -> Measured:
    """
    Scan, find duplicates and run SQL rules over ingested samples; nothing is judged yet.

    Duplicates are searched beside the scan by *searcher* where there is one.
    """
    from governance.scan.pool import scan_samples
    from governance.scan.prove import missed_probes, probe_batch
    from governance.scan.sql_rules import prove_sql_rules, run_sql_rules

    progress = options.progress or Progress()
    probes = probe_batch(setup.rules)
    if duplicates and searcher is not None:
        searcher.start("search_and_probe", ingested.samples, how_to_search(setup, options), work)
    with progress.stage("scan", ingested.count) as done:
        scanned = scan_samples(
            ingested.samples, setup.rules, setup.key, processes=options.shares.scanners, probes=probes,
            cache=options.workspace / "cache", progress=done,
        )  # fmt: skip
    missed = [rule for rule, _ in missed_probes(probes, scanned.probes)]
    tables = Tables(read_samples(ingested.samples), quarantine=ingested.quarantine, ledger=ledger)
    tables.findings, tables.stories, tables.routes = scanned.findings, scanned.stories, scanned.routes
    planted, search = probes.num_rows, None
    if duplicates:
        if searcher is None:
            with progress.stage("dedup", ingested.count) as done:
                searched = search_and_probe(ingested.samples, how_to_search(setup, options), work, done)
        else:
            with progress.stage("dedup"):
                searched = searcher.result()
        tables.duplicates, tables.copies, search = searched.duplicates, searched.copies, searched.search
        planted += 1
        if not searched.probe_found:
            missed.append("near-duplicates")
    overlaps = find_overlaps(ingested.samples, setup, options, work) if duplicates else NOTHING
    tables.overlaps = overlaps.table
    planted += len(overlaps.compared)
    missed += overlaps.missed
    parts = compare_parts(ingested, setup, options, work) if duplicates else None
    if parts is not None:
        tables.overlaps = pa.concat_tables([tables.overlaps, parts])
    spill = work / "spill"
    spill.mkdir(exist_ok=True)
    shares = options.shares
    return_memory()
    con = tables.connect(memory_limit=shares.database, threads=shares.threads, spill=spill)
    with progress.stage("sql"):
        missed += [rule for rule, _, _ in prove_sql_rules(setup.rules, _connect_probe, ["flags"])]
        planted += sum(len(r.flags) for r in setup.rules if r.kind == "sql")
        tables.findings = merge_findings(tables.findings, run_sql_rules(con, setup.rules, setup.key))
    measured = Measured(ingested, tables, con, planted, sorted(set(missed)), search=search)
    measured.compared, measured.undecidable, measured.items = overlaps.compared, overlaps.undecidable, overlaps.items
    measured.compared += ("split-overlap",) if parts is not None else ()
    return measured


def merge_findings(scanned: pa.Table, sql: pa.Table) -> pa.Table:
    """Return both in the order of findings; what the scanners found keeps its order where SQL rules found nothing."""
    if not sql.num_rows:
        return scanned
    order = [(c, "ascending") for c in ("n", "field", "start", "end", "rule")]
    return pa.concat_tables([scanned, sql]).sort_by(order)


def find_duplicates(
    ingested: Ingested,
    setup: Setup,
    options: Options,
    work: Path,
    kinds: Collection[str] = ("exact", "lexemes", "near", "renamed"),
) -> pa.Table:
    """Return the DUPLICATES of the samples under the pipeline's threshold, and its COPIES; only of *kinds*."""
    found = search_duplicates(ingested, setup, options, work, kinds)
    return pa.concat_tables([found.table, found.copies]) if found.copies.num_rows else found.table


def how_to_search(setup: Setup, options: Options) -> How:
    """How the pipeline has duplicates searched, in the memory of the command."""
    dedup, shares = setup.pipeline.dedup, options.shares
    return How(
        dedup.threshold, dedup.method, dedup.permutations, "renamed" in dedup.remove, shares.search, shares.threads
    )


def compare_parts(ingested: Ingested, setup: Setup, options: Options, work: Path) -> pa.Table | None:
    """Return the held-out samples with a copy in a training file; None where no gate asks, or there are no parts."""
    if not any(gate.metric == "split-overlap" for gate in setup.pipeline.gates.values()):
        return None
    if ingested.dataset is not None and len(ingested.files) < 2:  # one file is one part; spares importing the kernels
        return None
    from governance.dedup.parts import held_out_in_train

    spill = work / "spill"
    spill.mkdir(exist_ok=True)
    with (options.progress or Progress()).stage("split"):
        con = open_database(memory_limit=options.shares.search, threads=options.shares.threads, spill=spill)
        found = held_out_in_train(
            ingested.samples, con, threshold=setup.pipeline.dedup.threshold, threads=options.shares.threads, work=spill
        )
        con.close()
    return found


def search_duplicates(
    ingested: Ingested,
    setup: Setup,
    options: Options,
    work: Path,
    kinds: Collection[str] = ("exact", "lexemes", "near", "renamed"),
) -> Duplicates:
    """Search the duplicates of the samples as the pipeline says."""
    with (options.progress or Progress()).stage("dedup", ingested.count) as done:
        return duplicates.search(ingested.samples, how_to_search(setup, options), work, kinds, done)


def search_registered(
    registry: Registry, ingested: Ingested, setup: Setup, options: Options, work: Path, *, register: bool
) -> pa.Table:
    """Return the samples that stand in a dataset of *registry* (table REGISTERED); with *register* add this one."""
    from governance.dedup.across import read_contents
    from governance.dedup.join import row_partition, spill_folder
    from governance.dedup.registry import find_registered

    spill = work / "spill"
    spill.mkdir(exist_ok=True)
    limit = options.memory_limit // 2
    folder = spill_folder([ingested.samples], spill, limit)
    with (options.progress or Progress()).stage("registry", ingested.count):
        contents = read_contents(ingested.samples, threads=options.workers, work=folder)
        con = open_database(memory_limit=limit, threads=options.workers, spill=spill)
        found = find_registered(
            contents, registry, con, own=ingested.digest, threshold=setup.pipeline.dedup.threshold,
            threads=options.workers, work=folder, partition=row_partition(limit), method=setup.pipeline.dedup.method,
        )  # fmt: skip
        con.close()
        if register:
            registry.add(ingested.digest, contents, ingested.samples, setup.sensitive.masked)
    return found


def describe_search(found: Duplicates, setup: Setup, options: Options) -> Search:
    """Say how *found* was found."""
    return duplicates.describe(found, how_to_search(setup, options))


def _connect_probe(samples: pa.Table) -> DuckDBPyConnection:
    return Tables(samples).connect(threads=1)


def check_dataset(
    dataset: Path | str,
    options: Options,
    *,
    ledger: Any = None,
    parents: Sequence[str] = (),
    helpers: Helpers | None = None,
) -> Checked:
    """
    Measure *dataset*, judge its gates, and write a signed run.

    Args:
        helpers: started before this module was imported, which saves the time of the import; made here without.

    Raises:
        GovernanceError: the dataset, a rule, the pipeline or the workspace cannot be used. A closed gate does not
            raise; look at ``passed``.
    """
    from governance.evidence import signing_key, write_run

    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    _ = options.shares  # a limit that is too low is said before the work
    signing_key(options, workspace)  # a wrong one is said before the work, not after it
    progress = options.progress or Progress()
    # Texts are saved beside the scan; leaving the pool waits for that, so nothing is written after the command's end.
    with (
        refused_memory(),
        helpers or Helpers(dataset, record=options.record, processes=options.processes) as helping,
        workspace.work() as work,
        ThreadPoolExecutor(1, "save") as pool,
    ):
        ingested = ingest(dataset, setup, options, workspace, work)
        lost = (
            ledger.groups(workspace.losses(parents[0]) if parents else None)
            if ledger
            else workspace.losses(ingested.digest)
        )
        origins = ledger.origins if ledger else workspace.origins(ingested.digest)
        saved = pool.submit(_save_texts, workspace, ingested, parents, lost, origins)
        measured = measure_samples(ingested, setup, options, work, ledger=lost, searcher=helping.searcher)
        measured.tables.origins = origins
        verdict = judge(measured, setup, options)
        saved.result()
        with progress.stage("report"):
            return write_run(str(dataset), measured, setup, options, workspace, verdict, ledger, helping.recorder)


def ingest(dataset: Path | str, setup: Setup, options: Options, workspace: Workspace, work: Path) -> Ingested:
    """Read *dataset*: a file, a folder, or the digest of a stored dataset (at least its first eight digits)."""
    progress = options.progress or Progress()
    stored = workspace.dataset_file(str(dataset))
    with progress.stage("ingest") as done:
        if stored is not None:
            return ingest_stored(stored, stored.parent.name, work)
        return ingest_files(
            Path(dataset), work, columns={**setup.pipeline.columns, **options.columns}, encoding=options.encoding,
            max_row_bytes=options.max_row_bytes, processes=options.shares.readers, progress=done,
            mask=setup.sensitive.masked,
        )  # fmt: skip


def _save_texts(
    workspace: Workspace, ingested: Ingested, parents: Sequence[str], lost: pa.Table | None, origins: pa.Table | None
) -> None:
    """Write samples and bad records into the dataset store; what cleaning lost stays with the dataset it made."""
    files = [{"name": f.name, "sha256": f.sha256, "bytes": f.bytes} for f in ingested.files]
    manifest = {"samples": ingested.count, "files": files, "parents": list(parents)}
    if lost is not None:
        manifest["losses"] = lost.to_pylist()
    workspace.save_dataset(ingested.digest, ingested.samples, manifest, bad=stored_bad(ingested))
    workspace.save_origins(ingested.digest, origins)
    workspace.save_quarantine(ingested.digest, ingested.quarantine)


def judge(measured: Measured, setup: Setup, options: Options) -> Verdict:
    """Measure and judge every gate of the pipeline over the tables."""
    from governance.gate.baseline import accepted_fingerprints, load_baseline, mark_accepted
    from governance.gate.expectations import run_expectations
    from governance.gate.judge import judge_dataset
    from governance.gate.measure import judge_gates

    con, pipeline, ingested = measured.connection, setup.pipeline, measured.ingested
    progress = options.progress or Progress()
    with progress.stage("gate"):
        accepted: set[tuple[str, str]] = set()
        if options.baseline:
            fixed = {r for n, g in pipeline.gates.items() if not g.waivable for r in setup.gate_rules(n)}
            entries = load_baseline(options.baseline)
            accepted = accepted_fingerprints(entries, today(), fixed)
        measured.tables.findings = mark_accepted(measured.tables.findings, accepted)
        if options.baseline:
            measured.baseline = _baseline_use(options.baseline, entries, accepted, measured.tables.findings)
        measured.tables.refresh(con)
        results, required = judge_gates(
            con, pipeline.gates, setup.rules, probes_missed=measured.missed, compared=measured.compared
        )
        expectations = run_expectations(con, pipeline.expectations) if pipeline.expectations else []
        measured.expectations = list(expectations)
        changed = files_unchanged(ingested.files, ingested.dataset, setup.sensitive.masked)
    return judge_dataset(
        results, digest_start=ingested.digest, digest_end="0" * 64 if changed else ingested.digest,
        probes_planted=measured.planted, probes_missed=measured.missed, samples=ingested.count, required=required,
        expectations=expectations,
        objections=[
            *(f"{name} changed while it was checked; check it again" for name in changed),
            *_policy_objections(measured, setup, options),
            *_not_run(results, setup),
        ],
    )  # fmt: skip


def _baseline_use(
    path: Path, entries: Sequence[Entry], accepted: set[tuple[str, str]], findings: pa.Table
) -> BaselineUse:
    found = set(zip(findings["rule"].to_pylist(), findings["fingerprint"].to_pylist(), strict=True)) & accepted
    used = [e for e in entries if e.key in found]
    expires = min((dt.date.fromisoformat(e.expires) for e in used), default=None)
    return BaselineUse(sha256_file(path), len(entries), len(used), expires)


def _not_run(results: Sequence[GateResult], setup: Setup) -> list[str]:
    """A gate that the policy requires and that did not run; elsewhere a gate that does not apply is no breach."""
    wanted = setup.policy.required_gates if setup.policy else {}
    return [
        f"{r.gate} is required by policy {setup.policy.name!r} and was not run: {r.detail}"
        for r in results
        if setup.policy and r.gate in wanted and r.status == "NOT_RUN"
    ]


def _policy_objections(measured: Measured, setup: Setup, options: Options) -> list[str]:
    """Every way in which pipeline, rule folders given beside it and accepted findings are looser than the policy."""
    import pyarrow.compute as pc

    from governance.gate.policy import check_policy

    if setup.policy is None:
        return []
    columns = [f"columns are mapped on the command line ({', '.join(options.columns)})"] if options.columns else []
    folders = [*setup.pipeline.rule_folders, *map(str, options.rules)]
    pipeline = setup.pipeline.model_copy(update={"rule_folders": folders})
    accepted = int(pc.sum(measured.tables.findings["accepted"]).as_py() or 0)
    packs = {r.pack for r in setup.rules}
    return columns + check_policy(setup.policy, pipeline, setup.digest, packs, accepted=accepted)
