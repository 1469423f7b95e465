"""Whole components are dealt out in proportion, by content and seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from governance.dedup.assign import apportion, assign_components


def ids(count: int) -> NDArray[np.bytes_]:
    """Sample ids, all different, in no order that means anything."""
    return np.array([f"{k * 2654435761 % 2**32:064x}" for k in range(count)], dtype="S64")


def deal(component: list[int], shares: list[float], seed: int = 0, strata: list[int] | None = None) -> list[int]:
    """The part of every sample."""
    number = len(component)
    kind = np.array(strata or [0] * number, np.int64)
    wanted = apportion(number, shares)
    parts: list[int] = assign_components(np.array(component, np.int64), ids(number), kind, wanted, seed=seed).tolist()
    return parts


@settings(max_examples=60, deadline=None)
@given(
    component=st.lists(st.integers(0, 30), min_size=1, max_size=120),
    shares=st.lists(st.floats(0.05, 1), min_size=1, max_size=4),
    seed=st.integers(0, 5),
)
def test_components_stay_whole(component: list[int], shares: list[float], seed: int) -> None:
    """Every sample gets a part, and samples of one component get the same."""
    parts = deal(component, shares, seed)
    assert len(parts) == len(component) and set(parts) <= set(range(len(shares)))
    assert len({(c, p) for c, p in zip(component, parts, strict=True)}) == len(set(component))


@pytest.mark.parametrize(("count", "shares"), [(1000, [0.8, 0.1, 0.1]), (997, [0.7, 0.2, 0.1]), (10, [0.8, 0.1, 0.1])])
def test_shares_are_met_exactly_by_single_samples(count: int, shares: list[float]) -> None:
    """Where every sample is a group of its own the shares are met to the sample."""
    parts = deal(list(range(count)), shares)
    assert np.bincount(parts).tolist() == apportion(count, shares)


def test_strata_are_dealt_in_proportion() -> None:
    """Every part gets every stratum in proportion, within two samples; rare strata do not empty a part."""
    rng = np.random.default_rng(5)
    strata = rng.choice(4, 2000, p=[0.7, 0.2, 0.08, 0.02]).tolist()
    parts = np.array(deal(list(range(2000)), [0.8, 0.1, 0.1], strata=strata))
    for stratum in range(4):
        mine = parts[np.array(strata) == stratum]
        for part, share in enumerate((0.8, 0.1, 0.1)):
            assert abs((mine == part).sum() - share * mine.size) <= 2
    alone = deal(list(range(500)), [0.8, 0.1, 0.1], strata=list(range(500)))
    assert np.bincount(alone).tolist() == [400, 50, 50]


def test_large_and_small_groups_in_every_part() -> None:
    """Held-out samples come from groups as large as those of the training part, not from what was left over."""
    sizes = [12] * 40 + [1] * 520
    component = np.repeat(np.arange(len(sizes)), sizes).tolist()
    parts = np.array(deal(component, [0.8, 0.1, 0.1]))
    large = np.repeat(np.array(sizes) > 1, sizes)
    for part in range(3):
        assert abs(large[parts == part].mean() - large.mean()) < 0.1


def test_only_content_and_seed_decide() -> None:
    """Another order of rows and other numbers for the components give the same parts; another seed gives others."""
    component = np.arange(300) // 3
    strata, wanted, names = np.arange(300) % 7, apportion(300, [0.8, 0.1, 0.1]), ids(300)
    parts = assign_components(component, names, strata, wanted, seed=1)
    order = np.random.default_rng(2).permutation(300)
    again = assign_components(1000 - component[order], names[order], strata[order], wanted, seed=1)
    assert (again == parts[order]).all()
    assert (assign_components(component, names, strata, wanted, seed=2) != parts).any()


def test_a_group_larger_than_its_part() -> None:
    """A component over every share goes to the training part, and the others still get what there is."""
    assert np.bincount(deal([0] * 60 + list(range(1, 41)), [0.8, 0.1, 0.1])).tolist() == [80, 10, 10]
    sizes = np.bincount(deal([0] * 95 + list(range(1, 6)), [0.8, 0.1, 0.1]), minlength=3)
    assert sizes[0] == 95 and sizes.min() >= 2


def test_few_groups_fill_every_part() -> None:
    """Three components fill three parts, the largest the training part; one component fills one."""
    parts = deal([0] * 40 + [1] * 33 + [2] * 27, [0.8, 0.1, 0.1])
    assert sorted(set(parts)) == [0, 1, 2] and parts[0] == 0
    assert set(deal([0] * 9, [0.8, 0.1, 0.1])) == {0}


def test_a_part_that_wants_nothing_gets_nothing() -> None:
    """A part with no share stays empty whatever is left."""
    number = np.arange(10)
    parts = assign_components(number, ids(10), np.zeros(10, np.int64), [9, 0, 1])
    assert np.bincount(parts, minlength=3).tolist() == [9, 0, 1]
    assert assign_components(number[:0], ids(0), number[:0], [0, 0]).size == 0
