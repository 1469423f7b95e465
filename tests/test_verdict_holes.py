"""Ways to a verdict that a dataset has not earned, each of which stays shut."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.clean import clean_dataset
from governance.context import Options
from governance.errors import SignatureError
from governance.files import sha256_file
from governance.prove import prove_gates
from governance.steps import accept_findings, verify_run
from governance.templates import fill

Record = dict[str, Any]
TOKEN = fill("ghp_{base62*30}{crc32_base62*6}", "verdict holes")


def test_a_loss_is_not_forgotten_by_the_next_check(
    check: Callable[..., Any], write_jsonl: Callable[..., Path], control: list[Record], workspace: Path, tmp_path: Path
) -> None:
    """A dataset that cleaning emptied stays CLOSED when it is checked again, and losses of two cleans add up."""
    empty = [{**control[0], "input": f"empty {i}", "output": ""} for i in range(2 * len(control))]
    dataset, out = write_jsonl([*control, *empty]), tmp_path / "clean.jsonl"
    cleaned, _ = clean_dataset(dataset, out, Options(workspace=workspace, record=False, processes=1))
    assert "rows-lost" in cleaned.evidence["breaches"]
    again = check(out)
    assert "rows-lost" in again.evidence["breaches"] and not again.passed
    twice, _ = clean_dataset(out, tmp_path / "twice.jsonl", Options(workspace=workspace, record=False, processes=1))
    assert "rows-lost" in twice.evidence["breaches"]


def test_a_weak_rule_hides_no_strong_one(
    check: Callable[..., Any], write_jsonl: Callable[..., Path], control: list[Record], tmp_path: Path
) -> None:
    """An added rule of severity info and highest specificity over the same text leaves the secret an error."""
    folder = tmp_path / "own" / "secrets"
    folder.mkdir(parents=True)
    (folder / "_pack.yaml").write_text("sensitive: true\n")
    (folder / "anything.yaml").write_text(
        "id: secrets/anything\nseverity: info\nspecificity: 100\npattern: '(token[^\\n]*)'\nmessage: m\nwhy: w\n"
        "flags: ['token = 1']\npasses: ['none']\n"
    )
    record = {**control[0], "input": "hidden", "output": f'token = "{TOKEN}"'}
    checked = check(write_jsonl([*control, record]), rules=(tmp_path / "own",))
    assert "secrets" in checked.evidence["breaches"]


def test_a_column_that_no_role_reads_is_no_hiding_place(
    check: Callable[..., Any], write_jsonl: Callable[..., Path], control: list[Record], workspace: Path, tmp_path: Path
) -> None:
    """A secret in a metadata column closes the gate, cleaning masks it there, and the record stays valid."""
    dataset, out = write_jsonl([{**r, "note": f'token = "{TOKEN}"'} for r in control]), tmp_path / "clean.jsonl"
    assert "secrets" in check(dataset).evidence["breaches"]
    cleaned, _ = clean_dataset(dataset, out, Options(workspace=workspace, record=False, processes=1))
    assert cleaned.passed and TOKEN not in out.read_text("utf-8")
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [r["output"] for r in rows] == [r["output"] for r in control]


def test_the_signature_covers_every_file(check: Callable[..., Any], passing: Path, workspace: Path) -> None:
    """A file that is edited and whose digest is mended in the manifest is still found out."""
    checked = check(passing)
    assert verify_run(checked.run, workspace, None)
    page, manifest = checked.folder / "report.html", checked.folder / "manifest.json"
    page.write_text(page.read_text("utf-8").replace("PASSED", "passed"), "utf-8")
    listed = json.loads(manifest.read_text("utf-8"))
    listed["files"]["report.html"] = sha256_file(page)
    manifest.write_text(json.dumps(listed), "utf-8")
    with pytest.raises(SignatureError, match="manifest"):
        verify_run(checked.run, workspace, None)


def test_expiry_goes_by_the_clock(
    check: Callable[..., Any], passing: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict of 2020 has expired, whatever SOURCE_DATE_EPOCH says while it is verified."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    checked = check(passing)
    with pytest.raises(SignatureError, match="expired"):
        verify_run(checked.run, workspace, None)


def test_one_acceptance_accepts_one_empty_output(
    check: Callable[..., Any], write_jsonl: Callable[..., Path], control: list[Record], workspace: Path, tmp_path: Path
) -> None:
    """A finding without text is accepted for its own sample alone."""
    empty = [{**control[0], "input": f"empty {i}", "output": ""} for i in range(2)]
    first = check(write_jsonl([*control, empty[0]], "first.jsonl"))
    baseline = tmp_path / "baseline.jsonl"
    accept_findings(
        first.run, ["text/*"], baseline, reason="r", owner="o", approver="", expires=_soon(), workspace=workspace
    )
    assert "text" not in check(tmp_path / "first.jsonl", baseline=baseline).evidence["breaches"]
    assert "text" in check(write_jsonl([*control, *empty]), baseline=baseline).evidence["breaches"]


def test_own_sql_is_not_called_proved(tmp_path: Path) -> None:
    """A gate of own SQL, which may never close, is reported as not proved."""
    pipeline = tmp_path / "own.yaml"
    pipeline.write_text("name: own\npacks: [text]\ngates:\n  own: {sql: 'select count(*), 0 from samples', limit: 0}\n")
    proof = {p.gate: p for p in prove_gates(str(pipeline))}
    assert (proof["own"].status, proof["own"].closed) == ("NOT_PROVED", False)


def _soon() -> str:
    import datetime as dt

    return (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)).isoformat()
