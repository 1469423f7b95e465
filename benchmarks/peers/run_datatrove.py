"""JSONL -> groups by the four MinHash stages of datatrove, with its own shingles and defaults."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import arguments, write
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what a stage wrote."""
    for path in sorted(folder.rglob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def split(source: Path, folder: Path, parts: int) -> int:
    """Deal the rows to as many files as tasks run, each with its number as id; returns the number of rows."""
    folder.mkdir(parents=True)
    lines = source.read_bytes().splitlines()
    for k in range(parts):
        with (folder / f"{k:03}.jsonl").open("w", encoding="utf-8") as out:
            for n in range(k, len(lines), parts):
                out.write(json.dumps({"id": str(n), "text": json.loads(lines[n])["text"]}) + "\n")
    return len(lines)


def main() -> None:
    options = arguments()
    work, tasks = options.work, options.processes
    count = split(options.source, work / "in", tasks)
    config = MinhashConfig()
    reader = JsonlReader(str(work / "in"), text_key="text", id_key="id")
    removed = JsonlWriter(str(work / "removed"))
    stages: list[tuple[list[Any], int]] = [
        ([reader, MinhashDedupSignature(str(work / "signatures"), config=config)], tasks),
        ([MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)], config.num_buckets),
        ([MinhashDedupCluster(str(work / "buckets"), str(work / "clusters"), config=config, save_cluster_id=True)], 1),
        (
            [
                reader,
                MinhashDedupFilter(str(work / "clusters"), exclusion_writer=removed, load_cluster_ids=True),
                JsonlWriter(str(work / "kept")),
            ],
            tasks,
        ),
    ]
    for k, (pipeline, number) in enumerate(stages):
        executor = LocalPipelineExecutor(
            pipeline, tasks=number, workers=min(options.processes, number), logging_dir=str(work / "logs" / str(k))
        )
        executor.run()
    kept = list(range(count))
    of_cluster = {d["metadata"].get("minhash_cluster_id", -1): int(d["id"]) for d in documents(work / "kept")}
    for document in documents(work / "removed"):
        kept[int(document["id"])] = of_cluster[document["metadata"]["minhash_cluster_id"]]
    bands = f"{config.num_buckets} x {config.hashes_per_bucket}"
    write(options.out, kept, f"{bands}; its own {config.n_grams} words, lower case, without signs")


if __name__ == "__main__":
    main()
