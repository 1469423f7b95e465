"""a pipeline -> one planted violation per gate, and whether the gate closed: mutation testing for gates.

A control dataset that passes is copied, one violation is planted, the copy is checked like any dataset. A gate that
stays open under its own violation guards nothing, and a control that does not pass proves nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from governance.context import Checked, Options, Setup
from governance.data import data_folder
from governance.errors import InputError
from governance.ingest import write_records
from governance.ledger import Ledger
from governance.overlap_probe import plant_source
from governance.pipeline import check_dataset, prepare
from governance.rules import Rule
from governance.samples import QUARANTINE, SAMPLES
from governance.settings import GateSpec
from governance.store import Workspace

Record = dict[str, Any]

SOURCES = ("protected-overlap", "benchmark-overlap", "held-out-overlap")
"""Metrics that compare with a source; one is made up for them, so indexes without text are proved too."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One gate under its own violation; ``closed`` is the proof. ``planted`` says what was done, never a text."""

    gate: str
    planted: str
    status: str
    closed: bool


def prove_gates(
    pipeline: str,
    dataset: str | None = None,
    *,
    rules: tuple[Path, ...] = (),
    policy: Path | None = None,
    workspace: Path | None = None,
) -> list[Proof]:
    """
    Return one proof per gate, preceded by the control and an empty dataset.

    Works in a workspace of its own that is gone afterwards; nothing of the user's is touched.

    Args:
        dataset: JSON Lines whose gates are open; without it the built-in control of the pipeline.
        workspace: its dataset store holds the copies of *dataset*, for a store is swept after a kill and the system's
            temporary folder is not; without it they are there.

    Raises:
        InputError: the dataset is no JSON Lines file.
    """
    with Workspace(workspace).work() if workspace else tempfile.TemporaryDirectory(prefix="governance-") as folder:
        place = Path(folder)
        options = Options(
            pipeline=pipeline, workspace=place / "workspace", rules=rules, policy=policy, record=False, formats=(),
            processes=1,
        )  # fmt: skip
        setup = prepare(options, Workspace(options.workspace))
        control = _read(Path(dataset) if dataset else _control(setup.pipeline.name), setup)
        split = any(spec.metric == "split-overlap" for spec in setup.pipeline.gates.values())
        bench = _Bench(place, options, split)
        before = bench.check(control, "control")
        proofs = [Proof("(control)", "nothing", before.verdict.status, before.passed)]
        empty = bench.check([], "empty")
        proofs.append(Proof("(dataset)", "no record at all", empty.verdict.status, not empty.passed))
        proofs += [_prove(bench, setup, control, name, spec) for name, spec in setup.pipeline.gates.items()]
    return proofs


def _control(name: str) -> Path:
    folder = data_folder("pipelines") / "controls"
    own = folder / f"{name}.jsonl"
    return own if own.exists() else folder / "default.jsonl"


def _read(path: Path, setup: Setup) -> list[Record]:
    try:
        records = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        raise InputError(f"{setup.sensitive.masked(str(path))}: cannot be read as JSON Lines in UTF-8") from None
    if not all(isinstance(r, dict) for r in records):
        raise InputError(f"{setup.sensitive.masked(str(path))}: a line is no JSON object")
    return records


@dataclass(frozen=True)
class _Bench:
    """Writes a mutant and checks it."""

    place: Path
    options: Options
    parts: bool = False  # some gate compares the parts of a split

    def check(
        self, records: Sequence[Record], name: str, *, tail: bytes = b"", ledger: Ledger | None = None, held: int = 1
    ) -> Checked:
        """Check *records*; where the pipeline compares parts, the last *held* of them are a test file."""
        path = self.place / f"{name}.jsonl"
        if self.parts:
            folder = self.place / name
            folder.mkdir()
            path = folder / "train.jsonl"
            write_records(iter(records[len(records) - held :]), folder / "test.jsonl")
            records = records[: len(records) - held]
        write_records(iter(records), path)
        if tail:
            path.write_bytes(path.read_bytes() + tail)
        return check_dataset(path.parent if self.parts else path, self.options, ledger=ledger)


def _prove(bench: _Bench, setup: Setup, control: list[Record], name: str, spec: GateSpec) -> Proof:
    planted, checked = _plant(bench, setup, control, name, spec)
    result = next(r for r in checked.verdict.results if r.gate == name)
    if spec.sql is not None:  # what violates it only its author knows; an empty dataset closes any gate
        return Proof(name, planted, "NOT_PROVED", False)
    closes = result.status in ("FAILED", "ERROR") or (spec.level == "warn" and result.status == "WARNED")
    held = not checked.passed or not spec.required or spec.level == "warn"
    return Proof(name, planted, result.status, closes and held)


def _plant(
    bench: _Bench, setup: Setup, control: list[Record], name: str, spec: GateSpec
) -> tuple[str, Checked]:  # fmt: skip
    if spec.rules is not None:
        return _plant_rule(bench, setup, control, name, spec)
    if spec.sql is not None:
        return "nothing: only its author knows what violates own SQL", bench.check([], name)
    count = _enough(spec, len(control)) + (spec.metric == "renamed-copies")  # the first of them is a copy of nothing
    if spec.metric == "quarantined":
        return f"{count} broken records", bench.check(control, name, tail=b"{\n" * count)
    if spec.metric in ("rows-lost", "tokens-lost"):
        return "a ledger that lost all but one record", bench.check(control, name, ledger=_lossy(control))
    if spec.metric in SOURCES:
        compare, text = plant_source(spec.metric, bench.place / f"{name}-source", setup.pipeline.overlap.least)
        beside = dataclasses.replace(bench, options=dataclasses.replace(bench.options, compare=compare))
        base = {k: v for k, v in control[0].items() if k != "system"}
        records = [{**base, "instruction": text, "input": "", "output": text}] * count  # a held-out one is this whole
        return f"{count} samples with the text of a made-up source", beside.check([*control, *records], name)
    if spec.metric == "split-overlap":
        copies = [control[k % len(control)] for k in range(count)]
        return f"{count} training samples in a test file", bench.check([*control, *copies], name, held=count)
    changed: Callable[[int], Record] = {
        "unknown-licence": lambda i: {**_unique(control[0], i), "licence": None},
        "exact-duplicates": lambda i: control[0],
        "most-repeated": lambda i: control[0],
        "near-duplicates": lambda i: _near(control[0], i),
        "renamed-copies": lambda i: _renamed(control[0], i),
    }[str(spec.metric)]
    what = {
        "unknown-licence": "samples without a licence",
        "exact-duplicates": "copies of one sample",
        "most-repeated": "copies of one sample",
        "near-duplicates": "near-copies of one sample",
        "renamed-copies": "samples with one function under other names",
    }[str(spec.metric)]
    return f"{count} {what}", bench.check([*control, *(changed(i) for i in range(count))], name)


def _enough(spec: GateSpec, size: int) -> int:
    """How many violations put a gate over *size* good units over its limit."""
    if spec.unit == "count":
        return int(spec.limit) + 1
    return size if spec.limit >= 1 else math.floor(spec.limit * size / (1 - spec.limit)) + 1


def _plant_rule(
    bench: _Bench, setup: Setup, control: list[Record], name: str, spec: GateSpec
) -> tuple[str, Checked]:  # fmt: skip
    rule = _strongest(setup, name, spec)
    units = max(len(control), 4 * len(control) if spec.of in ("routes", "stories") else 0)
    count = _enough(spec, units)
    records = [_flagged(control[0], rule, i) for i in range(count)]
    return f"{count} x {rule.rule_id}", bench.check([*control, *records], name)


def _strongest(setup: Setup, name: str, spec: GateSpec) -> Rule:
    """The first rule of the gate that counts at one of its severities; `sql` rules need several rows and come last."""
    ids = set(setup.gate_rules(name))
    rules = [r for r in setup.rules if r.rule_id in ids and r.severity in spec.severity]
    return sorted(rules, key=lambda r: (r.kind == "sql", r.rule_id))[0]


def _flagged(base: Record, rule: Rule, i: int) -> Record:
    example = rule.flags[i % len(rule.flags)]
    if isinstance(example, list):
        example = example[0]
    texts = dict(example) if isinstance(example, dict) else {_role(rule): example}
    if rule.field in ("path", "route") and texts.get("output", "").startswith("/"):
        texts["output"] = f"GET {texts['output']}"
    return {**{k: v for k, v in base.items() if k not in ("system",)}, "input": f"planted {i}", **texts}


def _role(rule: Rule) -> str:
    if rule.field in ("instruction", "input", "output"):
        return rule.field
    return "instruction" if rule.field == "prompt" else "output"


def _unique(base: Record, i: int) -> Record:
    return {**base, "input": f"planted {i}", "output": f"{base['output']}\nplanted {i}"}


def _near(base: Record, i: int) -> Record:
    """A copy with one word more at the end; the output is long enough for that to be near at any threshold below 1."""
    return {**base, "output": f"{base['output']} {'again ' * (i + 1)}".rstrip()}


def _renamed(base: Record, i: int) -> Record:
    """One function with names of its own for every *i*; the first stands for all others."""
    a, b, c, d = (f"{letter}{i}" for letter in "abcd")
    lines = [f"def {a}({b}, {c}):", f"    for {d} in {b}.items():", f"        {c}.append({d}.{a}({b}[{d}], {i}))"]
    lines += [f"        if {d} > {c}[{i}]:", f"            return {b}.{c}({a}, {d})", f"    return {a}({b}) + {c}.{d}"]
    return {**base, "input": f"planted {i}", "output": "\n".join(lines) + "\n"}


def _lossy(control: list[Record]) -> Ledger:
    """The account of a clean that kept one record of all."""
    rows = [
        {"n": n, "file": "control", "row": n, "sample_id": f"{n:064x}", "shape": "alpaca", "texts": [], "record": "{}"}
        for n in range(max(2, len(control)))
    ]
    ledger = Ledger(
        pa.Table.from_pylist(rows, schema=SAMPLES), QUARANTINE.empty_table(), np.full(len(rows), 10, np.int64)
    )
    for n in range(1, len(rows)):
        ledger.drop(n, "planted")
    return ledger
