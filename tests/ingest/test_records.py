"""Shapes, roles, templates and provenance of one record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.ingest.parse import Columns, Parser
from governance.ingest.records import Bad, Reader, provenance, slots
from governance.ingest.write import fill_record


def texts_of(record: dict[str, Any], columns: dict[str, str] | None = None) -> tuple[str, list[tuple[str, str, str]]]:
    plan = Reader(columns).plan(record)
    return plan.shape, [(s.field, s.role, s.holder[s.key]) for s in slots(record, plan)]


SHAPES = [
    (
        {"instruction": "i", "input": "n", "output": "o"},
        "alpaca",
        [("instruction", "instruction", "i"), ("input", "input", "n"), ("output", "output", "o")],
    ),
    (
        {"output": "o", "instruction": "i", "system": "s"},
        "alpaca",
        [("system", "system", "s"), ("instruction", "instruction", "i"), ("output", "output", "o")],
    ),
    ({"input": "n", "output": ""}, "alpaca", [("input", "input", "n"), ("output", "output", "")]),
    (
        {"instruction": "i", "input": None, "output": "o"},
        "alpaca",
        [("instruction", "instruction", "i"), ("output", "output", "o")],
    ),
    (
        {"prompt": "p", "completion": "c"},
        "prompt-completion",
        [("prompt", "instruction", "p"), ("completion", "output", "c")],
    ),
    (
        {"instruction": "i", "context": "x", "response": "r"},
        "prompt-completion",
        [("instruction", "instruction", "i"), ("context", "input", "x"), ("response", "output", "r")],
    ),
    (
        {"question": "q", "answer": "a"},
        "prompt-completion",
        [("question", "instruction", "q"), ("answer", "output", "a")],
    ),
    (
        {"prompt": [{"role": "user", "content": "p"}], "completion": [{"role": "assistant", "content": "c"}]},
        "prompt-completion",
        [("prompt/0/content", "instruction", "p"), ("completion/0/content", "output", "c")],
    ),
    (
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "image_url", "image_url": "x"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "content": "t"},
            ]
        },
        "messages",
        [
            ("messages/0/content", "system", "s"),
            ("messages/1/content/0/text", "instruction", "u"),
            ("messages/2/tool_calls/0/function/arguments", "output", "{}"),
            ("messages/3/content", "input", "t"),
        ],
    ),
    (
        {"system": "s", "conversations": [{"from": "human", "value": "h"}, {"from": "gpt", "value": "g"}]},
        "conversations",
        [
            ("system", "system", "s"),
            ("conversations/0/value", "instruction", "h"),
            ("conversations/1/value", "output", "g"),
        ],
    ),
    ({"text": "t", "id": 3}, "text", [("text", "output", "t")]),
]


@pytest.mark.parametrize(("record", "shape", "texts"), SHAPES)
def test_known_shapes(record: dict[str, Any], shape: str, texts: list[tuple[str, str, str]]) -> None:
    """Every known shape is told by its keys, and each text has its field path and role."""
    assert texts_of(record) == (shape, texts)


@pytest.mark.parametrize("record", [case[0] for case in SHAPES])
def test_template_and_texts_give_the_record_back(record: dict[str, Any]) -> None:
    """The template holds no text, keeps the key order, and with its texts is the record again."""
    before = json.dumps(record)
    out = Columns()
    Parser(None, 1 << 20).add(record, out)
    (row,) = out.finish().batches[0].to_pylist()
    texts = {t["field"]: t["text"] for t in row["texts"]}
    assert json.dumps(fill_record(row["record"], texts)) == before
    template = json.loads(row["record"])
    for field in texts:
        value: Any = template
        for part in field.split("/"):
            value = value[int(part) if isinstance(value, list) else part]
        assert value is None


@pytest.mark.parametrize(
    ("record", "reason", "detail"),
    [
        ([], "wrong-type", "the record is a list, expected an object"),
        ("x", "wrong-type", "the record is a string, expected an object"),
        (None, "wrong-type", "the record is null, expected an object"),
        ({}, "empty-record", "the record has no keys"),
        ({"messages": []}, "empty-record", "no turn has a text"),
        ({"instruction": "i"}, "missing-field", "instruction without output"),
        ({"output": "o"}, "missing-field", "output without instruction or input"),
        ({"foo": "x"}, "missing-field", "no known shape; map the columns"),
        ({"instruction": "i", "output": None}, "wrong-type", "output is null, expected a string"),
        ({"instruction": "i", "output": 3}, "wrong-type", "output is a number, expected a string"),
        ({"input": ["i"], "output": "o"}, "wrong-type", "input is a list, expected a string"),
        ({"messages": "x"}, "wrong-type", "messages is a string, expected a list of turns"),
        ({"messages": [1]}, "wrong-type", "turn 0 is a number, expected an object"),
        ({"messages": [{"content": "x"}]}, "missing-field", "turn 0 has no role"),
        ({"messages": [{"role": "user"}]}, "missing-field", "turn 0 has no content"),
        (
            {"messages": [{"role": "user", "content": 1}]},
            "wrong-type",
            "the content of a turn is a number, expected a string",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "wrong-type",
            "the text of a part is a number, expected a string",
        ),
        ({"instruction": "i", "output": "a\0b"}, "nul", "a text has the character U+0000"),
        ({"instruction": "i", "output": "\ud800"}, "undecodable", "a text has half of a surrogate pair"),
        ({"instruction": "i", "output": "o" * 100}, "too-large", "101 bytes of text, limit 64"),
    ],
)
def test_a_record_that_is_no_sample_says_why(record: Any, reason: str, detail: str) -> None:
    """Each fault has its reason; the record and what was collected so far stay as they were."""
    before = repr(record)
    out = Columns()
    with pytest.raises(Bad) as caught:
        Parser(None, 64).add(record, out)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)
    assert repr(record) == before
    assert out.finish().records == 0


def test_column_map_names_the_texts() -> None:
    """With a column map any column is a text or provenance, in the order of the map."""
    columns = {"q/1": "instruction", "code": "text", "origin": "repository"}
    record = {"code": "c", "q/1": "q", "origin": "r", "stars": 5}
    assert texts_of(record, columns) == ("mapped", [("q~11", "instruction", "q"), ("code", "output", "c")])
    assert provenance(record, Reader(columns).plan(record)) == {"repository": "r"}


@pytest.mark.parametrize("value", [None, 5, {}])
def test_mapped_column_has_to_be_a_string(value: Any) -> None:
    """A mapped output that is missing or no string is a bad record."""
    with pytest.raises(Bad, match="wrong-type"):
        texts_of({"a": value}, {"a": "output"})
    with pytest.raises(Bad, match="missing-field"):
        texts_of({"b": "x"}, {"a": "output"})


def test_provenance_is_read_from_the_record_and_its_metadata() -> None:
    """The record's own column wins over its metadata; aliases count; other types are left out."""
    record = {
        "text": "t",
        "license": "MIT",
        "path": "a.py",
        "commit": "",
        "group": ["x"],
        "metadata": {"path": "b.py", "repo": "r", "start_line": "7", "end_line": -1, "commit": "c"},
        "meta": {"step": 4},
    }
    assert provenance(record, Reader().plan(record)) == {
        "path": "a.py",
        "licence": "MIT",
        "start_line": 7,
        "commit": "c",
        "repository": "r",
        "step": "4",
    }
