"""a run's tables, the dataset store -> flagged places with their lines, secrets and personal data masked."""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pyarrow.compute as pc

from governance.report.spans import Spans, Texts, visible
from governance.report.tables import RunTables
from governance.samples import Text
from governance.scan.sensitive import SensitiveText

CONTEXT = 2  # lines before and after a place
WIDTH = 160  # characters of a line before it is cut around the place

Mask = tuple[int, int, str]


def show_findings(
    tables: RunTables,
    texts: Texts,
    sensitive: Collection[str],
    *,
    rule: str | None = None,
    limit: int = 20,
    reveal: bool = False,
    scanner: SensitiveText | None = None,
) -> Iterator[str]:
    """
    Yield the flagged places of *rule* (default: of all), one block of lines each.

    Args:
        texts: ``n`` of a sample -> its texts, from the dataset store.
        sensitive: ids of the rules whose findings are masked, in their own block and wherever a block touches them.
        limit: the most blocks; a last line says how many more there are.
        scanner: looks at what is shown once more, for secrets that the run's own packs do not know.
        reveal: show secrets and personal data. Control characters stay escaped: a sample must not drive a terminal.
    """
    spans = Spans(texts, frozenset() if reveal else sensitive, tables.findings, scanner=None if reveal else scanner)
    findings = tables.findings if rule is None else tables.findings.filter(pc.equal(tables.findings["rule"], rule))
    for row in findings.slice(0, limit).to_pylist():
        yield _block(row, next((t for t in texts(row["n"]) if t.field == row["field"]), None), spans)
    if findings.num_rows > limit:
        yield f"and {findings.num_rows - limit:,} more"


def _block(row: Mapping[str, Any], text: Text | None, spans: Spans) -> str:
    head = f"{row['file']}#{row['row']} {row['field'] or ''} line {row['line']}  {row['rule']} {row['severity']}"
    if row["detail"]:
        head += f"  ({row['detail']})"
    if row["accepted"]:
        head += "  accepted"
    lines = [visible(head)]
    if text is not None:
        masks = spans.masks_in(row["n"], text, row["start"], row["end"])
        lines += context(text.text, row["start"], row["end"], masks)
    return "\n".join(lines) + "\n"


def context(text: str, start: int, end: int, masks: list[Mask]) -> list[str]:
    """
    Return the line of ``text[start:end]`` with its neighbours, the place marked below, *masks* hidden.

    >>> print(*context("a = 1\\npassword = horse\\n", 17, 22, [(17, 22, "secrets/x")]), sep="\\n")
         1 | a = 1
    >    2 | password = <secrets/x>
           |            ^^^^^^^^^^^
         3 |
    """
    starts = [0] + [i + 1 for i, c in enumerate(text) if c == "\n"]
    here = bisect.bisect_right(starts, start) - 1
    out = []
    for i in range(max(0, here - CONTEXT), min(len(starts), here + CONTEXT + 1)):
        low = starts[i]
        high = starts[i + 1] - 1 if i + 1 < len(starts) else len(text)
        before, marked, after = _pieces(text, low, high, (start, end) if i == here else (high, high), masks)
        mark = ">" if i == here else " "
        out.append(f"{mark} {i + 1:>4} | {before}{marked}{after}".rstrip())
        if i == here:
            out.append(f"       | {' ' * columns(before)}{'^' * max(1, columns(marked))}")
    return out


def _pieces(text: str, low: int, high: int, place: tuple[int, int], masks: list[Mask]) -> tuple[str, str, str]:
    """The line ``text[low:high]`` before, in and after *place*, masked, escaped, and cut to about WIDTH characters."""
    start, end = min(max(place[0], low), high), min(place[1], high)
    for a, b, _ in masks:  # a place that a mask covers in part is marked with the whole mask, or its end would leak
        if a < end and start < b:
            start, end = min(start, max(a, low)), max(end, min(b, high))
    room = max(0, WIDTH - (end - start)) // 2
    left, right = max(low, start - room), min(high, end + room)
    before = ("…" if left > low else "") + _masked(text, left, start, masks)
    after = _masked(text, end, right, masks) + ("…" if right < high else "")
    stop = min(end, start + WIDTH)
    return before, _masked(text, start, stop, masks) + ("…" if stop < end else ""), after


def _masked(text: str, low: int, high: int, masks: list[Mask]) -> str:
    out, at = [], low
    for a, b, rule in masks:
        if b <= at or a >= high:
            continue
        out.append(visible(text[at : max(a, at)]))
        out.append(f"<{rule}>")
        at = min(b, high)
    out.append(visible(text[at:high]))
    return "".join(out)


def columns(text: str) -> int:
    """
    Return how many columns of a terminal *text* takes.

    >>> columns("ab中")
    4
    """
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
