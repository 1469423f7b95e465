"""shingle sets, a method -> their near pairs, and for a sketch the recall that it promises and the one measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from governance.dedup.join import PARTITION, Pairs, Sets, near_pairs
from governance.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from governance.dedup.bands import Bands
    from governance.dedup.recall import Recall

Method = Literal["exact", "minhash"]


@dataclass(frozen=True)
class Sketch:
    """
    How signatures were made and cut, and what that found.

    Attributes:
        permutations: 128 or 256.
        bands: with the recall to expect.
        recall: measured against an exact search for some samples.
    """

    permutations: int
    bands: Bands
    recall: Recall


def find_pairs(
    sets: Sets,
    con: DuckDBPyConnection,
    *,
    threshold: float,
    method: Method = "exact",
    permutations: int = 128,
    threads: int = 2,
    hot: int | None = None,
    partition: int = PARTITION,
) -> tuple[Pairs, Sketch | None]:
    """
    Return the near pairs of *sets*, all (``exact``, see `join`) or nearly all (``minhash``, see `buckets`).

    Raises:
        UsageError: an unknown method, a threshold out of range.
    """
    if method not in get_args(Method):
        raise UsageError(f"dedup method is {method!r}, expected 'exact' or 'minhash'")
    if method == "exact":
        pairs = near_pairs(sets, con, threshold=threshold, threads=threads, hot=hot, partition=partition)
        return pairs, None
    from governance.dedup.bands import choose_bands  # the exact method does without the time these take to load
    from governance.dedup.buckets import minhash_pairs
    from governance.dedup.recall import measured_recall

    bands = choose_bands(threshold, permutations)
    pairs = minhash_pairs(sets, threshold=threshold, count=permutations, bands=bands, threads=threads, hot=hot)
    recall = measured_recall(sets, pairs, threshold=threshold, threads=threads)
    return pairs, Sketch(permutations, bands, recall)
