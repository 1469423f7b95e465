"""Flagged places with their text, at a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from made_run import HOSTILE, made_run

from governance.report.show import context, show_findings
from governance.samples import Text

SENSITIVE = frozenset({"secrets/password-assignment", "pii/email-address"})


def shown(**how: Any) -> list[str]:
    run = made_run()
    return list(show_findings(run.tables, run.texts.__getitem__, SENSITIVE, **how))


def test_place():
    """A block names the place and shows its line with two before and after, the span marked below."""
    assert shown(rule="rest/crud-name", limit=1)[0].splitlines() == [
        "train.jsonl#0 output line 5  rest/crud-name error",
        "     3 | public class BlogController {",
        '     4 |     private String password = "<secrets/password-assignment>";',
        '>    5 |     @PostMapping("/createPost")',
        "       |                   ^^^^^^^^^^^",
        "     6 |     public Post createPost(@RequestBody Post post) {",
        "     7 |         return service.save(post);",
    ]


def test_masked():
    """No block shows a secret, neither its own nor one beside another finding."""
    blocks = shown(limit=100)
    assert len(blocks) == 14
    assert not any("horse" in block for block in blocks)


def test_reveal():
    """With reveal secrets are shown."""
    assert "correct horse" in shown(rule="secrets/password-assignment", limit=1, reveal=True)[0]


def test_limit():
    """At most the limit is shown, and the last line says how many more there are."""
    blocks = shown(rule="rest/crud-name", limit=2)
    assert len(blocks) == 3
    assert blocks[-1] == "and 7 more"
    assert shown(rule="no/such") == []


@pytest.mark.parametrize("reveal", [False, True])
def test_terminal(reveal: bool):
    """No escape, control or reordering character of a sample or a file name reaches the terminal."""
    run = made_run(file=HOSTILE, path="/create" + HOSTILE[:-1])
    for block in show_findings(run.tables, run.texts.__getitem__, SENSITIVE, limit=100, reveal=reveal):
        assert all(c == "\n" or c.isprintable() for c in block)


def test_multi_line_secret():
    """A secret over several lines is masked on each of them, however small the part that is shown."""
    text = "key:\n-----\nAAAA\nBBBB\n-----\nend /createPost\n"
    secret = (5, text.index("end") - 1, "secrets/key")
    place = text.index("/createPost")
    lines = "\n".join(context(text, place, place + 11, [secret]))
    assert "AAAA" not in lines and "BBBB" not in lines and "<secrets/key>" in lines
    inside = "\n".join(context(text, text.index("BBBB"), text.index("BBBB") + 2, [secret]))
    assert "B" not in inside and "A" not in inside


def test_partial_overlap():
    """A span that begins inside a secret shows no character of the secret, and is marked with the whole mask."""
    lines = context("x = 'horse/createPost'", 7, 21, [(5, 10, "secrets/x")])
    assert lines[0] == ">    1 | x = '<secrets/x>/createPost'"
    assert lines[1] == "       |      ^^^^^^^^^^^^^^^^^^^^^^"


def test_every_cut_of_a_long_line():
    """Wherever a long line is cut, a secret on it stays masked."""
    secret = "S" * 50
    for before in (0, 10, 70, 75, 80, 100, 200, 500):
        for after in (0, 10, 60, 70, 75, 80, 300):
            text = "a" * before + secret + "b" * after + "/createPost" + "c" * 300
            place = before + 50 + after
            lines = context(text, place, place + 11, [(before, before + 50, "secrets/x")])
            assert "SS" not in lines[0] and "/createPost" in lines[0]
            assert lines[1].index("^") == lines[0].index("/createPost")


def test_wide_characters():
    """The mark stands under the span also after characters that take two columns."""
    lines = context("路径 /get", 3, 7, [])
    assert lines == [">    1 | 路径 /get", "       |      ^^^^"]


def test_text_is_gone():
    """A sample whose field is not in the store any more shows its place alone."""
    run = made_run()
    blocks = list(show_findings(run.tables, lambda n: [Text("other", "output", "x")], SENSITIVE, limit=1))
    assert blocks[0] == "train.jsonl#0 output line 5  rest/crud-name error\n"
