"""near pairs, the renamed view -> who stays where renamed copies are removed too: both relations decide at once.

One after the other, a near copy could name a witness that is then removed as a renamed copy of a third sample, so that
nothing that stays stands for it. Here a sample is removed if and only if it is a copy, of either sort, of one that
stays, and it names that one.

The two relations decide in turns, each without what the other removed before, until nothing changes. The order of
preference is one for both, and the first sample on which two turns differ is settled in the next one: what a sample is
depends on those before it alone. So it ends; three turns are the rule. After `TURNS` of them what is open stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from governance.dedup.join import Pairs
from governance.dedup.leaders import choose_leaders
from governance.dedup.renamed import LEAST_LEXEMES, Copies, RenamedView, choose_copies
from governance.dedup.sets import Groups, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray

TURNS = 50


@dataclass(frozen=True)
class Decision:
    """
    Who is kept.

    Attributes:
        witness, similarity: shape (g,), of every group its near witness; itself if it is no near copy.
        compared, reached: see `leaders.choose_leaders`.
        gone: shape (g,); the groups that are removed as renamed copies. They are witness to none.
        copies: all samples of these groups.
    """

    witness: NDArray[np.int64]
    similarity: NDArray[np.float64]
    compared: int
    reached: int
    gone: NDArray[np.bool_]
    copies: Copies


def long_enough(groups: Groups, places: Places) -> NDArray[np.bool_]:
    """Return which samples the renamed view needs: one of each equal texts that has enough lexemes."""
    long = np.append(groups.lexemes >= LEAST_LEXEMES, False)[groups.group]
    needed: NDArray[np.bool_] = long & (places.first == np.arange(places.first.size))
    return needed


def decide_together(
    pairs: Pairs, view: RenamedView, groups: Groups, places: Places, order: NDArray[np.int64], *, threshold: float
) -> Decision:
    """
    Decide over the groups by near *pairs* and renamed *view*.

    Args:
        view: of the samples that are `long_enough`.
        order: all groups, in the order of preference.
    """
    fixed = _told_apart(view, groups, places)
    gone = np.zeros(order.size, np.bool_)
    in_pairs = np.zeros(order.size, np.bool_)
    for row in (pairs.left, pairs.right, pairs.hot_sample):
        in_pairs[row] = True
    for turn in range(TURNS):
        some = order[(in_pairs & ~gone)[order]]
        witness, similarity, compared, reached = choose_leaders(
            pairs.among(~gone), groups.sets, some, threshold=threshold
        )
        kept = order[(witness == np.arange(order.size))[order]]
        found = choose_copies(view, groups.leader[kept])
        before, gone = gone, np.zeros(order.size, np.bool_)
        gone[groups.group[found[0]]] = True
        gone[fixed] = False
        if (gone == before).all():
            break
        if turn == TURNS - 1:
            gone[witness[witness != np.arange(order.size)]] = False
    return Decision(witness, similarity, compared, reached, gone, _with_equal(found, gone, groups))


def _told_apart(view: RenamedView, groups: Groups, places: Places) -> NDArray[np.int64]:
    """
    Return the groups of which some texts differ in the renamed view.

    White space can matter there, as where a comment ends, so these are not removed for what one of them is.
    """
    texts = np.flatnonzero((groups.group >= 0) & (places.first == np.arange(places.first.size)))
    of = groups.group[texts]
    found: NDArray[np.int64] = of[view.number[texts] != view.number[groups.leader[of]]]
    return found


def _with_equal(found: Copies, gone: NDArray[np.bool_], groups: Groups) -> Copies:
    """Return the copies that are *gone*, and with each of them the samples of its group."""
    place = np.full(gone.size, -1, np.int64)
    place[groups.group[found[0]]] = np.arange(found[0].size)
    samples = np.flatnonzero(groups.group >= 0)
    samples = samples[gone[groups.group[samples]]]
    at = place[groups.group[samples]]
    return samples, found[1][at], found[2][at]
