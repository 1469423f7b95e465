"""Bands and rows against datasketch's optimiser, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from datasketch import MinHashLSH
from datasketch.lsh import _optimal_param

from governance.dedup.bands import RECALL, choose_bands

THRESHOLDS = (0.5, 0.55, 0.625, 0.7, 0.75, 0.8, 0.9, 0.95)


@pytest.mark.parametrize(("threshold", "count"), [*((t, 128) for t in THRESHOLDS), (0.7, 256), (0.8, 256)])
def test_optimiser(threshold: float, count: int) -> None:
    """
    datasketch's index of the same threshold and weights has the same bands and rows.
    """
    for recall in (0.0, RECALL):
        chosen = choose_bands(threshold, count, recall=recall)
        index = MinHashLSH(threshold, count, weights=chosen.weights)
        assert (index.b, index.r) == (chosen.bands, chosen.rows)


def test_at_one() -> None:
    """
    At the threshold 1 all places are one band, as in the optimiser, and every equal pair is expected.
    """
    chosen = choose_bands(1.0, 128)
    assert (chosen.bands, chosen.rows) == _optimal_param(1.0, 128, *chosen.weights) == (1, 128)
    assert (chosen.recall_at, chosen.recall_above) == (1.0, 1.0)


@pytest.mark.parametrize("count", [128, 256])
@pytest.mark.parametrize("threshold", [*THRESHOLDS, 0.99, 0.999999, 1.0])
def test_promise(threshold: float, count: int) -> None:
    """
    The default finds at least 0.995 of the pairs at the threshold, more above it, all at 1, and fits the signature.
    """
    chosen = choose_bands(threshold, count)
    assert chosen.bands * chosen.rows <= count
    assert sum(chosen.weights) == 1.0
    shares = [chosen.expected(s) for s in np.linspace(threshold, 1.0, 50)]
    assert 0.995 <= shares[0] == chosen.recall_at
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert chosen.recall_at <= chosen.recall_above <= 1.0
    if threshold < 1.0:
        assert chosen.recall_above == pytest.approx(np.trapezoid(shares, dx=1 / 49), abs=1e-4)


@pytest.mark.parametrize("recall", [-0.1, 1.0, 1.5, float("nan")])
def test_recall_range(recall: float) -> None:
    """
    A recall outside [0, 1) is refused: no number of bands promises 1.
    """
    with pytest.raises(ValueError, match="expected at least 0 and less than 1"):
        choose_bands(0.8, 128, recall=recall)
