"""runs of texts with sources -> the sources worth a row: the longest runs, and whatever else alone shows a stretch.

Ten thousand files share a licence header, and a hundred versions of a package most of a module. To name all of them
costs time and tells nobody anything. A source is passed over only if every stretch of its runs lies in runs of enough
other sources that are named, and those with the longest runs are named first. So what a single source shows is always
named, and of what many show the best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import boolean, int32, int64, void

from governance.kernels import FLAGS, I64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLACK = 2  # lexemes at the ends of an unproved run that need no cover: half bytes agree by chance once in 16


@kernel()
def _cover(groups: Any, at: Any, lengths: Any, i: int, window: int, marks: Any, covers: Any, shorts: Any) -> None:
    """Count run *i*: its source covers the windows that start in it, each once."""
    if lengths[i] < window:
        shorts[at[i]] += 1
        return
    for place in range(at[i], at[i] + lengths[i] - window + 1):
        if marks[place] != groups[i]:
            marks[place] = groups[i]
            covers[place] += 1


@kernel(void(I64, I64, I64, int64, int32[::1], int32[::1]))
def cover_runs(groups: Any, at: Any, lengths: Any, window: int, covers: Any, shorts: Any) -> None:
    """
    Count, per lexeme of the query, how many groups have a run that holds the *window* lexemes from there on.

    Args:
        groups: equal for the runs of one text and source, which stand together.
        covers: filled, per lexeme of the query.
        shorts: filled: how many runs that are shorter than the window start there.
    """
    marks = np.full(covers.size, -1, np.int64)
    for i in range(at.size):
        _cover(groups, at, lengths, i, window, marks, covers, shorts)


@kernel()
def _shown(at: int, length: int, window: int, slack: int, limit: int, covers: Any, shorts: Any) -> bool:
    """Whether enough sources cover every window of a run, or any of them where the run is hardly longer than one."""
    if length < window:
        return bool(shorts[at] >= limit)
    low, high = at + slack, at + length - window - slack
    if low > high:
        most = 0
        for place in range(at, at + length - window + 1):
            most = max(most, covers[place])
        return most >= limit
    fewest = limit
    for place in range(low, high + 1):
        fewest = min(fewest, covers[place])
    return fewest >= limit


@kernel(void(I64, I64, I64, FLAGS, int64, int64, int64, int32[::1], int32[::1], boolean[::1]))
def choose_groups(
    groups: Any, at: Any, lengths: Any, forced: Any, window: int, slack: int, limit: int, covers: Any, shorts: Any,
    out: Any,
) -> None:  # fmt: skip
    """
    Write per run whether its group is needed: it has a window that fewer than *limit* groups before it cover.

    Args:
        groups: as for `cover_runs`; the first ones have precedence.
        forced: runs whose group is needed in any case.
        covers, shorts: of what is known already; what is chosen is added to them.
    """
    marks = np.full(covers.size, -1, np.int64)
    first = 0
    while first < at.size:
        last = first
        needed = False
        while last < at.size and groups[last] == groups[first]:
            needed |= forced[last] or not _shown(at[last], lengths[last], window, slack, limit, covers, shorts)
            last += 1
        for i in range(first, last):
            out[i] = needed
            if needed:
                _cover(groups, at, lengths, i, window, marks, covers, shorts)
        first = last


@kernel(void(I64, I64, I64, I64, I64, I64, I64, int64[::1]))
def count_holders(
    texts: Any, at: Any, lengths: Any, of: Any, groups: Any, starts: Any, sizes: Any, out: Any
) -> None:  # fmt: skip
    """
    Write per run how many groups have a run around it, itself included.

    Args:
        texts, at, lengths: runs, by text.
        of, groups, starts, sizes: text, group, first lexeme and length of the runs of all groups, by text and group.
    """
    first = last = 0
    for i in range(at.size):
        while first < of.size and of[first] < texts[i]:
            first += 1
        last = max(first, last)
        while last < of.size and of[last] == texts[i]:
            last += 1
        holder = -1
        out[i] = 0
        for k in range(first, last):
            if starts[k] <= at[i] and starts[k] + sizes[k] >= at[i] + lengths[i] and groups[k] != holder:
                holder = groups[k]
                out[i] += 1


@kernel(void(I64, I64, I64, boolean[::1]))
def outer_runs(groups: Any, at: Any, lengths: Any, out: Any) -> None:
    """Write per run whether it lies in no other of its group; sorted by (group, at, -length), equal ones: the first."""
    group, reach = -1, 0
    for i in range(at.size):
        if groups[i] != group:
            group, reach = groups[i], 0
        end = at[i] + lengths[i]
        out[i] = end > reach
        reach = max(reach, end)


def group_runs(
    text: NDArray[np.int64], source: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return (order, groups): runs by text, its sources with the longest runs first, and numbers of the groups so ordered.

    Equal lengths go by the number of the source, so the order depends on nothing but the runs.
    """
    if not text.size:
        return text, text
    order = np.lexsort((source, text))
    text, source = text[order], source[order]
    new = np.ones(order.size, np.bool_)
    new[1:] = (text[1:] != text[:-1]) | (source[1:] != source[:-1])
    heads = np.flatnonzero(new)
    best = np.maximum.reduceat(lengths[order], heads)
    ranked = np.lexsort((source[heads], -best, text[heads]))
    ranks = np.empty(heads.size, np.int64)
    ranks[ranked] = np.arange(heads.size)
    groups = ranks[np.cumsum(new) - 1]
    again = np.argsort(groups, kind="stable")
    return order[again], groups[again]
