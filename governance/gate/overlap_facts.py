"""the table of overlaps -> what the evidence says of them: counts per class, source and licence. No text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from governance.settings import Overlap

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SOURCES = 20  # sources that the evidence names; overlaps.parquet has all
NAMED = 20  # undecidable items that it names


def overlap_facts(
    con: DuckDBPyConnection, compared: Sequence[str], settings: Overlap, items: int, undecidable: Sequence[str],
    mask: Callable[[str], str] = str,
) -> dict[str, Any] | None:  # fmt: skip
    """
    Return what was compared and found; None where nothing was compared, which is not the same as nothing found.

    Args:
        compared: the overlap metrics that something was compared for.
        settings: as judged with, so that its digests name every source.
        items: benchmark items that were looked for.
        undecidable: names of those that are too common to judge by.
        mask: hides what is sensitive in the name of a source; those of the table are masked already.
    """
    if not compared and not settings.digests:
        return None
    kinds = (("index", settings.indexes), ("benchmark", settings.benchmarks), ("held-out", settings.held_out))
    return {
        "compared": list(compared),
        "sources": [
            {"name": mask(name), "kind": kind, "digest": settings.digests[name]}
            for kind, names in kinds
            for name in names
        ],
        "least": settings.least,
        "threshold": settings.threshold,
        "samples": _one(con, 'select count(distinct n) from "overlaps" where allowed is not true'),
        "allowed": _one(con, 'select count(distinct n) from "overlaps" where allowed'),
        "classes": _rows(con, "class", "class"),
        "licences": _rows(con, "coalesce(source_licence, '') as licence", "licence"),
        "top": _dicts(
            con,
            "select source, class, coalesce(source_licence, '') as licence, index, count(distinct n) as samples,"
            " count(*) as places, max(lexemes) as longest, max(score) as score, bool_or(allowed) as allowed"
            ' from "overlaps" group by source, class, licence, index'
            f" order by samples desc, longest desc, source, class, index, licence limit {SOURCES}",
        ),
        "items": items,
        "undecidable": {"count": len(undecidable), "names": list(undecidable[:NAMED])},
    }


def _rows(con: DuckDBPyConnection, column: str, name: str) -> list[dict[str, Any]]:
    return _dicts(
        con,
        f'select {column}, count(distinct n) as samples, count(*) as places from "overlaps" where allowed is not true'
        f" group by 1 order by samples desc, {name}",
    )


def _one(con: DuckDBPyConnection, sql: str) -> int:
    return int(con.execute(sql).fetchall()[0][0])


def _dicts(con: DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    result = con.execute(sql)
    names = [d[0] for d in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
