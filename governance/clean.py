"""a dataset, a pipeline's remedies -> a clean dataset, the ledger of every record, and a new verdict.

Rounds of *scan, scrub, repair, drop* run until a scan finds nothing more to do; then copies are dropped; then the
written file is checked like any other. A remedy is applied wherever the gate's rules flag something, also while the
gate is within its limit: a scrubbed dataset holds no secret, not a tolerated number of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance.context import Checked, Measured, Options, Setup
from governance.errors import GateClosed, UsageError
from governance.gate.baseline import mark_accepted
from governance.ingest import Ingested, fill_record, write_records
from governance.ledger import Ledger, count_words
from governance.pipeline import check_dataset, ingest, judge, measure_samples, prepare
from governance.rules import SEVERITIES, load_rules
from governance.samples import QUARANTINE, SAMPLES, Text
from governance.scrub import scrub_samples
from governance.store import Workspace, read_samples

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
        _save_dropped(workspace, ingested, ledger)
        _write(table, out, ingested)
    checked = check_dataset(out, options, ledger=ledger, parents=[ingested.digest])
    return checked, ledger


def _check_output(dataset: Path | str, out: Path) -> None:
    if out.exists() and Path(dataset).exists() and out.samefile(dataset):
        raise UsageError(f"{out}: is the dataset itself; write to another file")


def _clean_table(ingested: Ingested, setup: Setup, options: Options, work: Path) -> tuple[pa.Table, Ledger]:
    before = read_samples(ingested.samples)
    ledger = Ledger(before, ingested.quarantine, count_words(before))
    current, accepted = before, _accepted(setup, options)
    for k in range(ROUNDS):
        findings = _scan(_stage(ingested, current, work, f"clean-{k}"), setup, options, work, accepted)
        current, done = _apply(current, findings, setup, ledger)
        ledger.rounds = k + 1
        if not done:
            break
    else:
        raise GateClosed(
            f"remedies do not come to rest after {ROUNDS} rounds; look at the rules whose repair is flagged again"
        )
    if _copies_to_drop(setup):
        current = _deduplicate(current, setup, options, ledger, _stage(ingested, current, work, "clean-copies"), work)
    return current, ledger


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
    import pyarrow.compute as pc

    measured = measure_samples(staged, setup, options, work, duplicates=False)
    measured.connection.close()
    findings = mark_accepted(measured.tables.findings, accepted)
    return findings.filter(pc.invert(pc.field("accepted")))


def remedies(setup: Setup) -> dict[str, list[tuple[str, list[str], list[str]]]]:
    """
    Return per remedy the ``(gate, rule ids, severities)`` that ask for it.

    What is scrubbed is scrubbed at every severity: a weak finding may be the only one that an overlap left.
    """
    found: dict[str, list[tuple[str, list[str], list[str]]]] = {}
    for name, gate in setup.pipeline.gates.items():
        severities: list[str] = list(SEVERITIES if gate.remedy == "scrub" else gate.severity)
        if gate.rules is not None:
            found.setdefault(gate.remedy, []).append((name, setup.gate_rules(name), severities))
    return found


def _of(findings: pa.Table, rules: Iterable[str], severities: Iterable[str]) -> pa.Table:
    import pyarrow.compute as pc

    wanted = pc.is_in(findings["rule"], pa.array(list(rules), pa.string()))
    return findings.filter(pc.and_(wanted, pc.is_in(findings["severity"], pa.array(list(severities), pa.string()))))


def _apply(current: pa.Table, findings: pa.Table, setup: Setup, ledger: Ledger) -> tuple[pa.Table, int]:
    """Scrub, repair and drop what *findings* say; returns the new table and how many samples it touched."""
    todo = remedies(setup)
    drop: dict[int, str] = {}
    for name, rules, severities in todo.get("drop", []):
        for n in _of(findings, rules, severities)["n"].unique().to_pylist():
            drop.setdefault(n, name)
    for name, gate in setup.pipeline.gates.items():
        if gate.metric == "unknown-licence" and gate.remedy == "drop":
            for n in _without_licence(current):
                drop.setdefault(n, name)
    changes: dict[int, list[Text]] = {}
    reasons: dict[int, list[str]] = {}
    for name, rules, severities in todo.get("scrub", []):
        for n, texts in _scrubbed(current, _of(findings, rules, severities), drop, changes):
            changes[n] = texts
            reasons.setdefault(n, []).append(name)
    mended: dict[int, str] = {}  # a second repair waits for the next round: its offsets are those of the text before
    for name, rules, severities in todo.get("repair", []):
        repairs = {r.rule_id: r.repair for r in setup.rules if r.rule_id in rules and r.repair is not None}
        wanted = _of(findings, rules, severities)
        for n, texts in _repaired(current, wanted, repairs, drop | mended, changes):
            changes[n] = texts
            mended |= {n: name}
            reasons.setdefault(n, []).append(name)
        for n in wanted["n"].unique().to_pylist():  # what has no repair of its own goes
            if n not in changes:
                drop.setdefault(n, name)
    original = current["n"].to_pylist()  # only `_stage` renumbers
    changed = _replace_texts(current, {n: texts for n, texts in changes.items() if n not in drop})
    words = count_words(changed)
    for n, names in reasons.items():
        for name in names if n not in drop else ():
            ledger.change(original[n], name, changed["sample_id"][n].as_py(), int(words[n]))
    for n, name in drop.items():
        ledger.drop(original[n], name)
    keep = pa.array([n not in drop for n in range(current.num_rows)], pa.bool_())
    return (changed.filter(keep) if drop else changed), len(drop) + len(changes)


def _without_licence(current: pa.Table) -> list[int]:
    """Positions of the samples that the licence gate counts."""
    import pyarrow.compute as pc

    from governance.gate.measure import UNKNOWN_LICENCES

    known = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(current["licence"], "")))
    mask = pc.is_in(known, pa.array(UNKNOWN_LICENCES, pa.string())).combine_chunks()
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found


def _scrubbed(
    current: pa.Table, findings: pa.Table, drop: Mapping[int, str], changes: Mapping[int, list[Text]]
) -> Iterator[tuple[int, list[Text]]]:
    """Yield (position, masked texts) of the samples that *findings* name."""
    positions = [n for n in findings["n"].unique().to_pylist() if n not in drop]
    if not positions:
        return
    rows = _replace_texts(current, changes).take(pa.array(positions, pa.int64()))
    numbered = rows.set_column(0, "n", pa.array(positions, pa.int64())).cast(SAMPLES).combine_chunks()
    for batch in numbered.to_batches():
        masked, _ = scrub_samples(batch, findings)
        for n, texts in zip(masked.column("n").to_pylist(), masked.column("texts").to_pylist(), strict=True):
            yield n, [Text(t["field"], t["role"], t["text"]) for t in texts]


def _repaired(
    current: pa.Table, findings: pa.Table, repairs: Mapping[str, str], drop: Mapping[int, str],
    changes: Mapping[int, list[Text]],
) -> Iterator[tuple[int, list[Text]]]:  # fmt: skip
    """Yield (position, texts) with every flagged span of a rule that has a repair replaced by it, last span first."""
    per_sample: dict[int, list[dict[str, Any]]] = {}
    for f in findings.to_pylist():
        if f["rule"] in repairs and f["n"] not in drop:
            per_sample.setdefault(f["n"], []).append(f)
    for n, places in per_sample.items():
        texts = changes.get(n) or _texts(current, n)
        out = []
        for text in texts:
            value, end = text.text, len(text.text) + 1
            for f in sorted((p for p in places if p["field"] == text.field), key=lambda p: -p["start"]):
                if f["end"] <= end and f["end"] > f["start"]:
                    value, end = value[: f["start"]] + repairs[f["rule"]] + value[f["end"] :], f["start"]
            out.append(dataclasses.replace(text, text=value))
        yield n, out


def _texts(table: pa.Table, position: int) -> list[Text]:
    return [Text(t["field"], t["role"], t["text"]) for t in table["texts"][position].as_py()]


def _replace_texts(table: pa.Table, changes: Mapping[int, list[Text]]) -> pa.Table:
    """Return *table* with new texts and ids at some positions; the other rows are shared, not copied."""
    from governance.samples import sample_id

    if not changes:
        return table
    pieces, last = [], 0
    for n in sorted(changes):
        pieces.append(table.slice(last, n - last))
        row = table.slice(n, 1).to_pylist()[0]
        texts = changes[n]
        row["texts"] = [{"field": t.field, "role": t.role, "text": t.text} for t in texts]
        row["sample_id"] = sample_id((t.role, t.text) for t in texts)
        pieces.append(pa.Table.from_pylist([row], schema=table.schema))
        last = n + 1
    pieces.append(table.slice(last))
    return pa.concat_tables(pieces).combine_chunks() if len(pieces) > 1 else pieces[0]


def _copies_to_drop(setup: Setup) -> set[str]:
    """The kinds of copies that a gate names the remedy for; most-repeated asks for the exact ones."""
    asked = {g.metric for g in setup.pipeline.gates.values() if g.remedy == "deduplicate"}
    kinds = {"exact"} if asked & {"exact-duplicates", "most-repeated"} else set()
    return kinds | ({"lexemes", "near"} if "near-duplicates" in asked else set())


def _deduplicate(
    current: pa.Table, setup: Setup, options: Options, ledger: Ledger, staged: Ingested, work: Path
) -> pa.Table:
    from governance.pipeline import find_duplicates

    import pyarrow.compute as pc

    found = find_duplicates(staged, setup, options, work)
    found = found.filter(pc.is_in(found["kind"], pa.array(sorted(_copies_to_drop(setup)), pa.string())))
    original = current["n"].to_pylist()  # only `_stage` renumbers
    for d in found.select(["n", "cluster", "similarity", "kind"]).to_pylist():
        kind = "exact" if d["kind"] == "exact" else "near"
        ledger.drop(original[d["n"]], f"{kind}-duplicates", (original[d["cluster"]], d["similarity"]))
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
        touched = len(_of(measured.tables.findings, setup.gate_rules(gate), spec.severity)["n"].unique())
    elif spec.remedy == "deduplicate":
        kinds = measured.tables.duplicates["kind"].to_pylist()
        exact = sum(k == "exact" for k in kinds)
        touched = {"exact-duplicates": exact, "near-duplicates": len(kinds) - exact}.get(spec.metric or "", len(kinds))
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
    import pyarrow.compute as pc

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
            changes = dict(_scrubbed(current, findings, {}, {}))
            if not changes:
                break
            places += pc.count(findings["n"]).as_py()
            changed |= changes.keys()
            current = _replace_texts(current, changes)
        else:
            raise GateClosed(f"masking does not come to rest after {ROUNDS} rounds; nothing was written")
        _write(current, out, ingested)
    return places, len(changed)
