"""A split divides no group, is decided by content and seed, and is compared with itself before anyone sees it."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance import split as split_module
from governance.context import Options
from governance.dedup.assign import assign_components
from governance.errors import GateClosed
from governance.prove import prove_gates
from governance.split import PARTS, SplitSettings, split_dataset

Record = dict[str, Any]
STORIES = Path(__file__).parent.parent.parent / "shared" / "data" / "unit-minions" / "userstory_detail.jsonl"


@pytest.fixture
def options(workspace: Path) -> Options:
    """The pipeline `default` in a workspace of its own."""
    return Options(workspace=workspace, record=False, processes=1)


def record(i: int, seed: int = 0, **more: Any) -> Record:
    """A record of made-up words, unlike any other."""
    rng = random.Random(i * 1000 + seed)  # noqa: S311
    words = [f"w{rng.randrange(100_000)}" for _ in range(40)]
    return {"instruction": f"do {i}", "input": "", "output": " ".join(words), **more}


def families(groups: int) -> list[Record]:
    """Records of which every group has an exact copy, a copy in other white space and two near ones, and one alone."""
    out = []
    for g in range(groups):
        base = record(g, step=("code", "test")[g % 2], language="java")
        words = base["output"].split()
        out += [base, dict(base), {**base, "output": base["output"].replace(" ", "\n")}]
        out += [{**base, "output": " ".join([*words[:k], f"other{g}x{k}", *words[k + 1 :]])} for k in (20, 30)]
        out += [record(10_000 + g, step="code", language="java")]
    random.Random(4).shuffle(out)  # noqa: S311
    return out


def read(folder: Path) -> dict[str, list[Record]]:
    """The records of every part."""
    return {p.stem: [json.loads(line) for line in p.read_text("utf-8").splitlines()] for p in folder.glob("*.jsonl")}


def test_no_text_stands_in_two_parts(options: Options, write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """Exact, near and respaced copies of a text are in one part; every record is in exactly one; shares are met."""
    records = families(40)
    account = split_dataset(write_jsonl(records), tmp_path / "out", SplitSettings(audit=20), options)
    parts = read(tmp_path / "out")
    together = sorted(json.dumps(r, sort_keys=True) for rows in parts.values() for r in rows)
    assert together == sorted(json.dumps(r, sort_keys=True) for r in records)
    where = [{r["instruction"] for r in rows} for rows in parts.values()]
    assert sum(map(len, where)) == len(set().union(*where)) == 80
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 176, "validation": 22, "test": 22, "audit": 20,
    }  # fmt: skip
    assert [o["exact"] + o["near"] for o in account["overlap"]] == [0] * 6
    chance = account["random"]["parts"]["validation"]
    assert 0.2 < chance["exact"] < 0.4 < chance["copies"] < 0.9
    assert account["groups"]["sizes"] == {"1": 40, "5": 40} and account["rounds"] == 1
    stored = json.loads((tmp_path / "out" / "split.json").read_text("utf-8"))
    assert stored == json.loads(json.dumps(account)) and "w1" not in json.dumps(account)


def test_row_order_and_processes_change_nothing(
    options: Options, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """Another order of rows gives the same parts as sets, another number of processes the same bytes; a seed others."""
    records = families(30)
    data = write_jsonl(records)
    split_dataset(data, tmp_path / "a", SplitSettings(audit=7), options)
    again = Options(workspace=options.workspace, record=False, processes=2)
    split_dataset(data, tmp_path / "b", SplitSettings(audit=7), again)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    moved = write_jsonl(random.Random(9).sample(records, len(records)), "moved.jsonl")  # noqa: S311
    split_dataset(moved, tmp_path / "c", SplitSettings(audit=7), options)
    split_dataset(data, tmp_path / "d", SplitSettings(audit=7, seed=1), options)

    def contents(folder: str) -> dict[str, list[str]]:
        return {name: sorted(map(json.dumps, rows)) for name, rows in read(tmp_path / folder).items()}

    assert contents("a") == contents("c") != contents("d")


def test_classes_and_repositories_stay_together(
    options: Options, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """Equal values of `group` are one part by default, equal repositories where asked; no value ties nothing."""
    records = [record(i, group=f"a.B{i % 20}", repository=f"r{i % 5}") for i in range(200)]
    records += [record(500 + i, group=None, repository=None) for i in range(50)]
    data = write_jsonl(records)
    for name, by, values in (("group", ("cluster", "group"), 20), ("repository", ("cluster", "repository"), 5)):
        account = split_dataset(data, tmp_path / name, SplitSettings(by=by), options)
        parts = read(tmp_path / name).values()
        seen = [{r[name] for r in rows} - {None} for rows in parts]
        assert sum(map(len, seen)) == len(set().union(*seen)) == values
        assert account["groups"]["count"] == values + 50
    alone = split_dataset(data, tmp_path / "alone", SplitSettings(by=("cluster",)), options)
    assert alone["groups"]["count"] == 250


def test_strata_are_in_every_part(options: Options, write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """Every part has every step and language in proportion, and the account says how many; odd values are not shown."""
    kinds = [("code", "java")] * 6 + [("test", "java")] * 3 + [("text of a sample\nin a column", "sql")]
    records = [record(i, step=kinds[i % 10][0], language=kinds[i % 10][1]) for i in range(400)]
    account = split_dataset(write_jsonl(records), tmp_path / "out", SplitSettings(), options)
    for name, rows in read(tmp_path / "out").items():
        for kind in set(kinds):
            mine = sum((r["step"], r["language"]) == kind for r in rows)
            assert abs(mine - len(rows) * kinds.count(kind) / 10) <= 2, name
    steps = {row["step"]: row["train"] for row in account["strata"]}
    assert set(steps) == {"code", "test", "(not a name)"} and sum(steps.values()) == 320


def test_pairs_that_only_two_parts_show(options: Options, write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """A pair that is near only where no third sample shares the prompt is found, joined and dealt again."""
    records = []
    for i in range(60):
        prompt = record(i)["output"] * 4
        records += [
            {"instruction": prompt, "output": f"first answer {i}"},
            {"instruction": prompt, "output": f"wholly other {i * 7} words are said here"},
            {"instruction": f"{prompt} please", "output": f"third reply {i * 3} with its own end"},
        ]
    account = split_dataset(
        write_jsonl(records), tmp_path / "out", SplitSettings(0.5, 0.25, 0.25, by=("cluster",)), options
    )
    assert account["rounds"] > 1 and account["groups"]["count"] < 180
    assert sum(o["exact"] + o["near"] for o in account["overlap"]) == 0


def test_what_does_not_come_to_rest_is_not_written(
    options: Options, write_jsonl: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If two parts still share a copy at the end, nothing is written, not even in part."""

    def careless(component: Any, ids: Any, strata: Any, wanted: Any, *, seed: int) -> Any:
        part = assign_components(component, ids, strata, wanted, seed=seed)
        part[:2] = (0, 1)  # copies of each other
        return part

    monkeypatch.setattr(split_module, "assign_components", careless)
    data = write_jsonl([record(1), record(1), *(record(i) for i in range(2, 40))])
    with pytest.raises(GateClosed, match="still share a copy; nothing was written"):
        split_dataset(data, tmp_path / "out", SplitSettings(), options)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


@pytest.mark.parametrize("suffix", ["jsonl.gz", "json", "csv", "parquet"])
def test_parts_have_the_form_of_the_input(suffix: str, options: Options, tmp_path: Path) -> None:
    """Every part is a file of the input's format with its columns in their order and their types."""
    from governance.ingest import write_records

    data = tmp_path / f"data.{suffix}"
    records = [{"zeta": i, **record(i), "licence": "MIT"} for i in range(40)]
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(records).set_column(0, "zeta", pa.array(range(40), pa.int16())), data)
    else:
        write_records(iter(records), data)
    account = split_dataset(data, tmp_path / "out", SplitSettings(), options)
    assert [p["file"] for p in account["parts"].values()] == [f"{n}.{suffix}" for n in ("train", "validation", "test")]
    train = tmp_path / "out" / f"train.{suffix}"
    if suffix == "parquet":
        assert pq.read_schema(train).remove_metadata() == pq.read_schema(data).remove_metadata()
    if suffix == "csv":
        with train.open(newline="") as file:
            assert next(csv.reader(file)) == list(records[0])
    if suffix == "json":
        assert [list(r) for r in json.loads(train.read_text())][:1] == [list(records[0])]


def test_bad_records_are_counted_and_kept(options: Options, write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """A record that cannot be read is in no part, is counted, and lies in the quarantine with its bytes."""
    data = write_jsonl([record(i) for i in range(30)])
    with data.open("ab") as file:
        file.write(b'{"instruction": "cut\n')
    account = split_dataset(data, tmp_path / "out", SplitSettings(), options)
    assert account["dataset"]["quarantined"] == 1 and sum(p["samples"] for p in account["parts"].values()) == 30
    [kept] = (options.workspace / "datasets" / "quarantine").glob("*.parquet")
    assert pq.read_table(kept)["raw"].to_pylist() == [b'{"instruction": "cut']


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "0.8", "--validation", "0.1", "--test", "0.2"], "sum to 1.1"),
        (["--train", "-0.1", "--validation", "1.0", "--test", "0.1"], "expected shares from 0 to 1"),
        (["--train", "nan"], "expected shares from 0 to 1"),
        (["--train", "0", "--validation", "0.5", "--test", "0.5"], "--train 0"),
        (["--audit", "31"], "has 30 samples; hold out fewer"),
        (["--audit", "30"], "has 30 samples; hold out fewer"),
        (["--audit", "-1"], "expected a number of samples"),
        (["--threshold", "0.4"], "expected 0.5 to 1"),
        (["--by", "author"], "--by 'author': expected one or more of cluster,group,repository"),
        (["--stratify", "output"], "--stratify 'output'"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, governance: Any, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """A wrong argument ends with 2 and one line, and nothing is written."""
    data = write_jsonl([record(i) for i in range(30)])
    ended = governance("split", data, "--out", tmp_path / "out", "--workspace", tmp_path / "ws", *arguments)
    assert ended.code == 2 and message in ended.err and len(ended.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "has no sample that can be read"),
        ([record(1)], "validation and test would be empty: 1 samples are 1 group (the largest has 1)"),
        ([record(1)] * 30, "validation and test would be empty: 30 samples are 1 group (the largest has 30)"),
    ],
)
def test_too_little_to_split(
    records: list[Record], message: str, governance: Any, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """No sample, one sample, and one sample thirty times cannot be split, and the message says why."""
    ended = governance("split", write_jsonl(records), "--out", tmp_path / "out", "--workspace", tmp_path / "ws")
    assert ended.code == 2 and message in ended.err and not (tmp_path / "out").exists()


def test_no_folder_is_overwritten(governance: Any, write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """A folder with something in it, a file, and the dataset's own folder are refused; an empty folder is filled."""
    data = write_jsonl([record(i) for i in range(30)])
    own, full, empty = tmp_path / "own", tmp_path / "full", tmp_path / "empty"
    for folder in (own, full, empty):
        folder.mkdir()
    (full / "note").write_text("mine")
    (own / "d.jsonl").write_bytes(data.read_bytes())
    for dataset, out in ((data, full), (data, data), (own, own / "parts")):
        ended = governance("split", dataset, "--out", out, "--workspace", tmp_path / "ws")
        assert ended.code == 2 and "name another folder" in ended.err
    assert (full / "note").read_text() == "mine" and [p.name for p in own.iterdir()] == ["d.jsonl"]
    ended = governance("split", data, "--out", empty, "--workspace", tmp_path / "ws")
    assert ended.code == 0 and (empty / "train.jsonl").exists()
    assert governance("split", data, "--out", empty, "--workspace", tmp_path / "ws").code == 2


def test_a_group_larger_than_its_part_is_said(
    governance: Any, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """What whole groups cannot fill is one line, and the numbers are in every format."""
    data = write_jsonl([record(0)] * 90 + [record(i) for i in range(1, 11)])
    ended = governance("split", data, "--out", tmp_path / "a", "--workspace", tmp_path / "ws")
    assert ended.code == 0
    assert "train is 10 samples over: a group is not divided, and the largest has 90" in ended.out
    ended = governance("split", data, "--out", tmp_path / "b", "--workspace", tmp_path / "ws", "--format", "json")
    rows = json.loads(ended.out)
    assert [r["part"] for r in rows] == ["train", "validation", "test"] and rows[0]["samples"] == 90
    assert [(r["exact"], r["near"]) for r in rows] == [(0, 0)] * 3


GATE = "name: own\npacks: [text]\ngates:\n  split: {metric: split-overlap, limit: 0}\n"


def test_the_gate_on_the_parts(
    options: Options, check: Callable[..., Any], write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """The gate passes on what a split wrote, fails on one copied sample, and is an ERROR where there are no parts."""
    pipeline = tmp_path / "own.yaml"
    pipeline.write_text(GATE, "utf-8")
    data = write_jsonl(families(20))
    split_dataset(data, tmp_path / "out", SplitSettings(), options)
    checked = check(tmp_path / "out", pipeline=str(pipeline))
    assert checked.passed and checked.evidence["dataset"]["records"] == 120
    with (tmp_path / "out" / "test.jsonl").open("a") as file:
        file.write((tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()[3] + "\n")
    checked = check(tmp_path / "out", pipeline=str(pipeline))
    [gate] = checked.evidence["gates"]
    assert (gate["status"], gate["failed"], gate["worst"][0]["file"]) == ("FAILED", 1, "test.jsonl")
    held_out = sum(len((tmp_path / "out" / f"{part}.jsonl").read_text("utf-8").splitlines()) for part in PARTS[1:3])
    assert (gate["checked"], gate["value"]) == (held_out, 1 / held_out)  # a share of what is held out, not of all
    rows = pq.read_table(checked.folder / "overlaps.parquet").to_pylist()
    assert [(r["class"], r["source"]) for r in rows] == [("split", "train.jsonl#3")]
    [gate] = check(data, pipeline=str(pipeline)).evidence["gates"]
    assert gate["status"] == "ERROR" and "the dataset has no parts" in gate["detail"]


def test_parts_know_what_they_were_made_from(
    options: Options, check: Callable[..., Any], write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    """The store knows the dataset that a part was made from."""
    account = split_dataset(write_jsonl(families(20)), tmp_path / "out", SplitSettings(), options)
    digest = account["parts"]["train"]["digest"]
    manifest = json.loads((options.workspace / "datasets" / digest / "manifest.json").read_text("utf-8"))
    assert manifest["parents"] == [account["dataset"]["digest"]]
    assert check(tmp_path / "out" / "train.jsonl").evidence["dataset"]["digest"] == digest


@pytest.mark.skipif(not STORIES.exists(), reason=f"the published stories are not here ({STORIES.name})")
def test_published_stories(options: Options, tmp_path: Path) -> None:
    """Of a random validation part of 500 published stories 30 % stand in training too; after a split none."""
    settings = SplitSettings(1 - 500 / 3438, 500 / 3438, 0)
    account = split_dataset(STORIES, tmp_path / "out", settings, options)
    assert account["parts"]["validation"]["samples"] == 500
    assert 0.28 < account["random"]["parts"]["validation"]["exact"] < 0.32
    assert account["overlap"] == [{"part": "validation", "against": "train", "exact": 0, "near": 0}]


def test_the_gate_is_proved(tmp_path: Path) -> None:
    """`prove` plants training samples in a test file and the gate closes; the control passes, with parts of its own."""
    pipeline = tmp_path / "own.yaml"
    pipeline.write_text(GATE, "utf-8")
    proofs = {p.gate: p for p in prove_gates(str(pipeline))}
    assert proofs["split"].closed and proofs["split"].status == "FAILED" and "test file" in proofs["split"].planted
    assert proofs["(control)"].closed and proofs["(dataset)"].closed


def test_an_account_of_that_name_only(options: Options, tmp_path: Path) -> None:
    """Only what a split wrote is left out of a folder; a dataset that is called split.json is read like any other."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "split.json").write_text(json.dumps([record(i) for i in range(20)]), "utf-8")
    account = split_dataset(folder, tmp_path / "out", SplitSettings(), options)
    assert account["dataset"]["samples"] == 20 and account["parts"]["train"]["file"] == "train.json"
    assert split_dataset(tmp_path / "out", tmp_path / "again", SplitSettings(), options)["dataset"]["records"] == 20
