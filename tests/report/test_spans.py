"""Which flagged text a document may show."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from made_run import CONTROLLER, finding, made_run

from governance.report.spans import LONGEST, Spans, visible
from governance.report.tables import FINDINGS_ACCEPTED
from governance.samples import Text

SENSITIVE = frozenset({"secrets/token", "pii/name"})


def spans(text: str, *rows: dict[str, Any]) -> Spans:
    table = pa.Table.from_pylist(list(rows), schema=FINDINGS_ACCEPTED)
    return Spans(lambda n: [Text("output", "output", text)], SENSITIVE, table)


def test_open_span():
    """A span of a rule that is not sensitive is shown as it stands."""
    row = finding(0, "rest/crud-name", 2, 13)
    assert spans("a /createPost b", row).shown(row) == "/createPost"


def test_sensitive_rule():
    """A span of a sensitive rule is never shown."""
    row = finding(0, "secrets/token", 0, 5)
    assert spans("horse", row).shown(row) is None


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [(0, 3, "defgh"), (2, 4, None), (4, 5, None), (7, 9, None), (8, 10, "defgh"), (0, 10, None)],
)
def test_touching(start: int, end: int, shown: str | None):
    """A span is hidden as soon as one of its characters is part of a sensitive finding, and only then."""
    row = finding(0, "rest/crud-name", 3, 8)
    secret = finding(0, "secrets/token", start, end)
    assert spans("abcdefghij", row, secret).shown(row) == shown


def test_other_places_hide_nothing():
    """A sensitive finding in another sample or field, however equal its offsets, hides nothing."""
    row = finding(1, "rest/crud-name", 0, 4)
    others = [finding(0, "pii/name", 0, 9), finding(2, "pii/name", 0, 9), finding(1, "pii/name", 0, 9, field="input")]
    assert spans("/get", *others, row).shown(row) == "/get"


def test_order_of_findings():
    """A sensitive finding hides a span wherever it stands in the table."""
    row = finding(1, "rest/crud-name", 0, 4)
    secret = finding(1, "secrets/token", 1, 2)
    later = finding(5, "secrets/token", 0, 1)
    assert spans("/get", later, row, secret).shown(row) is None


def test_length():
    """A shown span has at most 80 characters, escapes counted."""
    for text in ("x" * 500, "\u202e" * 70, "x" * LONGEST):
        row = finding(0, "text/long", 0, len(text))
        assert len(spans(text, row).shown(row) or "") <= LONGEST


def test_hidden_end_of_long_span():
    """A secret past the part that would be shown hides the span all the same."""
    row, secret = finding(0, "text/long", 0, 500), finding(0, "secrets/token", 400, 420)
    assert spans("x" * 500, row, secret).shown(row) is None


@pytest.mark.parametrize(
    "row", [finding(0, "a/b", 3, 3), finding(0, "a/b", 0, 99), finding(0, "a/b", 0, 1, field="no")]
)
def test_no_text_there(row: dict[str, Any]):
    """An empty span, one past the end, and one in a field that is not there show nothing and raise nothing."""
    assert spans("abc", row).shown(row) is None


def test_no_store():
    """Without a dataset store no span is shown."""
    run = made_run()
    row = run.tables.findings.slice(0, 1).to_pylist()[0]
    assert run.spans.shown(row) == "/createPost"
    assert Spans.of(run.evidence, run.tables.findings, None).shown(row) is None


def test_unknown_rule_is_sensitive():
    """A rule that the evidence does not call open shows nothing, so an old run does not start to leak."""
    run = made_run()
    for entry in run.evidence["findings"]:
        del entry["sensitive"]
    assert run.spans.shown(run.tables.findings.slice(0, 1).to_pylist()[0]) is None


def test_unlisted_rule_masks():
    """A finding of a rule that the evidence does not list hides what it touches."""
    start = CONTROLLER.find("/createPost")
    run = made_run()
    rows = [*run.tables.findings.to_pylist(), finding(0, "custom/rule", start + 1, start + 3)]
    table = pa.Table.from_pylist(rows, schema=FINDINGS_ACCEPTED)
    assert Spans.of(run.evidence, table, run.texts.__getitem__).shown(rows[0]) is None


def test_visible():
    """Nothing that hides, reorders or controls text survives; letters of every script do."""
    assert visible("\x1b[31m\u202e\u200b\u2066\ufeff\x85") == "\\x1b[31m\\u202e\\u200b\\u2066\\ufeff\\x85"
    assert visible("\U000e0041\ud800") == "\\U000e0041\\ud800"
    assert visible("名前 é ß 👍") == "名前 é ß 👍"
