"""The choice of the method, from the library to the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from plain_sets import as_dict, as_sets, family_sets, near
from real_functions import functions, planted

from governance.context import Checked
from governance.dedup.methods import Method, find_pairs
from governance.dedup.probe import probe_pair
from governance.errors import UsageError


def test_exact() -> None:
    """
    The exact method gives every pair and no sketch.
    """
    items = family_sets(11)
    with duckdb.connect() as con:
        pairs, sketch = find_pairs(as_sets(items), con, threshold=0.7)
    assert as_dict(pairs) == near(items, 0.7)
    assert sketch is None


@pytest.mark.parametrize("permutations", [128, 256])
def test_minhash(permutations: int) -> None:
    """
    minhash says its bands, the recall they promise, and the recall measured.
    """
    items = family_sets(12)
    with duckdb.connect() as con:
        pairs, sketch = find_pairs(as_sets(items), con, threshold=0.7, method="minhash", permutations=permutations)
    assert sketch is not None
    assert (sketch.permutations, sketch.bands.threshold) == (permutations, 0.7)
    assert sketch.bands.recall_at >= 0.995
    assert (sketch.recall.pairs, sketch.recall.found) == (len(near(items, 0.7)), pairs.left.size)


def test_unknown() -> None:
    """
    Another method is refused by its name.
    """
    unknown: Method = "simhash"  # type: ignore[assignment]
    with duckdb.connect() as con, pytest.raises(UsageError, match="'simhash', expected 'exact' or 'minhash'"):
        find_pairs(as_sets([{1}]), con, threshold=0.7, method=unknown)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
def test_probe(tmp_path: Path, threshold: float) -> None:
    """
    Of three attempts at the probe minhash finds one at least, and never takes the pair that is too far.
    """
    from governance.dedup.cluster import cluster_duplicates

    answers = []
    for attempt in range(3):
        path = tmp_path / f"{attempt}.arrow"
        probe_pair(path, threshold, attempt)
        with duckdb.connect() as con:
            found = cluster_duplicates(path, con, threshold=threshold, work=tmp_path, method="minhash").table
        answers.append(list(zip(found["row"].to_pylist(), found["kept_row"].to_pylist(), strict=True)))
    assert len({(tmp_path / f"{k}.arrow").read_bytes() for k in range(3)}) == 3
    assert [(1, 0)] in answers
    assert all(answer in ([(1, 0)], []) for answer in answers)


def test_command(workspace: Path, governance: Any, write_jsonl: Callable[..., Path]) -> None:
    """
    `governance dedup --method minhash` prints the rows of the exact method, and beside them what its recall is.
    """
    source = write_jsonl([{"text": text} for text in planted(functions(20), 3)[0]])
    arguments = ("dedup", source, "--workspace", workspace, "--format", "json", "--processes", "1")
    exact, sketched = governance(*arguments), governance(*arguments, "--method", "minhash", "--permutations", "256")
    assert (exact.code, sketched.code) == (0, 0), exact.err + sketched.err
    assert json.loads(exact.out) == json.loads(sketched.out) != []
    table = [
        governance(*arguments[:-4], *arguments[-2:], *more)
        for more in ((), ("--method", "minhash", "--permutations", "256"))
    ]
    assert table[0].err.endswith("recall 1 by construction\n")
    assert "minhash: 256 permutations in 31 bands of 8" in table[1].err
    assert "recall at least 0.9966 expected, measured 1.0000" in table[1].err


def test_evidence(check: Callable[..., Checked], write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """
    A run whose pipeline asks for minhash proves it with the probe, and its evidence says bands and both recalls.
    """
    own = tmp_path / "own.yaml"
    gate = "gates: {near: {metric: near-duplicates, limit: 0}}\n"
    own.write_text(f"name: own\npacks: []\ndedup: {{method: minhash, threshold: 0.7}}\n{gate}", "utf-8")
    evidence = check(write_jsonl([{"text": text} for text in planted(functions(20), 3)[0]]), pipeline=str(own)).evidence
    search = evidence["duplicates"]["search"]
    assert (search["method"], search["permutations"], search["bands"], search["rows"]) == ("minhash", 128, 24, 4)
    assert 0.998 < search["expected_recall"] < 1.0 == search["measured_recall"]
    assert search["measured_pairs"] == search["pairs"] > 50
    assert [g["status"] for g in evidence["gates"]] == ["FAILED"]


@pytest.mark.parametrize("wrong", [("--method", "rho"), ("--permutations", "64")])
def test_wrong_command(
    workspace: Path, governance: Any, write_jsonl: Callable[..., Path], wrong: tuple[str, str]
) -> None:
    """
    An unknown method or number of permutations ends with exit code 2 and says what is expected.
    """
    ended = governance("dedup", write_jsonl([{"text": "a"}]), "--workspace", workspace, *wrong)
    assert (ended.code, ended.out) == (2, "")
    assert "expected exact or minhash, and 128 or 256" in ended.err
