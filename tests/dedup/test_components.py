"""Connected components of verified pairs against a plain search over all pairs."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from governance.dedup import components
from governance.dedup.components import chance_overlap, column_keys, join_equal, join_pairs, link_samples
from governance.samples import SAMPLES, sample_id, table


def write_samples(path: Path, outputs: list[str], **columns: list[str | None]) -> Path:
    """Write samples with these outputs and metadata columns as the Arrow file *path*."""
    rows = [
        {
            "n": n, "file": "d.jsonl", "row": n, "sample_id": sample_id([("output", text)]), "shape": "text",
            "texts": [{"field": "text", "role": "output", "text": text}], "record": '{"text":null}',
            **{name: values[n] for name, values in columns.items()},
        }
        for n, text in enumerate(outputs)
    ]  # fmt: skip
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(table(SAMPLES, rows), max_chunksize=7)
    return path


def shingles(text: str) -> set[tuple[str, ...]]:
    """The 5-grams of a text of plain words."""
    words = text.split()
    return {tuple(words[k : k + 5]) for k in range(len(words) - 4)} or {tuple(words)}


def expected(outputs: list[str], threshold: float) -> list[int]:
    """Components by comparing all pairs: per sample the first sample that any chain reaches."""
    sets = [shingles(text) for text in outputs]
    label = list(range(len(outputs)))
    for i, a in enumerate(sets):
        for j in range(i):
            b = sets[j]
            same = outputs[i] == outputs[j]
            if same or (outputs[i].split() and outputs[j].split() and len(a & b) >= threshold * len(a | b) - 1e-12):
                low, high = sorted((label[i], label[j]))
                label = [low if each == high else each for each in label]
    return label


def texts(seed: int, count: int = 60) -> list[str]:
    """Texts of plain words: chains of small edits, equal ones, ones of white space only, and empty ones."""
    rng = random.Random(seed)  # noqa: S311
    out = ["", "", "  ", "one two", "one two", "one  two"]
    while len(out) < count:
        words = [f"w{rng.randrange(10_000)}" for _ in range(rng.choice((6, 20, 60)))]
        for _ in range(rng.randrange(1, 6)):
            words = list(words)
            words[rng.randrange(len(words))] = f"w{rng.randrange(10_000)}"
            out.append(" ".join(words))
    rng.shuffle(out)
    return out


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.8, 1.0])
def test_components_are_all_chains(threshold: float, tmp_path: Path) -> None:
    """A component holds what any chain of near pairs, equal texts and equal lexemes reaches, and nothing else."""
    for seed in range(4):
        outputs = texts(seed)
        links = link_samples(write_samples(tmp_path / "s.arrow", outputs), duckdb.connect(), threshold=threshold)
        assert links.complete and links.component.tolist() == expected(outputs, threshold)


def test_hot_shingles_join_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members of a shingle that is too common to join by are compared until they are in one component."""
    head = " ".join(f"h{k}" for k in range(12))
    outputs = [f"{head} {' '.join(f'f{i % 3}x{k}' for k in range(9))} {'tail' * (i % 5)}" for i in range(60)]
    outputs += texts(7)
    path = write_samples(tmp_path / "s.arrow", outputs)
    wanted = link_samples(path, duckdb.connect(), threshold=0.6)
    monkeypatch.setattr(components, "HOT", 2)
    links = link_samples(path, duckdb.connect(), threshold=0.6)
    assert not links.complete and wanted.complete
    assert links.component.tolist() == wanted.component.tolist() == expected(outputs, 0.6)


def test_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    """In another row order, with other threads and from disk, the same samples are together."""
    outputs = texts(11, 90)
    first = link_samples(write_samples(tmp_path / "a.arrow", outputs), duckdb.connect(), threshold=0.6, threads=1)
    order = random.Random(3).sample(range(len(outputs)), len(outputs))  # noqa: S311
    moved = write_samples(tmp_path / "b.arrow", [outputs[k] for k in order])
    second = link_samples(moved, duckdb.connect(), threshold=0.6, threads=2, work=tmp_path)
    together = {frozenset(np.flatnonzero(first.component == c).tolist()) for c in np.unique(first.component)}
    again = {
        frozenset(order[k] for k in np.flatnonzero(second.component == c).tolist()) for c in np.unique(second.component)
    }
    assert together == again


def test_equal_keys_and_pairs_join() -> None:
    """Equal keys and pairs join whole components; negative keys tie nothing, and nothing joins nothing."""
    start = join_pairs(np.arange(6), np.array([5]), np.array([4]))
    assert start.tolist() == [0, 1, 2, 3, 4, 4]
    assert join_equal(start, np.array([-1, 9, -1, -1, -1, 9])).tolist() == [0, 1, 2, 3, 1, 1]
    assert join_equal(np.arange(3), np.full(3, -1)).tolist() == [0, 1, 2]
    empty = np.zeros(0, np.int64)
    assert join_equal(empty, empty).size == 0


def test_column_keys() -> None:
    """Equal strings have equal numbers, over chunks too; a missing value is -1."""
    column = pa.chunked_array([["b", None, "a"], ["b", ""]])
    keys = column_keys(column)
    assert keys[1] == -1 and keys[0] == keys[3] and len({*keys.tolist()} - {-1}) == 3
    assert column_keys(pa.chunked_array([pa.array([], pa.string())])).size == 0


def test_chance_overlap_counts_copies(tmp_path: Path) -> None:
    """Where every text stands twice, a random half finds its copy in the other half about every second time."""
    outputs = [f"only {k} words of this one here" for k in range(400)] * 2
    links = link_samples(write_samples(tmp_path / "s.arrow", outputs), duckdb.connect(), threshold=0.6)
    part = np.arange(800) % 2
    found = chance_overlap(links, part, threshold=0.8, seeds=5)
    assert set(found) == {1} and abs(found[1][0] - 0.5) < 0.06 and found[1][1] >= found[1][0]
    alone = [f"all {k} of it {k * k} is {k + 7} own {k * 3}" for k in range(50)]
    links = link_samples(write_samples(tmp_path / "t.arrow", alone), duckdb.connect(), threshold=0.6)
    assert chance_overlap(links, np.arange(50) % 2, threshold=0.8, seeds=3) == {1: (0.0, 0.0)}
