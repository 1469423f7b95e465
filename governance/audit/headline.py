"""what base and adapter gave back, of members and of twins -> the one number, with its interval, or why there is none.

A model writes much of any code by itself: licence headers, imports, the idioms of a language. So a rate of the tuned
model alone says nothing. What training added is the difference between adapter and base; what it added beyond becoming
better at such code is the difference between that gain on members (trained on) and on twins (held-out samples of the
same groups):

    DiD = [R_adapter(members) - R_base(members)] - [R_adapter(twins) - R_base(twins)]

Its interval knows the counts, and that samples of one group (repository, class) are no independent draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from governance.audit.intervals import Rate, bootstrap, mcnemar, newcombe_paired, subtract, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 100
"""Members, and twins, below which no headline is given: fewer cannot tell a rate of 3 % from none."""


@dataclass(frozen=True)
class Outcomes:
    """
    One metric on one set of samples.

    Attributes:
        adapter, base: shape (n,), bool; whether the tuned and the untuned model gave the sample back.
        groups: shape (n,), int64; the repository or class of each, numbered alike for members and twins.
    """

    adapter: NDArray[np.bool_]
    base: NDArray[np.bool_]
    groups: NDArray[np.int64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """Per sample what training changed: 1, 0 or -1."""
        return self.adapter.astype(np.float64) - self.base


@dataclass(frozen=True)
class Headline:
    """
    The difference in differences of one metric.

    Attributes:
        did: the number and its interval; None where `why` says what is missing.
        p_value: McNemar's exact p that adapter and base differ on the members.
        gain: what training changed on the members alone, paired.
    """

    adapter_members: Rate
    base_members: Rate
    adapter_twins: Rate
    base_twins: Rate
    gain: Rate
    did: Rate | None
    p_value: float
    members: int
    twins: int
    why: str = ""


def headline(members: Outcomes, twins: Outcomes, *, draws: int = 1000, seed: int = 0, least: int = LEAST) -> Headline:
    """
    Return the headline of one metric.

    The interval is the wider, at either end, of two. One is computed from the counts and knows that no hit among 100
    does not mean none ever. The other redraws whole groups and knows that samples of one repository stand or fall
    together; it is left out below ten groups, which `why` then says.

    Args:
        least: members, and twins, that it takes; strata are compared with fewer.
    """
    gain, control = _gain(members), _gain(twins)
    found = Headline(
        adapter_members=_rate(members.adapter), base_members=_rate(members.base),
        adapter_twins=_rate(twins.adapter), base_twins=_rate(twins.base), gain=gain, did=None,
        p_value=mcnemar(int((members.adapter & ~members.base).sum()), int((~members.adapter & members.base).sum())),
        members=members.adapter.size, twins=twins.adapter.size,
    )  # fmt: skip
    for name, count in (("members", found.members), ("twins", found.twins)):
        if count < least:
            return replace(found, why=f"{count} {name} could be asked; a headline needs {least} (split --audit)")
    counted = subtract(gain, control)
    groups = np.concatenate([members.groups, twins.groups])
    number = np.unique(groups).size
    if number < 10:
        why = f"{number} groups are too few to redraw; the interval takes every sample for itself, and may be narrow"
        return replace(found, did=counted, why=why)
    gains = np.concatenate([members.gain, twins.gain])
    is_member = np.arange(gains.size) < found.members
    redrawn = _redrawn(gains, is_member, groups, draws, seed)
    low, high = min(counted.low, redrawn.low), max(counted.high, redrawn.high)
    return replace(found, did=Rate(counted.value, low, high))


def _rate(hits: NDArray[np.bool_]) -> Rate:
    return wilson(int(hits.sum()), hits.size)


def _gain(found: Outcomes) -> Rate:
    a, b = found.adapter, found.base
    return newcombe_paired(int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))


def _redrawn(
    gains: NDArray[np.float64], is_member: NDArray[np.bool_], groups: NDArray[np.int64], draws: int, seed: int
) -> Rate:
    def did(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw without twins, or members, says nothing: NaN
            found: NDArray[np.float64] = sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]
        return found

    columns = np.stack([gains * is_member, is_member, gains * ~is_member, ~is_member], axis=1).astype(np.float64)
    return bootstrap(did, columns, groups, draws=draws, seed=seed)
