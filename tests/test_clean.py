"""Cleaning accounts for every record, keeps what it does not have to touch, and never opens a gate by emptying."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.clean import clean_dataset, plan_clean, scrub_dataset
from governance.context import Options
from governance.errors import UsageError
from governance.ingest import write_records
from governance.rules import load_rules
from governance.steps import accept_findings, list_quarantine, restore_quarantine

Record = dict[str, Any]
MAIL = "anna.schmidt" + "@" + "firma-beispiel.de"


@pytest.fixture(scope="session")
def token() -> str:
    """A made-up token that the pack `secrets` flags."""
    [rule] = [r for r in load_rules(["secrets"]) if r.rule_id == "secrets/github-token-classic"]
    return str(rule.flags[0])


@pytest.fixture
def options(workspace: Path) -> Options:
    """The pipeline `code-generation`, which names a remedy for every gate."""
    return Options(pipeline="code-generation", workspace=workspace, record=False, processes=1)


KINDS = ("good", "mail", "token", "both", "empty", "unlicensed", "copy", "near", "broken")


def make(kind: str, i: int, control: list[Record], token: str) -> Record | bytes:
    """One record of *kind*, or the bytes of one that cannot be read."""
    base = control[i % len(control)]
    own = {**base, "input": f"{base['input']} {i}", "output": f"{base['output']}\n" + _words(i)}
    return {
        "good": own,
        "mail": {**own, "output": f"{own['output']}\n// ask {MAIL} first"},
        "token": {**own, "output": f"{own['output']}\n// {token}"},
        "both": {**own, "output": f"{own['output']}\n// {MAIL} has {token}"},
        "empty": {**own, "output": ""},
        "unlicensed": {**own, "licence": None},
        "copy": control[0],
        "near": {**control[1], "output": f"{control[1]['output']} {'again ' * (i + 1)}".rstrip()},
        "broken": b'{"instruction": "cut %d' % i,
    }[kind]


def _words(i: int) -> str:
    return "// " + " ".join(f"w{(i + 1) * 7919 % (k + 97)}n{k}" for k in range(60))


def write(records: list[Record | bytes], path: Path) -> Path:
    """Write compact JSON Lines, as `write_records` does."""
    lines = [r if isinstance(r, bytes) else dump(r) for r in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def dump(record: Record) -> bytes:
    """The record as one compact line."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=14))
def test_rows_are_conserved(kinds: list[str], compiled: Path, control: list[Record], token: str) -> None:
    """For any mix in = kept + changed + dropped; the output holds the first two, the quarantine restores the third."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "ws").mkdir()
        (place / "ws" / "cache").symlink_to(compiled)
        records = [make(kind, i, control, token) for i, kind in enumerate(kinds)]
        data = write(records, place / "data.jsonl")
        options = Options(pipeline="code-generation", workspace=place / "ws", record=False, processes=1)
        checked, ledger = clean_dataset(data, place / "out.jsonl", options)
        summary, table = ledger.summary(), ledger.table().to_pylist()
        out = (place / "out.jsonl").read_bytes().splitlines()
        dropped = sum(summary["dropped"].values())
        assert summary["in"] == len(records) == len(table) == summary["kept"] + summary["changed"] + dropped
        assert len(out) == summary["kept"] + summary["changed"]
        assert checked.evidence["dataset"]["records"] == len(out) and checked.evidence["ledger"] == summary
        assert sorted({r["row"] for r in table}) == list(range(len(records)))
        kept = [records[r["row"]] for r in table if r["action"] == "kept"]
        assert [line for line in out if json.loads(line) in kept] == [dump(r) for r in kept if isinstance(r, dict)]
        assert MAIL.encode() not in b"".join(out) and token.encode() not in b"".join(out)
        gone = [r["row"] for r in table if r["action"] == "dropped"]
        assert all(r["reason"] for r in table if r["action"] != "kept")
        if gone:
            digest = list_quarantine(options.workspace, None)[0]["dataset"]
            assert restore_quarantine(options.workspace, digest, place / "back.jsonl") == dropped
            back = (place / "back.jsonl").read_bytes().splitlines()
            expected = [r if isinstance(r, bytes) else dump(r) for r in (records[n] for n in gone)]
            assert sorted(back) == sorted(expected)


def test_clean_opens_the_gates(
    options: Options, write_jsonl: Callable[..., Path], control: list[Record], token: str, tmp_path: Path
) -> None:
    """What remedies can open is open afterwards; the new version names its parent and every change its gate."""
    extra = [make(k, i, control, token) for i, k in enumerate(("mail", "token", "both", "copy"))]
    data = write([*control, *extra], tmp_path / "data.jsonl")
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    assert checked.passed, checked.verdict.reasons
    assert ledger.summary()["changed"] == 3 and ledger.summary()["dropped"] == {"exact-duplicates": 1}
    reasons = [r["reason"] for r in ledger.table().to_pylist() if r["action"] == "changed"]
    assert reasons == ["personal-data", "secrets", "secrets; personal-data"]
    gates = {g["gate"]: g["status"] for g in checked.evidence["gates"]}
    assert gates["rows-lost"] == gates["tokens-lost"] == "PASSED"
    manifest = checked.folder.parent.parent / "datasets" / checked.evidence["dataset"]["digest"] / "manifest.json"
    assert len(json.loads(manifest.read_text())["parents"]) == 1


def test_clean_file_is_left_alone(options: Options, control: list[Record], tmp_path: Path) -> None:
    """Cleaning what is clean changes no byte and no digest."""
    data = write(list(control), tmp_path / "data.jsonl")
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    assert checked.passed and (tmp_path / "out.jsonl").read_bytes() == data.read_bytes()
    assert ledger.summary()["kept"] == len(control) and ledger.summary()["rounds"] == 1


def test_cleaning_twice_is_cleaning_once(options: Options, control: list[Record], token: str, tmp_path: Path) -> None:
    """The output of a clean is clean: a second one gives the same bytes."""
    data = write([make(k, i, control, token) for i, k in enumerate(KINDS * 2)], tmp_path / "data.jsonl")
    clean_dataset(data, tmp_path / "one.jsonl", options)
    _, ledger = clean_dataset(tmp_path / "one.jsonl", tmp_path / "two.jsonl", options)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert ledger.summary()["dropped"] == {} and ledger.summary()["changed"] == 0


def test_emptied_dataset_stays_closed(options: Options, control: list[Record], token: str, tmp_path: Path) -> None:
    """A dataset cannot pass by being emptied: losing most rows keeps it CLOSED, and so does losing one step whole."""
    data = write([*control[:2], *(make("unlicensed", i, control, token) for i in range(8))], tmp_path / "a.jsonl")
    checked, _ = clean_dataset(data, tmp_path / "out-a.jsonl", options)
    assert set(checked.evidence["breaches"]) == {"rows-lost", "tokens-lost"}
    one_step: list[Any] = [{**r, "licence": None, "step": "rare"} for r in control[:2]]
    data = write([*control, *one_step], tmp_path / "b.jsonl")
    checked, _ = clean_dataset(data, tmp_path / "out-b.jsonl", options)
    assert {"rows-lost", "tokens-lost"} <= set(checked.evidence["breaches"])


def test_nothing_left(options: Options, control: list[Record], token: str, tmp_path: Path) -> None:
    """A dataset of which nothing stays is written empty and CLOSED."""
    data = write([make("empty", i, control, token) for i in range(3)], tmp_path / "data.jsonl")
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    assert not checked.passed and (tmp_path / "out.jsonl").read_bytes() == b""
    assert sum(ledger.summary()["dropped"].values()) == 3


def test_no_remedy_stays_closed_with_a_next_action(
    workspace: Path, control: list[Record], token: str, tmp_path: Path
) -> None:
    """What no remedy opens stays CLOSED, says what to do next, and no record is lost for it."""
    options = Options(workspace=workspace, record=False, processes=1)  # `default` drops nothing for its licence
    data = write([*control, make("unlicensed", 3, control, token)], tmp_path / "data.jsonl")
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    [gate] = [g for g in checked.evidence["gates"] if g["status"] == "FAILED"]
    assert gate["gate"] == "licence" and gate["command"] and ledger.summary()["dropped"] == {}


def test_plan_changes_nothing_and_holds(options: Options, control: list[Record], token: str, tmp_path: Path) -> None:
    """The plan writes nothing, and its numbers are those of the clean that follows."""
    kinds = ("mail", "token", "empty", "unlicensed", "copy", "copy", "near", "broken")
    data = write([*control, *(make(k, i, control, token) for i, k in enumerate(kinds))], tmp_path / "data.jsonl")
    before = data.read_bytes()
    plan = {row["gate"]: row for row in plan_clean(data, options)}
    assert data.read_bytes() == before and list((options.workspace / "runs").iterdir()) == []
    assert [p for p in (options.workspace / "datasets").iterdir() if len(p.name) == 64] == []
    _, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    summary = ledger.summary()
    assert summary["changed"] == sum(row["changed"] for row in plan.values()) == 2
    dropped = {("quarantine" if k.startswith("quarantine") else k): n for k, n in summary["dropped"].items()}
    assert dropped == {gate: row["dropped"] for gate, row in plan.items() if row["dropped"] and gate != "most-repeated"}
    assert sum(dropped.values()) == 6


SHAPES: dict[str, Callable[[Record], Record]] = {
    "reordered": lambda r: {"licence": r["licence"], "id": 7, "output": r["output"], "instruction": r["instruction"]},
    "prompt": lambda r: {
        "completion": r["output"], "meta": {"a": [1, 2.5, None]}, "prompt": r["instruction"], "licence": r["licence"]},
    "messages": lambda r: {
        "licence": r["licence"], "messages": [
            {"role": "system", "content": "be short"}, {"role": "user", "content": r["instruction"], "name": "u"},
            {"content": r["output"], "role": "assistant"},
        ]},
    "conversations": lambda r: {
        "conversations": [{"from": "human", "value": r["instruction"]}, {"from": "gpt", "value": r["output"]}],
        "licence": r["licence"]},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_and_key_order_are_kept(
    shape: str, options: Options, control: list[Record], token: str, tmp_path: Path
) -> None:
    """In every shape, records keep their order, their keys and the order of these, and every value but the masks."""
    kinds = ("good", "mail", "good", "token", "good")
    made: list[Any] = [make(k, i, control, token) for i, k in enumerate(kinds)]
    records = [SHAPES[shape](r) for r in made]
    data = write(list(records), tmp_path / "data.jsonl")
    clean_dataset(data, tmp_path / "out.jsonl", options)
    before, after = data.read_text(), (tmp_path / "out.jsonl").read_text()
    assert len(before) == len(after) and before != after
    assert MAIL not in after and token not in after
    for old, new in zip(before, after, strict=True):
        assert old == new or new in "x1", "nothing but masks is new"
    assert before.splitlines()[::2] == after.splitlines()[::2]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_format_columns_and_order_are_kept(
    suffix: str, options: Options, control: list[Record], token: str, tmp_path: Path
) -> None:
    """Cleaning a file of another format keeps its columns, their order and types, and the order of the rows."""
    from governance.engines.tables import read_samples
    from governance.ingest import fill_record, ingest_files

    kinds = ("good", "mail", "empty", "good")
    records: list[Any] = [make(k, i, control, token) for i, k in enumerate(kinds)]
    data, out = tmp_path / f"data{suffix}", tmp_path / f"out{suffix}"
    write_records(iter(records), data)
    _, ledger = clean_dataset(data, out, options)
    assert ledger.summary()["kept"] == 2 and ledger.summary()["changed"] == 1
    (tmp_path / "work").mkdir()
    table = read_samples(ingest_files(out, tmp_path / "work").samples)
    found = [
        fill_record(r, {t["field"]: t["text"] for t in texts})
        for r, texts in zip(table["record"].to_pylist(), table["texts"].to_pylist(), strict=True)
    ]
    assert [list(f) for f in found] == [list(records[0])] * 3
    assert found[0]["output"] == records[0]["output"] and found[2]["output"] == records[3]["output"]
    assert MAIL not in found[1]["output"] and found[1]["instruction"] == records[1]["instruction"]
    if suffix == ".parquet":
        assert pq.read_schema(data).equals(pq.read_schema(out))


def test_accepted_findings_are_left_alone(
    options: Options, check: Callable[..., Any], control: list[Record], token: str, tmp_path: Path
) -> None:
    """A finding that the baseline accepts is neither scrubbed nor dropped; a new one beside it is."""
    import dataclasses
    import datetime as dt

    data = write([*control, make("mail", 1, control, token)], tmp_path / "data.jsonl")
    run = check(data, pipeline="code-generation").run
    day = str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=9))
    baseline = tmp_path / "baseline.jsonl"
    accept_findings(
        run, ["pii/email"], baseline, reason="published", owner="o", approver="", expires=day,
        workspace=options.workspace,
    )  # fmt: skip
    data = write([*control, make("mail", 1, control, token), make("token", 2, control, token)], tmp_path / "more.jsonl")
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", dataclasses.replace(options, baseline=baseline))
    text = (tmp_path / "out.jsonl").read_text()
    assert checked.passed and MAIL in text and token not in text and ledger.summary()["changed"] == 1


def test_repair(options: Options, control: list[Record], tmp_path: Path) -> None:
    """A rule with a repair mends its span alone; without one the sample goes; unstable repairs are refused."""
    import dataclasses

    from governance.errors import GateClosed

    pack = tmp_path / "house" / "words"
    pack.mkdir(parents=True)

    def rule(name: str, pattern: str, repair: str) -> None:
        (pack / f"{name}.yaml").write_text(
            f"id: words/{name}\nseverity: error\nfield: output\npattern: '({pattern})'\n{repair}message: m\nwhy: w\n"
            f"flags: [{pattern}]\npasses: [nothing here]\n"
        )

    rule("master", "MASTERNODE", "repair: MAINNODE\n")
    rule("forbidden", "FORBIDDEN", "")
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: own\npacks: [text]\nrule_folders: [house]\ngates:\n"
        "  words: {rules: ['words/*'], limit: 0, remedy: repair}\n"
    )
    options = dataclasses.replace(options, pipeline=str(pipeline))
    first = {**control[0], "output": "one MASTERNODE and two MASTERNODE end"}
    both = {**control[1], "output": "MASTERNODE and FORBIDDEN"}
    data = write([first, both, *control[2:]], tmp_path / "data.jsonl")
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert json.loads(lines[0]) == {**first, "output": "one MAINNODE and two MAINNODE end"}
    assert checked.passed and len(lines) == len(control) - 1
    assert lines[1:] == [dump(r) for r in control[2:]] and ledger.summary()["dropped"] == {"words": 1}
    rule("master", "MASTERNODE", "repair: a MASTERNODE\n")
    with pytest.raises(GateClosed, match="do not come to rest"):
        clean_dataset(data, tmp_path / "never.jsonl", options)
    assert not (tmp_path / "never.jsonl").exists()


def test_only_named_copies_go(workspace: Path, control: list[Record], token: str, tmp_path: Path) -> None:
    """A pipeline that names the remedy for exact copies alone keeps near-duplicates."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: own\npacks: [text]\ngates:\n  copies: {metric: exact-duplicates, limit: 0, remedy: deduplicate}\n"
        "  near: {metric: near-duplicates, limit: 1}\n"
    )
    data = write([*control, make("copy", 0, control, token), make("near", 1, control, token)], tmp_path / "data.jsonl")
    options = Options(pipeline=str(pipeline), workspace=workspace, record=False, processes=1)
    checked, ledger = clean_dataset(data, tmp_path / "out.jsonl", options)
    assert checked.passed and sum(ledger.summary()["dropped"].values()) == 1
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == len(control) + 1


def test_two_cleans_lose_nothing(
    options: Options, workspace: Path, control: list[Record], token: str, tmp_path: Path
) -> None:
    """What each of two pipelines dropped from one dataset is in quarantine, not only what the first did."""
    import dataclasses

    records = [*control, make("unlicensed", 1, control, token), make("empty", 2, control, token)]
    data = write(list(records), tmp_path / "data.jsonl")
    clean_dataset(data, tmp_path / "a.jsonl", dataclasses.replace(options, pipeline="default"))
    clean_dataset(data, tmp_path / "b.jsonl", options)
    rows = list_quarantine(workspace, None)
    assert {r["row"] for r in rows} == {len(control), len(control) + 1}
    assert restore_quarantine(workspace, rows[0]["dataset"], tmp_path / "back.jsonl") == 2


def test_output_may_not_be_the_input(options: Options, control: list[Record], tmp_path: Path) -> None:
    """Cleaning and scrubbing never write over their input."""
    data = write(list(control), tmp_path / "data.jsonl")
    link = tmp_path / "link.jsonl"
    link.symlink_to(data)
    for out in (data, link):
        for command in (clean_dataset, scrub_dataset):
            with pytest.raises(UsageError):
                command(data, out, options)
    assert data.read_bytes() == write(list(control), tmp_path / "same.jsonl").read_bytes()


def test_scrub_changes_spans_alone(options: Options, control: list[Record], token: str, tmp_path: Path) -> None:
    """Scrubbing masks secrets and personal data in place; every other byte, record and key stays."""
    kinds = ("good", "mail", "empty", "both", "copy", "copy", "unlicensed")
    data = write([make(k, i, control, token) for i, k in enumerate(kinds)], tmp_path / "data.jsonl")
    places, changed = scrub_dataset(data, tmp_path / "out.jsonl", options)
    before, after = data.read_text(), (tmp_path / "out.jsonl").read_text()
    assert changed == 2 and places >= 3 and len(before) == len(after)
    different = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert {after[i] for i in different} <= set("x1")
    assert len(different) <= 2 * len(MAIL) + len(token) and MAIL not in after and token not in after


def test_scrub_refuses_what_it_cannot_read(options: Options, control: list[Record], tmp_path: Path) -> None:
    """A file with an unreadable record is not scrubbed: the record would stay as it is, or be lost."""
    data = write([*control, b"{"], tmp_path / "data.jsonl")
    with pytest.raises(UsageError, match="1 records cannot be read"):
        scrub_dataset(data, tmp_path / "out.jsonl", options)
    assert not (tmp_path / "out.jsonl").exists()
