"""two datasets -> every sample of one that a sample of the other stands for, verified.

The question behind a split, a registry and a held-out set: does this text stand there too? Both datasets are compared
as one, so the rules of `cluster` hold, also the one on prompts that several samples share.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from governance.dedup.join import near_pairs
from governance.dedup.sets import read_groups, read_places
from governance.samples import SAMPLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

ACROSS = pa.schema(
    [
        ("n", pa.int64()),  # the sample of the dataset
        ("file", pa.string()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("other", pa.int64()),  # `n` of the most similar sample of the other dataset
        ("other_file", pa.string()),
        ("other_row", pa.int64()),
        ("other_sample_id", pa.string()),
        ("similarity", pa.float64()),
        ("kind", pa.string()),  # exact, lexemes, near
    ]
)


def find_across(
    samples: Path, others: Path, con: DuckDBPyConnection, *, threshold: float = 0.8, threads: int = 2, work: Path
) -> pa.Table:
    """
    Return one row per sample of *samples* that has a duplicate in *others*: the most similar, then the first.

    Args:
        samples, others: Arrow IPC files of schema `samples.SAMPLES`.
        con: where the join runs.
        work: folder for one file with the samples of both.

    Returns:
        Schema `ACROSS`, ordered by ``n``.
    """
    both = work / "across.arrow"
    count = _join_files([samples, others], both)
    places = read_places(both)
    groups = read_groups(both, places, threads=threads)
    both.unlink()
    rows = np.arange(places.first.size)
    best = np.full(rows.size, -1, np.int64)  # per sample of the first dataset, the position of its witness
    value, kind = np.zeros(rows.size), np.zeros(rows.size, np.int8)
    other = rows >= count
    for code, key in ((0, places.first), (1, groups.group)):
        witness = np.full(int(key.max(initial=-1)) + 2, -1, np.int64)
        witness[key[other][::-1]] = rows[other][::-1]  # the last write stays: the first of the other dataset
        witness[-1] = -1  # the group of samples without lexemes is none
        new = ~other & (best < 0) & (witness[key] >= 0)
        best[new], value[new], kind[new] = witness[key[new]], 1.0, code
    pairs = near_pairs(groups.sets, con, threshold=threshold, threads=threads)
    left = np.concatenate([pairs.left, pairs.right]).astype(np.int64)
    right = np.concatenate([pairs.right, pairs.left]).astype(np.int64)
    similarity = np.tile(pairs.similarity, 2)
    first_other = np.full(groups.leader.size, -1, np.int64)
    member = np.flatnonzero(other & (groups.group >= 0))[::-1]
    first_other[groups.group[member]] = member
    usable = first_other[right] >= 0
    left, right, similarity = left[usable], first_other[right[usable]], similarity[usable]
    order = np.lexsort((-right, similarity))  # the last write stays: the most similar, then the first
    nearest, near_value = np.full(groups.leader.size, -1, np.int64), np.zeros(groups.leader.size)
    nearest[left[order]], near_value[left[order]] = right[order], similarity[order]
    open_ = np.flatnonzero(~other & (best < 0) & (groups.group >= 0))
    open_ = open_[nearest[groups.group[open_]] >= 0]
    best[open_], value[open_], kind[open_] = nearest[groups.group[open_]], near_value[groups.group[open_]], 2
    return _table(places.table, np.flatnonzero(best >= 0), best, value, kind, count)


def _join_files(paths: Sequence[Path], out: Path) -> int:
    """Write the samples of all *paths* one after another, numbered anew; return how many the first one has."""
    base, first = 0, -1
    with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        for path in paths:
            with pa.memory_map(str(path)) as source:
                reader = pa.ipc.open_file(source)
                for k in range(reader.num_record_batches):
                    batch = reader.get_batch(k)
                    numbers = pa.array(np.arange(base, base + batch.num_rows))
                    writer.write_batch(batch.set_column(0, "n", numbers))
                    base += batch.num_rows
            first = base if first < 0 else first
    return first


def _table(
    places: pa.Table,
    rows: NDArray[np.int64],
    best: NDArray[np.int64],
    value: NDArray[np.float64],
    kind: NDArray[np.int8],
    count: int,
) -> pa.Table:
    names = ["n", "file", "row", "sample_id"]
    this, that = places.select(names).take(pa.array(rows)), places.select(names).take(pa.array(best[rows]))
    columns = [
        *this.columns,
        pa.array(that.column("n").to_numpy() - count),
        *that.columns[1:],
        pa.array(value[rows]),
        pa.DictionaryArray.from_arrays(kind[rows], ["exact", "lexemes", "near"]).cast(pa.string()),
    ]
    return pa.table(columns, schema=ACROSS)
