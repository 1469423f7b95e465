"""samples (Arrow IPC file) -> groups of equal samples, and the shingle sets of one sample per group."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.dedup.join import Sets
from governance.dedup.lexer import character_classes, lex_samples
from governance.dedup.shingles import build_sets
from governance.samples import ROLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIECE = 4 << 20  # bytes of text that a thread lexes at a time
_OUTPUT = ROLES.index("output")


@dataclass(frozen=True)
class Places:
    """
    Who the samples are, in the order of the file, which is the order of ``n`` in every table here.

    Attributes:
        table: columns n, file, row, sample_id.
        first: shape (n,), int64; the position of the sample with the same texts and the lowest ``n``.
    """

    table: pa.Table
    first: NDArray[np.int64]


@dataclass
class _Lexed:
    """One piece: samples ``[first, last)`` of the file, with the texts of those that were wanted."""

    first: int
    last: int
    text_ends: NDArray[np.int64]  # texts of sample i: text_ends[i - first] to text_ends[i - first + 1]
    prompts: NDArray[np.bool_]  # per text: it is not an output
    raw: NDArray[np.uint64]
    starts: NDArray[np.int64]
    lexemes: NDArray[np.int32]
    text_keys: NDArray[np.uint64]
    sample_keys: NDArray[np.uint64]


@dataclass(frozen=True)
class Groups:
    """
    Samples whose texts are equal lexeme by lexeme, and the shingles of each group.

    Attributes:
        group: shape (n,), int64; the group of every sample of the file, -1 for one without lexemes.
        leader: shape (g,), int64; the position of the group's sample with the smallest id (and lowest ``n``).
        lexemes: shape (g,), int64.
        sets: shingle sets, one per group.
    """

    group: NDArray[np.int64]
    leader: NDArray[np.int64]
    lexemes: NDArray[np.int64]
    sets: Sets


def read_places(path: Path) -> Places:
    """Read who the samples of the IPC file *path* are and find equal ones; no text is read."""
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        batches = [
            reader.get_batch(k).select(["n", "file", "row", "sample_id"]) for k in range(reader.num_record_batches)
        ]
        table = pa.Table.from_batches(
            batches, reader.schema.empty_table().select(["n", "file", "row", "sample_id"]).schema
        )
        ids = table.column("sample_id").combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        n = table.column("n").to_numpy()
        by_n = np.argsort(n, kind="stable")
        first = np.empty(int(ids.max(initial=-1)) + 1, np.int64)
        first[ids[by_n][::-1]] = by_n[::-1]  # the last write stays: the lowest n
        return Places(table, first[ids])


def read_groups(path: Path, places: Places, *, threads: int) -> Groups:
    """Lex one of each exact copy of the IPC file *path*, group by lexemes, and shingle one of each group."""
    samples = places.first.size
    wanted = places.first == np.arange(samples)
    with pa.memory_map(str(path)) as source, ThreadPoolExecutor(threads) as pool:
        pieces = list(pool.map(lambda piece: _lex(*piece), _pieces(source, wanted)))
        keys = np.concatenate([piece.sample_keys for piece in pieces]) if pieces else np.empty((0, 2), np.uint64)
        group, leader = _group(keys, wanted, places)
        chosen = np.zeros(samples, np.bool_)
        chosen[leader] = True
        whole, whole_ends, taken = _whole_prompts(pieces, chosen)
        lexemes, sets = _build(pieces, chosen, taken, pool)
    # Groups are numbered, and their sets stand, in the order of their leaders in the file.
    return Groups(group[places.first], leader, lexemes, Sets(*sets, whole, whole_ends))


def _pieces(source: pa.MemoryMappedFile, wanted: NDArray[np.bool_]) -> Iterator[tuple[object, ...]]:
    """Cut every batch into ranges of about 4 MiB of text, as flat buffers."""
    reader = pa.ipc.open_file(source)
    base = 0
    for k in range(reader.num_record_batches):
        texts = reader.get_batch(k).column("texts")
        sample_ends = texts.offsets.to_numpy()
        structs = texts.values
        values = pc.struct_field(structs, "text")
        roles = pc.fill_null(pc.index_in(pc.struct_field(structs, "role"), pa.array(ROLES)), 0).to_numpy()
        text_ends = _buffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
        data = _buffer(values.buffers()[2], np.uint8)
        ends = text_ends[sample_ends]
        first = 0
        while first < len(texts):
            last = max(first + 1, int(np.searchsorted(ends, ends[first] + _PIECE, "right")) - 1)
            yield (
                base,
                first,
                last,
                data,
                text_ends,
                roles.astype(np.uint8),
                sample_ends,
                wanted[base : base + len(texts)],
            )
            first = last
        base += len(texts)


def _buffer(buffer: pa.Buffer | None, dtype: type[np.uint8 | np.int64]) -> NDArray[Any]:
    """View an Arrow buffer as an array; what Arrow leaves out for an empty column becomes one zero."""
    return np.frombuffer(buffer, dtype) if buffer is not None and buffer.size else np.zeros(1, dtype)


def _lex(
    base: int,
    first: int,
    last: int,
    data: NDArray[np.uint8],
    text_ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    sample_ends: NDArray[np.int32],
    wanted: NDArray[np.bool_],
) -> _Lexed:
    texts = slice(int(sample_ends[first]), int(sample_ends[last]))
    count = texts.stop - texts.start
    room = int(text_ends[texts.stop] - text_ends[texts.start])
    out = np.empty(room, np.uint64)  # only what is written becomes real memory
    starts, lexemes, keys = np.zeros(count + 1, np.int64), np.zeros(count, np.int32), np.zeros(count, np.uint64)
    sample_keys = np.zeros((last - first, 2), np.uint64)
    used = lex_samples(
        data, text_ends, roles, sample_ends, wanted, first, last, character_classes(),
        out, starts, lexemes, keys, sample_keys,
    )  # fmt: skip
    return _Lexed(
        first=base + first,
        last=base + last,
        text_ends=(sample_ends[first : last + 1] - texts.start).astype(np.int64),
        prompts=roles[texts] != _OUTPUT,
        raw=out[:used].copy(),
        starts=starts,
        lexemes=lexemes,
        text_keys=keys,
        sample_keys=sample_keys,
    )


def _group(
    keys: NDArray[np.uint64], wanted: NDArray[np.bool_], places: Places
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (group per sample, -1 where none; position of each group's leader, ascending)."""
    rows = np.flatnonzero(wanted & keys.any(axis=1))
    rows = rows[np.lexsort((keys[rows, 1], keys[rows, 0]))]
    new = np.ones(rows.size, np.bool_)
    new[1:] = (keys[rows[1:]] != keys[rows[:-1]]).any(axis=1)
    number = np.cumsum(new) - 1
    leader = rows[new]
    crowded = np.bincount(number, minlength=leader.size)[number] > 1
    ids = sample_ids(places, rows[crowded])
    by_id = np.lexsort((ids, number[crowded]))[::-1]
    leader[number[crowded][by_id]] = rows[crowded][by_id]  # the last write stays: the smallest id
    order = np.argsort(leader)
    rank = np.empty(leader.size, np.int64)
    rank[order] = np.arange(leader.size)
    group = np.full(wanted.size, -1, np.int64)
    group[rows] = rank[number]
    return group, leader[order]


def sample_ids(places: Places, rows: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Return the ids of the samples at *rows*, shape (k,), as bytes that sort like the ids."""
    column = places.table.column("sample_id").take(pa.array(rows, pa.int64()))
    return np.array(column.to_pylist(), dtype="S64")


def _whole_prompts(
    pieces: list[_Lexed], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], list[NDArray[np.bool_]]]:
    """
    Find the prompts that more than one group shares.

    Returns:
        Their ids by group, in compressed rows, and per piece which texts are shingled instead.
    """
    owners = [np.repeat(np.arange(piece.first, piece.last), np.diff(piece.text_ends)) for piece in pieces]
    taken = [chosen[owner] for owner in owners]
    picks = [t & piece.prompts & (piece.text_keys != 0) for t, piece in zip(taken, pieces, strict=True)]
    groups = np.cumsum(chosen) - 1
    none = np.empty(0, np.uint64)
    keys = np.concatenate([none, *(piece.text_keys[pick] for piece, pick in zip(pieces, picks, strict=True))])
    owner = np.concatenate([none, *(o[pick] for o, pick in zip(owners, picks, strict=True))]).astype(np.int64)
    values, ids = np.unique(keys, return_inverse=True)
    order = np.lexsort((ids, owner))
    ids_sorted, owner_sorted = ids[order], owner[order]
    once = np.ones(order.size, np.bool_)  # a prompt said twice in one sample counts once
    once[1:] = (ids_sorted[1:] != ids_sorted[:-1]) | (owner_sorted[1:] != owner_sorted[:-1])
    ids_sorted, owner_sorted = ids_sorted[once], owner_sorted[once]
    shared = np.bincount(ids_sorted, minlength=values.size) > 1
    kept = shared[ids_sorted]
    whole = ids_sorted[kept].astype(np.uint64)
    per_group = np.bincount(groups[owner_sorted[kept]], minlength=int(chosen.sum()))
    is_shared = shared[ids]
    at = 0
    for t, pick in zip(taken, picks, strict=True):
        size = int(pick.sum())
        t[np.flatnonzero(pick)[is_shared[at : at + size]]] = False
        at += size
    return whole, np.concatenate([[0], np.cumsum(per_group)]).astype(np.int64), taken


def _build(
    pieces: list[_Lexed], chosen: NDArray[np.bool_], taken: list[NDArray[np.bool_]], pool: ThreadPoolExecutor
) -> tuple[NDArray[np.int64], tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]]:
    """Return (lexemes per group, (hashes, starts, sizes) of their sets); the raw shingles are let go."""
    rooms = [_per_sample(np.diff(piece.starts) * t, piece) for piece, t in zip(pieces, taken, strict=True)]
    lexemes = [_per_sample(piece.lexemes, piece) for piece in pieces]
    totals = [int(room.sum()) for room in rooms]
    bases = np.concatenate([[0], np.cumsum(totals)]).astype(np.int64)
    hashes = np.zeros(int(bases[-1]), np.uint64)

    def build(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        piece, room = pieces[k], rooms[k]
        starts = np.cumsum(room) - room
        sizes = np.zeros(room.size, np.int64)
        table = np.zeros(5 * int(room.max(initial=0)) + 16, np.uint64)
        out = hashes[bases[k] : bases[k + 1]]
        build_sets(piece.raw, piece.starts, piece.text_ends, taken[k], starts, table, out, sizes)
        piece.raw = np.empty(0, np.uint64)
        return starts + bases[k], sizes

    parts = list(pool.map(build, range(len(pieces))))
    none = np.empty(0, np.int64)
    starts, sizes = (np.concatenate([none, *(part[m] for part in parts)])[chosen] for m in range(2))
    return np.concatenate([none, *lexemes])[chosen], (hashes, starts, sizes)


def _per_sample(values: NDArray[np.integer], piece: _Lexed) -> NDArray[np.int64]:
    """Sum what is given per text over the texts of each sample."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    per_sample: NDArray[np.int64] = sums[piece.text_ends[1:]] - sums[piece.text_ends[:-1]]
    return per_sample
