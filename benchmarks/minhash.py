"""JSONL of samples -> signatures per second and core of ours, datasketch and rensa; recall and seconds of the search.

    python benchmarks/minhash.py FUNCTIONS.jsonl [--rows 20000] [--threshold 0.8]

All sign the same 32-bit shingle hashes on one thread; processor time, the best of several runs. datasketch (2.0, bulk)
computes bit for bit what ours does; the values are compared. rensa (0.5, its full R-MinHash, every shingle counted) is
another sketch of the same size: one round over the shingles fills all places, so its cost does not grow with the
permutations as that of MinHash must. It is called in two ways, one call over all flat hashes and one object per sample.
A peer that is not installed is named. The search runs on two threads, from shingle sets to verified pairs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # rensa reads it when it is imported

import duckdb
import numpy as np

from governance.dedup.bands import RECALL, choose_bands
from governance.dedup.buckets import minhash_pairs
from governance.dedup.join import Sets, near_pairs
from governance.dedup.minhash import PERMUTATIONS, permutations, sign_block, sign_sets
from governance.dedup.recall import measured_recall
from governance.dedup.sets import read_groups
from governance.dedup.texts import read_places
from governance.ingest import ingest_files

PEER_SETS = 4_000  # datasketch signs these only; at 10,000 a second that is enough to be exact


def read_sets(source: Path, rows: int) -> Sets:
    """Return the shingle sets of the first *rows* of the file, one of each group of equal samples."""
    with tempfile.TemporaryDirectory() as folder, source.open("rb") as lines:
        work = Path(folder)
        part = work / "part.jsonl"
        part.write_bytes(b"".join(line for line, _ in zip(lines, range(rows), strict=False)))
        samples = ingest_files(part, work).samples
        return read_groups(samples, read_places(samples), threads=2).sets


def best(function: Callable[[], Any], runs: int) -> float:
    """Return the least processor time of this thread, in seconds."""
    times = []
    for _ in range(runs):
        started = time.thread_time()
        function()
        times.append(time.thread_time() - started)
    return min(times)


def ours(sets: Sets, count: int) -> float:
    drawn = permutations(count)
    out = np.empty((sets.sizes.size, count), np.uint32)
    return best(lambda: sign_block(sets, 0, sets.sizes.size, drawn, out), 15) / sets.sizes.size


def datasketch(sets: Sets, lists: list[list[int]], count: int) -> float:
    from datasketch import MinHash

    some = lists[:PEER_SETS]
    made: list[Any] = []
    seconds = best(lambda: made.append(MinHash.bulk(some, num_perm=count, hashfunc=lambda value: value)), 3)
    values = np.array([sketch.hashvalues for sketch in made[0]])
    if not np.array_equal(values, sign_sets(sets, count=count)[: len(some)]):
        raise SystemExit("the signatures differ from datasketch's")
    return seconds / len(some)


def rensa(sets: Sets, lists: list[list[int]], count: int) -> tuple[float, float]:
    from rensa import RMinHash  # type: ignore[import-not-found]

    flat = np.concatenate([np.array(values, np.uint64) for values in lists])
    ends = np.concatenate([[0], np.cumsum(sets.sizes)]).astype(np.uint64)
    matrix = best(lambda: RMinHash.digest_matrix_from_flat_token_hashes(flat, ends, count, 1), 7)
    words = [[str(value) for value in values] for values in lists[:PEER_SETS]]

    def objects() -> None:
        for tokens in words:
            sketch = RMinHash(count, 1)
            sketch.update(tokens)
            sketch.digest()

    return matrix / len(lists), best(objects, 3) / len(words)


def print_signatures(sets: Sets) -> None:
    """Print one line per tool and number of permutations."""
    lists = [
        (sets.hashes[start : start + size] & np.uint64(0xFFFFFFFF)).tolist()
        for start, size in zip(sets.starts.tolist(), sets.sizes.tolist(), strict=True)
    ]
    print(f"{sets.sizes.size:,} sets, {int(sets.sizes.sum()):,} shingles; signatures on one thread")
    for count in PERMUTATIONS:
        own = ours(sets, count)
        rows: list[tuple[str, float]] = [("governance", own)]
        try:
            rows.append(("datasketch, bulk", datasketch(sets, lists, count)))
        except ImportError:
            print("  datasketch: not installed")
        try:
            names = ("rensa R-MinHash, one call", "rensa R-MinHash, objects")
            rows += zip(names, rensa(sets, lists, count), strict=True)
        except ImportError:
            print("  rensa: not installed")
        for name, seconds in rows:
            print(f"  {count} {name:28} {1 / seconds:12,.0f}/s   ours is {seconds / own:6.1f} times as fast")


def print_search(sets: Sets, threshold: float) -> None:
    """Print seconds, candidates and recall of the exact method and of minhash at several bands."""
    print(f"search at {threshold}, shingle sets to verified pairs")
    with duckdb.connect(config={"threads": 2}) as con:
        started = time.perf_counter()
        exact = near_pairs(sets, con, threshold=threshold)
        print(f"  exact              {time.perf_counter() - started:6.2f} s {exact.candidates:10,} candidates")
    for count in PERMUTATIONS:
        for recall in (0.0, RECALL):
            bands = choose_bands(threshold, count, recall=recall)
            started = time.perf_counter()
            found = minhash_pairs(sets, threshold=threshold, count=count, bands=bands)
            seconds = time.perf_counter() - started
            sampled = measured_recall(sets, found, threshold=threshold)
            print(
                f"  {count} {bands.bands:3} x {bands.rows:3}      {seconds:6.2f} s {found.candidates:10,} candidates"
                f"   recall {found.left.size / max(exact.left.size, 1):.5f}, of a sample {sampled.value or 0.0:.5f},"
                f" expected at least {bands.recall_at:.4f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threshold", type=float, default=0.8)
    arguments = parser.parse_args()
    sets = read_sets(arguments.source, arguments.rows)
    print_signatures(sets)
    print_search(sets, arguments.threshold)


if __name__ == "__main__":
    main()
