"""a dataset of several files -> the held-out samples that stand, exactly or nearly, in one of its training files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance.dedup.across import find_across
from governance.samples import OVERLAPS, SAMPLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PART = re.compile(r"(train|val|dev|test|eval|audit)(?:ing|id|idation|elopment|uation)?(?![a-z])")
_NAMES = {"val": "validation", "dev": "validation", "eval": "test"}


def file_part(name: str) -> str:
    """
    Return the part that a file name says: ``train``, ``validation``, ``test``, ``audit``; empty if it says none.

    Every folder of the name counts, the outermost first, so that saved datasets with a folder per split are known too.

    >>> [file_part(name) for name in ("train.jsonl", "valid-0.parquet", "test/data-00000.arrow", "values.csv")]
    ['train', 'validation', 'test', '']
    """
    for piece in name.lower().split("/"):
        found = _PART.match(piece)
        if found:
            return _NAMES.get(found[1], found[1])
    return ""


def held_out_in_train(
    samples: Path, con: DuckDBPyConnection, *, threshold: float = 0.8, threads: int = 2, work: Path
) -> pa.Table | None:
    """
    Return the held-out samples of the Arrow IPC file *samples* that have a copy in a training file, by file names.

    Complete: every held-out sample is compared with every training sample, not only with the kept one of its cluster.

    Args:
        threshold: Jaccard similarity from which a sample is a copy, 0.5 to 1.
        work: folder for the two sides.

    Returns:
        Schema `samples.OVERLAPS`, class ``split``, one row per such sample, in the order of the dataset; None where the
        dataset has no training file or no held-out one, so that there is nothing to compare.
    """
    train, held = work / "split-train.arrow", work / "split-held-out.arrow"
    try:
        counts = [_select(samples, lambda part: part == "train", train)]
        counts.append(_select(samples, lambda part: part not in ("", "train"), held))
        if not all(counts):
            return None
        found = find_across(held, train, con, threshold=threshold, threads=threads, work=work)
    finally:
        train.unlink(missing_ok=True)
        held.unlink(missing_ok=True)
    number, zeros = found.num_rows, pa.array(np.zeros(found.num_rows, np.int64))
    fixed = {"field": "", "class": "split", "allowed": False, "df": 1}
    columns = {
        "n": found["n"], "file": found["file"], "row": found["row"],
        "sample_id": found["sample_id"],
        "start": zeros, "end": zeros, "line": zeros, "end_line": zeros, "lexemes": zeros,
        "source": pa.array(
            [f"{f}#{r}" for f, r in zip(found["other_file"].to_pylist(), found["other_row"].to_pylist(), strict=True)],
            pa.string(),
        ),
        "source_line": zeros, "source_end_line": zeros, "score": found["similarity"], "index": found["other_file"],
    }  # fmt: skip
    for name, value in fixed.items():
        columns[name] = pa.array([value] * number, OVERLAPS.field(name).type)
    table = pa.table({f.name: columns.get(f.name, pa.nulls(number, f.type)) for f in OVERLAPS}, schema=OVERLAPS)
    return table.sort_by("n")


def _select(samples: Path, wanted: Callable[[str], bool], out: Path) -> int:
    """Write the samples of the files whose part is *wanted* to *out*; returns how many."""
    count = 0
    with (
        pa.memory_map(str(samples)) as source,
        pa.OSFile(str(out), "wb") as sink,
        pa.ipc.new_file(sink, SAMPLES) as writer,
    ):
        reader = pa.ipc.open_file(source)
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k)
            # Few files: the part is looked up once per name, and most batches are of one file.
            encoded = batch.column("file").dictionary_encode()
            good = np.array([wanted(file_part(name or "")) for name in encoded.dictionary.to_pylist()], np.bool_)
            mask = good[np.asarray(encoded.indices)]
            if mask.any():
                writer.write_batch(batch if mask.all() else batch.filter(pa.array(mask)))
                count += int(mask.sum())
    return count
