"""lexemes of query texts, segments of an index -> the runs they share, the rare evidence first.

Every gram of the query is looked up. Those that stand in few places are grown at once. A gram that stands in more than
200 (a licence header, an idiom) is grown only where no run that has been found holds it already, so it costs nothing
beside rarer evidence, and where it is the only evidence it is not passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from governance.overlap.index import VIEWS, Segment
from governance.overlap.keyed import keyed_hashes
from governance.overlap.runs import Query, Runs, chain_places, find_runs, join_runs
from governance.overlap.winnow import K, W, all_grams, judge_runs, probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOT = 200  # places; a gram that stands more often waits
SLICE = 1 << 20  # places of rare grams that are grown together
ROUND = 4_000  # places of hot grams that are grown together
BUDGET = 200_000  # places of hot grams per text; then it is named as unfinished


class Search:
    """
    The search for the runs of one view.

    Attributes:
        unfinished: query texts that have hot grams which nothing explains, and more places of them than the budget.
    """

    def __init__(
        self, segments: Sequence[Segment], view: str, query: Query, size: int = K, key: bytes | None = None
    ) -> None:
        self._segments = segments
        self._view = view
        self._query = query
        self._size = size
        self._keyed = key is not None
        self.unfinished = np.empty(0, np.int64)
        self._probe(key)
        self._found: list[list[Runs]] = [[] for _ in segments]
        self._reach = np.zeros(query.values.size + 1, np.int64)  # per lexeme, where the runs that start there end

    def _probe(self, key: bytes | None) -> None:
        """Look up all grams; keep those that stand somewhere."""
        count = self._query.values.size
        hashes, at, text = np.empty(count, np.uint64), np.empty(count, np.int64), np.empty(count, np.int64)
        used = all_grams(self._query.values, self._query.ends, self._size, hashes, at, text)
        hashes = hashes[:used]
        if key is not None:
            hashes = keyed_hashes(hashes, VIEWS.index(self._view), key)
        low, high = np.empty((len(self._segments), used), np.int64), np.empty((len(self._segments), used), np.int64)
        for number, segment in enumerate(self._segments):
            prints = segment.fingerprints[self._view]
            probe(hashes, prints.bits, prints.directory, prints.rest, low[number], high[number])
        met = np.flatnonzero((high > low).any(axis=0))
        self._at, self._text = at[met], text[met]
        self._low, self._counts = low[:, met], (high - low)[:, met]
        self._places = self._counts.sum(axis=0)
        self._open = np.zeros(met.size, np.bool_)  # grams of which not every place has been looked at
        # k places of what stands n times in one text are n * k pairs.
        order = np.lexsort((hashes[met], self._text))
        same = np.zeros(met.size, np.bool_)
        h, t = hashes[met][order], self._text[order]
        same[1:] = (h[1:] == h[:-1]) & (t[1:] == t[:-1])
        group = np.cumsum(~same) - 1
        repeats = np.empty(met.size, np.int64)
        repeats[order] = np.bincount(group)[group] if met.size else group
        self._hot = self._places * repeats > HOT

    def run(self, least: int) -> list[Runs]:
        """Return per segment the maximal runs of at least *least* lexemes, and those that are a whole source text."""
        rare = np.flatnonzero(~self._hot)
        pairs = np.cumsum(self._places[rare])
        cuts = np.searchsorted(pairs, np.arange(SLICE, int(pairs.max(initial=0)), SLICE))
        for part in np.split(rare, cuts):
            self._grow(part, np.zeros(part.size, np.int64), self._places[part], least)
        hot = np.flatnonzero(self._hot)
        if hot.size:
            self._run_hot(hot[np.argsort(self._places[hot], kind="stable")], least)
        return [join_runs(runs) for runs in self._found]

    def _run_hot(self, hot: NDArray[np.int64], least: int) -> None:
        done = np.zeros(hot.size, np.int64)
        self._open[hot] = True
        spent = np.zeros(self._query.ends.size - 1, np.int64)
        while True:
            reach = np.maximum.accumulate(self._reach)
            left = (reach[self._at[hot]] < self._at[hot] + self._size) & (done < self._places[hot])
            open_ = np.flatnonzero(left & (spent[self._text[hot]] < BUDGET))
            if not open_.size:
                break
            open_ = open_[np.argsort(done[open_], kind="stable")]
            take = np.minimum(self._places[hot[open_]] - done[open_], HOT)
            count = max(1, int(np.searchsorted(np.cumsum(take), ROUND)))
            open_, take = open_[:count], take[:count]
            self._grow(hot[open_], done[open_], take, least)
            done[open_] += take
            self._open[hot] = done < self._places[hot]
            np.add.at(spent, self._text[hot[open_]], take)
        self.unfinished = np.unique(self._text[hot[left]])

    def _grow(self, grams: NDArray[np.int64], skip: NDArray[np.int64], take: NDArray[np.int64], least: int) -> None:
        """Grow the places ``[skip, skip + take)`` of each of *grams*, counted through all segments."""
        before = np.zeros(grams.size, np.int64)
        for number, segment in enumerate(self._segments):
            here = self._counts[number, grams]
            first = np.clip(skip - before, 0, here)
            size = np.clip(skip + take - before, 0, here) - first
            before += here
            total = int(size.sum())
            if not total:
                continue
            owner = np.repeat(grams, size)
            entry = np.arange(total) + np.repeat(self._low[number, grams] + first - (np.cumsum(size) - size), size)
            place = segment.fingerprints[self._view].places[entry].astype(np.int64)
            at, text = self._at[owner], self._text[owner]
            if self._keyed:
                runs = chain_places(segment, self._view, text, at, place)
                runs = runs.where(runs.lexemes + 2 * (W - 1) >= least)
            else:
                runs = find_runs(segment, self._view, self._query, text, at, place, least)
            self._found[number].append(runs)
            np.maximum.at(self._reach, runs.at, runs.at + runs.lexemes)

    def known(self, runs: Runs) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """
        Return per run whether every source that holds all of it has been found, and how many can hold it at most.

        A source keeps a gram of every W in a row. So it has been found if all places of all grams of one such window
        have been looked at, and there are no more such sources than places in the window that has the fewest.
        """
        count = self._query.values.size
        places, open_ = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
        places[self._at + 1], open_[self._at + 1] = self._places, self._open
        complete, most = np.empty(runs.at.size, np.bool_), np.empty(runs.at.size, np.int64)
        grams = np.maximum(runs.lexemes - min(self._size, K) + 1, 1)
        judge_runs(np.cumsum(places), np.cumsum(open_), runs.at, grams, complete, most)
        return complete, most
