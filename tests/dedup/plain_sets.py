"""sets of plain numbers -> `Sets`, and their near pairs by comparing all of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from governance.dedup.join import Pairs, Sets

Pair = tuple[int, int]


def as_sets(items: Sequence[set[int]], whole: Sequence[set[int]] | None = None) -> Sets:
    """Return the sets as the dedup step holds them; *whole* are the ids of their whole prompts."""
    sizes = np.array([len(s) for s in items], np.int64)
    wholes = whole or [set() for _ in items]
    return Sets(
        hashes=np.array([h for s in items for h in sorted(s)], np.uint64),
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
        whole=np.array([w for s in wholes for w in sorted(s)], np.uint64),
        whole_ends=np.array([0, *itertools.accumulate(len(s) for s in wholes)], np.int64),
    )


def family_sets(seed: int, families: int = 40, copies: int = 6) -> list[set[int]]:
    """Make families of sets of 1 to 200 numbers that differ from each other by up to a quarter, and two empty ones."""
    rng = random.Random(seed)  # noqa: S311
    out: list[set[int]] = [set(), set()]
    for _ in range(families):
        base = [rng.getrandbits(64) | 1 for _ in range(rng.choice((1, 2, 5, 10, 30, 80, 200)))]
        for _ in range(copies):
            copy = set(base)
            for value in rng.sample(base, rng.randrange(len(base) // 4 + 1)):
                copy.discard(value)
                copy.add(rng.getrandbits(64) | 1)
            out.append(copy)
    rng.shuffle(out)
    return out


def near(items: Sequence[set[int]], threshold: float, whole: Sequence[set[int]] | None = None) -> dict[Pair, float]:
    """Return {(left, right): similarity} of the pairs that reach the threshold, as whole numbers decide it."""
    limit = Fraction(str(threshold))
    found = {}
    for a, b in itertools.combinations(range(len(items)), 2):
        if items[a].isdisjoint(items[b]):
            continue
        shared = len(items[a] & items[b])
        union = len(items[a]) + len(items[b]) - shared + (len(whole[a] ^ whole[b]) if whole else 0)
        if shared * limit.denominator >= limit.numerator * union:
            found[a, b] = shared / union
    return found


def as_dict(pairs: Pairs) -> dict[Pair, float]:
    """Return {(left, right): similarity}."""
    keys = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    return dict(zip(keys, pairs.similarity.tolist(), strict=True))
