"""samples, duplicates of a run -> how often each row stands in the dataset, and what removing the copies costs.

Copy counts
    The *copies* of a row are the samples of its cluster: the kept one and all that it stands for, itself included; a
    row without a duplicate has one. Its *exact copies* are the samples with the same texts. A study that tuned models
    on code counted exact occurrences in the same four classes (1, 2, 3, more), so both are given in these.

Cost
    Every row of DUPLICATES counts as removed, in its own step and repository; words are those of the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from governance.ledger import count_words

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SIZES = ((2, 2), (3, 3), (4, 10), (11, 100), (101, None))
"""Classes of cluster sizes: least and most samples, the kept one included."""

LARGEST = 10  # clusters that are named
GROUPS = 20  # steps, and repositories, that are named; the rest is one line
LONGEST = 80  # characters of a name that is shown
_NAME = re.compile(rf"[\w.@:/+~ -]{{1,{LONGEST}}}")


@dataclass(frozen=True)
class Search:
    """
    How near-duplicates were searched.

    Attributes:
        method: ``exact`` (prefix-filter join) or ``minhash``.
        threshold: least Jaccard similarity of a pair.
        compared: pairs whose similarity was counted.
        pairs: those of them that reach the threshold.
        permutations, bands, rows: of the signatures; None for ``exact``.
        expected_recall: share of the pairs at the threshold or above that the method finds: 1.0 where it follows from
            the construction, else its expected value.
        measured_recall: the same, counted against an exact search for *measured_on* samples, which has *measured_pairs*
            pairs; None if it was not, or there is no pair.
    """

    method: str
    threshold: float
    compared: int
    pairs: int
    permutations: int | None = None
    bands: int | None = None
    rows: int | None = None
    expected_recall: float = 1.0
    measured_recall: float | None = None
    measured_on: int | None = None
    measured_pairs: int | None = None


def copy_facts(
    con: DuckDBPyConnection, samples: pa.Table, search: Search | None, mask: Callable[[str], str]
) -> dict[str, Any]:
    """
    Return what `evidence.json` says on duplicates beside their number.

    Args:
        con: the tables ``sample_rows`` and ``duplicates`` of a run.
        samples: schema `samples.SAMPLES`, ordinals from 0.
        search: None where no search ran.
        mask: hides what is sensitive in the name of a step or repository; names of files are masked when read.

    Returns:
        ``search``; ``sizes``: clusters and samples in clusters per class of `SIZES`; ``largest_clusters``; ``copies``:
        rows per copy count, of any kind and exact; ``removal``: rows and words, in all, per step and repository.
    """
    return {
        "search": asdict(search) if search else None,
        "sizes": _sizes(con),
        "largest_clusters": _largest(con),
        "copies": {"all": _rows_by_copies(con, _CLUSTERED), "exact": _rows_by_copies(con, _EQUAL)},
        "removal": _removal(con, samples, mask),
    }


_CLUSTERS = "select cluster, count(*) + 1 as size from duplicates group by cluster"
# A row of `sample_rows` that no cluster names is its own; `n` is unique there.
_CLUSTERED = """
    with named as (select n, cluster from duplicates union all select distinct cluster, cluster from duplicates)
    select count(*) as copies from sample_rows s left join named d using (n) group by coalesce(d.cluster, s.n)
"""
_EQUAL = "select count(*) as copies from sample_rows group by sample_id"


def _sizes(con: DuckDBPyConnection) -> list[dict[str, Any]]:
    out = []
    for low, high in SIZES:
        most = "" if high is None else f" and size <= {high}"
        clusters, rows = con.execute(
            f"select count(*), coalesce(sum(size), 0)::bigint from ({_CLUSTERS}) where size >= {low}{most}"
        ).fetchall()[0]
        out.append({"from": low, "to": high, "clusters": clusters, "samples": rows})
    return out


def _largest(con: DuckDBPyConnection) -> list[dict[str, Any]]:
    rows = con.execute(
        f"select c.cluster, c.size, s.file, s.row from ({_CLUSTERS}) c join sample_rows s on s.n = c.cluster"
        f" order by c.size desc, c.cluster limit {LARGEST}"
    ).fetchall()
    return [{"cluster": c, "size": size, "file": file, "row": row} for c, size, file, row in rows]


def _rows_by_copies(con: DuckDBPyConnection, groups: str) -> dict[str, int]:
    """Rows that have 1, 2, 3 and more copies; the four add up to the samples."""
    names = ("1", "2", "3", "more")
    found = dict(
        con.execute(
            f"select if(copies > 3, 'more', copies::varchar), sum(copies)::bigint from ({groups}) group by 1"
        ).fetchall()
    )
    return {name: found.get(name, 0) for name in names}


def _removal(con: DuckDBPyConnection, samples: pa.Table, mask: Callable[[str], str]) -> dict[str, Any]:
    con.register("incoming", pa.table({"n": samples["n"], "words": count_words(samples)}))
    con.execute(
        "create or replace temp table costs as select s.step, s.repository, i.words, d.n is not null as removed"
        " from sample_rows s join incoming i using (n) left join duplicates d using (n)"
    )
    con.unregister("incoming")
    sums = (
        "count(*) as rows, count(*) filter (removed) as rows_removed, coalesce(sum(words), 0)::bigint as words,"
        " coalesce(sum(words) filter (removed), 0)::bigint as words_removed"
    )
    whole = _dicts(con, f"select {sums} from costs")[0]
    steps, repositories = (_groups(con, column, sums, mask) for column in ("step", "repository"))
    con.execute("drop table costs")
    return {**whole, "steps": steps, "repositories": repositories}


def _groups(con: DuckDBPyConnection, column: str, sums: str, mask: Callable[[str], str]) -> list[dict[str, Any]]:
    """One line per value of *column*, the one that loses most rows first; what is left over is one more line."""
    rows = _dicts(con, f'select "{column}" as name, {sums} from costs group by 1 order by rows_removed desc, 1')
    most = GROUPS if len(rows) > GROUPS + 1 else len(rows)
    named, rest = rows[:most], rows[most:]
    out = [{**row, "name": shown_name(row["name"], mask), "groups": 1} for row in named]
    if rest:
        counted = {key: sum(row[key] for row in rest) for key in rest[0] if key != "name"}
        out.append({"name": None, **counted, "groups": len(rest)})
    return out


def shown_name(value: str | None, mask: Callable[[str], str]) -> str | None:
    """
    Return the name of a step or repository as a report may show it; None where there is none.

    A metadata column may hold anything, also text of the data, so only what reads like a name is shown, and masked.

    >>> shown_name("shop/orders", str), shown_name("line one\\nline two", str), shown_name(None, str)
    ('shop/orders', '(not a name)', None)
    """
    if not value:
        return None
    return mask(value) if _NAME.fullmatch(value) else "(not a name)"


def _dicts(con: DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    result = con.execute(sql)
    names = [d[0] for d in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
