"""shingle sets -> the near pairs that meet in a bucket of MinHash bands, verified: the same `Pairs` as the join's.

The second method of near-duplicate search. Signatures (`minhash`) are cut into bands (`bands`); a band that two sets
have in common puts both into one bucket, and whoever shares a bucket is compared exactly. Precision is 1, as in the
join; recall is what the bands promise, 0.995 at the threshold and more above it, and `recall` measures it.

Of a signature only a 32-bit key per band is kept (76 bytes per sample at 0.8), and keys of one band are sorted together
with the number of their sample, both in one 64-bit number. Two bands that differ share a key once in four thousand
million times, which costs one comparison. A pair is taken from the first band that it has in common, so none comes
twice and nothing has to be made distinct.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import int64, types, uint32, uint64, void

from governance.dedup.bands import Bands, choose_bands
from governance.dedup.join import Pairs, Sets, as_fraction, verify
from governance.dedup.minhash import permutations, ranges, sign_block
from governance.kernels import I64, U64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEYS = types.Array(uint32, 2, "C")
_LARGEST = 1 << 62  # samples in a bucket, where none is too large


def minhash_pairs(
    sets: Sets,
    *,
    threshold: float,
    count: int = 128,
    seed: int = 1,
    bands: Bands | None = None,
    threads: int = 2,
    hot: int | None = None,
    keys: NDArray[np.uint32] | None = None,
) -> Pairs:
    """
    Return pairs of *sets* whose similarity is at least *threshold* (0.5 to 1), found by *count* permutations.

    The result does not depend on *threads*. A bucket of k samples makes k * k / 2 pairs; with *hot*, one of more is not
    paired but handed back as the join hands back a hot shingle, at place 0: `leaders.choose_leaders` then compares its
    samples with the kept ones among them, and loses none. Pairs that share such a bucket may be missing here.

    Args:
        bands: default: `choose_bands`.
        keys: of every band of every set, see `fold_bands`; default: of their signatures.

    Raises:
        UsageError: the threshold is out of range.
    """
    p, q = as_fraction(threshold)
    if keys is None:
        keys = band_keys(sets, bands or choose_bands(threshold, count), count=count, seed=seed, threads=threads)
    largest = _LARGEST if hot is None else hot
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda band: _join_band(sets, keys, band, p, q, largest), range(keys.shape[1])))
        found = np.sort(np.concatenate([pairs for pairs, _ in parts]))
        left = (found >> np.uint64(32)).astype(np.int32)
        right = (found & np.uint64(0xFFFFFFFF)).astype(np.int32)
        similarity = verify(sets, left, right, p, q, pool)
    crowded = [np.empty((2, 0), np.uint64), *(rows for _, rows in parts)]
    hot_hash, hot_sample = np.concatenate(crowded, axis=1)
    good = similarity >= 0
    return Pairs(
        left[good],
        right[good],
        similarity[good],
        left.size,
        hot_hash,
        hot_sample.astype(np.int32),
        np.zeros(hot_hash.size, np.int32),
    )


def band_keys(sets: Sets, bands: Bands, *, count: int = 128, seed: int = 1, threads: int = 2) -> NDArray[np.uint32]:
    """Return the 32-bit key of every band of every set: shape (n, bands). Equal bands have equal keys."""
    drawn = permutations(count, seed)
    keys = np.empty((sets.sizes.size, bands.bands), np.uint32)

    def sign(span: tuple[int, int]) -> None:
        first, last = span
        signatures = np.empty((last - first, count), np.uint32)
        sign_block(sets, first, last, drawn, signatures)
        fold_bands(signatures, bands.rows, keys[first:last])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sign, ranges(sets.sizes)))
    return keys


def _join_band(
    sets: Sets, keys: NDArray[np.uint32], band: int, p: int, q: int, largest: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the pairs that meet in *band* first, and (number of the bucket, sample) of the buckets over *largest*."""
    samples = np.flatnonzero(sets.sizes).astype(np.uint64)  # all empty sets have one signature, and no similarity
    rows = np.sort(keys[:, band][samples].astype(np.uint64) << np.uint64(32) | samples)
    starts = np.flatnonzero(np.diff(rows >> np.uint64(32), prepend=np.uint64(0xFFFFFFFFFF)))
    sizes = np.diff(starts, append=rows.size)
    paired = (sizes > 1) & (sizes <= largest)
    room = int((sizes[paired] * (sizes[paired] - 1) // 2).sum())
    out = np.empty(room, np.uint64)  # only what is written becomes real memory
    used = pair_buckets(rows, starts[paired], sizes[paired], keys, band, sets.sizes, p, q, out)
    crowd = np.repeat(sizes, sizes) > largest
    bucket = np.uint64(band) << np.uint64(32) | rows[crowd] >> np.uint64(32)
    return out[:used].copy(), np.stack([bucket, rows[crowd] & np.uint64(0xFFFFFFFF)])


@kernel(void(_KEYS, int64, _KEYS))
def fold_bands(signatures: Any, rows: int, keys: Any) -> None:
    """Write a 32-bit key of every *rows* places of every signature to *keys*."""
    for i in range(keys.shape[0]):
        for band in range(keys.shape[1]):
            h = uint64(0x9E3779B97F4A7C15)
            for k in range(band * rows, (band + 1) * rows):
                h = (h ^ uint64(signatures[i, k])) * uint64(0xFF51AFD7ED558CCD)
                h ^= h >> uint64(32)
            keys[i, band] = uint32(h)


@kernel(int64(U64, I64, I64, _KEYS, int64, I64, int64, int64, uint64[::1]))
def pair_buckets(
    rows: Any, starts: Any, counts: Any, keys: Any, band: int, sizes: Any, p: int, q: int, out: Any
) -> int:
    """
    Write the pairs of every bucket that have no earlier band in common and whose sizes allow p / q.

    Args:
        rows: keys in the upper, samples in the lower 32 bits, ascending.
        starts, counts: of the buckets in *rows*.
        out: filled: the smaller sample in the upper, the larger in the lower 32 bits; room for all pairs.

    Returns:
        The number of pairs.
    """
    used = 0
    for bucket in range(starts.size):
        end = starts[bucket] + counts[bucket]
        for i in range(starts[bucket], end):
            a = int64(rows[i] & uint64(0xFFFFFFFF))
            for j in range(i + 1, end):
                b = int64(rows[j] & uint64(0xFFFFFFFF))
                if q * min(sizes[a], sizes[b]) < p * max(sizes[a], sizes[b]):
                    continue
                first = 0
                while keys[a, first] != keys[b, first]:
                    first += 1
                if first == band:
                    out[used] = uint64(a) << uint64(32) | uint64(b)
                    used += 1
    return used
