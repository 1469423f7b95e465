"""JSON documents from blocks of any size."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.errors import InputError
from governance.ingest import documents
from governance.ingest.documents import json_chunks
from governance.ingest.lines import TooLarge
from governance.ingest.parse import Parser

RECORDS: list[dict[str, Any]] = [
    {"text": 'a "quoted", [bracket] {brace} \\'},
    {"text": "用户\n", "tags": [["x"], {"y": []}]},
    {"text": "", "n": 1.5},
]


def parse(data: bytes, size: int, limit: int = 10_000) -> tuple[list[str], list[tuple[int, int, str]]]:
    """Texts of the samples, and (row, line, reason) of the bad records."""
    parser = Parser(None, limit)
    blocks = iter([data[i : i + size] for i in range(0, len(data), size)])
    texts: list[str] = []
    bad: list[tuple[int, int, str]] = []
    row = 0
    for chunk in json_chunks(blocks, "d.json", "utf-8", parser.reader, limit):
        if isinstance(chunk, TooLarge):
            bad.append((row, chunk.line, chunk.reason))
            row += 1
            continue
        parsed = parser.parse(chunk)
        texts += [t["text"] for b in parsed.batches for ts in b.column("texts").to_pylist() for t in ts]
        bad += [(row + r, line, reason) for r, line, reason, _, _ in parsed.bad]
        row += parsed.records
    return texts, bad


FORMS = {
    "array": json.dumps(RECORDS),
    "indented array": json.dumps(RECORDS, indent=2, ensure_ascii=False),
    "held array": json.dumps({"version": "1", "data": RECORDS, "count": 3}),
    "indented held array": "\n" + json.dumps({"meta": {"a": [1]}, "rows": RECORDS}, indent=1),
    "lines": "\n".join(map(json.dumps, RECORDS)),
}


@pytest.mark.parametrize("size", [1, 5, 64, 100_000])
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_records_do_not_depend_on_the_blocks(
    monkeypatch: pytest.MonkeyPatch, form: str, size: int, small: bool
) -> None:
    """An array, an object that holds one and JSON Lines give their records for any size of blocks."""
    if small:  # the form is then told from a prefix, as of a file that is larger than that
        monkeypatch.setattr(documents, "PREFIX", 60)
    assert parse(FORMS[form].encode(), size) == ([r["text"] for r in RECORDS], [])


def test_one_object_is_one_record() -> None:
    """An object that is a record itself is read as one, also where it is indented and holds an array."""
    record = {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}
    assert parse(json.dumps(record, indent=2).encode(), 10) == (["u", "a"], [])
    assert parse(b'{\n "foo": 1\n}', 5) == ([], [(0, 1, "missing-field")])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_broken_elements_spoil_no_other(size: int) -> None:
    """Elements that are no samples are quarantined with their line; those around them are read."""
    data = b'[\n{"text": "a"},\n{"text": },\n 5, "x",\n\n{"text": "b"},\n{"text": "c\xff"}\n]\n'
    assert parse(data, size) == (
        ["a", "b"],
        [(1, 3, "broken-json"), (2, 4, "wrong-type"), (3, 4, "wrong-type"), (5, 7, "undecodable")],
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "line"),
    [(b'[{"text": "a"},\n{"text": "b', 2), (b'[{"text": "a"},\n', 2), (b'[{"text": "a"}]\n{"x": 1}', 2)],
)
def test_document_that_does_not_end_is_one_broken_record(data: bytes, line: int, size: int) -> None:
    """What is cut short, or follows the end, is quarantined; it is not dropped in silence."""
    texts, bad = parse(data, size)
    assert texts == ["a"]
    assert [b[0] for b in bad] == [1]
    assert bad[0][2] in {"broken-json", "missing-field"}


@pytest.mark.parametrize("size", [1, 9, 100])
def test_element_over_the_limit_is_skipped(size: int) -> None:
    """A huge element is skipped, also where one string of it fills many blocks; the lines stay right."""
    huge = json.dumps({"text": 'x"\\' * 300})
    data = f'[{{"text": "a"}},\n{huge},\n{{"text": "b"}},\n{{}}]'.encode()
    assert parse(data, size, limit=120) == (["a", "b"], [(1, 2, "too-large"), (3, 4, "empty-record")])


def test_two_arrays_are_refused() -> None:
    """An object with two arrays of records does not say which is the dataset."""
    data = json.dumps({"a": RECORDS, "b": RECORDS}).encode()
    with pytest.raises(InputError, match=r"d\.json: holds 2 arrays"):
        parse(data, 1000)


def test_two_arrays_are_refused_in_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second array is found as well where only a prefix was looked at before."""
    monkeypatch.setattr(documents, "PREFIX", 60)
    with pytest.raises(InputError, match="more than one array"):
        parse(json.dumps({"a": RECORDS, "b": RECORDS}).encode(), 20)
