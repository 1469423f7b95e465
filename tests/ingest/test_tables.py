"""CSV, Parquet and Arrow."""

from __future__ import annotations

import csv
import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.errors import InputError
from governance.ingest import fill_record, ingest_files, write_records
from governance.ingest.parse import Row
from governance.ingest.records import Bad
from governance.ingest.tables import csv_rows


def rows_of(data: bytes, size: int = 1000, limit: int = 10_000) -> list[tuple[int, object]]:
    blocks = iter([data[i : i + size] for i in range(0, len(data), size)])
    rows: list[Row] = [row for batch in csv_rows(blocks, "d.csv", "utf-8", limit) for row in batch]
    return [(line, r.reason if isinstance(r, Bad) else r) for line, r, _ in rows]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_csv_records(size: int) -> None:
    """Quoted commas, quotes and line ends belong to their field; a record's line is its first."""
    data = b'text,id\r\n"a, ""b""\nc",1\r\n\r\n,2\n'
    assert rows_of(data, size) == [(2, {"text": 'a, "b"\nc', "id": "1"}), (5, {"text": "", "id": "2"})]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_bad_csv_records(size: int) -> None:
    """A wrong number of fields, text after a quote, an open quote and bad bytes spoil one record each."""
    data = b'a,b\n1\n"x"y,2\n1,2,3\n"open,2\n3,4\ncaf\xe9,5\n6,7'
    assert rows_of(data, size) == [
        (2, "broken-csv"),
        (3, "broken-csv"),
        (4, "broken-csv"),
        (5, "broken-csv"),
        (6, {"a": "3", "b": "4"}),
        (7, "undecodable"),
        (8, {"a": "6", "b": "7"}),
    ]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_large_csv_records(size: int) -> None:
    """A line over the limit is skipped, in an open record too; reading goes on after it."""
    long = b"x" * 300
    data = b'a,b\n1,2\n"' + long + b'",2\n3,4\n"open,\n' + long + b",5\n6,7\n"
    found = rows_of(data, size, limit=100)
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 7]
    assert [r for _, r in found if isinstance(r, dict)] == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
        {"a": "6", "b": "7"},
    ]


def test_csv_limit_of_the_interpreter_is_put_back() -> None:
    """Fields of any size under our own limit are read, and the interpreter's limit is as before."""
    before = csv.field_size_limit()
    assert rows_of(b"a\n" + b"x" * 200_000, limit=1 << 20) == [(2, {"a": "x" * 200_000})]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("data", [b'"a"b,c\n1,2\n', b"caf\xe9,b\n1,2\n", b"a,a\n1,2\n"])
def test_wrong_header(data: bytes) -> None:
    """Without a header that can be read no record has names."""
    with pytest.raises(InputError, match=r"d\.csv: line 1: "):
        rows_of(data)


def test_parquet_types_come_back(tmp_path: Path) -> None:
    """Times, decimals, bytes, lists and nulls survive the way through the template and back."""
    schema = pa.schema(
        [
            ("text", pa.string()),
            ("at", pa.timestamp("ns")),
            ("day", pa.date32()),
            ("price", pa.decimal128(10, 2)),
            ("blob", pa.binary()),
            ("tags", pa.list_(pa.string())),
            ("big", pa.uint64()),
        ]
    )
    rows = [
        {
            "text": "a",
            "at": datetime.datetime(2024, 1, 2, 3, 4, 5, 678900),
            "day": datetime.date(2024, 1, 2),
            "price": decimal.Decimal("12.30"),
            "blob": b"\xff\0",
            "tags": ["x", None],
            "big": 2**64 - 1,
        },
        {"text": "b"},
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, tmp_path / "d.parquet")
    found = ingest_files(tmp_path / "d.parquet", tmp_path / "work")
    with pa.memory_map(str(found.samples)) as source:
        samples = pa.ipc.open_file(source).read_all().to_pylist()
    records = [fill_record(s["record"], {t["field"]: t["text"] for t in s["texts"]}) for s in samples]
    write_records(records, tmp_path / "out.parquet", parquet_schema=schema)
    assert pq.read_table(tmp_path / "out.parquet").equals(table)


def test_parquet_row_that_is_not_utf8_is_quarantined(tmp_path: Path) -> None:
    """A string column with bytes that are no UTF-8 costs one row."""
    texts = pa.array([b"a", b"caf\xe9", b"b"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts, "n": [1, 2, 3]}), tmp_path / "d.parquet")
    found = ingest_files(tmp_path / "d.parquet", tmp_path / "work")
    assert found.count == 2
    (bad,) = found.quarantine.to_pylist()
    assert (bad["row"], bad["reason"], bad["raw"]) == (1, "undecodable", b"caf\xe9")


def test_bad_parquet_rows(tmp_path: Path) -> None:
    """A null output and a NUL in a text are quarantined with the row as JSON."""
    pq.write_table(pa.table({"text": ["a", None, "x\0y"]}), tmp_path / "d.parquet")
    found = ingest_files(tmp_path / "d.parquet", tmp_path / "work")
    assert [(b["row"], b["line"], b["reason"], b["raw"]) for b in found.quarantine.to_pylist()] == [
        (1, 0, "wrong-type", b'{"text":null}'),
        (2, 0, "nul", b'{"text":"x\\u0000y"}'),
    ]
