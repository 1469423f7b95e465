"""Tests of the near-duplicate probe."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.dedup.cluster import cluster_duplicates
from governance.dedup.probe import probe_pair
from governance.engines.tables import open_database


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.75, 0.8, 0.9, 0.999, 1.0])
def test_pair_straddles_the_threshold(threshold: float, tmp_path: Path) -> None:
    """At its threshold the search finds the pair just above and not the one just below."""
    path = tmp_path / "probe.arrow"
    probe_pair(path, threshold)
    with open_database(threads=1) as con:
        found = cluster_duplicates(path, con, threshold=threshold, threads=1, work=tmp_path).table
    pairs = zip(found["row"].to_pylist(), found["kept_row"].to_pylist(), strict=True)
    assert [sorted(pair) for pair in pairs] == [[0, 1]]
    assert threshold <= found["similarity"][0].as_py() <= 1


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
def test_a_looser_search_is_seen(threshold: float, tmp_path: Path) -> None:
    """A search that is a little too loose or too strict gives another answer, so the probe would miss."""
    path = tmp_path / "probe.arrow"
    probe_pair(path, threshold)
    rows = []
    for shifted in (threshold - 0.02, threshold + 0.02):
        with open_database(threads=1) as con:
            found = cluster_duplicates(path, con, threshold=round(shifted, 3), threads=1, work=tmp_path).table
        rows.append(found.num_rows)
    assert rows == [2, 0]
