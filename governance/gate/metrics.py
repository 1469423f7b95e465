"""a run's tables -> numbers and distributions that the evidence shows. Gates judge; this only counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PER_ROW = (
    "select s.sample_id, t.n, sum(declared) d, sum(effective) e"
    " from stories t join sample_rows s using (n) group by all"
)
LENGTH_BINS = (0, 1, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
"""Lower edges of the length histogram, code points per sample."""

LANGUAGES = (
    "bash", "c", "c#", "c++", "clojure", "cobol", "cpp", "csharp", "css", "dart", "de", "elixir", "en", "erlang", "es",
    "fr", "go", "groovy", "haskell", "html", "ja", "java", "javascript", "json", "julia", "kotlin", "ko", "lua",
    "markdown", "matlab", "objective-c", "ocaml", "perl", "php", "plsql", "powershell", "pt", "python", "r", "ru",
    "ruby", "rust", "scala", "shell", "sql", "swift", "typescript", "vue", "xml", "yaml", "zh",
)  # fmt: skip
"""Values of the column ``language`` that a report names; any other is a word of the dataset and counts as *other*."""


def dataset_facts(con: DuckDBPyConnection) -> dict[str, Any]:
    """Return distinct samples, the most repeated one with its first place, and the number of code points."""
    distinct = _row(con, "select count(distinct sample_id) from sample_rows")[0]
    characters = _row(con, "select coalesce(sum(length(text)), 0)::bigint from texts")[0]
    top = con.execute(
        "select count(*), min_by(file, n), min_by(row, n) from sample_rows group by sample_id"
        " order by 1 desc, min(n) limit 1"
    ).fetchall()
    count, file, row = top[0] if top else (0, None, None)
    return {
        "distinct": distinct,
        "most_repeated": {"count": count, "file": file, "row": row},
        "characters": characters,
    }


def metric_values(con: DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return the metrics that stand beside the gates: ``{name: {value, checked, failed, unit, of}}``."""
    out: dict[str, dict[str, Any]] = {}
    samples = _row(con, "select count(*) from sample_rows")[0]
    distinct = _row(con, "select count(distinct sample_id) from sample_rows")[0]
    _put(out, "samples.repeated", samples, samples - distinct, "samples")
    empty = _row(
        con,
        "select count(*) from sample_rows s"
        " where not exists (from texts t where t.n = s.n and t.role = 'output' and t.text <> '')",
    )[0]
    _put(out, "samples.without_output", samples, empty, "samples")
    per_row = PER_ROW
    rows, one, none_effective, most = _row(
        con,
        f"select count(*), count(*) filter (d = 1), count(*) filter (e = 0), count(*) filter (e >= 3) from ({per_row})",
    )
    if rows:
        _put(out, "stories.rows_with_one_criterion", samples, one, "samples")
        _put(out, "stories.rows_without_effective_criterion", samples, none_effective, "samples")
        _put(out, "stories.rows_with_three_effective_criteria", samples, most, "samples")
        d_rows, d_one, d_none = _row(
            con,
            f"select count(*), count(*) filter (d = 1), count(*) filter (e = 0) "
            f" from (select sample_id, any_value(d) d, any_value(e) e from ({per_row}) group by 1)",
        )
        _put(out, "stories.distinct_with_one_criterion", distinct, d_one, "samples")
        _put(out, "stories.distinct_without_effective_criterion", d_rows, d_none, "samples")
        stories, declared, effective = _row(
            con, "select count(*), sum(declared)::bigint, sum(effective)::bigint from stories"
        )
        out["stories.declared_mean"] = _mean(declared, stories)
        out["stories.effective_mean"] = _mean(effective, stories)
    return out


def finding_counts(con: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return findings and samples per rule, most findings first; accepted ones counted apart."""
    return _dicts(
        con,
        """
        select rule, any_value(severity) severity, count(*) findings, count(distinct n) samples,
               count(*) filter (accepted) accepted
        from findings group by rule order by findings desc, rule
        """,
    )


def duplicate_facts(con: DuckDBPyConnection, threshold: float) -> dict[str, Any]:
    """
    Return copies per kind, the number of clusters and the size of the largest, its kept sample included.

    ``exact`` counts samples beyond the first of equal ones; ``lexemes`` and ``near`` count distinct texts.
    """
    exact = _row(con, "select count(*) - count(distinct sample_id) from sample_rows")[0]
    kinds = dict(
        con.execute(
            "select kind, count(distinct sample_id) from duplicates where kind <> 'exact' group by kind"
        ).fetchall()
    )
    clusters, largest = _row(
        con,
        "select count(*), coalesce(max(size), 0) from (select count(*) + 1 as size from duplicates group by cluster)",
    )
    return {
        "exact": exact,
        "lexemes": kinds.get("lexemes", 0),
        "near": kinds.get("near", 0),
        "clusters": clusters,
        "largest": largest,
        "threshold": threshold,
    }


def distributions(con: DuckDBPyConnection) -> dict[str, Any]:
    """Return the histograms that the report plots: lengths, criteria per sample, languages, cluster sizes."""
    edges = ", ".join(str(e) for e in LENGTH_BINS)
    lengths = dict(
        con.execute(
            f"select list_max(list_filter([{edges}], lambda e: e <= size)) bin, count(*)"
            " from (select n, sum(length(text)) size from texts group by n) group by 1"
        ).fetchall()
    )
    per_row = "select n, sum(declared) d, sum(effective) e from stories group by n"
    criteria = {
        kind: {
            str(k): v
            for k, v in con.execute(f"select {c}::int, count(*) from ({per_row}) group by 1 order by 1").fetchall()
        }
        for kind, c in (("declared", "d"), ("effective", "e"))
    }
    distinct = con.execute(
        "select d::int, count(*) from (select sample_id, any_value(d) d from (select s.sample_id, t.n, sum(declared) d"
        " from stories t join sample_rows s using (n) group by all) group by 1) group by 1 order by 1"
    ).fetchall()
    languages = con.execute(
        """
        select coalesce(if(lower(s.language) in (select unnest($known::varchar[])), lower(s.language), null),
                        if(regexp_matches(left(t.text, 400), '[\\x{4e00}-\\x{9fff}]'), 'zh', 'other')),
               count(distinct s.n)
        from sample_rows s left join texts t on t.n = s.n and t.role = 'output'
        group by 1 order by 2 desc, 1
        """,
        {"known": list(LANGUAGES)},
    ).fetchall()
    sizes = con.execute(
        "select size, count(*) from (select count(*) + 1 as size from duplicates group by cluster)"
        " group by 1 order by 1"
    ).fetchall()
    return {
        "lengths": {"bins": list(LENGTH_BINS), "counts": [lengths.get(e, 0) for e in LENGTH_BINS]},
        "criteria": criteria,
        "criteria_distinct": {str(k): v for k, v in distinct},
        "languages": dict(languages),
        "cluster_sizes": {str(k): v for k, v in sizes},
    }


def _put(out: dict[str, dict[str, Any]], name: str, checked: int, failed: int, of: str) -> None:
    value = failed / checked if checked else None
    out[name] = {"value": value, "checked": checked, "failed": failed, "unit": "rate", "of": of}


def _mean(total: int, count: int) -> dict[str, Any]:
    return {"value": total / count, "checked": count, "failed": total, "unit": "mean", "of": "stories"}


def _row(con: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    return con.execute(sql).fetchall()[0]


def _dicts(con: DuckDBPyConnection, sql: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
    result = con.execute(sql, parameters or [])
    names = [d[0] for d in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
