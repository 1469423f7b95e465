"""Intervals against scipy, published examples and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.audit import intervals
from governance.audit.intervals import Rate

COUNTS = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
@settings(max_examples=60, deadline=None)
def test_rates_agree_with_scipy(counts: tuple[int, int]) -> None:
    """Wilson's and Clopper and Pearson's intervals are those that scipy computes."""
    hits, n = counts
    if n == 0:
        assert intervals.wilson(0, 0) == intervals.clopper_pearson(0, 0) == Rate(0.0, 0.0, 1.0)
        return
    tested = stats.binomtest(hits, n)
    for method, ours in (("wilson", intervals.wilson(hits, n)), ("exact", intervals.clopper_pearson(hits, n))):
        theirs = tested.proportion_ci(0.95, method)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9), method
        assert ours.low <= ours.value <= ours.high


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_the_binomial_test(first: int, second: int) -> None:
    """McNemar's exact p is the two-sided binomial test on the pairs that changed, for thousands of pairs too."""
    wanted = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert intervals.mcnemar(first, second) == pytest.approx(wanted, rel=1e-6, abs=1e-280)


def test_newcombe_covers() -> None:
    """The interval of a difference holds the true one in about 95 of 100 draws, at the low rates of leakage too."""
    random = np.random.default_rng(1)
    for a, b in ((0.02, 0.01), (0.3, 0.05), (0.0, 0.0)):
        found = [
            intervals.newcombe(int(random.binomial(200, a)), 200, int(random.binomial(300, b)), 300) for _ in range(400)
        ]
        held = np.mean([r.low <= a - b <= r.high for r in found])
        assert held >= 0.92, (a, b, held)


def test_paired_difference_covers() -> None:
    """The interval of a paired difference holds the true one in about 95 of 100 draws; nothing found is no proof."""
    random = np.random.default_rng(2)
    cells = np.array([0.1, 0.08, 0.03, 0.79])
    draws = random.multinomial(150, cells, 400)
    found = [intervals.newcombe_paired(*(int(n) for n in draw)) for draw in draws]
    assert np.mean([r.low <= 0.05 <= r.high for r in found]) >= 0.92
    nothing = intervals.newcombe_paired(0, 0, 0, 100)
    assert nothing.value == 0 and nothing.low < -0.03 and nothing.high > 0.03
    assert intervals.newcombe_paired(0, 0, 0, 0) == Rate(0.0, -1.0, 1.0)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_fisher_and_holm_agree_with_scipy(p_values: list[float]) -> None:
    """Fisher's combination is scipy's, and Holm's p is the least that keeps the order and the count of tests."""
    values = np.array(p_values)
    assert intervals.fisher(values) == pytest.approx(stats.combine_pvalues(values).pvalue, rel=1e-6, abs=1e-12)
    ordered = np.argsort(values, kind="stable")
    wanted, largest = np.empty_like(values), 0.0
    for rank, i in enumerate(ordered):
        largest = max(largest, min(1.0, values[i] * (values.size - rank)))
        wanted[i] = largest
    assert intervals.holm(values) == pytest.approx(wanted)


def test_bootstrap_redraws_groups() -> None:
    """Samples of one group stand or fall together, so ten groups of fifty say as much as ten samples, not 500."""
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(10), 50)
    hits = np.repeat(random.integers(0, 2, 10), 50).astype(float)
    ones = np.ones(hits.size)
    whole = intervals.ratio(hits, ones, groups)
    alone = intervals.ratio(hits, ones, np.arange(hits.size))
    assert whole.value == alone.value == hits.mean()
    assert whole.high - whole.low > 4 * (alone.high - alone.low)
    assert intervals.ratio(hits, ones, groups) == whole


def test_bootstrap_agrees_with_redrawing_by_hand() -> None:
    """The interval from sums is the one of drawing whole groups and looking at their samples."""
    random = np.random.default_rng(4)
    groups, values = random.integers(0, 40, 300), random.random(300)
    found = intervals.ratio(values, np.ones(300), groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    means = [
        values[np.concatenate([members[g] for g in random.integers(0, len(members), len(members))])].mean()
        for _ in range(1000)
    ]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.006)


def test_one_group_knows_no_interval() -> None:
    """With one group, or none, the interval has no ends."""
    one = intervals.ratio(np.ones(3), np.ones(3), np.zeros(3, np.int64))
    assert one == Rate(1.0, -math.inf, math.inf)
    assert intervals.ratio(np.ones(0), np.ones(0), np.zeros(0, np.int64)) == Rate(0.0, -math.inf, math.inf)


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.02, 0.5])
def test_needed_samples_are_the_fewest(limit: float) -> None:
    """So many samples without a hit show a rate below the limit, and one fewer does not."""
    n = intervals.needed_samples(limit)
    assert intervals.wilson(0, n).high <= limit < intervals.wilson(0, n - 1).high
    pairs = intervals.needed_pairs(limit)

    def upper(count: int) -> float:
        gain = intervals.newcombe_paired(0, 0, 0, count)
        return intervals.subtract(gain, gain).high

    # each gain is itself a difference of two rates, adapter and base
    assert upper(pairs) <= limit < upper(pairs - 1)
