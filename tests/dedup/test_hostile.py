"""Samples that nobody should have: huge, binary, undecodable, empty, ten thousand times the same."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from dedup_reference import Texts, planted, write

from governance.dedup import join, sets
from governance.dedup.cluster import Duplicates, cluster_duplicates
from governance.samples import SAMPLES


def run(folder: Path, samples: Sequence[Texts], threshold: float = 0.8, **settings: Any) -> Duplicates:
    path = write(folder / "samples.arrow", samples)
    with duckdb.connect() as con:
        return cluster_duplicates(path, con, threshold=threshold, work=folder, renamed=True, **settings)


def decisions(found: Duplicates) -> dict[int, tuple[int, float, str]]:
    return {r["n"]: (r["cluster"], r["similarity"], r["kind"]) for r in found.table.to_pylist()}


def test_one_sample_of_50_mb(tmp_path: Path) -> None:
    """
    A text of 50 MB is compared like any other, and the small ones beside it too.
    """
    big = " ".join(map(str, range(6_600_000)))
    assert len(big) > 50_000_000
    small: list[Texts] = [[("output", "a b c d e f g")], [("output", "a b  c d e f g")]]
    start = time.process_time()
    found = decisions(run(tmp_path, [[("output", big)], *small, [("output", big + " end")]]))
    assert time.process_time() - start < 60
    assert {n: kind for n, (_, _, kind) in found.items() if n in (0, 3)} == {0: "near"}
    assert found[0][1] == 6_599_996 / 6_599_997
    assert [kind for n, (_, _, kind) in found.items() if n in (1, 2)] == ["lexemes"]


def test_large_samples_are_sorted_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A sample whose shingles are sorted and one whose shingles are hashed have the same set.
    """
    samples = [[("output", " ".join(f"w{k % 70}" for k in range(m, m + 3000)))] for m in range(8)]
    expected = decisions(run(tmp_path, samples))
    monkeypatch.setattr(sets, "_HUGE", 0)
    monkeypatch.setattr("governance.dedup.texts._PIECE", 1)
    assert decisions(run(tmp_path, samples)) == expected


def test_binary_texts(tmp_path: Path) -> None:
    """
    Texts of random code points, NUL included, are told apart by their lexemes, and equal ones are found.
    """
    rng = random.Random(3)  # noqa: S311
    blobs = [
        "".join(chr(rng.choice((rng.randrange(256), rng.randrange(0xD800)))) for _ in range(2000)) for _ in range(5)
    ]
    samples: list[Texts] = [[("output", blob)] for blob in blobs]
    assert decisions(run(tmp_path, samples)) == {}
    assert decisions(run(tmp_path, [*samples, samples[2]])) == {5: (2, 1.0, "exact")}


def test_undecodable_bytes(tmp_path: Path) -> None:
    """
    Bytes that are no UTF-8, cut off in the middle of a character, are lexemes too, and nothing is read past the end.
    """
    texts = [b"\xff\xfe abc \xe4\xb8", b"\x80" * 40, b"\xf0\x9f", b"\x80" * 40, b"\xe4", b""]
    table = pa.Table.from_batches(
        pa.ipc.open_file(str(write(tmp_path / "s", [[("output", "x")]] * len(texts)))).read_all().to_batches()
    )
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    text = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(texts)))
    names = pa.array(["output"] * len(texts))
    column = pa.ListArray.from_arrays(
        pa.array(range(len(texts) + 1), pa.int32()),
        pa.StructArray.from_arrays([names, names, text], fields=list(SAMPLES.field("texts").type.value_type)),
    )
    table = table.set_column(SAMPLES.get_field_index("texts"), SAMPLES.field("texts"), column)
    ids = pa.array([f"{n % 3 if n in (1, 3) else n:064x}" for n in (0, 1, 2, 5, 4, 6)])
    table = table.set_column(SAMPLES.get_field_index("sample_id"), "sample_id", ids)
    with pa.OSFile(str(tmp_path / "bad.arrow"), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(table)
    with duckdb.connect() as con:
        found = cluster_duplicates(tmp_path / "bad.arrow", con, threshold=0.5, work=tmp_path, renamed=True)
    assert decisions(found) == {3: (1, 1.0, "lexemes")}


def test_ten_thousand_equal_rows(tmp_path: Path) -> None:
    """
    10,000 equal rows are one cluster, found without comparing them with each other.
    """
    found = run(tmp_path, [[("instruction", "a"), ("output", "return the sum of all orders of a day")]] * 10_000)
    assert (found.table.num_rows, found.largest, found.candidates) == (9_999, 10_000, 0)


@pytest.mark.parametrize("text", ["", "x", " ", "\n\n", "é", "单", "\ufeff", "\u200b"])
def test_hardly_a_text(tmp_path: Path, text: str) -> None:
    """
    No text, one character, white space: equal ones are exact copies, and nothing else is merged with them.
    """
    found = decisions(run(tmp_path, [[("output", text)], [("output", "y")], [("output", text)], []], 0.5))
    assert found == ({2: (0, 1.0, "exact"), 3: (0, 1.0, "exact")} if not text else {2: (0, 1.0, "exact")})


def test_kinds(tmp_path: Path) -> None:
    """
    Asked for exact copies alone, copies of what would be removed as near are found as such: they name each other.
    """
    samples = planted(3)
    everything = decisions(run(tmp_path, samples))
    exact = decisions(run(tmp_path, samples, kinds=("exact",)))
    ids = [r["sample_id"] for r in run(tmp_path, samples).table.to_pylist()]
    assert {kind for _, _, kind in exact.values()} == {"exact"}
    assert len(exact) > sum(kind == "exact" for _, _, kind in everything.values())
    assert exact.keys() <= everything.keys()
    assert ids
    lexemes = decisions(run(tmp_path, samples, kinds=("exact", "lexemes")))
    assert {kind for _, _, kind in lexemes.values()} == {"exact", "lexemes"}
    assert exact.keys() <= lexemes.keys() <= everything.keys()


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 1.0])
def test_shingles_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: float) -> None:
    """
    With the shingles in a file, read in small pieces, the same samples are removed with the same witnesses, and no
    file is left behind.
    """
    samples = planted(8)
    expected = run(tmp_path, samples, threshold)
    monkeypatch.setattr(join, "_SETS", 1 << 30)
    for name, value in (("_RANGE", 50), ("_GATHER", 100), ("_COUNT", 64)):
        monkeypatch.setattr(join, name, value)
    monkeypatch.setattr("governance.dedup.texts._PIECE", 256)
    before = set(tmp_path.iterdir())
    assert run(tmp_path, samples, threshold, memory_limit=64 << 20) == expected
    assert set(tmp_path.iterdir()) == before
