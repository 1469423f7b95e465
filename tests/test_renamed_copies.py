"""Renamed copies, from a check to a cleaned dataset: reported, counted, dropped only if the pipeline says so."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from governance.clean import clean_dataset
from governance.cli_copies import app
from governance.context import Options
from governance.pipeline import check_dataset
from governance.prove import prove_gates

PIPELINE = """
name: copies
packs: [text]
dedup: {{remove: [{remove}]}}
gates:
  renamed: {{metric: renamed-copies, limit: 0, remedy: deduplicate}}
  near: {{metric: near-duplicates, limit: 0, remedy: deduplicate}}
"""

CODE = """def {a}({b}, {c}):
    for {d} in {b}.values():
        if {d}.{a} > {c} and {d} not in {b}:
            {c}.append({d}.{a} * {b}[{d}])
    return {c} + {a}({b}, len({c}))
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three functions that are one under other names, and one of its own."""
    codes = [CODE.format(a=f"f{k}", b=f"orders{k}", c=f"sums{k}", d=f"order{k}") for k in range(3)]
    codes.append(
        "def other(x):\n    with open(x) as source:\n        return [line.strip() for line in source if line]\n"
    )
    rows = [{"instruction": f"Implement method {k}", "input": "", "output": code} for k, code in enumerate(codes)]
    path = tmp_path / "code.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def options(folder: Path, remove: str) -> Options:
    path = folder / "copies.yaml"
    path.write_text(PIPELINE.format(remove=remove), "utf-8")
    return Options(pipeline=str(path), workspace=folder / "ws", record=False, processes=1, formats=())


def test_reported_and_kept(tmp_path: Path, dataset: Path) -> None:
    """
    A check counts them in a gate and lists them in copies.parquet; cleaning leaves them unless the kind is listed.
    """
    checked = check_dataset(dataset, options(tmp_path, "exact, lexemes, near"))
    gate = next(g for g in checked.evidence["gates"] if g["gate"] == "renamed")
    assert (gate["checked"], gate["failed"], gate["status"]) == (4, 2, "FAILED")
    assert [place["row"] for place in gate["worst"]] == sorted(place["row"] for place in gate["worst"])
    assert pq.read_table(checked.folder / "copies.parquet")["kind"].to_pylist() == ["renamed"] * 2
    assert pq.read_table(checked.folder / "duplicates.parquet").num_rows == 0
    clean_dataset(dataset, tmp_path / "out.jsonl", options(tmp_path, "exact, lexemes, near"))
    before, after = (path.read_text("utf-8").splitlines() for path in (dataset, tmp_path / "out.jsonl"))
    assert list(map(json.loads, after)) == list(map(json.loads, before))


def test_dropped_on_request(tmp_path: Path, dataset: Path) -> None:
    """
    With the kind listed, one of them stays, the ledger names the gate, and the cleaned dataset passes.
    """
    checked, ledger = clean_dataset(dataset, tmp_path / "out.jsonl", options(tmp_path, "exact, lexemes, near, renamed"))
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2
    assert ledger.summary()["dropped"] == {"renamed": 2}
    assert checked.passed


def test_gate_closes(tmp_path: Path, dataset: Path) -> None:
    """
    `prove` plants renamed copies and sees the gate close.
    """
    settings = options(tmp_path, "exact, lexemes, near")
    control = tmp_path / "control.jsonl"
    control.write_text("".join(dataset.read_text("utf-8").splitlines(keepends=True)[2:]), "utf-8")
    proofs = {proof.gate: proof for proof in prove_gates(settings.pipeline, dataset=str(control))}
    assert proofs["renamed"].closed, proofs["renamed"]


def test_registry_from_the_command_line(tmp_path: Path, dataset: Path) -> None:
    """
    `dedup --against --register` names the registered dataset, the place there, and what is removed; a registry in use
    ends with exit code 2 and one line.
    """
    place = ["--workspace", str(tmp_path / "ws"), "--format", "json"]
    runner = CliRunner()
    first = runner.invoke(app, ["dedup", str(dataset), "--against", str(tmp_path / "reg"), "--register", *place])
    rows = json.loads(first.stdout)
    assert [(row["kind"], row["removed"], row["dataset"]) for row in rows] == [("renamed", False, None)] * 2
    lines = dataset.read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "new.jsonl").write_text(lines[3] + lines[3], "utf-8")
    second = runner.invoke(app, ["dedup", str(tmp_path / "new.jsonl"), "--against", str(tmp_path / "reg"), *place])
    own, *across = json.loads(second.stdout)
    assert (own["kind"], own["removed"], own["dataset"], own["kept_row"]) == ("exact", True, None, 0)
    found = [(row["row"], row["kind"], row["cluster"], row["kept_file"], row["kept_row"]) for row in across]
    assert found == [(0, "exact", None, "code.jsonl", 3), (1, "exact", None, "code.jsonl", 3)]
    digests = {row["dataset"] for row in across}
    assert digests == {p.name for p in (tmp_path / "reg").iterdir() if len(p.name) == 64}
