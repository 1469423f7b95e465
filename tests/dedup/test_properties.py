"""The laws of the whole dedup on real functions and edited copies of them, by both methods where both apply."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from dedup_reference import write
from plain_sets import as_dict, as_sets, near
from real_functions import EDITS, Decisions, Truth, functions, planted

from governance.dedup.buckets import minhash_pairs
from governance.dedup.cluster import Duplicates, cluster_duplicates
from governance.dedup.join import near_pairs
from governance.dedup.methods import Method

THRESHOLDS = (0.7, 0.8)
METHODS: tuple[Method, ...] = ("exact", "minhash")


def run(
    folder: Path,
    texts: Sequence[str],
    threshold: float,
    *,
    batch: int = 1000,
    threads: int = 2,
    method: Method = "exact",
) -> Duplicates:
    path = write(folder / "samples.arrow", [[("output", text)] for text in texts], batch)
    with duckdb.connect() as con:
        return cluster_duplicates(path, con, threshold=threshold, threads=threads, work=folder, method=method)


def decisions(found: Duplicates) -> Decisions:
    return {r["n"]: (r["cluster"], r["similarity"], r["kind"]) for r in found.table.to_pylist()}


@pytest.fixture(scope="module")
def edited() -> tuple[list[str], list[str], Truth]:
    """80 functions with a copy per edit: 640 texts, the edit of each, and what brute force says of them."""
    texts, names = planted(functions(80), seed=1)
    return texts, names, Truth(texts)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_planted_edits(tmp_path: Path, edited: tuple[list[str], list[str], Truth], threshold: float) -> None:
    """
    The same samples are removed, with the same witness, similarity and kind, as brute force removes, whatever the edit.
    """
    texts, names, truth = edited
    found = run(tmp_path, texts, threshold)
    assert decisions(found) == truth.decisions(threshold)
    assert found.pairs == len(truth.near(threshold))
    removed = Counter(names[n] for n in decisions(found))
    assert all(removed[edit.__name__] >= 10 for edit in EDITS), removed


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_planted_edits_by_minhash(tmp_path: Path, edited: tuple[list[str], list[str], Truth], threshold: float) -> None:
    """
    minhash compares at least 0.995 of the near pairs; whoever it removes is as near to its witness as it says.
    """
    texts, _, truth = edited
    found = run(tmp_path, texts, threshold, method="minhash")
    pairs = truth.near(threshold)
    assert 0.995 * len(pairs) <= found.pairs <= len(pairs)
    number = {content: k for k, content in enumerate(truth.contents)}
    for n, (kept, value, kind) in decisions(found).items():
        a, b = sorted((number[truth.sequences[n]], number[truth.sequences[kept]]))
        assert pairs.get((a, b), 1.0) == value
        assert (kind == "near") == (a != b)
    assert found.sketch is not None
    assert found.sketch.recall.pairs == len(pairs)
    assert found.sketch.recall.found == found.pairs


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_no_near_pair_stays(tmp_path: Path, edited: tuple[list[str], list[str], Truth], threshold: float) -> None:
    """
    After the removal no two samples are near-duplicates, and nothing is left to remove.
    """
    texts, _, _ = edited
    removed = decisions(run(tmp_path, texts, threshold))
    kept = [text for n, text in enumerate(texts) if n not in removed]
    assert 80 <= len(kept) < len(texts)
    assert not Truth(kept).near(threshold)
    assert decisions(run(tmp_path, kept, threshold)) == {}


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_recall_and_precision(threshold: float) -> None:
    """
    Of 600 functions and 200 edited copies the exact method finds all near pairs and no other; minhash no other.
    """
    originals = functions(600)
    truth = Truth([*originals, *planted(originals[:25], seed=2)[0]])
    numbers = [{int.from_bytes(hashlib.sha256(repr(g).encode()).digest()[:8], "big") for g in s} for s in truth.sets]
    expected = truth.near(threshold)
    sets = as_sets(numbers)
    with duckdb.connect() as con:
        exact = as_dict(near_pairs(sets, con, threshold=threshold))
    sketched = as_dict(minhash_pairs(sets, threshold=threshold))
    assert len(expected) > 150
    assert exact == expected == near(numbers, threshold)
    assert sketched.items() <= expected.items()
    assert len(sketched) >= 0.995 * len(expected)


def by_content(texts: Sequence[str], found: Duplicates) -> list[tuple[str, str, float, str]]:
    """Return the decisions by text: a row number means nothing in another order."""
    return sorted((texts[n], texts[kept], value, kind) for n, (kept, value, kind) in decisions(found).items())


@pytest.mark.parametrize("method", METHODS)
def test_row_order(tmp_path: Path, edited: tuple[list[str], list[str], Truth], method: Method) -> None:
    """
    Ten shuffles of the rows give the same decisions.
    """
    texts = edited[0][:320]
    first = by_content(texts, run(tmp_path, texts, 0.7, method=method))
    for seed in range(10):
        shuffled = random.Random(seed).sample(texts, len(texts))  # noqa: S311
        assert by_content(shuffled, run(tmp_path, shuffled, 0.7, method=method)) == first


@pytest.mark.parametrize("method", METHODS)
def test_batches_and_threads(tmp_path: Path, edited: tuple[list[str], list[str], Truth], method: Method) -> None:
    """
    Any batch size and number of threads gives the same table and the same counts.
    """
    texts = edited[0][:320]
    one = run(tmp_path, texts, 0.8, batch=320, threads=1, method=method)
    for batch, threads in ((1, 2), (7, 3), (100, 1), (1000, 8)):
        other = run(tmp_path, texts, 0.8, batch=batch, threads=threads, method=method)
        assert other.table.equals(one.table)
        assert (other.candidates, other.pairs, other.clusters) == (one.candidates, one.pairs, one.clusters)
        assert other.sketch == one.sketch
