"""Data is opened for training only with a verdict that holds for exactly its bytes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.errors import GateClosed, SignatureError
from governance.ingest import ingest_files
from governance.settings import load_pipeline
from governance.store import Workspace
from governance.train.door import describe, digest_samples, iter_records, open_gated

Record = dict[str, Any]


@pytest.fixture
def place(workspace: Path) -> Workspace:
    """The workspace that checks are made in."""
    return Workspace(workspace)


def test_an_approved_file_is_opened(check: Callable[..., Any], passing: Path, place: Workspace) -> None:
    """What is handed over is the dataset that was checked: digest, texts and run."""
    checked = check(passing)
    data = open_gated(passing, place)
    assert data.digest == checked.evidence["dataset"]["digest"] and data.run == checked.folder
    given = [json.loads(line) for line in passing.read_text("utf-8").splitlines()]
    assert [{t.role: t.text for t in texts}["output"] for texts in data] == [r["output"] for r in given]
    assert [r for _, r in iter_records(data.samples)] == given and len(data) == len(given)
    assert describe(data)["dataset"] == data.digest and describe(data)["run"] == checked.run
    data.recheck()


def test_a_stored_dataset_is_opened_by_its_digest(check: Callable[..., Any], passing: Path, place: Workspace) -> None:
    """A digest of the workspace opens the same samples as the file, also after the file is gone."""
    digest = check(passing).evidence["dataset"]["digest"]
    whole = open_gated(passing, place)
    passing.unlink()
    stored = open_gated(digest[:12], place)
    assert stored.digest == digest and list(stored) == list(whole)


def test_what_was_never_checked_is_not_opened(passing: Path, place: Workspace) -> None:
    """Without a run about it a dataset stays shut, and the message says what to do."""
    with pytest.raises(GateClosed, match="never checked"):
        open_gated(passing, place)


def test_what_is_closed_is_not_opened(check: Callable[..., Any], closing: Path, place: Workspace) -> None:
    """A dataset whose gates are closed is not opened."""
    assert not check(closing).passed
    with pytest.raises(SignatureError, match="CLOSED"):
        open_gated(closing, place)


def test_bad_records_are_part_of_the_digest(
    check: Callable[..., Any], passing: Path, place: Workspace, tmp_path: Path
) -> None:
    """A dataset with records in quarantine that its pipeline tolerates is opened, by file and by digest alike."""
    with passing.open("ab") as file:
        file.write(b'{"instruction": "cut\n')
    settings = load_pipeline("default").model_dump(mode="json")
    settings["gates"][_gate_of(settings, "quarantined")] |= {"limit": 0.5}
    tolerant = tmp_path / "tolerant.yaml"
    tolerant.write_text(json.dumps(settings), "utf-8")
    checked = check(passing, pipeline=str(tolerant))
    assert checked.passed and checked.evidence["dataset"]["quarantined"] == 1
    data = open_gated(passing, place)
    assert len(data.bad) == 32 and data.digest == checked.evidence["dataset"]["digest"]
    assert open_gated(data.digest, place).bad == data.bad


def test_the_digest_is_that_of_the_check(tmp_path: Path, closing: Path) -> None:
    """The digest of a table in memory is the one that ingest computes while it reads, bad records left out."""
    clean = tmp_path / "clean.jsonl"
    clean.write_bytes(b"".join(closing.read_bytes().splitlines(keepends=True)[:-1]))
    ingested = ingest_files(clean, tmp_path / "work")
    from governance.engines.tables import read_samples

    assert digest_samples(read_samples(ingested.samples)) == ingested.digest


def test_mapped_columns_are_known_from_the_check(
    check: Callable[..., Any], control: list[Record], write_jsonl: Callable[..., Path], place: Workspace
) -> None:
    """A dataset that was checked with a column map is opened without naming the map again."""
    renamed = [{("question" if k == "instruction" else "reply" if k == "output" else k): v for k, v in r.items()}
               for r in control]  # fmt: skip
    mapped = write_jsonl(renamed, "mapped.jsonl")
    columns = {"question": "instruction", "input": "input", "reply": "output", "licence": "licence", "step": "step",
               "repository": "repository", "language": "language"}  # fmt: skip
    columns = {k: v for k, v in columns.items() if k in renamed[0]}
    checked = check(mapped, columns=columns)
    assert checked.passed, checked.verdict
    assert open_gated(mapped, place).digest == open_gated(mapped, place, columns=columns).digest


def test_the_pipeline_file_is_compared(
    check: Callable[..., Any], passing: Path, place: Workspace, tmp_path: Path
) -> None:
    """The pipeline that is named has to be the one that was passed; a held-out set named beside it is no other one."""
    held_out = tmp_path / "held.jsonl"
    held_out.write_text(json.dumps({"instruction": "Say hello.", "output": "Hello, this is nobody you know."}) + "\n")
    from governance.context import Compare

    checked = check(passing, compare=Compare(held_out=(held_out,)))
    assert checked.passed
    default = load_pipeline("default")
    assert open_gated(passing, place, pipeline=default).run == checked.folder
    assert default.digest() != checked.evidence["pipeline"]["digest"]
    looser = default.model_copy(update={"expires_days": 31})
    with pytest.raises(SignatureError, match="other settings"):
        open_gated(passing, place, pipeline=looser)
    with pytest.raises(SignatureError, match="under pipeline"):
        open_gated(passing, place, pipeline_digest=default.digest())


def test_a_later_closed_run_takes_the_verdict_back(
    check: Callable[..., Any], passing: Path, place: Workspace, tmp_path: Path
) -> None:
    """Where the same dataset is closed later under the pipeline of that name, the earlier verdict opens nothing."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    check(passing, now=now - dt.timedelta(hours=1))
    open_gated(passing, place)
    settings = load_pipeline("default").model_dump(mode="json")
    settings["gates"]["own"] = {"sql": "select count(*), count(*) from samples", "limit": 0}
    strict = tmp_path / "strict.yaml"
    strict.write_text(json.dumps(settings), "utf-8")
    later = check(passing, pipeline=str(strict), now=now)
    assert not later.passed
    with pytest.raises(GateClosed, match=later.run):
        open_gated(passing, place)
    check(passing, now=now + dt.timedelta(minutes=1))  # checked again, and open again
    open_gated(passing, place)


def _gate_of(settings: dict[str, Any], metric: str) -> str:
    return next(str(name) for name, gate in settings["gates"].items() if gate["metric"] == metric)
