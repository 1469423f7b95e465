"""The gates as test cases."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from made_run import HOSTILE, made_run

from governance.report.junit import render_junit


def parsed(evidence: dict[str, Any]) -> ET.Element:
    return ET.fromstring(render_junit(evidence).encode())  # noqa: S314  our own document


def cases(**how: Any) -> dict[str, ET.Element]:
    root = parsed(made_run(**how).evidence)
    return {case.get("name", ""): case for case in root.iter("testcase")}


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        ("quarantined", None),
        ("rest-routes", "failure"),
        ("near-duplicates", "system-out"),
        ("unknown-licence", "skipped"),
        ("stories", "skipped"),
        ("expectation-1", "error"),
        ("verdict", "failure"),
    ],
)
def test_outcomes(gate: str, outcome: str | None):
    """FAILED is a failure, ERROR an error, NOT_RUN and WAIVED are skipped, WARNED passes and says so."""
    assert [child.tag for child in cases()[gate]] == ([outcome] if outcome else [])


def test_counts():
    """The totals of the suite are those of its cases, the case of the verdict included."""
    root = parsed(made_run().evidence)
    for element in [root, *root.iter("testsuite")]:
        assert int(element.get("tests", -1)) == len(list(root.iter("testcase"))) == 8
        assert int(element.get("failures", -1)) == len(list(root.iter("failure"))) == 3
        assert int(element.get("errors", -1)) == len(list(root.iter("error"))) == 1
        assert int(element.get("skipped", -1)) == len(list(root.iter("skipped"))) == 2


def test_verdict_case():
    """A closed dataset has a failing case even where no gate failed; a passed one has none."""
    run = made_run(passed=True)
    assert not list(cases(passed=True)["verdict"])
    run.evidence["verdict"] = {"status": "CLOSED", "expires": None, "reasons": ["the digest changed"]}
    root = parsed(run.evidence)
    assert [failure.text for failure in root.iter("failure")] == ["the digest changed"]


def test_failure_says_what_to_do():
    """A failure names number, limit, denominator, worst places and the command that mends it."""
    failure = cases()["rest-routes"].find("failure")
    assert failure is not None and failure.text is not None
    assert "0.75 %, limit 0 %; 9 of 1200 samples" in failure.text
    assert "train.jsonl#0 output rest/crud-name" in failure.text
    assert "to mend: governance clean train.jsonl" in failure.text


def test_always_xml():
    """Whatever a name holds, control characters and half characters included, the document is XML."""
    name = "".join(map(chr, range(0x20))) + "\ufffe\uffff" + HOSTILE
    found = cases(name=name, file=name)
    assert set(found) == set(cases())
