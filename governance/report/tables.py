"""a run folder -> its tables, and the few rows of them that a document needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.errors import WorkspaceError
from governance.samples import DUPLICATES, FINDINGS, QUARANTINE

FINDINGS_ACCEPTED = FINDINGS.append(pa.field("accepted", pa.bool_()))
"""The findings of a run: FINDINGS, and whether the baseline accepts each."""

QUARANTINE_PLACES = pa.schema([f for f in QUARANTINE if f.name != "raw"])
"""The quarantine as a run keeps it: places and reasons, no bytes of a record."""


@dataclass(frozen=True)
class RunTables:
    """The tables of a run that documents are made from; no text in them."""

    findings: pa.Table
    duplicates: pa.Table
    quarantine: pa.Table

    @classmethod
    def read(cls, run: Path) -> RunTables:
        """
        Read the tables of the run folder *run*.

        Raises:
            WorkspaceError: a table is missing, cannot be read, or lacks a column.
        """
        return cls(
            _read(run / "findings.parquet", FINDINGS_ACCEPTED),
            _read(run / "duplicates.parquet", DUPLICATES),
            _read(run / "quarantine.parquet", QUARANTINE_PLACES),
        )


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path, columns=schema.names).cast(schema)
    except FileNotFoundError:
        raise WorkspaceError(f"{path}: is missing, the run is not whole; check the dataset again") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as problem:
        raise WorkspaceError(
            f"{path}: cannot be read ({type(problem).__name__}), expected the columns {', '.join(schema.names)}; "
            "check the dataset again"
        ) from None


def ranks(table: pa.Table, keys: list[str]) -> tuple[Any, Any, int]:
    """
    Number the rows of *table* within their groups of equal *keys*, in table order.

    Returns:
        The group of every row (groups are numbered from 0 in order of first appearance), its rank in the group
        from 0, and the number of groups; the first two are int64 arrays.
    """
    group = np.zeros(table.num_rows, np.int64)
    for key in keys:
        column = table[key].combine_chunks()
        codes = pc.fill_null(pc.dictionary_encode(column, null_encoding="encode").indices, 0).to_numpy(
            zero_copy_only=False
        )
        # Renumbering after each key keeps the product of two code ranges far below 64 bits.
        _, group = np.unique(group * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    first = np.full(int(group.max(initial=-1)) + 1, table.num_rows, np.int64)
    np.minimum.at(first, group, np.arange(table.num_rows))
    by_appearance = np.empty_like(first)
    by_appearance[np.argsort(first, kind="stable")] = np.arange(len(first))
    group = by_appearance[group] if len(first) else group
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=len(first))
    rank = np.empty(table.num_rows, np.int64)
    rank[order] = np.arange(table.num_rows) - np.repeat(np.cumsum(counts) - counts, counts)
    return group, rank, len(first)


def first_places(findings: pa.Table, per_rule: int) -> dict[str, list[dict[str, Any]]]:
    """Return the first *per_rule* findings of every rule that are not accepted, as rows, by rule."""
    open_findings = findings.filter(pc.invert(findings["accepted"]))
    _, rank, _ = ranks(open_findings, ["rule"])
    out: dict[str, list[dict[str, Any]]] = {}
    for row in open_findings.filter(pa.array(rank < per_rule)).to_pylist():
        out.setdefault(row["rule"], []).append(row)
    return out


def largest_clusters(duplicates: pa.Table, most: int, members: int) -> list[dict[str, Any]]:
    """
    Return the *most* largest clusters, by falling size, each with its kept place and first *members* removed ones.

    Keys: ``cluster``, ``size`` (kept sample included), ``kinds`` ({kind: removed}), ``kept`` and ``removed`` rows.
    """
    if not duplicates.num_rows:
        return []
    sizes = duplicates.group_by("cluster").aggregate([([], "count_all")])
    sizes = sizes.sort_by([("count_all", "descending"), ("cluster", "ascending")]).slice(0, most)
    out = []
    for cluster, removed in zip(sizes["cluster"].to_pylist(), sizes["count_all"].to_pylist(), strict=True):
        rows = duplicates.filter(pc.equal(duplicates["cluster"], cluster))
        kinds = rows.group_by("kind").aggregate([([], "count_all")]).sort_by("kind")
        first = rows.slice(0, members).to_pylist()
        out.append(
            {
                "cluster": cluster,
                "size": removed + 1,
                "kinds": dict(zip(kinds["kind"].to_pylist(), kinds["count_all"].to_pylist(), strict=True)),
                "kept": {"file": first[0]["kept_file"], "row": first[0]["kept_row"]},
                "removed": first,
            }
        )
    return out


def quarantine_reasons(quarantine: pa.Table) -> list[tuple[str, int]]:
    """Return (reason, records) of the quarantine, most first."""
    counts = quarantine.group_by("reason").aggregate([([], "count_all")])
    counts = counts.sort_by([("count_all", "descending"), ("reason", "ascending")])
    return list(zip(counts["reason"].to_pylist(), counts["count_all"].to_pylist(), strict=True))
