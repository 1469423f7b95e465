"""The scanner: where things are found, in which order, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from scan_batches import KEY, a_batch, a_rule

from governance.errors import RuleError
from governance.rules import Rule, fingerprint
from governance.samples import FINDINGS, ROUTES, STORIES
from governance.scan.scanner import Scanner

DIGITS = a_rule("t/digits", r"\d{4}")
CONTROLLER = (
    '@RestController\n@RequestMapping("/blog")\nclass A {\n  @PostMapping("/createPost")\n  void create() {}\n}\n'
)


def places(rules: list[Rule], samples: list[Any], **options: Any) -> list[tuple[Any, ...]]:
    """(row, field, rule, start, end, line) of every finding."""
    rows = Scanner(rules, KEY).scan(a_batch(samples), **options).findings.to_pylist()
    return [(r["row"], r["field"], r["rule"], r["start"], r["end"], r["line"]) for r in rows]


def test_offsets_count_code_points() -> None:
    """A span counts code points of the raw field, not bytes, and the line counts from 1."""
    text = "用户😀\né 1234\n"
    assert places([DIGITS], [{"output": text}]) == [(0, "output", "t/digits", 6, 10, 2)]
    assert text[6:10] == "1234"


def test_group_one_is_reported() -> None:
    """Group 1 is what gets reported; where it took no part, the whole match is."""
    rule = a_rule("t/id", r"id=(\w+);|id!")
    assert places([rule], [{"output": "id=ab; id!"}]) == [
        (0, "output", "t/id", 3, 5, 1),
        (0, "output", "t/id", 7, 10, 1),
    ]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("any", ["system", "instruction", "input", "output"]),
        ("prompt", ["system", "instruction", "input"]),
        ("output", ["output"]),
        ("instruction", ["instruction"]),
    ],
)
def test_field_is_a_role(field: str, found: list[str]) -> None:
    """A rule reads the texts of its role only; `prompt` is everything but the output."""
    sample = dict.fromkeys(("system", "instruction", "input", "output"), "1234")
    assert [p[1] for p in places([a_rule("t/d", r"\d{4}", field=field)], [sample])] == found


def test_order_is_row_field_start_end_rule() -> None:
    """Findings come in the order row, field as in the sample, start, end, rule, however the rules are given."""
    rules = [a_rule("t/z", "ab"), a_rule("t/a", "abc?"), a_rule("t/m", "b")]
    sample = [("messages/1/content", "output", "b ab"), ("messages/0/content", "instruction", "abc")]
    expected = [
        (0, "messages/1/content", "t/m", 0, 1, 1),
        (0, "messages/1/content", "t/a", 2, 4, 1),
        (0, "messages/1/content", "t/z", 2, 4, 1),
        (0, "messages/1/content", "t/m", 3, 4, 1),
        (0, "messages/0/content", "t/z", 0, 2, 1),
        (0, "messages/0/content", "t/a", 0, 3, 1),
        (0, "messages/0/content", "t/m", 1, 2, 1),
    ]
    assert places(rules, [sample]) == expected
    assert places(rules[::-1], [sample]) == expected


def test_batch_size_changes_nothing() -> None:
    """One batch and its slices give the same findings, stories and routes."""
    samples = [{"instruction": "1234", "output": f"x{i} 5678\n" + CONTROLLER * (i % 3)} for i in range(20)]
    scanner, batch = Scanner([DIGITS], KEY), a_batch(samples)
    whole = scanner.scan(batch)
    parts = [scanner.scan(batch.slice(i, 3)) for i in range(0, 20, 3)]
    for number, schema in enumerate((FINDINGS, STORIES, ROUTES)):
        joined = pa.Table.from_batches([p[number] for p in parts], schema)
        assert joined.equals(pa.Table.from_batches([whole[number]], schema))
    assert whole.findings.num_rows == 40


def test_equal_rows_each_have_their_findings() -> None:
    """A text that occurs twice is found twice, with the same fingerprint."""
    rows = Scanner([DIGITS], KEY).scan(a_batch([{"output": "1234"}] * 2)).findings.to_pylist()
    assert [r["row"] for r in rows] == [0, 1]
    assert {r["fingerprint"] for r in rows} == {fingerprint(KEY, "t/digits", "1234")}


def test_wide_characters_are_seen() -> None:
    """Full-width digits and letters are flagged where they stand, over the NFKC view, and once only."""
    rule = a_rule("t/phone", r"tel:(1\d{3})")
    text = "电话 ｔｅｌ：１３８0，tel:1234"
    assert places([rule], [{"output": text}]) == [
        (0, "output", "t/phone", 7, 11, 1),
        (0, "output", "t/phone", 16, 20, 1),
    ]
    assert text[7:11] == "１３８0"


def test_wide_colon_alone_is_seen() -> None:
    """Wide punctuation of ordinary Chinese text is narrowed as well."""
    assert places([a_rule("t/p", r"密码:(\w+)")], [{"output": "密码：abc。"}]) == [(0, "output", "t/p", 3, 6, 1)]


def test_the_more_specific_secret_stays() -> None:
    """In a sensitive pack the more specific rule wins an overlap, then the longer span; other packs keep all."""
    both = [a_rule("s/long", "key-[a-z0-9]+ ok", specificity=10), a_rule("s/vendor", "key-[a-z]{4}", specificity=90)]
    hidden = [Rule(**{**{f: getattr(r, f) for f in Rule.__slots__}, "sensitive": True}) for r in both]
    text = {"output": "key-abcd1 ok"}
    assert [p[2] for p in places(hidden, [text])] == ["s/vendor"]
    assert [p[2] for p in places(both, [text])] == ["s/vendor", "s/long"]
    assert [p[2] for p in places(hidden, [text], overlaps=True)] == ["s/vendor", "s/long"]


def test_equal_specificity_keeps_the_longer() -> None:
    """At equal specificity the longer span stays, whichever rule comes first."""
    rules = [a_rule("s/a", "key", sensitive=True), a_rule("s/b", "key-1", sensitive=True)]
    assert [p[2] for p in places(rules, [{"output": "key-1"}])] == ["s/b"]


def test_routes_are_extracted_and_judged() -> None:
    """A rule on paths sees the joined path of a Spring controller and reports the place of its own literal."""
    rule = a_rule("t/create", r"/(create\w*)", field="path")
    scanned = Scanner([rule], KEY).scan(a_batch([{"output": CONTROLLER}]))
    finding = scanned.findings.to_pylist()[0]
    assert CONTROLLER[finding["start"] : finding["end"]] == "createPost"
    assert finding["line"] == 4
    assert scanned.routes.column("method").to_pylist() == ["POST"]


def test_route_pattern_sees_the_method() -> None:
    """A rule on whole routes reads `METHOD /path`; a match in the method alone is reported at the route."""
    rule = a_rule("t/post", r"^POST .*Post$", field="route")
    found = places([rule], [{"output": CONTROLLER}])
    assert [(p[2], p[5]) for p in found] == [("t/post", 4)]


def test_query_reports_its_capture() -> None:
    """A tree-sitter query runs where a keyword stands, in any case, and its `@flag` is reported in code points."""
    rule = a_rule(
        "t/catch",
        '((catch_clause body: (block) @body) @flag (#eq? @body "{}"))',
        kind="query",
        language="java",
        keywords=("CATCH",),
    )
    text = "class A { /* 用户 */ void f() { try { g(); } catch (Exception e) {} } }"
    assert [text[p[3] : p[4]] for p in places([rule], [{"output": text}])] == ["catch (Exception e) {}"]
    assert places([rule], [{"output": text.replace("{} }", "{ h(); } }")}]) == []


def test_broken_query_names_its_rule() -> None:
    """A wrong query, one without `@flag` and an unknown check are errors that name the rule."""
    query = {"kind": "query", "language": "java", "keywords": ("a",)}
    for rule in (
        a_rule("t/wrong", "(no_such_node) @flag", **query),
        a_rule("t/wrong", "(block) @other", **query),
        a_rule("t/wrong", "(block) @flag", field="path", **query),
        a_rule("t/wrong", "no_such_check", kind="check"),
        a_rule("t/wrong", "a", validator="no_such_validator"),
        a_rule("t/wrong", "a*"),
    ):
        with pytest.raises(RuleError, match=r"^t/wrong: "):
            Scanner([rule], KEY)


def test_empty_and_null_input() -> None:
    """An empty batch and samples without texts give empty tables of the right schema."""
    for batch in (a_batch([]), a_batch([[]]), a_batch([{"output": ""}])):
        scanned = Scanner([DIGITS], KEY).scan(batch)
        assert [b.num_rows for b in scanned] == [0, 0, 0]
        assert [b.schema for b in scanned] == [FINDINGS, STORIES, ROUTES]


def test_many_findings_in_one_text() -> None:
    """A text with thousands of findings after wide characters keeps every offset and line right."""
    text = "é\n" + "1234 é\n" * 3000
    found = places([DIGITS], [{"output": text}])
    assert len(found) == 3000
    assert all(text[p[3] : p[4]] == "1234" for p in found)
    assert [p[5] for p in found] == list(range(2, 3002))
