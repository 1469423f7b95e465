"""The parts of a dataset by the names of its files, and what of the held-out ones stands in training."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from governance.dedup.parts import file_part, held_out_in_train
from governance.samples import OVERLAPS, SAMPLES, sample_id, table


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train.jsonl", "train"), ("Train-00.parquet", "train"), ("training.csv", "train"),
        ("valid.jsonl", "validation"),
        ("val_1.jsonl.gz", "validation"), ("validation/data.arrow", "validation"), ("dev.json", "validation"),
        ("test.jsonl", "test"), ("eval-en.jsonl", "test"), ("evaluation.jsonl", "test"), ("audit.jsonl", "audit"),
        ("de/train.jsonl", "train"), ("values.csv", ""), ("trainer.jsonl", ""), ("device.jsonl", ""),
        ("data.jsonl", ""),
        ("testament.jsonl", ""), ("auditor.csv", ""),
    ],
)  # fmt: skip
def test_file_part(name: str, part: str) -> None:
    """A file's part is what its name begins with, as a whole word."""
    assert file_part(name) == part


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Write (file, text) samples."""
    out = [
        {
            "n": n, "file": file, "row": n, "sample_id": sample_id([("output", text)]), "shape": "text",
            "texts": [{"field": "text", "role": "output", "text": text}], "record": '{"text":null}',
        }
        for n, (file, text) in enumerate(rows)
    ]  # fmt: skip
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(table(SAMPLES, out), max_chunksize=2)
    return path


LONG = " ".join(f"word{k}" for k in range(40))


def test_copies_in_training_are_named(tmp_path: Path) -> None:
    """Exact and near copies in a training file are rows with place, source and similarity; those elsewhere are none."""
    rows = [
        ("train.jsonl", LONG), ("train.jsonl", "something else entirely stands here"), ("test.jsonl", f"{LONG} more"),
        ("valid.jsonl", LONG), ("audit.jsonl", "nobody has seen this text before"), ("notes.jsonl", LONG),
        ("test.jsonl", "only in both held-out parts, in no training file"),
        ("valid.jsonl", "only in both held-out parts, in no training file"),
    ]  # fmt: skip
    found = held_out_in_train(write(tmp_path / "s.arrow", rows), duckdb.connect(), work=tmp_path)
    assert found is not None and found.schema == OVERLAPS
    assert found["n"].to_pylist() == [2, 3] and found["class"].to_pylist() == ["split", "split"]
    assert found["file"].to_pylist() == ["test.jsonl", "valid.jsonl"] and found["row"].to_pylist() == [2, 3]
    assert found["source"].to_pylist() == ["train.jsonl#0"] * 2 and found["score"].to_pylist()[1] == 1.0
    assert not list(tmp_path.glob("split-*"))


def test_complete_where_removal_would_not_be(tmp_path: Path) -> None:
    """A near pair counts though both are copies of a third sample that alone would be kept."""
    words = LONG.split()
    middle, left, right = " ".join(words), " ".join(words[2:]), " ".join(words[:-2])
    rows = [("notes.jsonl", middle), ("train.jsonl", left), ("test.jsonl", right)]
    found = held_out_in_train(write(tmp_path / "s.arrow", rows), duckdb.connect(), work=tmp_path)
    assert found is not None and found["n"].to_pylist() == [2] and found["source"].to_pylist() == ["train.jsonl#1"]


@pytest.mark.parametrize("files", [["train.jsonl"], ["test.jsonl"], ["data.jsonl", "more.jsonl"], []])
def test_no_parts_is_nothing_to_compare(files: list[str], tmp_path: Path) -> None:
    """Without a training file or without a held-out one the answer is None, not an empty table."""
    path = write(tmp_path / "s.arrow", [(f, "a b c d e f g") for f in files])
    assert held_out_in_train(path, duckdb.connect(), work=tmp_path) is None
