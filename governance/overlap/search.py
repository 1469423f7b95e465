"""lexemes of query texts, segments of an index -> the runs they share, the rare evidence first.

Every gram of the query is looked up, and its places are grown (`runs.find_hints`). Those that stand in few places are
grown at once. A gram that stands in more than 200 (a licence header, an idiom) is grown only where no run that has
been found holds it already, so it costs nothing beside rarer evidence, and where it is the only evidence it is not
passed over. What is grown is proved (`runs.prove_hints`) only for the sources that are to be named (`choose`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from governance.overlap.choose import SLACK, choose_groups, cover_runs, group_runs
from governance.overlap.index import VIEWS, Segment
from governance.overlap.keyed import keyed_hashes
from governance.overlap.runs import (
    NO_HINTS,
    NO_RUNS,
    Query,
    Runs,
    chain_places,
    find_hints,
    join_hints,
    join_runs,
    prove_hints,
)
from governance.overlap.winnow import GUARANTEED, K, W, all_grams, judge_runs, probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOT = 200  # places; a gram that stands more often waits
SLICE = 1 << 20  # places of rare grams that are grown together
ROUND = 4_000  # places of hot grams per text that are grown together
BUDGET = 200_000  # places of hot grams per text; then it is named as unfinished


class Search:
    """
    The search for the runs of one view.

    Args:
        size: lexemes of a gram; below K, of the whole sources that are looked for.
        least: lexemes of the shortest run, if it is not a whole source text.
        limit: sources that are named for a stretch.

    Attributes:
        runs: what was found and proved, in no order.
        hints: what was not proved, because enough other sources show it.
        unfinished: query texts that have hot grams which nothing explains, and more places of them than the budget.
    """

    def __init__(
        self, segments: Sequence[Segment], view: str, query: Query, *, least: int, limit: int, size: int = K,
        key: bytes | None = None,
    ) -> None:  # fmt: skip
        self._segments = segments
        self._view = view
        self._query = query
        self._size = size
        self._least = least
        self._limit = limit
        self._keyed = key is not None
        self.runs, self.hints = NO_RUNS, NO_HINTS
        self._fresh, self._done = NO_HINTS, NO_HINTS  # hints that may be needed, and those that were proved
        self.unfinished = np.empty(0, np.int64)
        self._probe(key)
        self._run()

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
        self._low = low[:, met]
        self._counts = high[:, met] - self._low
        self._places = self._counts.sum(axis=0)
        self._open = np.zeros(met.size, np.bool_)  # grams of which not every place has been looked at
        self._hot = self._places > HOT
        if int(self._places.sum()) <= HOT:
            return
        # k places of what stands n times in one text are n * k pairs.
        order = np.lexsort((hashes[met], self._text))
        same = np.zeros(met.size, np.bool_)
        h, t = hashes[met][order], self._text[order]
        same[1:] = (h[1:] == h[:-1]) & (t[1:] == t[:-1])
        group = np.cumsum(~same) - 1
        repeats = np.empty(met.size, np.int64)
        repeats[order] = np.bincount(group)[group]
        self._hot = self._places * repeats > HOT

    def _run(self) -> None:
        rare = np.flatnonzero(~self._hot)
        if rare.size:
            pairs = np.cumsum(self._places[rare])
            cuts = np.searchsorted(pairs, np.arange(SLICE, int(pairs[-1]), SLICE))
            for part in np.split(rare, cuts):
                self._grow(part, np.zeros(part.size, np.int64), self._places[part])
            self._prove()
        hot = np.flatnonzero(self._hot)
        if hot.size:
            self._run_hot(hot[np.lexsort((self._places[hot], self._text[hot]))])
        self.hints = self._fresh

    def _run_hot(self, hot: NDArray[np.int64]) -> None:
        """Grow hot grams, which are sorted by text, in rounds; what is done for a text depends on no other text."""
        done = np.zeros(hot.size, np.int64)
        self._open[hot] = True
        text, at = self._text[hot], self._at[hot]
        spent = np.zeros(self._query.ends.size - 1, np.int64)
        while True:
            reach = np.zeros(self._query.values.size + 1, np.int64)  # per lexeme, where the runs that start there end
            np.maximum.at(reach, self.runs.at, self.runs.at + self.runs.lexemes)
            reach = np.maximum.accumulate(reach)
            left = (reach[at] < at + self._size) & (done < self._places[hot])
            open_ = np.flatnonzero(left & (spent[text] < BUDGET))
            if not open_.size:
                break
            open_ = open_[np.lexsort((done[open_], text[open_]))]  # stable: of equal ones the rarest first
            take = np.minimum(self._places[hot[open_]] - done[open_], HOT)
            before = np.cumsum(take) - take
            heads = np.searchsorted(text[open_], text[open_])
            chosen = before - before[heads] < ROUND
            open_, take = open_[chosen], take[chosen]
            by_place = np.argsort(hot[open_])
            self._grow(hot[open_][by_place], done[open_][by_place], take[by_place])
            self._prove()
            done[open_] += take
            self._open[hot] = done < self._places[hot]
            np.add.at(spent, text[open_], take)
        self.unfinished = np.unique(text[left])

    def _grow(self, grams: NDArray[np.int64], skip: NDArray[np.int64], take: NDArray[np.int64]) -> None:
        """Grow the places ``[skip, skip + take)`` of each of *grams*, counted through all segments."""
        before = np.zeros(grams.size, np.int64)
        hints, runs = [self._fresh], [self.runs]
        at = self._at[grams]
        for number, segment in enumerate(self._segments):
            here = self._counts[number, grams]
            first = np.clip(skip - before, 0, here)
            size = np.clip(skip + take - before, 0, here) - first
            before += here
            if not size.any():
                continue
            low = self._low[number, grams] + first
            if self._keyed:
                chained = chain_places(segment, number, self._view, self._query, at, low, size)
                runs.append(chained.where(chained.lexemes + 2 * (W - 1) >= self._least))
            else:
                hints.append(find_hints(segment, number, self._view, self._query, at, low, size, self._least))
        self._fresh = join_hints(hints, self._done)
        if self._keyed:
            self.runs = join_runs(runs)

    def _prove(self) -> None:
        """Prove hints until every one that is left lies in runs of enough sources."""
        window = min(self._least, GUARANTEED)
        while self._fresh.at.size:
            hints = self._fresh
            order, groups = group_runs(hints.text, hints.source, hints.lexemes)
            hints = hints.where(order)
            covers, shorts = (np.zeros(self._query.values.size + 1, np.int32) for _ in range(2))
            proved, own = group_runs(self.runs.text, self.runs.source, self.runs.lexemes)
            cover_runs(own, self.runs.at[proved], self.runs.lexemes[proved], window, covers, shorts)
            forced = np.zeros(hints.at.size, np.bool_)
            if own.size:  # a source that is named is named with all of its runs
                span = int(max(hints.source.max(), self.runs.source.max())) + 1
                forced = np.isin(hints.text * span + hints.source, self.runs.text * span + self.runs.source)
            needed = np.empty(hints.at.size, np.bool_)
            choose_groups(
                groups, hints.at, hints.lexemes, forced, window, SLACK, self._limit, covers, shorts, needed
            )  # fmt: skip
            if not needed.any():
                break
            runs = prove_hints(self._segments, self._view, self._query, hints.where(needed), self._least)
            self.runs = join_runs([self.runs, runs])
            self._done = join_hints([self._done, hints.where(needed)])
            self._fresh = hints.where(~needed)

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
