"""Signatures of a dataset as datasketch reads them from the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasketch import LeanMinHash
from dedup_reference import write
from real_functions import Truth, functions, planted

from governance.dedup.lean import from_lean
from governance.dedup.minhash import EMPTY
from governance.dedup.signatures import write_signatures


@pytest.mark.parametrize("count", [128, 256])
def test_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """
    datasketch reads one record per sample; their estimates are near the similarities that brute force counts.
    """
    monkeypatch.setattr("governance.dedup.signatures._BLOCK", 7)
    texts = [*planted(functions(12), 4)[0], "", "  "]
    samples = write(tmp_path / "a.arrow", [[("output", text)] for text in texts], 10)
    out = tmp_path / "a.lean"
    assert write_signatures(samples, out, count=count, seed=3) == len(texts)
    data = out.read_bytes()
    size = len(data) // len(texts)
    sketches = [LeanMinHash.deserialize(data[k * size : (k + 1) * size]) for k in range(len(texts))]
    assert {(s.seed, s.scheme, len(s)) for s in sketches} == {(3, "affine32", count)}
    assert [np.all(s.hashvalues == EMPTY) for s in sketches] == [not text.strip() for text in texts]
    truth = Truth(texts)
    number = {content: k for k, content in enumerate(truth.contents)}
    rows = {number[sequence]: row for row, sequence in enumerate(truth.sequences) if sequence}
    errors = [sketches[rows[a]].jaccard(sketches[rows[b]]) - value for (a, b), value in truth.near(0.5).items()]
    assert len(errors) > 50
    assert max(map(abs, errors)) < 5 * 0.5 / count**0.5
    assert abs(float(np.mean(errors))) < 0.03


def test_command(workspace: Path, governance: Any, write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    """
    `governance dedup --signatures` writes them beside its answer, equal ones for copies.
    """
    source = write_jsonl([{"text": text} for text in ("a b c d e f", "x y z", "a b c d e  f")])
    arguments = ("dedup", source, "--workspace", workspace, "--format", "json", "--permutations", "256")
    ended = governance(*arguments, "--signatures", tmp_path / "s.lean")
    assert ended.code == 0, ended.err
    assert {json.loads(ended.out)[0][name] for name in ("row", "kept_row")} == {0, 2}
    signatures, seed = from_lean((tmp_path / "s.lean").read_bytes())
    assert (signatures.shape, seed) == ((3, 256), 1)
    assert np.array_equal(signatures[0], signatures[2])
    assert not np.array_equal(signatures[0], signatures[1])
    missing = governance(*arguments, "--signatures", tmp_path / "no" / "s.lean")
    assert (missing.code, missing.out) == (2, "")
    assert "there is no folder" in missing.err
