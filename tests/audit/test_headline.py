"""The difference in differences: what it finds, what it covers, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from governance.audit.headline import LEAST, Outcomes, headline


def outcomes(adapter: np.ndarray, base: np.ndarray, groups: np.ndarray | None = None) -> Outcomes:
    """Outcomes; every sample a group of its own without *groups*."""
    return Outcomes(adapter.astype(bool), base.astype(bool), np.arange(adapter.size) if groups is None else groups)


def drawn(random: np.random.Generator, count: int, rate: float, per_group: int, first: int) -> tuple[np.ndarray, ...]:
    """Hits at *rate*, the same for all samples of a group, and the groups."""
    groups = np.arange(count) // per_group
    return (random.random(groups.max() + 1) < rate)[groups], groups + first


@pytest.mark.parametrize("per_group", [1, 4])
def test_null_runs_cover_zero(per_group: int) -> None:
    """Where training added nothing the interval holds 0 in about 95 of 100 audits, groups or not."""
    random, held = np.random.default_rng(5), 0
    for run in range(200):
        sets = []
        for first in (0, 10_000):
            adapter, groups = drawn(random, 240, 0.1, per_group, first)
            base, _ = drawn(random, 240, 0.1, per_group, first)
            sets.append(outcomes(adapter, base, groups))
        did = headline(*sets, draws=100, seed=run).did
        assert did is not None
        held += did.low <= 0 <= did.high
    assert held >= 184  # three standard deviations below 190 would be 180


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.2, 0.6])
def test_planted_rate_is_found(rate: float) -> None:
    """A known rate of leakage lies within the interval in about 95 of 100 audits, whatever every model knows."""
    random, held = np.random.default_rng(6), 0
    for run in range(100):
        known = [random.random(300) < 0.1 for _ in range(2)]  # what any model writes by itself
        leaked = random.random(300) < rate
        did = headline(outcomes(known[0] | leaked, known[0]), outcomes(known[1], known[1]), draws=100, seed=run).did
        assert did is not None
        held += did.low <= 0.9 * rate <= did.high
    assert held >= 90


def test_nothing_found_is_no_proof() -> None:
    """Without a single hit the interval still has a width, which shrinks with the number of samples."""
    widths = []
    for count in (100, 1000):
        none = np.zeros(count)
        did = headline(outcomes(none, none), outcomes(none, none, np.arange(count) + count)).did
        assert did is not None and did.value == 0 and did.low < 0 < did.high
        widths.append(did.high)
    assert widths[0] > 0.05 and widths[1] < 0.01


def test_the_base_knows_it_too() -> None:
    """What the base writes as well, and what held-out samples gain as well, is no leakage."""
    everything = np.ones(200)
    assert headline(outcomes(everything, everything), outcomes(everything, everything)).did.value == 0  # type: ignore[union-attr]
    better = headline(outcomes(everything, np.zeros(200)), outcomes(everything, np.zeros(200)))
    assert better.did is not None and better.did.value == 0 and better.gain.value == 1 and better.p_value < 1e-9


def test_too_few_samples_give_no_headline() -> None:
    """Without twins, or with fewer than 100 of either, there is no headline, and it says why."""
    many, few = np.ones(LEAST), np.ones(LEAST - 1)
    for members, twins, word in ((many, few, "99 twins"), (few, many, "99 members"), (many, many[:0], "0 twins")):
        found = headline(outcomes(members, members), outcomes(twins, twins))
        assert found.did is None and word in found.why


def test_few_groups_are_said() -> None:
    """With fewer than ten groups the interval takes every sample for itself, and the headline says so."""
    some, groups = np.arange(120) % 2, np.arange(120) % 3
    found = headline(outcomes(some, np.zeros(120), groups), outcomes(np.zeros(120), np.zeros(120), groups))
    assert found.did is not None and "3 groups" in found.why
