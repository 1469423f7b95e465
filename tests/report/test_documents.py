"""The documents of a run, and the form of its evidence."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from made_run import HOSTILE, made_run

from governance.data import data_folder
from governance.errors import UsageError, WorkspaceError
from governance.report.documents import FILES, evidence_schema, render, write_documents

VALIDATOR = jsonschema.Draft202012Validator(evidence_schema())


def test_schema():
    """The schema is itself valid, and evidence of a closed, a passed and a hostile run fits it."""
    jsonschema.Draft202012Validator.check_schema(evidence_schema())
    for run in (made_run(), made_run(passed=True), made_run(name=HOSTILE, file=HOSTILE)):
        VALIDATOR.validate(run.evidence)


@pytest.mark.parametrize("name", ["sample-report.html", "sample-report.md"])
def test_sample_report(name: str):
    """The sample report in the repository is the one that is made today; with UPDATE_SAMPLES=1 it is written anew."""
    run = made_run()
    text = render(name.rsplit(".", 1)[1], run.evidence, run.tables, run.spans)
    path = data_folder("reports") / name
    if os.environ.get("UPDATE_SAMPLES") == "1":
        path.write_text(text, "utf-8", newline="\n")
    assert path.read_text("utf-8") == text


def broken(change: Any) -> bool:
    evidence = made_run().evidence
    change(evidence)
    return not VALIDATOR.is_valid(evidence)


@pytest.mark.parametrize("key", list(evidence_schema()["properties"]))
def test_schema_needs_every_key(key: str):
    """Evidence without one of its keys does not fit."""
    assert broken(lambda e: e.pop(key))


def test_schema_refuses():
    """A key of its own, a closed verdict without reasons, an unknown status and a short digest do not fit."""
    assert broken(lambda e: e.update(more=1))
    assert broken(lambda e: e["verdict"].update(reasons=[]))
    assert broken(lambda e: e["verdict"].update(status="PASSED"))
    assert broken(lambda e: e["gates"][0].update(status="passed"))
    assert broken(lambda e: e["dataset"].update(digest="abc"))


def test_write(tmp_path: Path):
    """Each format is written under its name, holds what render gives, and twice the same."""
    run = made_run()
    paths = write_documents(tmp_path, run.evidence, run.tables, run.spans)
    assert [p.name for p in paths] == ["report.html", "report.md", "report.sarif", "junit.xml"]
    for format in ("html", "md", "sarif", "junit"):
        text = render(format, run.evidence, run.tables, run.spans)
        assert (tmp_path / FILES[format]).read_bytes() == text.encode()


def test_json():
    """The JSON document is the evidence itself, also where a file name is not Unicode."""
    run = made_run(file=HOSTILE)
    text = render("json", run.evidence, run.tables, run.spans)
    assert json.loads(text.encode()) == run.evidence


@pytest.mark.parametrize("format", list(FILES))
def test_hostile(format: str):
    """Every document of a hostile run is UTF-8 without control characters, and without the text of a secret."""
    run = made_run(name=HOSTILE, file=HOSTILE, path="/create" + HOSTILE[:-1])
    text = render(format, run.evidence, run.tables, run.spans)
    text.encode()
    assert not [c for c in text if ord(c) < 0x20 and c != "\n"]
    assert "correct horse" not in text


def test_errors(tmp_path: Path):
    """An unknown format names the known ones and writes nothing; a folder that is not there is named."""
    run = made_run()
    with pytest.raises(UsageError, match="'pdf' is unknown; known are html, md, json, sarif, junit"):
        write_documents(tmp_path, run.evidence, run.tables, run.spans, ["html", "pdf"])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WorkspaceError, match=r"report.html: cannot be written: No such file or directory"):
        write_documents(tmp_path / "no", run.evidence, run.tables, run.spans, ["html"])


def test_empty():
    """A run over nothing at all has every document."""
    run = made_run(passed=True)
    run.evidence["dataset"] |= {
        "records": 0,
        "samples": 0,
        "quarantined": 0,
        "distinct": 0,
        "files": [],
        "characters": 0,
    }
    run.evidence["dataset"]["most_repeated"] = {"count": 0, "file": None, "row": None}
    run.evidence["distributions"] = {
        "lengths": {"bins": [0, 1], "counts": [0, 0]},
        "criteria": {"declared": {}, "effective": {}},
        "criteria_distinct": {},
        "languages": {},
        "cluster_sizes": {},
    }
    for g in run.evidence["gates"]:
        g |= {"status": "ERROR", "checked": 0, "failed": 0, "value": None}
    VALIDATOR.validate(run.evidence)
    for format in FILES:
        assert render(format, run.evidence, run.tables, run.spans)


def test_speed():
    """The page of a run is made in far less than a second once the template is compiled."""
    run = made_run()
    render("html", run.evidence, run.tables, run.spans)
    started = time.perf_counter()
    render("html", run.evidence, run.tables, run.spans)
    assert time.perf_counter() - started < 1  # measured: 0.01 s
