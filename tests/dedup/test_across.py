"""`find_across` against brute force, and where brute force would take all pairs."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dedup_reference import Reference, Texts, planted, write

from governance.dedup import across, join
from governance.dedup.across import ACROSS, find_across
from governance.errors import UsageError


def run(
    folder: Path,
    samples: Sequence[Texts],
    others: Sequence[Texts],
    threshold: float = 0.8,
    *,
    memory_limit: int | None = None,
    threads: int = 2,
) -> list[dict[str, Any]]:
    one, other = write(folder / "one.arrow", samples, 7), write(folder / "other.arrow", others)
    with duckdb.connect() as con:
        found = find_across(
            one, other, con, threshold=threshold, work=folder, memory_limit=memory_limit, threads=threads
        )
        assert found.schema == ACROSS
        assert con.execute("show all tables").fetchall() == []
    return found.to_pylist()


def check(reference: Reference, count: int, threshold: float, found: list[dict[str, Any]], *, nearest: bool) -> None:
    """Compare *found* with every pair of the first *count* samples and the rest; with *nearest*, also who is named."""
    by_n = {row["n"]: row for row in found}
    for n in range(count):
        values = reference.across(n, range(count, len(reference.ids)))
        reaching = {k: v for k, v in values.items() if v[0] >= Fraction(str(threshold))}
        assert (n in by_n) == bool(reaching)
        if reaching:
            value, kind = reaching[by_n[n]["other"] + count]
            assert (by_n[n]["similarity"], by_n[n]["kind"]) == (float(value), kind)
            best = min(reaching, key=lambda k: (("exact", "lexemes", "near").index(reaching[k][1]), -reaching[k][0], k))
            assert kind == reaching[best][1]
            if nearest:
                assert by_n[n]["other"] + count == best


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_brute_force(tmp_path: Path, seed: int, threshold: float) -> None:
    """
    Every sample with a partner in the other dataset is found, with the most similar one, and no other is.
    """
    samples = planted(seed)
    one, other = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    found = run(tmp_path, one, other, threshold)
    check(Reference(samples), len(one), threshold, found, nearest=True)
    assert any(row["kind"] == "exact" for row in found)
    assert threshold == 1.0 or any(row["kind"] == "near" for row in found)


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("hot", [1, 2, 4])
@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_hot_shingles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hot: int, threshold: float, limit: int | None
) -> None:
    """
    From how many prefixes on a shingle is left out of the join changes neither who is found nor that it is verified.
    """
    monkeypatch.setattr(across, "HOT", hot)
    samples = planted(4)
    found = run(tmp_path, samples[:40], samples[40:], threshold, memory_limit=limit and 64 << 20)
    check(Reference(samples), 40, threshold, found, nearest=False)


def test_memory_and_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Shingles in a file and the number of threads change no row.
    """
    monkeypatch.setattr(join, "_SETS", 1 << 20)
    samples = planted(5)
    expected = run(tmp_path, samples[:50], samples[50:])
    assert expected
    assert run(tmp_path, samples[:50], samples[50:], memory_limit=64 << 20) == expected
    assert run(tmp_path, samples[:50], samples[50:], threads=1) == expected


def test_row_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The same samples are found for any order of rows on both sides, with the same similarity.
    """
    monkeypatch.setattr(across, "HOT", 3)
    samples = planted(6)
    one, other = samples[:50], samples[50:]
    expected = sorted((row["sample_id"], row["similarity"], row["kind"]) for row in run(tmp_path, one, other))
    rng = random.Random(1)  # noqa: S311
    rng.shuffle(one)
    rng.shuffle(other)
    assert sorted((row["sample_id"], row["similarity"], row["kind"]) for row in run(tmp_path, one, other)) == expected


@pytest.mark.parametrize("body", [10, 20])
def test_headers(tmp_path: Path, body: int) -> None:
    """
    A licence header that 10,000 samples on both sides begin with does not make 100,000,000 comparisons, whether it
    makes them near-duplicates of each other (a short body) or not.
    """
    header = " ".join(f"licence{k}" for k in range(120))
    one = [[("output", f"{header} " + " ".join(f"a{k}x{m}" for m in range(body)))] for k in range(10_000)]
    other = [[("output", f"{header} " + " ".join(f"b{k}x{m}" for m in range(body)))] for k in range(10_000)]
    start = time.process_time()
    found = run(tmp_path, one, other)
    assert time.process_time() - start < 60
    assert len(found) == (10_000 if body == 10 else 0)


def test_nothing(tmp_path: Path) -> None:
    """
    Empty sides, and sides of empty samples only, have nothing across but exact copies.
    """
    assert run(tmp_path, [], []) == []
    assert run(tmp_path, [[("output", "a b c")]], []) == []
    assert run(tmp_path, [], [[("output", "a b c")]]) == []
    assert run(tmp_path, [[("output", " ")]], [[("output", "\n")]]) == []
    assert [row["kind"] for row in run(tmp_path, [[("output", " ")]], [[("output", " ")]])] == ["exact"]


def test_shared_prompts(tmp_path: Path) -> None:
    """
    A prompt that both sides share is compared as a whole: other answers to it are no duplicates.
    """
    ask = " ".join(f"rule{k}" for k in range(500))
    one = [[("instruction", ask), ("output", " ".join(f"o{m}" for m in range(8)))]]
    other = [[("instruction", ask), ("output", " ".join(f"p{m}" for m in range(8)))]]
    assert run(tmp_path, one, other, 0.5) == []


def test_threshold_out_of_range(tmp_path: Path) -> None:
    """
    A threshold that the join does not support is refused before anything is read.
    """
    with duckdb.connect() as con, pytest.raises(UsageError, match="dedup threshold is"):
        find_across(tmp_path / "missing", tmp_path / "missing", con, threshold=0.3, work=tmp_path)
