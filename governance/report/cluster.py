"""a cluster of duplicates, the dataset store -> its members, and two of them side by side, secrets masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import UsageError
from governance.report.diff import Piece, Row, compare, shown
from governance.report.show import columns
from governance.report.spans import Spans, Texts, visible
from governance.report.tables import largest_clusters
from governance.samples import Text

NARROWEST = 60  # columns of a terminal; below that the sides would hold nothing
MOST = 400_000  # characters of a text that are compared
NUMBER = 5  # columns of a line number

Paint = Callable[[str, str], str]
"""(text, style) -> the text as the terminal gets it. Styles: ``soft``, ``head``, ``old``, ``new``."""

Provenance = Mapping[int, Mapping[str, Any]]
"""``n`` of a sample -> its repository, commit, path, start_line, end_line and licence."""


def plain(text: str, _style: str) -> str:
    """Leave *text* as it is; where nothing is painted, ``^`` under a line marks what differs."""
    return text


def choose_members(duplicates: pa.Table, cluster: int, wanted: Sequence[int] | None) -> tuple[int, int]:
    """
    Return which two members of *cluster* are compared: the kept one and the least similar copy, or *wanted*.

    Args:
        wanted: one or two ``n``; one stands for itself against the kept sample.

    Raises:
        UsageError: no such cluster, or *wanted* names what is no member of it.
    """
    rows = duplicates.filter(pc.equal(duplicates["cluster"], cluster))
    if not rows.num_rows:
        known = ", ".join(str(c["cluster"]) for c in largest_clusters(duplicates, 5, 1))
        raise UsageError(f"cluster {cluster} is not in this run; the largest are {known or 'none'}")
    if wanted is None:
        least = rows.sort_by([("similarity", "ascending"), ("n", "ascending")])
        return cluster, least["n"][0].as_py()
    chosen = [cluster, *wanted] if len(wanted) == 1 else list(wanted)
    members = {cluster, *rows["n"].to_pylist()}
    if strange := [n for n in chosen if n not in members]:
        raise UsageError(f"--members: {strange[0]} is no member of cluster {cluster}; `--cluster {cluster}` lists them")
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        found = ", ".join(map(str, wanted))
        raise UsageError(f"--members {found}: expected two different members, or one to hold against the kept sample")
    return chosen[0], chosen[1]


def show_cluster(
    duplicates: pa.Table,
    cluster: int,
    members: tuple[int, int],
    spans: Spans,
    texts: Texts,
    provenance: Provenance,
    *,
    limit: int = 20,
    width: int = 120,
    paint: Paint = plain,
) -> Iterator[str]:
    """
    Yield the list of the members of *cluster*, then the two *members* side by side, line by line.

    Args:
        duplicates: schema `samples.DUPLICATES`; renamed copies may stand among them.
        spans: decides what is masked; without its ``scanner`` nothing is looked at a second time.
        texts: ``n`` -> texts of the two members.
        limit: the most members that are listed.
        width: columns of the whole, at least 60.
        paint: how a terminal marks what differs; without it ``^`` stands below.
    """
    rows = duplicates.filter(pc.equal(duplicates["cluster"], cluster))
    listed = rows.slice(0, limit).to_pylist()
    rest = rows.slice(limit)
    shown_rows = rest.filter(pc.is_in(rest["n"], pa.array(members, pa.int64()))).to_pylist()
    facts = {r["n"]: r for r in [*listed, *shown_rows]}
    facts[cluster] = {"file": rows["kept_file"][0].as_py(), "row": rows["kept_row"][0].as_py(), "kind": "kept"}
    renamed = pc.sum(pc.equal(rows["kind"], "renamed")).as_py() or 0
    says = f"cluster {cluster}: {rows.num_rows + 1:,} samples, {rows.num_rows - renamed:,} of them removable"
    yield paint(says + (f", {renamed:,} renamed" if renamed else ""), "head")
    for n in [cluster, *(r["n"] for r in [*listed, *shown_rows])]:
        mark = ">" if n in members else " "
        yield f"{mark} {n:>8}  {_says(facts[n], provenance.get(n, {}), spans)}"
    if (left := rows.num_rows - len(listed) - len(shown_rows)) > 0:
        yield f"and {left:,} more"
    heads = [f"{n}  {_says(facts[n], provenance.get(n, {}), spans)}" for n in members]
    yield from _side_by_side(members, heads, spans, texts, max(width, NARROWEST), paint)


def _says(row: Mapping[str, Any], origin: Mapping[str, Any], spans: Spans) -> str:
    """Place, kind, similarity with the kept sample, and where the sample came from, masked."""
    out = [f"{row['file']}#{row['row']}", row["kind"]]
    if row.get("similarity") is not None and row["kind"] != "exact":
        out.append(f"{row['similarity']:.3f}")
    place = "/".join(str(origin[key]) for key in ("repository", "path") if origin.get(key))
    if origin.get("start_line") is not None:
        place += f":{origin['start_line']}-{origin['end_line'] or ''}".rstrip("-")
    out += [part for part in (place, str(origin.get("licence") or "")) if part]
    return visible("  ".join([spans.scanner.masked(part) for part in out] if spans.scanner else out))


def _side_by_side(
    members: tuple[int, int], heads: list[str], spans: Spans, texts: Texts, width: int, paint: Paint
) -> Iterator[str]:
    room = (width - 3) // 2 - NUMBER - 1
    yield ""
    for line in _lines(Row("changed", None, (Piece(heads[0]),), None, (Piece(heads[1]),)), room, plain):
        yield paint(line, "head")
    left, right = ({t.field: t for t in texts(n) if t.text} for n in members)
    for field in dict.fromkeys([*left, *right]):
        yield ""
        sides = [(n, side.get(field) or Text(field, "", "")) for n, side in zip(members, (left, right), strict=True)]
        a, b = (t.text[:MOST] for _, t in sides)
        rows = compare(a, b, *(spans.masks_in(n, t, 0, min(len(t.text), MOST)) for n, t in sides))
        same = all(row.kind in ("equal", "gap") for row in rows)
        yield paint(visible(field) + (": equal as shown" if same else ""), "head")
        for row in rows:
            yield from _lines(row, room, paint)
        if any(len(t.text) > MOST for _, t in sides):
            yield paint(f"{'':>{NUMBER}} … only the first {MOST:,} characters are compared", "soft")


def _lines(row: Row, room: int, paint: Paint) -> list[str]:
    """One row as lines of a terminal: what is longer than *room* columns goes on below."""
    if row.kind == "gap":
        return [paint(f"{'':>{NUMBER}} … {row.count:,} more {'line' if row.count == 1 else 'lines'}", "soft")]
    sides = [_wrapped(row.left, room), _wrapped(row.right, room)]
    numbers = [row.left_number, row.right_number]
    middle = {"equal": " ", "changed": "|", "left": "<", "right": ">"}[row.kind]
    out = []
    for k in range(max(1, len(sides[0]), len(sides[1]))):
        parts, below = [], []
        for side, number, style in zip(sides, numbers, ("old", "new"), strict=True):
            pieces = side[k] if k < len(side) else []
            said = str(number) if number is not None and k == 0 else ""
            used = sum(columns(text) for text, _ in pieces)
            drawn = "".join(paint(text, style) if marked else text for text, marked in pieces)
            parts.append(paint(f"{said:>{NUMBER}} ", "soft") + drawn + " " * (room - used))
            marks = "".join(("^" if marked else " ") * columns(text) for text, marked in pieces)
            below.append(" " * (NUMBER + 1) + marks.ljust(room))
        out.append(f"{parts[0]} {middle} {parts[1]}".rstrip())
        if paint is plain and row.kind == "changed" and "^" in "".join(below):
            out.append(f"{below[0]}   {below[1]}".rstrip())
    return out


def _wrapped(pieces: Sequence[Piece], room: int) -> list[list[tuple[str, bool]]]:
    """Break *pieces* into lines of at most *room* columns: (text, marked) parts."""
    lines: list[list[tuple[str, bool]]] = [[]]
    used = 0
    for piece in pieces:
        text = shown(piece)
        start = 0
        for k, character in enumerate(text):
            wide = columns(character)
            if used + wide > room:
                lines[-1].append((text[start:k], piece.marked))
                lines.append([])
                start, used = k, 0
            used += wide
        lines[-1].append((text[start:], piece.marked))
    return [[part for part in line if part[0]] for line in lines]
