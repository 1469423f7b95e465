"""a dataset, a pipeline's remedies -> a clean dataset, the ledger of every record, and a new verdict.

Rounds of *scan, scrub, repair, drop* run until a scan finds nothing more to do; then copies are dropped; then the
written file is checked like any other. A remedy is applied wherever the gate's rules flag something, also while the
gate is within its limit: a scrubbed dataset holds no secret, not a tolerated number of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.context import Checked, Measured, Options, Setup
from governance.engines.tables import read_samples
from governance.errors import GateClosed, UsageError
from governance.gate.baseline import mark_accepted
from governance.ingest import Ingested, fill_record, write_records
from governance.inherit import collect_origins, inherit_licences
from governance.ledger import Ledger, count_words
from governance.overlaps import find_overlaps
from governance.pipeline import check_dataset, ingest, judge, measure_samples, prepare
from governance.remedies import apply_remedies, findings_of, mask_records, replace_texts, scrubbed
from governance.rules import SEVERITIES, load_rules
from governance.samples import OVERLAP_CLASSES, QUARANTINE, SAMPLES
from governance.store import Workspace

COPY_KINDS = ("exact", "lexemes", "near", "renamed")
ROUNDS = 8  # scans; each repairs what the one before uncovered, and two are the rule


def clean_dataset(dataset: Path | str, out: Path, options: Options) -> tuple[Checked, Ledger]:
    """
    Apply the pipeline's remedies to *dataset*, write *out* in the format of its suffix, check *out*.

    Dropped records stay in the dataset store's quarantine with their reasons. Same shape, columns and key order.

    Raises:
        GateClosed: the remedies do not come to rest; nothing is written.
    """
    _check_output(dataset, out)
    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    with workspace.work() as work:
        ingested = ingest(dataset, setup, options, workspace, work)
        table, ledger = _clean_table(ingested, setup, options, work)
        ledger.origins = collect_origins(
            table, ledger, ingested.digest, workspace.origins(ingested.digest), setup.sensitive.masked
        )
        _save_dropped(workspace, ingested, ledger)
        _write(table, out, ingested)
    # The output is UTF-8 with its texts where they were, whatever the encoding of the input.
    options = dataclasses.replace(options, encoding="auto")
    checked = check_dataset(out, options, ledger=ledger, parents=[ingested.digest])
    return checked, ledger


def _check_output(dataset: Path | str, out: Path) -> None:
    if out.exists() and Path(dataset).exists() and out.samefile(dataset):
        raise UsageError(f"{out}: is the dataset itself; write to another file")
    if Path(dataset).is_dir() and Path(dataset).resolve() in out.resolve().parents:
        raise UsageError(f"{out}: lies in the dataset's own folder and would become part of it; write elsewhere")


def _clean_table(ingested: Ingested, setup: Setup, options: Options, work: Path) -> tuple[pa.Table, Ledger]:
    before = read_samples(ingested.samples)
    ledger = Ledger(before, ingested.quarantine, count_words(before))
    current, accepted = before, _accepted(setup, options)
    for k in range(ROUNDS):
        findings = _scan(_stage(ingested, current, work, f"clean-{k}"), setup, options, work, accepted)
        current, done = apply_remedies(current, findings, setup, ledger)
        ledger.rounds = k + 1
        if not done:
            break
    else:
        raise GateClosed(
            f"remedies do not come to rest after {ROUNDS} rounds; look at the rules whose repair is flagged again"
        )
    current = _drop_overlaps(ingested, current, setup, options, ledger, work)
    if _copies_to_drop(setup):
        current = _deduplicate(current, setup, options, ledger, _stage(ingested, current, work, "clean-copies"), work)
    return current, ledger


def _drop_overlaps(
    ingested: Ingested, current: pa.Table, setup: Setup, options: Options, ledger: Ledger, work: Path
) -> pa.Table:
    """
    Drop the samples that a gate on overlap with the remedy *drop* counts.

    More than one round may be needed: what is common in the dataset weighs less, and each drop changes what is common.
    """
    wanted = [
        (name, OVERLAP_CLASSES[gate.metric])
        for name, gate in setup.pipeline.gates.items()
        if gate.remedy == "drop" and gate.metric in OVERLAP_CLASSES
    ]
    for k in range(ROUNDS if wanted and setup.compare else 0):
        place = work / f"overlap-{k}"
        place.mkdir()
        table = find_overlaps(_stage(ingested, current, place, "samples").samples, setup, options, place).table
        original = current["n"].to_pylist()  # only `_stage` renumbers
        gone = set()
        for name, classes in wanted:
            counted = pc.and_(pc.is_in(table["class"], pa.array(classes)), pc.invert(table["allowed"]))
            for n in table["n"].filter(counted).unique().to_pylist():
                ledger.drop(original[n], name)
                gone.add(n)
        if not gone:
            break
        current = current.filter(pa.array([n not in gone for n in range(current.num_rows)], pa.bool_()))
    return current


def _stage(ingested: Ingested, table: pa.Table, work: Path, name: str) -> Ingested:
    """Write *table* as an Arrow file whose ordinals count from 0; ``row`` and ``file`` keep the place in the input."""
    path = work / f"{name}.arrow"
    numbered = table.set_column(0, "n", pa.array(range(table.num_rows), pa.int64()))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(numbered.cast(SAMPLES), max_chunksize=2_000)
    return dataclasses.replace(ingested, samples=path, count=table.num_rows, quarantine=QUARANTINE.empty_table())


def _accepted(setup: Setup, options: Options) -> set[tuple[str, str]]:
    from governance.gate.baseline import accepted_fingerprints, load_baseline

    if not options.baseline:
        return set()
    fixed = {r for n, g in setup.pipeline.gates.items() if not g.waivable for r in setup.gate_rules(n)}
    return accepted_fingerprints(load_baseline(options.baseline), options.now.date(), fixed)


def _scan(staged: Ingested, setup: Setup, options: Options, work: Path, accepted: set[tuple[str, str]]) -> pa.Table:
    """Return the findings not accepted; copies are searched later, for scrubbing may make or unmake one."""
    measured = measure_samples(staged, setup, options, work, duplicates=False)
    measured.connection.close()
    findings = mark_accepted(measured.tables.findings, accepted)
    return findings.filter(pc.invert(pc.field("accepted")))


def _copies_to_drop(setup: Setup) -> set[str]:
    """The kinds of copies that a gate names the remedy for; most-repeated asks for the exact ones."""
    asked = {g.metric for g in setup.pipeline.gates.values() if g.remedy == "deduplicate"}
    kinds = {"exact"} if asked & {"exact-duplicates", "most-repeated"} else set()
    kinds |= {"lexemes", "near"} if "near-duplicates" in asked else set()
    kinds |= {"renamed"} if "renamed-copies" in asked else set()
    return kinds & set(setup.pipeline.dedup.remove)


def _copy_gates(setup: Setup) -> dict[str, str]:
    """The name of the gate that exact and near copies are dropped for."""
    asked = [(spec.metric, name) for name, spec in setup.pipeline.gates.items() if spec.remedy == "deduplicate"]
    exact = [name for metric in ("exact-duplicates", "most-repeated") for m, name in asked if m == metric]
    near = [name for m, name in asked if m == "near-duplicates"]
    renamed = [name for m, name in asked if m == "renamed-copies"]
    return {
        "exact": (exact + near + [""])[0], "near": (near + exact + [""])[0], "renamed": [*renamed, ""][0],
    }  # fmt: skip


def _deduplicate(
    current: pa.Table, setup: Setup, options: Options, ledger: Ledger, staged: Ingested, work: Path
) -> pa.Table:
    from governance.pipeline import find_duplicates

    drop = _copies_to_drop(setup)
    # A kind is decided together with those before it: a copy of a copy names the sample that stays.
    last = max(COPY_KINDS.index(kind) for kind in drop)
    found = find_duplicates(staged, setup, options, work, COPY_KINDS[: last + 1])
    found = found.filter(pc.is_in(found["kind"], pa.array(sorted(drop), pa.string())))
    original = current["n"].to_pylist()  # only `_stage` renumbers
    gates = _copy_gates(setup)
    # As the gates count: of equal samples all but the first are exact copies, whatever they were compared with.
    witnesses = found["cluster"].filter(pc.not_equal(found["kind"], "renamed"))
    seen: set[str] = set(pc.unique(current["sample_id"].take(witnesses)).to_pylist())
    for d in found.select(["n", "sample_id", "cluster", "similarity", "kind"]).to_pylist():
        kind = "renamed" if d["kind"] == "renamed" else "exact" if d["sample_id"] in seen else "near"
        seen.add(d["sample_id"])
        ledger.drop(original[d["n"]], gates[kind], (original[d["cluster"]], d["similarity"]))
        ledger.kinds[original[d["n"]]] = d["kind"]
    current = inherit_licences(current, found, ledger, {**setup.pipeline.columns, **options.columns})
    gone = set(found["n"].to_pylist())
    keep = pa.array([n not in gone for n in range(current.num_rows)], pa.bool_())
    return current.filter(keep) if gone else current


def _write(table: pa.Table, out: Path, ingested: Ingested) -> None:
    """Write the samples as records of their own shape, columns and key order."""
    schema = None
    if out.suffix == ".parquet" and len(ingested.files) == 1 and ingested.files[0].format == "parquet":
        schema = pq.read_schema(ingested.files[0].path)
    write_records(_records(table), out, parquet_schema=schema)


def _records(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.select(["record", "texts"]).to_batches(max_chunksize=2_000):
        for record, texts in zip(batch.column("record").to_pylist(), batch.column("texts").to_pylist(), strict=True):
            yield fill_record(record, {t["field"]: t["text"] for t in texts})


def _save_dropped(workspace: Workspace, ingested: Ingested, ledger: Ledger) -> None:
    """Put every dropped record, whole, into the quarantine of the dataset store, with its reason."""
    import orjson

    rows = [q | {"reason": q["reason"]} for q in ingested.quarantine.to_pylist()]
    gone = sorted(ledger.dropped)
    if gone:
        taken = ledger.before.take(pa.array(gone, pa.int64())).select(["n", "file", "row", "record", "texts"])
        for n, sample in zip(gone, taken.to_pylist(), strict=True):
            record = fill_record(sample["record"], {t["field"]: t["text"] for t in sample["texts"]})
            rows.append(
                {
                    "file": sample["file"], "row": sample["row"], "line": 0,
                    "reason": f"dropped: {ledger.reasons[n][-1]}", "detail": "", "raw": orjson.dumps(record),
                }
            )  # fmt: skip
    workspace.save_quarantine(ingested.digest, pa.Table.from_pylist(rows, schema=QUARANTINE))


def plan_clean(dataset: Path | str, options: Options) -> list[dict[str, Any]]:
    """Return per gate what its remedy would touch and what that costs; nothing is changed."""
    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    with workspace.work() as work:
        ingested = ingest(dataset, setup, options, workspace, work)
        measured = measure_samples(ingested, setup, options, work)
        verdict = judge(measured, setup, options)
        rows = [_cost(measured, setup, result) for result in verdict.results]
        measured.connection.close()
    return rows


def _cost(measured: Measured, setup: Setup, result: Any) -> dict[str, Any]:
    gate, spec = result.gate, result.spec
    samples = measured.ingested.count
    if spec.metric == "quarantined":
        touched = measured.ingested.quarantine.num_rows
    elif spec.rules is not None:
        severities = SEVERITIES if spec.remedy == "scrub" else spec.severity
        touched = len(findings_of(measured.tables.findings, setup.gate_rules(gate), severities)["n"].unique())
    elif spec.remedy == "deduplicate":
        touched = result.failed or 0
    else:
        touched = result.failed or 0
    dropped = touched if spec.remedy in ("drop", "deduplicate") or spec.metric == "quarantined" else 0
    return {
        "gate": gate, "status": result.status, "remedy": spec.remedy, "samples": touched,
        "changed": touched if spec.remedy in ("scrub", "repair") else 0, "dropped": dropped,
        "share_dropped": dropped / samples if samples else 0.0,
    }  # fmt: skip


def scrub_dataset(dataset: Path | str, out: Path, options: Options) -> tuple[int, int]:
    """
    Mask every secret and personal datum that the packs marked *sensitive* find, and write *out*; nothing else changes.

    Returns:
        masked places, samples that changed.
    """
    _check_output(dataset, out)
    workspace = Workspace(options.workspace)
    setup = prepare(options, workspace)
    folders = list(options.rules)
    rules = tuple(r for r in load_rules(None, folders) if r.sensitive)
    setup = dataclasses.replace(setup, rules=rules)
    places = 0
    changed: set[int] = set()
    with workspace.work() as work:
        ingested = ingest(dataset, setup, options, workspace, work)
        if ingested.quarantine.num_rows:
            raise UsageError(
                f"{setup.sensitive.masked(str(dataset))}: {ingested.quarantine.num_rows} records cannot be read, "
                "so they cannot be scrubbed; "
                "`governance check` names them, `governance clean` leaves them out"
            )
        current = read_samples(ingested.samples)
        for k in range(ROUNDS):
            staged = _stage(ingested, current, work, f"scrub-{k}")
            findings = _scan(staged, setup, options, work, set())
            current, masked = mask_records(current, findings)
            changes = dict(scrubbed(current, findings, {}, {}))
            if not changes and not masked:
                break
            places += pc.count(findings["n"]).as_py()
            changed |= changes.keys() | masked
            current = replace_texts(current, changes)
        else:
            raise GateClosed(f"masking does not come to rest after {ROUNDS} rounds; nothing was written")
        _write(current, out, ingested)
    return places, len(changed)
