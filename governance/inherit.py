"""samples, removed copies -> what the kept samples inherit: the strictest licence, and where every copy came from.

A removed copy is the same text with another origin. What it was licensed under and where it stood in which repository
must not vanish with the row: otherwise removing copies would be a way to lose a licence.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pyarrow as pa

from governance.dedup.licences import stricter_clusters
from governance.ingest.parse import dump
from governance.ingest.records import licence_place
from governance.ledger import Ledger
from governance.samples import ORIGINS

REASON = "inherited licence"
_COPIED = ("repository", "commit", "path", "start_line", "end_line", "licence")
_NAME = re.compile(
    r"[\w.@:/+~ ()\[\]{}$,#=-]{1,400}"
)  # what a path or a licence looks like; a column may hold anything


def inherit_licences(current: pa.Table, removed: pa.Table, ledger: Ledger, columns: Mapping[str, str]) -> pa.Table:
    """
    Return *current* with the strictest licence of its cluster in every kept sample; *ledger* names those that changed.

    The licence is written where the record has it: the mapped column, ``licence`` or ``license``, in the record or its
    metadata. A sample without one has the strictest already, so nothing is written there.

    Args:
        current: schema SAMPLES; its ``n`` are those of the dataset that is cleaned.
        removed: DUPLICATES over the positions in *current*; the rows that will be dropped.
        columns: column of the dataset -> what it is.
    """
    licences = current["licence"].to_pylist()
    changed = stricter_clusters(removed, licences)
    if not changed:
        return current
    records, shapes = current["record"].to_pylist(), current["shape"].to_pylist()
    original, ids = current["n"].to_pylist(), current["sample_id"]
    for position, licence in changed.items():
        record = orjson.loads(records[position])
        place = licence_place(record, columns if shapes[position] == "mapped" else {})
        if place is None:
            continue
        holder, key = place
        holder[key] = licence
        records[position], licences[position] = dump(record).decode(), licence
        n = original[position]
        words = ledger.words_after.get(n, int(ledger.words[n]))
        ledger.change(n, REASON, ids[position].as_py(), words)
    for name, values in (("record", records), ("licence", licences)):
        at = current.schema.get_field_index(name)
        current = current.set_column(at, current.schema.field(at), pa.array(values, current.schema.field(at).type))
    return current


def collect_origins(
    cleaned: pa.Table, ledger: Ledger, digest: str, earlier: pa.Table | None, mask: Callable[[str], str]
) -> pa.Table:
    """
    Return the origins of every copy that was removed for a sample of *cleaned*, those of earlier cleanings included.

    Args:
        cleaned: the samples that stay, in the order of the new dataset; ``n`` as in the dataset that was cleaned.
        digest: of the dataset that was cleaned.
        earlier: ORIGINS of that dataset, if it was made by cleaning too. What came with a sample that is now itself a
            removed copy goes to the one that stays for it.
        mask: hides what is sensitive in a name.

    Returns:
        Schema `samples.ORIGINS`, by the ordinal of the sample in the new dataset, earlier ones first.
    """
    shown = functools.cache(lambda value: mask(value) if _NAME.fullmatch(value) else "(not a name)")
    stays = {n: k for k, n in enumerate(cleaned["n"].to_pylist())}
    ids = cleaned["sample_id"].to_pylist()
    removed = {n: witness[0] for n, witness in ledger.dropped.items() if witness[0] is not None}
    rows: list[dict[str, Any]] = []
    for row in earlier.to_pylist() if earlier is not None else []:
        n = removed.get(row["n"], row["n"])
        if n in stays:
            rows.append({**row, "n": stays[n], "sample_id": ids[stays[n]]})
    gone = sorted(n for n, kept in removed.items() if kept in stays)
    taken = ledger.before.select(["n", "file", "row", "sample_id", *_COPIED]).take(pa.array(gone, pa.int64()))
    for copy in taken.to_pylist():
        n = copy["n"]
        names = {name: shown(copy[name]) if isinstance(copy[name], str) else copy[name] for name in _COPIED}
        rows.append(
            {
                **names,
                "n": stays[removed[n]], "sample_id": ids[stays[removed[n]]], "dataset": digest, "file": copy["file"],
                "row": copy["row"], "copy_id": copy["sample_id"], "similarity": ledger.dropped[n][1],
                "kind": ledger.kinds.get(n),
            }
        )  # fmt: skip
    rows.sort(key=lambda row: row["n"])
    return pa.Table.from_pylist(rows, schema=ORIGINS)


def lineage(origins: pa.Table | None, n: int | None = None) -> str:
    """
    Return one line on what removed copies left: of sample *n*, or of the whole dataset; empty where there is nothing.

    A licence is named as it was written, so a reader sees what the kept sample stands for.
    """
    rows = origins.to_pylist() if origins is not None else []
    rows = rows if n is None else [row for row in rows if row["n"] == n]
    if not rows:
        return ""
    licences = sorted({row["licence"] or "no licence" for row in rows})
    repositories = {row["repository"] for row in rows if row["repository"]}
    kept = len({row["n"] for row in rows})
    what = f"sample {n} stands" if n is not None else f"{kept:,} sample{'s' * (kept != 1)} stand{'s' * (kept == 1)}"
    copies = f"{len(rows):,} removed {'copies' if len(rows) > 1 else 'copy'}"
    named = ", ".join(licences[:8]) + (f" and {len(licences) - 8} more" if len(licences) > 8 else "")
    return f"{what} for {copies} from {max(len(repositories), 1):,} {_places(len(repositories))}: {named}"


def _places(repositories: int) -> str:
    return "repositories" if repositories > 1 else "repository"
