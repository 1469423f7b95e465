"""`cluster_duplicates` against brute force, and its laws."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from dedup_reference import Reference, Texts, planted, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.dedup import cluster
from governance.dedup.cluster import Duplicates, cluster_duplicates
from governance.errors import UsageError
from governance.samples import DUPLICATES

THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0)


def run(
    folder: Path, samples: Sequence[Texts], threshold: float = 0.8, *, batch: int = 1000, threads: int = 2
) -> Duplicates:
    path = write(folder / "samples.arrow", samples, batch)
    with duckdb.connect() as con:
        return cluster_duplicates(path, con, threshold=threshold, threads=threads, work=folder)


def decisions(found: Duplicates) -> dict[int, tuple[int, float, str]]:
    """Return {removed: (kept, similarity, kind)} by ``n``."""
    return {r["n"]: (r["cluster"], r["similarity"], r["kind"]) for r in found.table.to_pylist()}


def expected(reference: Reference, threshold: float) -> dict[int, tuple[int, float, str]]:
    return {
        k: (kept, float(value), kind)
        for k, (kept, value, kind) in reference.duplicates(Fraction(str(threshold))).items()
    }


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize(("seed", "hot"), [(0, 1), (0, 3), (1, 1), (2, 4), (3, 2)])
def test_hot_shingles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, hot: int, threshold: float) -> None:
    """
    From how many prefixes on a shingle is left out of the join changes no decision; at 1 nothing is joined.
    """
    monkeypatch.setattr(cluster, "HOT", hot)
    samples = planted(seed)
    assert decisions(run(tmp_path, samples, threshold)) == expected(Reference(samples), threshold)


def test_many_copies_cost_one_comparison_each(tmp_path: Path) -> None:
    """
    2,000 samples that are all near-duplicates of each other take about 2,000 comparisons, not 2,000,000.
    """
    header = " ".join(f"licence{k}" for k in range(200))
    samples: list[Texts] = [[("output", f"{header} " + " ".join(f"b{k}x{m}" for m in range(20)))] for k in range(2000)]
    found = run(tmp_path, samples)
    assert (found.table.num_rows, found.clusters, found.largest) == (1999, 1, 2000)
    assert 1999 <= found.candidates < 10_000


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("seed", range(4))
def test_brute_force(tmp_path: Path, seed: int, threshold: float) -> None:
    """
    Every pair that brute force finds is found, no other is, and the same samples go with the same witnesses.
    """
    samples = planted(seed)
    reference = Reference(samples)
    found = run(tmp_path, samples, threshold)
    assert found.pairs == len(reference.near(Fraction(str(threshold))))
    assert found.candidates >= found.pairs
    assert decisions(found) == expected(reference, threshold)
    assert found.table.schema == DUPLICATES


def test_planted_copies_are_found(tmp_path: Path) -> None:
    """
    The planted data holds every kind, so agreement with brute force is not agreement on nothing.
    """
    kinds = {kind for _, _, kind in decisions(run(tmp_path, planted(1), 0.7)).values()}
    assert kinds == {"exact", "lexemes", "near"}


SMALL = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["system", "instruction", "output"]), st.text("ab (é单\n", max_size=14)),
        min_size=1,
        max_size=3,
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=SMALL, threshold=st.sampled_from(THRESHOLDS))
def test_any_small_samples(tmp_path: Path, samples: list[Texts], threshold: float) -> None:
    """
    Brute force is matched on any samples, of no, few and many lexemes, with any number of texts.
    """
    assert decisions(run(tmp_path, samples, threshold)) == expected(Reference(samples), threshold)


def by_content(samples: Sequence[Texts], found: Duplicates) -> list[tuple[str, str, float]]:
    rows = found.table.to_pylist()
    return sorted((r["sample_id"], r["kept_sample_id"], r["similarity"]) for r in rows)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), shuffled=st.randoms(use_true_random=False))
def test_row_order(tmp_path: Path, seed: int, shuffled: random.Random) -> None:
    """
    The same decisions come out for any order of rows.
    """
    samples = planted(seed, families=5, copies=5)
    other = list(samples)
    shuffled.shuffle(other)
    assert by_content(samples, run(tmp_path, samples)) == by_content(other, run(tmp_path, other))


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (7, 2), (1000, 3)])
def test_batches_and_threads(tmp_path: Path, batch: int, threads: int) -> None:
    """
    The size of the file's batches and the number of threads change no byte.
    """
    samples = planted(5)
    assert run(tmp_path, samples, batch=batch, threads=threads) == run(tmp_path, samples)


@pytest.mark.parametrize("count", range(5))
def test_few_lexemes(tmp_path: Path, count: int) -> None:
    """
    Samples of 0 to 4 lexemes equal only themselves: copies are found, nothing else is merged.
    """
    one = [("output", " ".join("abcd"[:count]))]
    same = [("output", "  ".join("abcd"[:count]) + "\n")]
    other = [("output", " ".join("efgh"[:count]) + " " * (count == 0))]
    longer = [("output", " ".join("abcde"))]
    found = decisions(run(tmp_path, [one, other, one, longer], 0.5))
    assert found == {2: (0, 1.0, "exact")}
    kinds = {kind for _, _, kind in decisions(run(tmp_path, [one, same], 0.5)).values()}
    assert kinds == ({"lexemes"} if count else set())


def test_family(tmp_path: Path) -> None:
    """
    Methods of one class share their class card and are no duplicates; a copied method is, card or not.
    """
    card = "class Order fields " + " ".join(f"field{k}" for k in range(200))
    samples: list[Texts] = [
        [
            ("instruction", f"Implement the method m{k}"),
            ("input", card),
            ("output", " ".join(f"b{k}x{m}" for m in range(30))),
        ]
        for k in range(20)
    ]
    assert run(tmp_path, samples, 0.5).table.num_rows == 0
    copy = [samples[3][0], ("input", card), ("output", samples[3][1][1] and samples[3][2][1] + " end")]
    found = decisions(run(tmp_path, [*samples, copy]))
    assert list(found.values()) == [(20, 26 / 27, "near")]


def test_constant_instruction(tmp_path: Path) -> None:
    """
    A long instruction that all samples share makes no two of them similar.
    """
    ask = " ".join(f"rule{k}" for k in range(500))
    samples: list[Texts] = [
        [("instruction", ask), ("output", " ".join(f"o{k}n{m}" for m in range(8)))] for k in range(30)
    ]
    assert run(tmp_path, samples, 0.5).table.num_rows == 0


def test_repeated(tmp_path: Path) -> None:
    """
    A sample that stands there 300 times is kept once, the first time.
    """
    sample = [("instruction", "story"), ("output", "As a user I want to log in so that I see my orders")]
    found = run(tmp_path, [sample] * 300)
    assert decisions(found) == dict.fromkeys(range(1, 300), (0, 1.0, "exact"))
    assert (found.clusters, found.largest) == (1, 300)


def test_copies_of_a_removed_sample(tmp_path: Path) -> None:
    """
    Copies of a removed sample name the sample that is kept, with their own similarity to it.
    """
    base = [f"t{k}" for k in range(40)]
    long, short = [("output", " ".join([*base, "tail"]))], [("output", " ".join(base))]
    spaced = [("output", "\n".join(base))]
    found = decisions(run(tmp_path, [short, long, short, spaced]))
    assert found == dict.fromkeys((0, 2, 3), (1, 36 / 37, "near"))


def test_no_chains(tmp_path: Path) -> None:
    """
    Every witness is kept and reaches the threshold itself; a chain of small edits is not merged into one.
    """
    words = [f"t{k}" for k in range(100)]
    samples: list[Texts] = []
    for k in range(40):
        words[k * 2] = f"new{k}"
        samples.append([("output", " ".join(words))])
    found = run(tmp_path, samples, 0.8)
    removed = decisions(found)
    assert removed and found.clusters > 1
    assert all(kept not in removed and value >= 0.8 for kept, value, _ in removed.values())


def test_shared_header_with_bodies(tmp_path: Path) -> None:
    """
    10,000 samples under one header of 60 lexemes are compared in seconds and none is merged.
    """
    header = " ".join(f"licence{k}" for k in range(60))
    samples: list[Texts] = [
        [("output", header + " " + " ".join(f"b{k}x{m}" for m in range(40)))] for k in range(10_000)
    ]
    path = write(tmp_path / "samples.arrow", samples)
    started = time.perf_counter()
    with duckdb.connect() as con:
        found = cluster_duplicates(path, con, work=tmp_path)
    assert found.table.num_rows == 0
    assert time.perf_counter() - started < 10


def test_header_alone(tmp_path: Path) -> None:
    """
    3,000 samples that are nothing but a header are exact copies of the first.
    """
    header = [("output", " ".join(f"licence{k}" for k in range(60)))]
    found = run(tmp_path, [header] * 3000)
    assert {kind for _, _, kind in decisions(found).values()} == {"exact"}
    assert (found.table.num_rows, found.candidates) == (2999, 0)


def test_nothing(tmp_path: Path) -> None:
    """
    No samples, no batches: an empty table and zeros.
    """
    found = run(tmp_path, [])
    assert (found.table.num_rows, found.candidates, found.pairs, found.clusters, found.largest) == (0, 0, 0, 0, 0)
    assert found.table.schema == DUPLICATES


@pytest.mark.parametrize("threshold", [0.49, 1.01, float("nan"), 0.1234567])
def test_threshold_out_of_range(tmp_path: Path, threshold: float) -> None:
    """
    A threshold that the join does not support is refused with its value.
    """
    with pytest.raises(UsageError, match=f"dedup threshold is {threshold}"):
        run(tmp_path, [], threshold)


def test_leaves_nothing_behind(tmp_path: Path) -> None:
    """
    The connection holds no table or view afterwards.
    """
    path = write(tmp_path / "samples.arrow", planted(2))
    with duckdb.connect() as con:
        cluster_duplicates(path, con, work=tmp_path)
        assert con.execute("select count(*) from duckdb_views() where not internal").fetchone() == (0,)
        assert con.execute("show all tables").fetchall() == []


def test_small_memory(tmp_path: Path) -> None:
    """
    A limit of 64 MiB for the join changes nothing, and progress adds up to the number of samples.
    """
    samples = planted(3)
    path = write(tmp_path / "samples.arrow", samples)
    told: list[int] = []
    with duckdb.connect() as con:
        found = cluster_duplicates(path, con, work=tmp_path, memory_limit=64 << 20, progress=told.append)
        assert con.execute("select current_setting('temp_directory')").fetchall() == [(str(tmp_path),)]
    assert found == run(tmp_path, samples)
    assert sum(told) == len(samples)


def test_locked_connection(tmp_path: Path) -> None:
    """
    A connection without external access whose configuration is locked will do.
    """
    path = write(tmp_path / "samples.arrow", planted(3))
    with duckdb.connect(config={"enable_external_access": "false"}) as con:
        con.execute("set lock_configuration = true")
        assert cluster_duplicates(path, con, work=tmp_path, memory_limit=64 << 20).table.num_rows > 0


def test_sliced_file(tmp_path: Path) -> None:
    """
    A file whose batches are slices of others gives the same result.
    """
    samples = planted(6)
    path = write(tmp_path / "whole.arrow", samples)
    with pa.memory_map(str(path)) as source:
        whole = pa.ipc.open_file(source).read_all()
        with pa.OSFile(str(tmp_path / "sliced.arrow"), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
            for k in range(0, whole.num_rows, 9):
                for batch in whole.slice(k, 9).to_batches():
                    writer.write_batch(batch)
    with duckdb.connect() as con:
        assert cluster_duplicates(tmp_path / "sliced.arrow", con, work=tmp_path) == run(tmp_path, samples)
