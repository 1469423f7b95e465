"""samples, findings, a pipeline's remedies -> samples that are scrubbed, repaired or dropped. One round of `clean`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.context import Setup
from governance.ledger import Ledger, count_words
from governance.rules import SEVERITIES
from governance.samples import PROVENANCE, SAMPLES, Text, sample_id
from governance.scrub import scrub_samples, scrub_text

RECORD = "record"  # the field of a finding in the metadata


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


def findings_of(findings: pa.Table, rules: Iterable[str], severities: Iterable[str]) -> pa.Table:
    wanted = pc.is_in(findings["rule"], pa.array(list(rules), pa.string()))
    return findings.filter(pc.and_(wanted, pc.is_in(findings["severity"], pa.array(list(severities), pa.string()))))


def apply_remedies(current: pa.Table, findings: pa.Table, setup: Setup, ledger: Ledger) -> tuple[pa.Table, int]:
    """Scrub, repair and drop what *findings* say; returns the new table and how many samples it touched."""
    todo = remedies(setup)
    drop: dict[int, str] = {}
    for name, rules, severities in todo.get("drop", []):
        for n in findings_of(findings, rules, severities)["n"].unique().to_pylist():
            drop.setdefault(n, name)
    for name, gate in setup.pipeline.gates.items():
        if gate.metric == "unknown-licence" and gate.remedy == "drop":
            for n in _without_licence(current):
                drop.setdefault(n, name)
    changes: dict[int, list[Text]] = {}
    reasons: dict[int, list[str]] = {}
    masked: set[int] = set()
    for name, rules, severities in todo.get("scrub", []):
        current, touched = mask_records(current, findings_of(findings, rules, severities))
        masked |= touched
        for n in touched:
            reasons.setdefault(n, []).append(name)
        for n, texts in scrubbed(current, findings_of(findings, rules, severities), drop, changes):
            changes[n] = texts
            reasons.setdefault(n, []).append(name)
    mended: dict[int, str] = {}  # a second repair waits for the next round: its offsets are those of the text before
    for name, rules, severities in todo.get("repair", []):
        repairs = {r.rule_id: r.repair for r in setup.rules if r.rule_id in rules and r.repair is not None}
        wanted = findings_of(findings, rules, severities)
        for n, texts in _repaired(current, wanted, repairs, drop | mended, changes):
            changes[n] = texts
            mended |= {n: name}
            reasons.setdefault(n, []).append(name)
        for n in wanted["n"].unique().to_pylist():  # what has no repair of its own goes
            if n not in changes:
                drop.setdefault(n, name)
    original = current["n"].to_pylist()  # only `_stage` renumbers
    changed = replace_texts(current, {n: texts for n, texts in changes.items() if n not in drop})
    words = count_words(changed)
    for n, names in reasons.items():
        for name in names if n not in drop else ():
            ledger.change(original[n], name, changed["sample_id"][n].as_py(), int(words[n]))
    for n, name in drop.items():
        ledger.drop(original[n], name)
    keep = pa.array([n not in drop for n in range(current.num_rows)], pa.bool_())
    return (changed.filter(keep) if drop else changed), len(drop) + len(changes.keys() | masked)


def _without_licence(current: pa.Table) -> list[int]:
    """Positions of the samples that the licence gate counts."""
    from governance.gate.measure import UNKNOWN_LICENCES

    known = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(current["licence"], "")))
    mask = pc.is_in(known, pa.array(UNKNOWN_LICENCES, pa.string())).combine_chunks()
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found


def scrubbed(
    current: pa.Table, findings: pa.Table, drop: Mapping[int, str], changes: Mapping[int, list[Text]]
) -> Iterator[tuple[int, list[Text]]]:
    """Yield (position, masked texts) of the samples that *findings* name."""
    findings = findings.filter(pc.not_equal(findings["field"], RECORD))
    positions = [n for n in findings["n"].unique().to_pylist() if n not in drop]
    if not positions:
        return
    rows = replace_texts(current, changes).take(pa.array(positions, pa.int64()))
    numbered = rows.set_column(0, "n", pa.array(positions, pa.int64())).cast(SAMPLES).combine_chunks()
    for batch in numbered.to_batches():
        masked, _ = scrub_samples(batch, findings)
        for n, texts in zip(masked.column("n").to_pylist(), masked.column("texts").to_pylist(), strict=True):
            yield n, [Text(t["field"], t["role"], t["text"]) for t in texts]


def mask_records(table: pa.Table, findings: pa.Table) -> tuple[pa.Table, set[int]]:
    """
    Return *table* with every finding in the metadata masked, and the positions that changed.

    The mask keeps the JSON of the record valid: it stays inside one string or number, and escapes stay.
    """
    spans: dict[int, list[tuple[int, int, str]]] = {}
    inside = findings.filter(pc.equal(findings["field"], RECORD))
    for f in inside.select(["n", "start", "end", "rule"]).to_pylist():
        spans.setdefault(f["n"], []).append((f["start"], f["end"], f["rule"]))
    if not spans:
        return table, set()
    columns = {name: table[name].to_pylist() for name in (RECORD, *PROVENANCE)}
    for n, places in spans.items():
        before = columns[RECORD][n]
        columns[RECORD][n] = after = scrub_text(before, places)[0]
        for name in PROVENANCE:  # a repository or path is a copy of what stands in the record
            for start, end, _ in places:
                if isinstance(columns[name][n], str):
                    columns[name][n] = columns[name][n].replace(before[start:end], after[start:end])
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    return table, set(spans)


def _repaired(
    current: pa.Table, findings: pa.Table, repairs: Mapping[str, str], drop: Mapping[int, str],
    changes: Mapping[int, list[Text]],
) -> Iterator[tuple[int, list[Text]]]:  # fmt: skip
    """Yield (position, texts) with every flagged span of a rule that has a repair replaced by it, last span first."""
    per_sample: dict[int, list[dict[str, Any]]] = {}
    for f in findings.filter(pc.not_equal(findings["field"], RECORD)).to_pylist():
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


def replace_texts(table: pa.Table, changes: Mapping[int, list[Text]]) -> pa.Table:
    """Return *table* with new texts and ids at some positions; the other rows are shared, not copied."""
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
