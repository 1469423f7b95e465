"""A kept sample inherits the strictest licence and the origins of the copies that were removed for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.clean import clean_dataset
from governance.context import Checked, Options
from governance.ingest import write_records
from governance.ingest.records import licence_place
from governance.inherit import collect_origins, lineage
from governance.ledger import Ledger
from governance.samples import ORIGINS, QUARANTINE, SAMPLES, table
from governance.split import SplitSettings, split_dataset
from governance.steps import render_run, show_run, verify_run
from governance.store import Workspace

Record = dict[str, Any]

PIPELINE = """name: own
packs: [text]
gates:
  exact: {metric: exact-duplicates, limit: 0, remedy: deduplicate}
  near: {metric: near-duplicates, limit: 0, remedy: deduplicate}
  licence: {metric: unknown-licence, limit: 0}
"""
LONG = " ".join(f"word{k}" for k in range(60))


@pytest.fixture
def options(workspace: Path, tmp_path: Path) -> Options:
    """A pipeline that removes exact and near copies."""
    path = tmp_path / "own.yaml"
    path.write_text(PIPELINE, "utf-8")
    return Options(pipeline=str(path), workspace=workspace, record=False, processes=1, formats=("md",))


def record(i: int, licence: str | None = "MIT", **more: Any) -> Record:
    """A record unlike those with another *i*."""
    origin = {"repository": f"r{i}", "commit": "c0ffee", "path": f"src/{i}.py", "start_line": 3, "end_line": 9}
    return {
        "instruction": f"do {i}",
        "output": f"{LONG.replace('word', f'w{i}x')}",
        **origin,
        "licence": licence,
    } | more


def clean(records: list[Record], out: Path, options: Options, name: str = "data.jsonl") -> tuple[Checked, Ledger]:
    """Write *records* and clean them into *out*."""
    data = out.with_name(name)
    data.write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    return clean_dataset(data, out, options)


def licences(path: Path) -> list[str | None]:
    """The licences of a written file."""
    return [json.loads(line)["licence"] for line in path.read_text("utf-8").splitlines()]


def test_strictest_licence_is_written(options: Options, tmp_path: Path) -> None:
    """The written licence is the strictest of the cluster, the ledger names the change, other keys stay."""
    records = [
        record(0), record(0, "GPL-3.0-only", repository="theirs"), record(1, "Apache-2.0"), record(1, "MIT"),
        record(2), {**record(2, "AGPL-3.0-only"), "output": record(2)["output"] + " again"}, record(3),
    ]  # fmt: skip
    checked, ledger = clean(records, tmp_path / "out.jsonl", options)
    assert checked.passed and licences(tmp_path / "out.jsonl") == ["GPL-3.0-only", "Apache-2.0", "AGPL-3.0-only", "MIT"]
    rows = ledger.table().to_pylist()
    assert [(r["row"], r["action"]) for r in rows if r["reason"] == "inherited licence"] == [(0, "changed")]
    assert ledger.summary()["changed"] == 1 and ledger.summary()["dropped"] == {"exact": 2, "near": 1}
    first = json.loads((tmp_path / "out.jsonl").read_text("utf-8").splitlines()[0])
    assert first == {**records[0], "licence": "GPL-3.0-only"} and list(first) == list(records[0])


def test_origins_are_kept_over_several_cleanings(options: Options, tmp_path: Path) -> None:
    """Every removed copy is in the run with its place and origin, also after the sample is cleaned again."""
    records = [record(0), record(1), record(0, "ISC", repository="second"), record(0, "ISC", repository="third")]
    checked, _ = clean(records, tmp_path / "out.jsonl", options)
    [two, three] = pq.read_table(checked.folder / "origins.parquet").to_pylist()
    assert (two["n"], two["file"], two["row"], two["kind"]) == (0, "data.jsonl", 2, "exact")
    assert (two["repository"], two["commit"], two["path"], two["start_line"], two["licence"]) == (
        "second", "c0ffee", "src/0.py", 3, "ISC",
    )  # fmt: skip
    assert three["repository"] == "third" and two["dataset"] == three["dataset"]
    again, _ = clean_dataset(tmp_path / "out.jsonl", tmp_path / "same.jsonl", options)
    assert pq.read_table(again.folder / "origins.parquet").to_pylist() == [two, three]
    assert lineage(pq.read_table(again.folder / "origins.parquet"), 0) == (
        "sample 0 stands for 2 removed copies from 2 repositories: ISC"
    )
    assert (tmp_path / "same.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_origins_move_with_the_sample_that_stays(workspace: Path) -> None:
    """What a sample stood for goes to the one that now stays for it, and is gone where it was dropped for itself."""
    before = table(SAMPLES, [{"n": n, "file": "d", "row": n, "sample_id": f"{n:064x}"} for n in range(4)])
    ledger = Ledger(before, QUARANTINE.empty_table(), np.full(4, 5))
    ledger.drop(0, "near", (3, 0.9))
    ledger.kinds[0] = "near"
    ledger.drop(1, "personal-data")
    earlier = table(ORIGINS, [{"n": n, "repository": f"r{n}", "licence": "MIT"} for n in range(3)])
    stays = before.take(pa.array([2, 3]))
    found = collect_origins(stays, ledger, "f" * 64, earlier, str).to_pylist()
    assert [(r["n"], r["repository"], r["row"]) for r in found] == [(0, "r2", None), (1, "r0", None), (1, None, 0)]
    assert found[1]["sample_id"] == f"{3:064x}" and found[2]["similarity"] == 0.9


def test_unknown_licence_is_inherited_too(options: Options, tmp_path: Path) -> None:
    """A copy whose licence nobody knew closes the licence gate on the sample that stays for it."""
    checked, _ = clean([record(0), record(0, None), record(1)], tmp_path / "out.jsonl", options)
    assert licences(tmp_path / "out.jsonl") == ["NOASSERTION", "MIT"] and not checked.passed
    gates = {g["gate"]: (g["status"], g["failed"]) for g in checked.evidence["gates"]}
    assert gates["licence"] == ("FAILED", 1)


def test_row_order_changes_no_licence(options: Options, tmp_path: Path) -> None:
    """Whichever of the exact copies stays, the licence that is written is the same."""
    copies = [record(0, licence) for licence in ("MIT", "GPL-2.0-only", "LGPL-3.0-only")]
    for k in range(3):
        clean([*copies[k:], *copies[:k], record(1)], tmp_path / f"out{k}.jsonl", options)
        assert licences(tmp_path / f"out{k}.jsonl") == ["GPL-2.0-only", "MIT"]


def test_origins_hold_no_secret(options: Options, tmp_path: Path) -> None:
    """What is sensitive in the provenance of a removed copy is masked, and what is no name is not stored."""
    mail = "anna.schmidt" + "@" + "firma-beispiel.de"
    copy = record(0, repository=mail, path="a text of a\nsample", commit="abc")
    checked, _ = clean([record(0), copy], tmp_path / "out.jsonl", options)
    [row] = pq.read_table(checked.folder / "origins.parquet").to_pylist()
    assert mail not in row["repository"] and "x" in row["repository"] and row["path"] == "(not a name)"


def test_check_counts_stricter_copies(
    options: Options, check: Callable[..., Checked], write_jsonl: Callable[..., Path]
) -> None:
    """A check that removes nothing says in how many clusters a copy has a stricter licence, in evidence and report."""
    data = write_jsonl([record(0), record(0, "GPL-3.0-only"), record(1), record(1, "ISC"), record(2)])
    checked = check(data, pipeline=options.pipeline)
    assert checked.evidence["duplicates"]["stricter_licences"] == 1
    line = "1 clusters in which a copy has a stricter licence than the kept sample"
    assert line in (checked.folder / "report.md").read_text("utf-8")
    assert line in render_run(checked.run, options.workspace, "html")
    assert not (checked.folder / "origins.parquet").exists()


def test_lineage_is_shown(options: Options, tmp_path: Path) -> None:
    """`verify` and `show --cluster` say in one line what a kept sample stands for."""
    checked, _ = clean([record(0), record(0, "ISC", repository="second"), record(1)], tmp_path / "out.jsonl", options)
    assert checked.passed, checked.verdict.reasons
    lines = verify_run(checked.run, options.workspace, None)
    assert lines[-1] == "1 sample stands for 1 removed copy from 1 repository: ISC"
    shown = list(show_run(checked.run, options.workspace, rule=None, cluster=0, limit=5, reveal=False))
    assert shown == ["sample 0 stands for 1 removed copy from 1 repository: ISC"]
    assert lineage(None) == "" and lineage(pq.read_table(checked.folder / "origins.parquet"), 7) == ""


@pytest.mark.parametrize(
    ("record", "columns", "key"),
    [
        ({"licence": "MIT"}, {}, "licence"),
        ({"license": "MIT"}, {}, "license"),
        ({"licence": None, "license": "MIT"}, {}, "license"),
        ({"metadata": {"license": "MIT"}}, {}, "license"),
        ({"lic": "MIT", "licence": "ISC"}, {"lic": "licence", "a": "output"}, "lic"),
        ({"licence": None}, {}, "licence"),
        ({"output": "x"}, {}, None),
        ({"metadata": "MIT"}, {}, None),
    ],
)
def test_where_the_licence_stands(record: Record, columns: dict[str, str], key: str | None) -> None:
    """The licence is written where it was read from: a mapped column first, then the record, then its metadata."""
    place = licence_place(record, columns)
    assert place is None if key is None else place is not None and place[1] == key


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_other_formats(suffix: str, options: Options, tmp_path: Path) -> None:
    """The licence is written in every format, in a mapped column and in metadata as well."""
    records = [
        {"question": LONG, "reply": f"{LONG} {i}", "terms": terms} for i, terms in ((0, "MIT"), (0, "GPL-3.0-only"))
    ]
    write_records(iter(records), tmp_path / f"data.{suffix}")
    columns = {"question": "instruction", "reply": "output", "terms": "licence"}
    clean_dataset(tmp_path / f"data.{suffix}", tmp_path / "out.jsonl", replace(options, columns=columns))
    assert [json.loads(line)["terms"] for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()] == [
        "GPL-3.0-only"
    ]


def test_origins_go_into_the_parts_of_a_split(options: Options, tmp_path: Path) -> None:
    """After a split the part that holds a kept sample knows what it stands for, at its new place."""
    records = [*(record(i) for i in range(20)), record(13, "ISC", repository="second")]
    clean(records, tmp_path / "out.jsonl", options)
    account = split_dataset(tmp_path / "out.jsonl", tmp_path / "parts", SplitSettings(), options)
    found = []
    for part in account["parts"].values():
        rows = (tmp_path / "parts" / part["file"]).read_text("utf-8").splitlines()
        origins = Workspace(options.workspace).origins(part["digest"])
        for row in origins.to_pylist() if origins is not None else []:
            found.append((json.loads(rows[row["n"]])["instruction"], row["repository"]))
    assert found == [("do 13", "second")]
