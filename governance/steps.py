"""The single steps as library calls: what a command does beside a whole check, on values, without a terminal."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.context import Options, today
from governance.engines.tables import Tables, read_samples
from governance.errors import RuleError, UsageError, WorkspaceError
from governance.files import read_json, write_durably
from governance.inherit import lineage
from governance.report.stored import StoredTexts, run_spans
from governance.rules import Rule, load_rules
from governance.store import Workspace

if TYPE_CHECKING:
    from governance.dedup.registry import Registry
    from governance.gate.copies import Search


def scan_dataset(dataset: str, packs: Sequence[str] | None, options: Options) -> tuple[pa.Table, dict[str, str]]:
    """Return the findings of *packs* in *dataset*, and the message of every rule."""
    from governance.pipeline import ingest, merge_findings, prepare
    from governance.scan.pool import scan_samples
    from governance.scan.prove import missed_probes, probe_batch
    from governance.scan.sql_rules import run_sql_rules

    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    rules = load_rules(packs or None, options.rules)
    probes = probe_batch(rules)
    with workspace.work() as work:
        ingested = ingest(dataset, setup, options, workspace, work)
        found = scan_samples(
            ingested.samples, rules, setup.key, processes=options.shares.scanners, probes=probes,
            cache=options.workspace / "cache",
        )  # fmt: skip
        missed = sorted({rule for rule, _ in missed_probes(probes, found.probes)})
        if missed:
            raise RuleError(f"{', '.join(missed[:5])}: missed their own probes, so nothing they did not find is proved")
        samples = read_samples(ingested.samples)
        tables = Tables(samples, found.findings, found.stories, found.routes)
        with tables.connect() as con:
            sql = run_sql_rules(con, rules, setup.key)
        findings = merge_findings(found.findings, sql)
        places = findings["n"].combine_chunks() if findings.num_rows else pa.array([], pa.int64())
        for name in ("repository", "path", "start_line"):
            found_in = samples[name].take(places)
            if pa.types.is_string(found_in.type):  # metadata may hold what the texts may
                shown = {v: setup.sensitive.masked(v) for v in found_in.unique().to_pylist() if v is not None}
                found_in = pa.array([shown.get(v) for v in found_in.to_pylist()], pa.string())
            findings = findings.append_column(name, found_in)
    return findings, {r.rule_id: r.message.replace(" {match!r}", "").replace("{match!r}", "text") for r in rules}


def dedup_dataset(
    dataset: str,
    threshold: float,
    options: Options,
    *,
    method: str = "exact",
    permutations: int = 128,
    against: Path | None = None,
    register: bool = False,
    signatures: Path | None = None,
) -> tuple[pa.Table, Search]:
    """
    Return the DUPLICATES and COPIES of *dataset* at *threshold*, and how they were searched.

    The table has two columns more: ``removed``, whether cleaning drops the sample, and ``dataset``, null. With the
    registry folder *against* rows follow for samples that stand in a dataset registered there: its digest as
    ``dataset``, the place there as the kept one, no ``cluster``, not ``removed``. With *register* the dataset is then
    added to the registry. *signatures* is a file to write, see `dedup.signatures`.
    """
    from governance.dedup.arrays import arrow_words
    from governance.pipeline import describe_search, ingest, prepare, search_duplicates, search_registered

    if method not in ("exact", "minhash") or permutations not in (128, 256):
        raise UsageError(
            f"--method {method!r} --permutations {permutations}: expected exact or minhash, and 128 or 256"
        )
    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    asked = {"threshold": threshold, "method": method, "permutations": permutations}
    dedup = setup.pipeline.dedup.model_copy(update=asked)
    setup = dataclasses.replace(setup, pipeline=setup.pipeline.model_copy(update={"dedup": dedup}))
    if signatures and not signatures.parent.is_dir():
        raise UsageError(f"--signatures {signatures}: there is no folder {signatures.parent}; make it first")
    if register and against is None:
        raise UsageError("--register adds the dataset to a registry; name it with --against")
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(_registry(against, register)) if against else None
        work = stack.enter_context(workspace.work())
        ingested = ingest(dataset, setup, options, workspace, work)
        if signatures:
            from governance.dedup.signatures import write_signatures

            write_signatures(ingested.samples, signatures, count=permutations, threads=options.shares.threads)
        found = search_duplicates(ingested, setup, options, work)
        own = pa.concat_tables([found.table, found.copies])
        removed = pc.is_in(own["kind"], arrow_words(dedup.remove))
        own = own.append_column("removed", removed).append_column("dataset", pa.nulls(own.num_rows, pa.string()))
        if registry:
            across = search_registered(registry, ingested, setup, options, work, register=register)
            named = pa.table(
                {
                    **{name: across[name] for name in ("n", "file", "row", "sample_id")},
                    "cluster": pa.nulls(across.num_rows, pa.int64()),
                    **{f"kept_{name}": across[f"other_{name}"] for name in ("file", "row", "sample_id")},
                    **{name: across[name] for name in ("similarity", "kind")},
                    "removed": pa.array([False] * across.num_rows, pa.bool_()),
                    "dataset": across["dataset"],
                }
            )
            own = pa.concat_tables([own, named.cast(own.schema)])
    return own, describe_search(found, setup, options)


@contextlib.contextmanager
def _registry(folder: Path, register: bool) -> Iterator[Registry]:
    from governance.dedup.registry import Registry

    registry = Registry(folder, create=register)
    with registry.locked(exclusive=register):
        yield registry


def collect_dataset(paths: Sequence[str], task: str, out: Path, processes: int = 0) -> dict[str, Any]:
    """Collect *paths* for *task* into the file *out*; returns numbers of samples and files, and what was left out."""
    import os

    from governance.collect.files import Collected
    from governance.collect.repository import Task, collect_repositories
    from governance.ingest import write_records

    if task not in get_args(Task):
        raise UsageError(f"--task {task!r}: expected code, test or story")
    account = Collected()
    workers = processes or len(os.sched_getaffinity(0))
    chosen: Task = task  # type: ignore[assignment]  # checked above
    records = collect_repositories([Path(p) for p in paths], task=chosen, processes=workers, collected=account)
    write_records(records, out)
    return {"samples": account.records, "files": account.files, "skipped": dict(account.skipped)}


def accept_findings(
    run: str, wanted: Sequence[str], baseline: Path, *, reason: str, owner: str, approver: str, expires: str,
    workspace: Path,
) -> int:  # fmt: skip
    """
    Add findings of *run* to the file *baseline*; returns how many are new there.

    *wanted* names fingerprints (at least six digits of one) or rules, as ``rest/*`` or ``secrets/jwt``.
    """
    from governance.gate.baseline import accept

    folder = Workspace(workspace, make=False).run_folder(run)
    table = pq.read_table(folder / "findings.parquet", columns=["rule", "fingerprint"])
    pairs = sorted(set(zip(table["rule"].to_pylist(), table["fingerprint"].to_pylist(), strict=True)))
    chosen: set[tuple[str, str]] = set()
    for name in wanted:
        if "/" in name:
            found = {p for p in pairs if fnmatchcase(p[0], name)}
        else:
            found = {p for p in pairs if len(name) >= 6 and p[1].startswith(name)}
        if not found:
            raise UsageError(
                f"{name!r} is no finding of run {folder.name}; give a fingerprint or a rule such as 'rest/*'"
            )
        chosen |= found
    try:
        last = dt.date.fromisoformat(expires)
    except ValueError:
        raise UsageError(f"--expires {expires!r}: expected a day as YYYY-MM-DD") from None
    gates = read_json(folder / "manifest.json")["pipeline"]["settings"]["gates"].values()
    fixed = [p for g in gates if not g["waivable"] for p in g["rules"] or []]
    barred = {r for r, _ in pairs if any(fnmatchcase(r, p) for p in fixed)}
    added = accept(
        baseline, sorted(chosen), reason=reason, owner=owner, approver=approver, expires=last,
        today=today(), non_waivable_rules=barred,
    )  # fmt: skip
    return len(added)


def _open_run(run: str, workspace: Path) -> tuple[Workspace, Path, dict[str, Any], Any]:
    from governance.report.tables import RunTables

    place = Workspace(workspace, make=False)
    folder = place.run_folder(run)
    return place, folder, read_json(folder / "evidence.json"), RunTables.read(folder)


def show_run(
    run: str, workspace: Path, *, rule: str | None, cluster: int | None, limit: int, reveal: bool,
    members: Sequence[int] | None = None, width: int = 120, paint: Callable[[str, str], str] | None = None,
) -> Iterator[str]:  # fmt: skip
    """
    Yield the flagged places of a run with their lines; needs the dataset's texts in the store.

    With *cluster*: its members, and two of them side by side in *width* columns, painted by *paint* at a terminal.
    """
    from governance.report.cluster import choose_members, plain, show_cluster
    from governance.report.show import show_findings
    from governance.report.spans import Spans
    from governance.scan.sensitive import SensitiveText

    if reveal and not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise UsageError("--reveal shows secrets; it works at a terminal only, never into a file or pipe")
    place, folder, evidence, tables = _open_run(run, workspace)
    digest = evidence["dataset"]["digest"]
    place.texts(digest, [])  # says so where they were purged
    scanner = None if reveal else SensitiveText.of()
    hidden = {f["rule"] for f in evidence["findings"] if f["sensitive"]}
    if cluster is not None:
        copies = _with_renamed(folder, tables.duplicates)
        line = lineage(_origins(folder), cluster)
        if line:
            yield line
            if cluster not in copies["cluster"].to_pylist():  # its copies are gone, and this is what is left
                return
        pair = choose_members(copies, cluster, members)
        listed = copies.filter(pc.equal(copies["cluster"], cluster)).slice(0, limit)
        origins = place.provenance(digest, [cluster, *pair, *listed["n"].to_pylist()])
        texts = StoredTexts(place, digest, pair)
        spans = Spans(texts, frozenset() if reveal else hidden, tables.findings, scanner=scanner)
        yield from show_cluster(
            copies, cluster, pair, spans, texts, origins, limit=limit, width=width, paint=paint or plain
        )
        return
    if members is not None:
        raise UsageError("--members names samples of a cluster; give --cluster as well")
    rules = sorted(tables.findings["rule"].unique().to_pylist())
    chosen = [r for r in rules if rule is None or fnmatchcase(r, rule)]
    if rule is not None and not chosen:
        raise UsageError(f"no finding of {rule!r} in run {evidence['run']}; it has {', '.join(rules) or 'none'}")
    for name in chosen:
        found = tables.findings.filter(pc.equal(tables.findings["rule"], name))
        texts = StoredTexts(place, digest, found.slice(0, limit)["n"].to_pylist())
        yield from show_findings(tables, texts, hidden, rule=name, limit=limit, reveal=reveal, scanner=scanner)


def _with_renamed(folder: Path, duplicates: pa.Table) -> pa.Table:
    """Return *duplicates* and the renamed copies of the run in *folder*; an older run looked for none."""
    path = folder / "copies.parquet"
    if not path.is_file():
        return duplicates
    return pa.concat_tables([duplicates, pq.read_table(path).cast(duplicates.schema)])


def render_run(run: str, workspace: Path, format_: str, language: str = "en") -> str:
    """Return one document of a run, made again from its evidence and tables."""
    from governance.report.documents import render

    place, _, evidence, tables = _open_run(run, workspace)
    return render(format_, evidence, tables, run_spans(place, evidence, tables), language)


def verify_run(run: str, workspace: Path, policy_file: Path | None) -> list[str]:
    """
    Check a run: every file's digest, the signature, the evidence it names, expiry and verdict.

    Raises:
        SignatureError: with the first thing that does not hold.
    """
    from governance.gate.keys import load_trust
    from governance.gate.run_check import check_run
    from governance.settings import load_policy

    place = Workspace(workspace, make=False)
    folder = place.run_folder(run)
    policy = load_policy(policy_file) if policy_file else None
    trust = load_trust(place.root, policy.trusted_keys if policy else ())
    checked = check_run(folder, trust, now=dt.datetime.now(dt.UTC), policy=policy)
    found, manifest, evidence = checked.verdict, checked.manifest, checked.evidence
    lines = [
        f"run {evidence['run']}: {found.result}, dataset {evidence['dataset']['digest']}",
        f"signed by {found.signer}",
        f"{len(manifest['files'])} files unchanged; holds until {evidence['verdict']['expires']}",
    ]
    stored = place.datasets / evidence["dataset"]["digest"] / "manifest.json"
    if stored.is_file():
        lines += [f"made from dataset {parent}" for parent in read_json(stored)["parents"]]
    line = lineage(_origins(folder))
    return [*lines, line] if line else lines


def _origins(folder: Path) -> pa.Table | None:
    """Return where the copies came from that cleaning removed before the run in *folder*."""
    path = folder / "origins.parquet"
    return pq.read_table(path) if path.is_file() else None


def list_quarantine(workspace: Path, dataset: str | None) -> list[dict[str, Any]]:
    """Return bad and dropped records: dataset, file, row, line, reason; never their content."""
    rows = []
    for path in _quarantine_files(Workspace(workspace, make=False), dataset):
        table = pq.read_table(path, columns=["file", "row", "line", "reason", "detail"])
        rows += [{"dataset": path.name[:16], **r} for r in table.to_pylist()]
    return rows


def _quarantine_files(workspace: Workspace, dataset: str | None) -> list[Path]:
    files = sorted((workspace.datasets / "quarantine").glob("*.parquet"))
    return [f for f in files if dataset is None or f.name.startswith(dataset[:16])]


def restore_quarantine(
    workspace: Path, dataset: str, out: Path, *, rows: Sequence[int] | None = None, reason: str | None = None
) -> int:
    """Write quarantined records to *out*, one per line, byte for byte where a line can hold them; returns how many."""
    files = _quarantine_files(Workspace(workspace, make=False), dataset)
    if not files:
        raise WorkspaceError(f"{workspace}: no quarantined records of dataset {dataset!r}")
    seen: set[tuple[str, int, bytes]] = set()
    lines: list[bytes] = []
    for path in files:
        for r in pq.read_table(path).to_pylist():
            raw = bytes(r["raw"])
            place = (r["file"], r["row"], raw)
            fits = (rows is None or r["row"] in rows) and (reason is None or r["reason"] == reason)
            if fits and place not in seen:
                seen.add(place)
                lines.append(_restored(r, raw))
    if not lines:
        raise UsageError("no quarantined record fits; `governance quarantine list` shows them")
    write_durably(out, b"".join(lines))
    return len(lines)


def _restored(record: dict[str, Any], raw: bytes) -> bytes:
    """
    One line with the bytes of a record; as base64 in JSON where a line of UTF-8 cannot hold them.

    That is a record in another encoding, with a line break inside, or of which only the beginning was kept.
    """
    line = raw.rstrip(b"\r\n")
    try:
        line.decode()
        plain = b"\0" not in line and b"\n" not in line and record["reason"] != "too-large"
    except UnicodeDecodeError:
        plain = False
    if not plain:
        whole = {"file": record["file"], "row": record["row"], "reason": record["reason"]}
        line = json.dumps({**whole, "base64": base64.b64encode(raw).decode()}).encode()
    return line + b"\n"


def find_rule(name: str, folders: Sequence[Path]) -> Rule:
    """Return the rule with the id *name*, or with that old name. Raises RuleError."""
    rules = load_rules(None, folders)
    for rule in rules:
        if name == rule.rule_id or name in rule.aliases:
            return rule
    import difflib

    near = difflib.get_close_matches(name, [r.rule_id for r in rules], 3)
    raise RuleError(f"rule {name!r} is unknown{'; did you mean ' + ', '.join(near) + '?' if near else ''}")


def prove_rule_folder(folder: Path | None) -> tuple[int, list[str]]:
    """Return how many rules were proved (built-in ones, or those of *folder*) and every problem."""
    from governance.scan.prove import prove_rules
    from governance.scan.sql_rules import prove_sql_rules

    rules = load_rules(None, [folder], builtin=False) if folder else load_rules()
    problems = [p.message for p in prove_rules(rules)]
    wrong = prove_sql_rules(rules, lambda samples: Tables(samples).connect(threads=1))
    problems += [f"{r}: {k}[{i}] is {'not flagged' if k == 'flags' else 'flagged'}" for r, k, i in wrong]
    return len(rules), problems


def check_config(path: Path) -> str:
    """
    Return what kind of file *path* is (pipeline, policy, rule, pack, baseline), having read it as such.

    Raises:
        GovernanceError: it is wrong, or none of these.
    """
    from governance.errors import PipelineError
    from governance.gate.baseline import load_baseline
    from governance.rules import PACK_FILE, load_pack, load_rule
    from governance.settings import load_pipeline, load_policy
    from governance.yamlfile import read_yaml

    if path.suffix in (".jsonl", ".json"):
        return f"baseline with {len(load_baseline(path))} entries"
    value, _ = read_yaml(path, PipelineError)
    keys = set(value) if isinstance(value, dict) else set()
    if path.name == PACK_FILE:
        load_pack(path)
        return "pack"
    if "gates" in keys:
        return f"pipeline {load_pipeline(str(path)).name}"
    if "flags" in keys or "passes" in keys:
        return f"rule {load_rule(path, path.parent.parent).rule_id}"
    if keys & {"required_gates", "required_packs", "trusted_keys"}:
        return f"policy {load_policy(path).name}"
    raise PipelineError(f"{path}: is no pipeline (gates), rule (flags), policy (required_gates) or baseline (.jsonl)")
