"""counts -> rates with their 95 % intervals: what a number of an audit may claim.

An interval here is never a normal approximation: rates of leakage are near 0, where that one is wrong.

    one rate                    Wilson (1927); at 0 of n its upper end is about 3.84 / (n + 3.84)
    a rate at a fixed alarm     Clopper and Pearson (1934), exact
    difference, independent     Newcombe (1998), method 10: from the two Wilson intervals
    difference, paired          Newcombe (1998), method 10 for paired data: the same, and the correlation of the pairs
    difference of differences   the two before it, their distances to the ends added in squares
    paired gain                 McNemar, exact: the binomial test on the pairs that changed
    anything per repository     bootstrap of whole groups: samples of one repository are no independent draws
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z = 1.959963984540054  # the 97.5 % point of the standard normal distribution
UNREACHABLE = 1 << 62  # samples that nobody has: no number of them shows a rate of exactly 0


@dataclass(frozen=True, slots=True)
class Rate:
    """A number with the interval that holds the true one in 95 % of audits."""

    value: float
    low: float
    high: float


def wilson(hits: int, n: int, z: float = Z) -> Rate:
    """
    Return *hits* of *n* as a rate with Wilson's interval; of nothing, the rate is not known: 0 to 1.

    >>> rate = wilson(0, 300)
    >>> round(rate.high, 4)
    0.0126
    """
    if n == 0:
        return Rate(0.0, 0.0, 1.0)
    p = hits / n
    middle, width = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if hits == 0 else (middle - width) / scale
    high = 1.0 if hits == n else (middle + width) / scale
    return Rate(p, low, high)


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> Rate:
    """
    Return *hits* of *n* as a rate with the exact interval: where a tail of the binomial distribution is half the rest.

    >>> rate = clopper_pearson(0, 100)
    >>> round(rate.high, 4)
    0.0362
    """
    if n == 0:
        return Rate(0.0, 0.0, 1.0)
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _bisect(lambda p: 1 - binomial_below(hits - 1, n, p) >= tail)
    high = 1.0 if hits == n else _bisect(lambda p: binomial_below(hits, n, p) < tail)
    return Rate(hits / n, low, high)


def binomial_below(hits: int, n: int, p: float) -> float:
    """Return the probability of at most *hits* of *n*, each with probability *p*."""
    if hits < 0 or p >= 1:
        return 1.0 if hits >= n else 0.0
    if p <= 0:
        return 1.0
    log_p, log_q, whole = math.log(p), math.log1p(-p), math.lgamma(n + 1)
    terms = (
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q)
        for k in range(hits + 1)
    )
    return min(1.0, math.fsum(terms))


def _bisect(reached: Callable[[float], bool]) -> float:
    """The least p from 0 to 1 at which *reached* is true, to 1e-12."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def newcombe(hits_a: int, n_a: int, hits_b: int, n_b: int) -> Rate:
    """
    Return rate a minus rate b, of independent samples.

    The published example of the method: 56 of 70 against 48 of 80.

    >>> rate = newcombe(56, 70, 48, 80)
    >>> round(rate.low, 4), round(rate.high, 4)
    (0.0524, 0.3339)
    """
    return subtract(wilson(hits_a, n_a), wilson(hits_b, n_b))


def newcombe_paired(both: int, only_first: int, only_second: int, neither: int) -> Rate:
    """
    Return rate of the first minus rate of the second, of two methods on the same samples.

    The published example of the method:

    >>> rate = newcombe_paired(36, 12, 2, 0)
    >>> round(rate.value, 4), round(rate.low, 4), round(rate.high, 4)
    (0.2, 0.0569, 0.3404)
    """
    n = both + only_first + only_second + neither
    if n == 0:
        return Rate(0.0, -1.0, 1.0)
    first, second = wilson(both + only_first, n), wilson(both + only_second, n)
    sides = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    cross = both * neither - only_first * only_second
    phi = 0.0
    if sides:
        phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / math.sqrt(sides)
    down, up = first.value - first.low, first.high - first.value
    other_down, other_up = second.value - second.low, second.high - second.value
    value = first.value - second.value
    low = math.sqrt(max(down * down - 2 * phi * down * other_up + other_up * other_up, 0.0))
    high = math.sqrt(max(up * up - 2 * phi * up * other_down + other_down * other_down, 0.0))
    return Rate(value, value - low, value + high)


def subtract(a: Rate, b: Rate) -> Rate:
    """Return a minus b, of independent samples: the distances to the ends added in squares (Zou and Donner 2008)."""
    value = a.value - b.value
    low = math.hypot(a.value - a.low, b.high - b.value)
    high = math.hypot(a.high - a.value, b.value - b.low)
    return Rate(value, value - low, value + high)


def mcnemar(only_first: int, only_second: int) -> float:
    """
    Return the exact two-sided p that two methods on the same samples differ.

    Args:
        only_first, only_second: samples that only the one, or only the other, hits.

    >>> mcnemar(0, 0), round(mcnemar(9, 1), 4)
    (1.0, 0.0215)
    """
    n = only_first + only_second
    if n == 0:
        return 1.0
    return min(1.0, 2 * binomial_below(min(only_first, only_second), n, 0.5))


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    columns: NDArray[np.float64],
    groups: NDArray[np.int64],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Rate:
    """
    Return *statistic* of all samples, with the expanded percentile interval over redrawn groups.

    Percentiles alone are too narrow, for a draw varies around the sample and not around the truth; they are moved out
    to where a t-interval of as many groups would have them (Hesterberg 2015).

    Args:
        statistic: of the sums of the columns, shape (d, c), for d draws; shape (d,). NaN where a draw says nothing.
        columns: shape (n, c), numbers of every sample.
        groups: shape (n,); the group (repository, or class) of every sample. Whole groups are drawn, with replacement.
        draws: how often.

    Returns:
        With one group alone, or none, the interval is not known: minus to plus infinity. Where no sample differs from
        another it has no width, which says nothing of samples that were not drawn.
    """
    names, inverse = np.unique(groups, return_inverse=True)
    sums = np.zeros((names.size, columns.shape[1]))
    np.add.at(sums, inverse, columns)
    value = float(statistic(sums.sum(axis=0)[None])[0]) if names.size else 0.0
    if names.size < 2:
        return Rate(value, -math.inf, math.inf)
    random = np.random.default_rng(seed)
    counts = random.multinomial(names.size, np.full(names.size, 1 / names.size), draws)
    tail = _expanded(names.size, level)
    found = statistic(counts @ sums)
    if np.isnan(found).all():
        return Rate(value, -math.inf, math.inf)
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return Rate(value, float(low), float(high))


def _expanded(groups: int, level: float) -> float:
    """Return the share of draws to leave out at either end."""
    normal, free = NormalDist(), groups - 1
    z = normal.inv_cdf((1 + level) / 2)
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)  # Student's, by its series
    return normal.cdf(-t * math.sqrt(groups / free))


def ratio(above: NDArray[np.float64], below: NDArray[np.float64], groups: NDArray[np.int64], *, seed: int = 0) -> Rate:
    """Return sum of *above* by sum of *below* (0 where that is 0), its interval by `bootstrap` over *groups*."""

    def share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1e-300), 0.0)

    return bootstrap(share, np.stack([above, below], axis=1).astype(np.float64), groups, seed=seed)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return the p-values adjusted by Holm (1979), in the order given.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * np.arange(p_values.size, 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def needed_samples(limit: float) -> int:
    """
    Return how many samples without a hit show a rate below *limit* (0 to 1): where Wilson's interval ends at it.

    >>> needed_samples(0.02)
    189
    """
    return math.ceil(Z * Z * (1 - limit) / limit) if limit > 0 else UNREACHABLE


def needed_pairs(limit: float) -> int:
    """
    Return how many members, and as many twins, show a difference in differences below *limit* if none comes back.

    The ends of both Wilson intervals count, in squares, so it takes more than one rate does.

    >>> needed_pairs(0.02)
    268
    """
    return needed_samples(limit / math.sqrt(2)) if limit > 0 else UNREACHABLE


def fisher(p_values: NDArray[np.float64]) -> float:
    """
    Return the p-value of several independent ones together (Fisher 1925): ``-2 * sum(ln p)`` is chi-square.

    With 2n degrees of freedom its upper tail is a finite sum, ``exp(-x/2) * sum((x/2)**k / k!)`` for k below n.

    >>> round(fisher(np.array([0.1, 0.1])), 4), fisher(np.array([]))
    (0.0561, 1.0)
    """
    half = -float(np.log(p_values).sum())
    if not p_values.size or half <= 0:
        return 1.0
    logs = np.arange(p_values.size) * math.log(half)
    logs -= np.array([math.lgamma(k + 1) for k in range(p_values.size)])
    top = float(logs.max())
    return float(min(1.0, math.exp(top - half) * float(np.exp(logs - top).sum())))
