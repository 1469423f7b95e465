"""components, strata, shares -> the part of every component: whole components only, seeded, the same for any row order.

Largest first, each component goes where it hurts least. What hurts is the squared distance, after every step, between
what a part holds and its share of all that was dealt out so far, over the share; once for each stratum and once for the
whole. Dealing proportionally from the first component on gives every part large and small groups alike; filling one
part after the other, or the neediest first, would give all large groups to the training part, and held-out twins would
then come from other groups than what they are compared with. A part that has all its rows takes no more while another
has room. Ties fall by a keyed hash of the component's smallest sample id.

The idea of dealing strata out by what is still missing is that of iterative stratification (Sechidis, Tsoumakas,
Vlahavas 2011), which fills the neediest part; the squared distance is Webster's rule of apportionment, continued over
several sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import int64, void

from governance.kernels import F64, I64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHOLE = 4.0  # weight of the whole against one stratum


def apportion(count: int, shares: Sequence[float]) -> list[int]:
    """
    Return whole numbers that sum to *count*, nearest to *shares* (largest remainder; the first of equal ones).

    >>> apportion(10, [0.8, 0.1, 0.1]), apportion(5, [0.8, 0.1, 0.1])
    ([8, 1, 1], [4, 1, 0])
    """
    exact = [count * share / sum(shares) for share in shares]
    whole = [int(x + 1e-9) for x in exact]
    by_rest = sorted(range(len(shares)), key=lambda k: (whole[k] - exact[k], k))
    for k in by_rest[: count - sum(whole)]:
        whole[k] += 1
    return whole


def assign_components(
    component: NDArray[np.int64],
    sample_ids: NDArray[np.bytes_],
    strata: NDArray[np.int64],
    wanted: Sequence[int],
    *,
    seed: int = 0,
) -> NDArray[np.int64]:
    """
    Return the part of every sample; samples of one component are in one part.

    Args:
        component: shape (n,); a number per component, any.
        sample_ids: shape (n,), S64; equal ones are in one component.
        strata: shape (n,), the stratum of every sample, from 0.
        wanted: samples per part; they sum to n. A part that wants none gets none.
        seed: another one gives another split of the same shares.

    Returns:
        Shape (n,), int64, index into *wanted*.
    """
    if not component.size:
        return np.zeros(0, np.int64)
    _, number = np.unique(component, return_inverse=True)
    sizes = np.bincount(number)
    order = _deal_order(number, sizes, sample_ids, seed)
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    dealt = rank[number]
    # One entry per component and stratum in it, in the order of dealing.
    width = int(strata.max()) + 1
    cells, counts = np.unique(dealt * width + strata, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(np.bincount(cells // width, minlength=order.size))])
    open_parts = [k for k, want in enumerate(wanted) if want > 0]
    target = np.array([wanted[k] for k in open_parts], np.int64)
    part = np.zeros(order.size, np.int64)
    deal(ends.astype(np.int64), cells % width, counts.astype(np.int64), target, target / target.sum(), width, part)
    fill_empty(part, np.bincount(dealt), target.size)
    return np.array(open_parts, np.int64)[part[dealt]]


def fill_empty(part: NDArray[np.int64], sizes: NDArray[np.int64], parts: int) -> None:
    """
    Give every part that got nothing the smallest component of the part with the most samples, while that has two.

    Few components, such as three repositories, would otherwise all be training data.

    Args:
        part: per component, in the order of dealing, changed in place.
        sizes: samples per component.
    """
    for empty in range(parts):
        if (part == empty).any():
            continue
        held = np.bincount(part, sizes, minlength=parts)
        several = np.bincount(part, minlength=parts) > 1
        if several.any():
            richest = int(np.argmax(np.where(several, held, -1.0)))
            part[np.flatnonzero(part == richest)[-1]] = empty


def _deal_order(
    number: NDArray[np.int64], sizes: NDArray[np.int64], sample_ids: NDArray[np.bytes_], seed: int
) -> NDArray[np.int64]:
    """Sort components: more samples first, then the keyed hash of the smallest sample id."""
    by_id = np.lexsort((sample_ids, number))
    ends = np.cumsum(sizes)
    names = sample_ids[by_id[ends - sizes]]
    key = hashlib.sha256(f"governance/split/{seed}".encode()).digest()
    hashes = np.array([hashlib.blake2b(bytes(n), digest_size=8, key=key).digest() for n in names], dtype="S8")
    return np.lexsort((names, hashes, -sizes)).astype(np.int64)


@kernel(void(I64, I64, I64, I64, F64, int64, int64[::1]))
def deal(ends: Any, strata: Any, counts: Any, wanted: Any, shares: Any, width: int, part: Any) -> None:
    """
    Write the part of every component to *part*, in the order in which they are dealt.

    Args:
        ends, strata, counts: component c has ``counts[k]`` samples of ``strata[k]`` for k from ``ends[c]`` to
            ``ends[c + 1]``.
        wanted, shares: samples per part, and their share of all.
        width: number of strata.
    """
    parts = wanted.size
    held = np.zeros((parts, width), np.int64)
    seen = np.zeros(width, np.int64)
    total = np.zeros(parts, np.int64)
    dealt = 0
    for c in range(ends.size - 1):
        size = 0
        for k in range(ends[c], ends[c + 1]):
            size += counts[k]
            seen[strata[k]] += counts[k]
        dealt += size
        best, best_cost, best_fits = 0, 0.0, False
        for p in range(parts):
            fits = total[p] + size <= wanted[p]
            cost = WHOLE * size * (2.0 * (total[p] - shares[p] * dealt) + size) / shares[p]
            for k in range(ends[c], ends[c + 1]):
                away = held[p, strata[k]] - shares[p] * seen[strata[k]]
                cost += counts[k] * (2.0 * away + counts[k]) / shares[p]
            if p == 0 or (fits and not best_fits) or (fits == best_fits and cost < best_cost):
                best, best_cost, best_fits = p, cost, fits
        part[c] = best
        total[best] += size
        for k in range(ends[c], ends[c + 1]):
            held[best, strata[k]] += counts[k]
