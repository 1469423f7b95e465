"""JSONL of samples -> seconds, MB/s and peak memory of `cluster_duplicates`.

    python benchmarks/dedup.py FUNCTIONS.jsonl [--threshold 0.8] [--threads 2] [--rows N] [--peer]

Each row has ``instruction``, ``input`` and ``output``. The Arrow file is made first and not timed. With ``--peer``,
datasketch's MinHashLSH (128 permutations) searches the very same shingle sets, shingling not counted, and its pairs are
held against ours: what it misses, what it names that is below the threshold, and how long it takes.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa

from governance.dedup.cluster import cluster_duplicates
from governance.samples import SAMPLES, sample_id, table

BATCH = 10_000  # rows of one Arrow batch


def write_samples(source: Path, out: Path, rows: int | None = None) -> tuple[int, int, int]:
    """Write the first *rows* of the JSONL file as SAMPLES; return (rows, distinct rows, bytes of distinct text)."""
    seen: set[str] = set()
    count = size = 0
    batch: list[dict[str, object]] = []
    with source.open("rb") as lines, pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        for line in lines:
            if count == rows:
                break
            record = orjson.loads(line)
            texts = [
                (role, record[role]) for role in ("instruction", "input", "output") if record.get(role) is not None
            ]
            key = sample_id(texts)
            if key not in seen:
                seen.add(key)
                size += sum(len(text.encode()) for _, text in texts)
            batch.append(
                {
                    "n": count,
                    "file": source.name,
                    "row": count,
                    "sample_id": key,
                    "shape": "alpaca",
                    "texts": [{"field": role, "role": role, "text": text} for role, text in texts],
                }
            )
            count += 1
            if len(batch) == BATCH:
                writer.write_table(table(SAMPLES, batch))
                batch = []
        writer.write_table(table(SAMPLES, batch))
    return count, len(seen), size


def peer(path: Path, threshold: float, threads: int) -> None:
    """Run datasketch over the shingle sets of the file *path* and print what it found beside the exact answer."""
    from datasketch import MinHash, MinHashLSH

    from governance.dedup.join import near_pairs
    from governance.dedup.sets import read_groups, read_places

    places = read_places(path)
    sets = read_groups(path, places, threads=threads).sets
    with duckdb.connect(config={"threads": threads}) as con:
        started = time.perf_counter()
        exact = near_pairs(sets, con, threshold=threshold, threads=threads)
        ours = time.perf_counter() - started
    truth = {(min(a, b), max(a, b)) for a, b in zip(exact.left.tolist(), exact.right.tolist(), strict=True)}
    started = time.perf_counter()
    lsh = MinHashLSH(threshold=threshold, num_perm=128)
    found: set[tuple[int, int]] = set()
    for i, (start, size) in enumerate(zip(sets.starts.tolist(), sets.sizes.tolist(), strict=True)):
        shingles = sets.hashes[start : start + size]
        if not len(shingles):
            continue
        sketch = MinHash(num_perm=128)
        sketch.update_batch([h.tobytes() for h in shingles])
        found.update((j, i) for j in lsh.query(sketch))
        lsh.insert(i, sketch)
    seconds = time.perf_counter() - started
    hits = len(truth & found)
    print(
        f"datasketch  {seconds:>12.2f} s for sketches and LSH; ours {ours:.2f} s for the join: {seconds / ours:.0f} x"
    )
    print(f"  recall    {hits / max(1, len(truth)):>12.4f} of {len(truth):,} pairs at {threshold}")
    print(f"  precision {hits / max(1, len(found)):>12.4f} of {len(found):,} named pairs")


def main() -> None:
    """Run once and print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--peer", action="store_true", help="run datasketch beside it; take 20,000 rows")
    parser.add_argument("--samples", type=Path, help="keep the Arrow file here, or use the one that is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.samples or Path(folder) / "samples.arrow"
        if not path.exists():
            count, distinct, size = write_samples(options.source, path, options.rows)
            print(f"samples     {count:>12,} rows, {distinct:,} distinct, {size / 1e6:.1f} MB distinct text")
        stages: list[float] = []
        started, used = time.perf_counter(), time.process_time()
        con = duckdb.connect(config={"threads": options.threads, "temp_directory": folder})
        found = cluster_duplicates(
            path,
            con,
            threshold=options.threshold,
            threads=options.threads,
            work=Path(folder),
            progress=lambda _: stages.append(time.perf_counter() - started),
        )
        seconds = time.perf_counter() - started
        if options.peer:
            peer(path, options.threshold, options.threads)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"time        {seconds:>12.2f} s, of which {stages[0]:.2f} s to the shingle sets")
    print(f"processor   {time.process_time() - used:>12.2f} s")
    print(f"peak        {peak:>12.2f} GB")
    print(f"candidates  {found.candidates:>12,}")
    print(f"pairs       {found.pairs:>12,}")
    print(f"removed     {found.table.num_rows:>12,} in {found.clusters:,} clusters, the largest of {found.largest:,}")
    for row in found.table.group_by("kind").aggregate([("n", "count")]).to_pylist():
        print(f"  {row['kind']:<9} {row['n_count']:>12,}")


if __name__ == "__main__":
    main()
