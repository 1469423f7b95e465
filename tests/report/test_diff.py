"""Two texts side by side, line by line, with the words that differ and nothing that is masked."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.report.diff import MOST_LINES, Row, compare, masked_lines, words_changed

LINES = st.lists(st.sampled_from(["", "a", "b b", "\tc = d", "return x", "return y", "}"]), max_size=30)


def text_of(rows: list[Row], side: str) -> str:
    found = [getattr(r, side) for r in rows if getattr(r, f"{side}_number")]
    return "\n".join("".join(p.text for p in pieces) for pieces in found)


@settings(deadline=None)
@given(LINES, LINES)
def test_both_texts(a: list[str], b: list[str]):
    """Without what is folded, either side holds its own text, every line once, in order, numbered from 1."""
    rows = compare("\n".join(a), "\n".join(b))
    for side, lines in (("left", a or [""]), ("right", b or [""])):
        numbered = {getattr(r, f"{side}_number"): getattr(r, side) for r in rows if getattr(r, f"{side}_number")}
        assert list(numbered) == sorted(numbered)
        assert {k: "".join(p.text for p in pieces) for k, pieces in numbered.items()} == {
            k: lines[k - 1] for k in numbered
        }
    folded = sum(r.count for r in rows if r.kind == "gap")
    for side, lines in (("left", a or [""]), ("right", b or [""])):
        assert sum(getattr(r, f"{side}_number") is not None for r in rows) + folded == len(lines)


@settings(deadline=None)
@given(LINES)
def test_equal(a: list[str]):
    """Equal texts have no row that says otherwise."""
    assert {r.kind for r in compare("\n".join(a), "\n".join(a))} <= {"equal", "gap"}


@settings(deadline=None)
@given(LINES, LINES)
def test_marks(a: list[str], b: list[str]):
    """A line that faces another one has a marked word, and what is not marked is the same on both sides."""
    for row in compare("\n".join(a), "\n".join(b)):
        if row.kind == "changed":
            left, right = ("".join(p.text for p in side if not p.marked) for side in (row.left, row.right))
            assert left == right
            assert any(p.marked for p in (*row.left, *row.right))


def test_words():
    """Only the word that differs is marked, also where white space or a masked place is all that does."""
    left, right = words_changed("x = f(a, b)", "x = g(a,  b)")
    assert [p.text for p in left if p.marked] == ["f", " "]
    assert [p.text for p in right if p.marked] == ["g", "  "]
    left, _ = words_changed("k = <secrets/x>", "k = <secrets/jwt>")
    assert [p.text for p in left if p.marked] == ["<secrets/x>"]


def test_faces():
    """In a changed run a line faces the one that it resembles, though another stands before it."""
    rows = compare("def f(a):\n    return a + 1", "import os\ndef f(b):\n    return b + 1")
    assert [(r.kind, r.left_number, r.right_number) for r in rows] == [
        ("right", None, 1),
        ("changed", 1, 2),
        ("changed", 2, 3),
    ]


def test_folds():
    """Equal lines further than three from a change are left out and counted."""
    text = [f"line {k}" for k in range(20)]
    rows = compare("\n".join(text), "\n".join([*text[:10], "other thing", *text[11:]]))
    assert [r.count for r in rows if r.kind == "gap"] == [7, 6]
    assert [r.left_number for r in rows if r.kind == "equal"] == [8, 9, 10, 12, 13, 14]


def test_masked_first():
    """Two secrets in the same place look the same, whatever their lengths: masks go in before anything is compared."""
    left, right = "key = 'horse'\nx", "key = 'correct battery'\nx"
    rows = compare(left, right, [(7, 12, "secrets/x")], [(7, 22, "secrets/x")])
    assert {r.kind for r in rows} == {"equal"}
    assert text_of(rows, "left") == text_of(rows, "right") == "key = '<secrets/x>'\nx"


def test_masks_over_lines():
    """A secret over several lines is masked on each, and the lines after it keep their numbers."""
    assert masked_lines("a\nKEY\nKEY\nb", [(2, 9, "secrets/k")]) == ["a", "<secrets/k>", "<secrets/k>", "b"]
    rows = compare("a\nKEY\nKEY\nb", "a\nc\nKEY\nb", [(2, 9, "secrets/k")], [])
    assert rows[-1].left_number == rows[-1].right_number == 4


@settings(deadline=None)
@given(st.text("ab\nS", max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4))
def test_no_masked_character(text: str, ends: list[tuple[int, int]]):
    """Whatever masks overlap, touch or reach past the end: none of what they cover is in the lines."""
    masks = [(min(e), max(e), "secrets/x") for e in ends]
    covered = {i for a, b, _ in masks for i in range(a, b)}
    kept = "".join(c for i, c in enumerate(text) if i not in covered and c != "\n")
    seen = "".join(masked_lines(text, masks)).replace("<secrets/x>", "")
    assert seen == kept


@pytest.mark.parametrize("kinds", ["ab", "abcdefghijklmnopqrstuvwxyz"])
def test_hostile_sizes(kinds: str):
    """Texts of more lines than are compared end in a count of the rest, and take no longer for repeating themselves."""
    made = random.Random(7)  # noqa: S311
    a, b = ("\n".join(made.choices(kinds, k=MOST_LINES + 50)) for _ in range(2))
    rows = compare(a, b)
    assert rows[-1] == Row("gap", count=50)


def test_long_line():
    """A line longer than is shown is cut after it is masked, so that no cut can bare a secret."""
    text = "x" * 1990 + "horse" * 20
    (row,) = compare(text, text, [(1990, 2090, "secrets/x")], [(1990, 2090, "secrets/x")])
    assert "horse" not in row.left[0].text and row.left[0].text.endswith("…")
