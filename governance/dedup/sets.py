"""samples (Arrow IPC file) -> groups of equal samples, and the shingle sets of one sample per group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from governance.dedup.arrays import distinct
from governance.dedup.grams import VERBATIM, shingle_texts
from governance.dedup.join import Sets
from governance.dedup.shingles import build_sets
from governance.dedup.spool import Hashes, Spool, map_ahead
from governance.dedup.texts import OUTPUT, Piece, Places, read_pieces, read_places, sample_ids
from governance.languages.lexer import lex_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Groups", "Places", "Shingled", "build", "group_equal", "read_groups", "read_places", "sample_ids"]

_AHEAD = 2  # pieces per thread that are read before they are needed
_HUGE = 1 << 20  # shingles of a sample that is sorted, not hashed: the table would be larger than the rest


@dataclass(frozen=True)
class Built:
    """
    The sets of a piece.

    Attributes:
        taken: the texts that they were made from.
        sizes: per sample.
        values: the sets one after another; None where they stand in the piece's store, from *at* on.
    """

    taken: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    values: NDArray[np.uint64] | None
    at: int = 0


@dataclass
class Shingled:
    """
    One piece of the file: the samples ``[first, last)``, with the texts of those that were wanted.

    Attributes:
        text_ends: texts of sample i are ``text_ends[i - first]`` to ``text_ends[i - first + 1]``.
        prompts: per text: it is not an output.
        raw: the shingles of all texts, with or without repeats; None where they stand in *store*, from *at* on.
        starts: per text, and one more: where its shingles start.
        lexemes: per text, how many.
        text_keys, sample_keys: see `grams.shingle_texts`.
        keep: remember in *built* what `build` made, for a piece that is compared with many datasets.
    """

    first: int
    last: int
    text_ends: NDArray[np.int64]
    prompts: NDArray[np.bool_]
    raw: NDArray[np.uint64] | None
    starts: NDArray[np.int64]
    lexemes: NDArray[np.int32]
    text_keys: NDArray[np.uint64]
    sample_keys: NDArray[np.uint64]
    store: Spool | None = None
    at: int = 0
    keep: bool = False
    built: Built | None = None

    def move_to(self, store: Spool) -> Shingled:
        """Put the shingles into *store*."""
        if self.raw is not None:
            self.store, self.at, self.raw = store, store.append(self.raw), None
        return self

    def shingles(self) -> NDArray[np.uint64]:
        """Return the shingles, read from the file where they stand in one."""
        if self.raw is not None:
            return self.raw
        assert self.store is not None
        return self.store.read(self.at, int(self.starts[-1]))


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


Lexer = Callable[[Piece], "tuple[NDArray[np.uint64], NDArray[np.int64]]"]
"""Texts -> the hashes of their lexemes, 0 for what does not count, and where those of each text end."""


def read_groups(path: Path, places: Places, *, threads: int, work: Path | None = None) -> Groups:
    """
    Lex one of each exact copy of the IPC file *path*, group by lexemes, and shingle one of each group.

    Args:
        work: folder for the shingles, 8 bytes each; default: they stand in memory, twice for a while.
    """
    wanted = places.first == np.arange(places.first.size)
    with ThreadPoolExecutor(threads) as pool:
        store = Spool(0, work) if work else None
        pieces = shingle_pieces(read_pieces(path, wanted), lex_verbatim, VERBATIM, pool, threads, store)
        return group_pieces(pieces, wanted, places, pool, threads, work)


def group_pieces(
    pieces: list[Shingled],
    wanted: NDArray[np.bool_],
    places: Places,
    pool: ThreadPoolExecutor,
    threads: int,
    work: Path | None,
    *,
    last_use: bool = True,
) -> Groups:
    """
    Group the *wanted* samples by lexemes, and make the set of one of each group.

    Args:
        last_use: let go of the shingles of each piece on the way.
    """
    group, leader = group_equal(pieces, wanted, places)
    chosen = np.zeros(wanted.size, np.bool_)
    chosen[leader] = True
    whole, whole_ends, taken = _whole_prompts(pieces, chosen)
    lexemes = count_lexemes(pieces)[chosen]
    hashes, sizes = build(pieces, taken, pool, threads, work, last_use=last_use)
    # Groups are numbered, and their sets stand, in the order of their leaders in the file.
    return Groups(group[places.first], leader, lexemes, make_sets(hashes, sizes[chosen], whole, whole_ends))


def lex_verbatim(piece: Piece) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Lex all texts of *piece*; what their language is makes no difference to this view."""
    found = lex_texts(piece.data, piece.ends, np.zeros(piece.roles.size, np.uint8), renamed=False, places=False)
    return found.verbatim, found.text_ends


def make_sets(
    hashes: Hashes, sizes: NDArray[np.int64], whole: NDArray[np.uint64], whole_ends: NDArray[np.int64]
) -> Sets:
    """Name what stands in *hashes* one after another, without gaps."""
    return Sets(hashes.values, np.cumsum(sizes) - sizes, sizes, whole, whole_ends, hashes)


def shingle_pieces(
    pieces: Iterable[Piece], lex: Lexer, k: int, pool: ThreadPoolExecutor, threads: int, store: Spool | None
) -> list[Shingled]:
    """Lex every piece and make shingles of *k* lexemes; with *store* they are put there."""
    made = map_ahead(pool, lambda piece: _shingle(piece, lex, k), pieces, _AHEAD * threads)
    return [piece.move_to(store) if store else piece for piece in made]


def _shingle(piece: Piece, lex: Lexer, k: int) -> Shingled:
    lexemes, ends = lex(piece)
    texts, samples = piece.roles.size, piece.last - piece.first
    starts, counts, keys = np.zeros(texts + 1, np.int64), np.zeros(texts, np.int32), np.zeros(texts, np.uint64)
    sample_keys = np.zeros((samples, 2), np.uint64)
    used = shingle_texts(
        lexemes, ends, piece.roles, piece.sample_ends, k, np.zeros(k, np.uint64), starts, counts, keys, sample_keys
    )
    return Shingled(
        first=piece.first,
        last=piece.last,
        text_ends=piece.sample_ends,
        prompts=piece.roles != OUTPUT,
        raw=lexemes[:used],
        starts=starts,
        lexemes=counts,
        text_keys=keys,
        sample_keys=sample_keys,
    )


def group_equal(
    pieces: list[Shingled], wanted: NDArray[np.bool_], places: Places
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Group the *wanted* samples whose keys are equal.

    Returns:
        The group per sample, -1 where none; and the position of each group's leader, ascending: the sample with the
        smallest id, and of equal ones the first.
    """
    keys = np.concatenate([np.empty((0, 2), np.uint64), *(piece.sample_keys for piece in pieces)])
    rows = np.flatnonzero(wanted & keys.any(axis=1))
    number = number_keys(keys[rows])
    leader = np.empty(int(number.max(initial=-1)) + 1, np.int64)
    leader[number] = rows
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


def number_keys(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return a number per row of *keys*, from 0, the same for equal rows."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    new = np.zeros(order.size, np.bool_)
    new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    number = np.empty(order.size, np.int64)
    number[order] = np.cumsum(new)
    return number


def _whole_prompts(
    pieces: list[Shingled], chosen: NDArray[np.bool_]
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
    whole, whole_ends, is_shared = shared_prompts(keys, groups[owner], int(chosen.sum()))
    at = 0
    for t, pick in zip(taken, picks, strict=True):
        size = int(pick.sum())
        t[np.flatnonzero(pick)[is_shared[at : at + size]]] = False
        at += size
    return whole, whole_ends, taken


def shared_prompts(
    keys: NDArray[np.uint64], owner: NDArray[np.int64], groups: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]:
    """
    Tell which prompts more than one group has.

    Args:
        keys, owner: of every prompt its hash and its group.

    Returns:
        Ids of shared prompts by group, in compressed rows (ids, ends), ascending within a group; and per prompt
        whether it is shared.
    """
    values, ids = np.unique(keys, return_inverse=True)
    order = np.lexsort((ids, owner))
    ids_sorted, owner_sorted = ids[order], owner[order]
    once = np.ones(order.size, np.bool_)  # a prompt said twice in one sample counts once
    once[1:] = (ids_sorted[1:] != ids_sorted[:-1]) | (owner_sorted[1:] != owner_sorted[:-1])
    ids_sorted, owner_sorted = ids_sorted[once], owner_sorted[once]
    shared = np.bincount(ids_sorted, minlength=values.size) > 1
    kept = shared[ids_sorted]
    per_group = np.bincount(owner_sorted[kept], minlength=groups)
    ends = np.concatenate([[0], np.cumsum(per_group)]).astype(np.int64)
    return ids_sorted[kept].astype(np.uint64), ends, shared[ids]


def build(
    pieces: list[Shingled],
    taken: list[NDArray[np.bool_]],
    pool: ThreadPoolExecutor,
    threads: int,
    work: Path | None,
    *,
    last_use: bool = True,
) -> tuple[Hashes, NDArray[np.int64]]:
    """
    Make the sorted sets of all samples from the texts *taken* per piece.

    Returns:
        The sets one after another, and the size of each: 0 where no text was taken.
    """

    def make(k: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        if pieces[k].built is not None:
            return _built_again(pieces[k], taken[k])
        found = _build(pieces[k], taken[k])
        if last_use:
            pieces[k].raw = None
        return found

    sets = Spool(sum(int((np.diff(p.starts) * t).sum()) for p, t in zip(pieces, taken, strict=True)), work)
    sizes = [np.empty(0, np.int64)]
    for k, (values, of_piece) in enumerate(map_ahead(pool, make, range(len(pieces)), _AHEAD * threads)):
        sets.append(values)
        sizes.append(of_piece)
        piece = pieces[k]
        if piece.keep and piece.built is None:
            if piece.store is None:
                piece.built = Built(taken[k], of_piece, values.copy())
            else:
                piece.built = Built(taken[k], of_piece, None, piece.store.append(values))
    return sets.finish(), np.concatenate(sizes)


def _build(piece: Shingled, taken: NDArray[np.bool_]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Make the sets of the samples of *piece* from the texts *taken*, one after another, and their sizes."""
    room, raw = _per_sample(np.diff(piece.starts) * taken, piece), piece.shingles()
    if room.size == 1 and room[0] > _HUGE:
        found = distinct(np.maximum(raw[np.repeat(taken, np.diff(piece.starts))], np.uint64(1)))
        return found, np.array([found.size])
    sizes, out = np.zeros(room.size, np.int64), np.empty(int(room.sum()), np.uint64)
    table = np.zeros(5 * int(room.max(initial=0)) + 16, np.uint64)
    used = build_sets(raw, piece.starts, piece.text_ends, taken, table, out, sizes)
    return out[:used], sizes


def _built_again(piece: Shingled, taken: NDArray[np.bool_]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return what `_build` would; only samples of which other texts are taken than before are made anew."""
    built = piece.built
    assert built is not None
    values = built.values
    if values is None:
        assert piece.store is not None
        values = piece.store.read(built.at, int(built.sizes.sum()))
    changed = _per_sample((taken != built.taken).astype(np.int64), piece) > 0
    if not changed.any():
        return values, built.sizes
    fresh, fresh_sizes = _build(piece, taken & np.repeat(changed, np.diff(piece.text_ends)))
    sizes = np.where(changed, fresh_sizes, built.sizes)
    is_fresh = np.repeat(changed, sizes)
    out = np.empty(is_fresh.size, np.uint64)
    out[is_fresh] = fresh
    out[~is_fresh] = values[np.repeat(~changed, built.sizes)]
    return out, sizes


def count_lexemes(pieces: list[Shingled]) -> NDArray[np.int64]:
    """Return the lexemes of every sample."""
    return np.concatenate([np.empty(0, np.int64), *(_per_sample(piece.lexemes, piece) for piece in pieces)])


def _per_sample(values: NDArray[np.integer], piece: Shingled) -> NDArray[np.int64]:
    """Sum what is given per text over the texts of each sample."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    out: NDArray[np.int64] = sums[piece.text_ends[1:]] - sums[piece.text_ends[:-1]]
    return out
