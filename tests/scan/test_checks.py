"""The named checks of texts and samples, and the columns that decide where they run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_batches import KEY, a_batch, a_rule

from governance.samples import Text, iter_texts
from governance.scan.checks import CANDIDATES, blank, repeats_prompt, unclosed_fence
from governance.scan.scanner import Scanner
from governance.scan.views import text_columns

SPACE = st.text(alphabet=" \t\n\r\x0b\x0c\x1c\x85\u00a0\u1680\u2003\u3000a用", max_size=6)


def flagged(check: Any, unit: Any, text: str = "") -> list[tuple[int, int]]:
    """The spans that *check* gives."""
    return [(h.start, h.end) for h in check(unit, text, {})]


@pytest.mark.parametrize(("text", "spans"), [("", [(0, 0)]), (" \n", [(0, 2)]), ("\u3000", [(0, 1)]), (" 0", [])])
def test_blank(text: str, spans: list[tuple[int, int]]) -> None:
    """A text of white space only is flagged whole."""
    assert flagged(blank, Text("output", "output", text), text) == spans


@settings(max_examples=200, deadline=None)
@given(st.lists(SPACE, max_size=4))
def test_blank_candidates_leave_out_no_blank_text(values: list[str]) -> None:
    """Every blank text is a candidate."""
    batch = a_batch([{"instruction": "a", "output": v} for v in values])
    mask = CANDIDATES["blank"](text_columns(batch))[1::2]
    assert all(mask[i] for i, v in enumerate(values) if not v.strip())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SPACE, SPACE, SPACE), max_size=4))
def test_repeat_candidates_leave_out_no_repeat(rows: list[tuple[str, str, str]]) -> None:
    """Every sample that the check flags is a candidate, white space at the ends and other rows notwithstanding."""
    batch = a_batch([{"instruction": a, "input": b, "output": c} for a, b, c in rows])
    mask = CANDIDATES["repeats_prompt"](text_columns(batch))
    for i, texts in iter_texts(batch):
        assert mask[i] or not flagged(repeats_prompt, texts)


def test_repeat_candidates_are_few() -> None:
    """A row whose output has another length than its prompts is no candidate."""
    batch = a_batch([{"instruction": "ab", "output": "abc"}, {"instruction": "abc", "output": "ab"}])
    assert not np.any(CANDIDATES["repeats_prompt"](text_columns(batch)))


def test_repeat_is_reported_at_the_output() -> None:
    """The finding stands in the output's own field, also in a chat with several."""
    rule = a_rule("t/repeat", "repeats_prompt", kind="check", field="sample")
    chat = [("messages/0/content", "instruction", "hi"), ("messages/1/content", "output", "no"),
            ("messages/2/content", "instruction", "ok"), ("messages/3/content", "output", "hi\n")]  # fmt: skip
    rows = Scanner([rule], KEY).scan(a_batch([chat])).findings.to_pylist()
    assert [(r["field"], r["start"], r["end"]) for r in rows] == [("messages/3/content", 0, 3)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a\n```java\nb", [(2, 9)]),
        ("```\na\n```\n", []),
        ("```\na\n~~~\n", [(0, 3)]),
        ("````\n```\n````", []),
        ("```\n```java\n```", []),
        ("`` ` `` ```inline```", []),
        ("```\n```\n```", [(8, 11)]),
    ],
)
def test_unclosed_fence(text: str, spans: list[tuple[int, int]]) -> None:
    """The fence that nothing closes is flagged, as CommonMark pairs them."""
    assert flagged(unclosed_fence, Text("output", "output", text), text) == spans
