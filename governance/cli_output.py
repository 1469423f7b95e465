"""values -> what a person sees at the terminal, or one JSON document on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.context import Progress
from governance.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from governance.context import Checked
    from governance.gate.copies import Search
    from governance.index_build import Indexed
    from governance.overlaps import Overlaps
    from governance.rules import Rule
    from governance.train.encode import Truncation

COLOURS = {"PASSED": "green", "WARNED": "yellow", "WAIVED": "cyan", "FAILED": "red", "ERROR": "red", "NOT_RUN": "red", "CLOSED": "red"}  # fmt: skip  # noqa: E501
LISTED = 40  # rows a table shows before it says how many more there are


class ConsoleProgress(Progress):
    """Progress bars on stderr, and only where that is a terminal."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show one bar while the stage runs."""
        with super().stage(name, total) as quiet:
            if not sys.stderr.isatty():
                yield quiet
                return
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description:<8}"), BarColumn(), TimeElapsedColumn())
            with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
                task = bars.add_task(name, total=total)
                yield lambda done: bars.update(task, advance=done)


def check_format(format_: str) -> str:
    """Return *format_* if it is table, json or jsonl. Raises UsageError."""
    if format_ not in ("table", "json", "jsonl"):
        raise UsageError(f"--format {format_!r}: expected table, json or jsonl")
    return format_


def print_rows(rows: Iterable[Mapping[str, Any]], format_: str, *, title: str = "", shown: int = LISTED) -> None:
    """Print *rows* as a table, one JSON array, or one object per line."""
    check_format(format_)
    if format_ == "jsonl":
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    listed = list(rows)
    if format_ == "json":
        sys.stdout.write(json.dumps(listed, ensure_ascii=False, indent=1) + "\n")
        return
    if not listed:
        sys.stdout.write("nothing\n")
        return
    table = make_table(list(listed[0]), title)
    for row in listed[:shown]:
        table.add_row(*(cell(v) for v in row.values()))
    out().print(table)
    _say_more(len(listed), shown)


def _say_more(count: int, shown: int = LISTED) -> None:
    """Say how many of *count* rows a table of the first *shown* leaves out."""
    if count > shown:
        out().print(f"... and {count - shown:,} more; --format jsonl prints all")


def cell(value: Any) -> Any:
    """A value of a table: nothing for None, a share with three digits; text is never taken for markup."""
    from rich.text import Text

    if isinstance(value, float):
        return Text(f"{value:.3f}")
    if isinstance(value, (list, tuple)):
        return Text(", ".join(str(v) for v in value))
    return Text("" if value is None else str(value))


def out() -> Any:
    """The console of stdout; wide where stdout is a file, so that nothing is cut."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def terminal_width() -> int:
    """Columns of the terminal; 120 where stdout is none."""
    return int(out().width) if sys.stdout.isatty() else 120


def terminal_paint() -> Callable[[str, str], str] | None:
    """How a terminal paints what differs between two samples; None where stdout has no colours."""
    console = out()
    if console.color_system is None or console.no_color:
        return None
    from rich.style import Style

    styles = {"head": "bold", "soft": "dim", "old": "black on bright_red", "new": "black on bright_green"}
    parsed = {name: Style.parse(style) for name, style in styles.items()}
    return lambda text, style: parsed[style].render(text)


def parse_numbers(option: str, text: str) -> list[int]:
    """
    Return the whole numbers of ``3,17``. Raises UsageError.

    >>> parse_numbers("--members", "3, 17")
    [3, 17]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
        raise UsageError(f"{option} {text[:40]!r}: expected numbers of samples such as 3,17")
    return [int(part) for part in parts]


def make_table(columns: Sequence[str], title: str = "") -> Any:
    """A plain table; what does not fit is folded, never cut, so that an id can be copied."""
    from rich import box
    from rich.table import Column, Table

    heads = (Column(name, overflow="fold") for name in columns)
    return Table(*heads, title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)


def number(gate: Mapping[str, Any], key: str) -> str:
    """A gate's value or limit in its unit: ``62.6 %`` or ``12``."""
    value = gate[key]
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if gate["unit"] == "count" else f"{100 * value:.4g} %"


def print_checked(checked: Checked, format_: str, progress: Progress | None = None) -> None:
    """Print the gates, the verdict and where the report is."""
    from rich.text import Text

    check_format(format_)
    e = checked.evidence
    if format_ != "table":
        verdict = e["verdict"]
        rows = [
            {"run": checked.run, "verdict": verdict["status"], "reasons": verdict["reasons"], **g} for g in e["gates"]
        ]
        print_rows(rows, format_)
        return
    data = e["dataset"]
    console = out()
    console.print(
        f"{data['name']}: {data['records']:,} records, {data['samples']:,} samples, {data['distinct']:,} distinct, "
        f"{data['quarantined']:,} quarantined",
        markup=False,
    )
    table = make_table(["gate", "status", "value", "limit", "checked", "next"])
    for g in e["gates"]:
        status = Text(g["status"], style=COLOURS[g["status"]])
        limit = Text(number(g, "limit"))
        checked_of = f"{g['checked']:,} {g['of']}" if g["checked"] is not None else ""
        table.add_row(Text(g["gate"]), status, number(g, "value"), limit, checked_of, Text(_remedy(g)))
    console.print(table)
    for reason in e["verdict"]["reasons"]:
        console.print(f"  {reason}", markup=False)
    status = e["verdict"]["status"]
    console.print(Text(status, style=f"bold {COLOURS[status]}"), f"run {checked.run}")
    page = checked.folder / "report.html"
    console.print(f"report: {page if page.exists() else checked.folder}", markup=False, soft_wrap=True)
    for command in dict.fromkeys(g["command"] for g in e["gates"] if g["command"]):
        console.print(f"next: {command}", markup=False, soft_wrap=True)
    if progress is not None and progress.stages and sys.stderr.isatty():
        seconds = ", ".join(f"{name} {s:.1f} s" for name, s in progress.stages.items())
        print(seconds, file=sys.stderr)


def _remedy(gate: Mapping[str, Any]) -> str:
    """What mends the gate; without a remedy its command only shows the places."""
    return "" if not gate["command"] else "look" if gate["remedy"] == "none" else str(gate["remedy"])


def print_findings(findings: pa.Table, messages: Mapping[str, str], format_: str) -> None:
    """Print findings; as JSON in the order (row, field, start, end, rule), as a table counted per rule."""
    check_format(format_)
    if format_ == "table":
        counted = findings.group_by(["rule", "severity"]).aggregate([("n", "count"), ("n", "count_distinct")])
        rows = sorted(counted.to_pylist(), key=lambda r: (-r["n_count"], r["rule"]))
        print_rows(
            [
                {
                    "rule": r["rule"],
                    "severity": r["severity"],
                    "findings": r["n_count"],
                    "samples": r["n_count_distinct"],
                }
                for r in rows
            ],
            format_,
        )
        return
    print_rows(_findings(findings, messages), format_)


def _findings(findings: pa.Table, messages: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    keys = ("file", "row", "sample_id", "rule", "severity", "field", "start", "end", "line")
    for batch in findings.to_batches(max_chunksize=10_000):
        for f in batch.to_pylist():
            detail = f" ({f['detail']})" if f["detail"] else ""
            message = messages.get(f["rule"], "") + detail
            finding = {**{k: f[k] for k in keys}, "message": message, "fingerprint": f["fingerprint"]}
            if f["repository"] is not None or f["path"] is not None:
                finding["origin"] = {"repository": f["repository"], "path": f["path"], "line": f["start_line"]}
            yield finding


def print_duplicates(duplicates: pa.Table, format_: str) -> None:
    """Print every copy with its witness; copies of samples of a registered dataset name its digest."""
    keys = ("file", "row", "sample_id", "cluster", "kept_row", "kept_sample_id", "similarity", "kind")
    if check_format(format_) == "table":
        counted = duplicates.group_by(["dataset", "kind", "removed"]).aggregate(
            [("n", "count_distinct"), ("kept_sample_id", "count_distinct")]
        )
        rows = [
            {
                "of": "this dataset" if r["dataset"] is None else f"dataset {r['dataset'][:12]}",
                "kind": r["kind"],
                "copies": r["n_count_distinct"],
                "clusters": r["kept_sample_id_count_distinct"],
                "dropped by clean": "yes" if r["removed"] else "no",
            }
            for r in sorted(counted.to_pylist(), key=lambda r: (r["dataset"] or "", r["kind"]))
        ]
        if not rows:
            print("no copies")
            return
        print_rows(rows, format_)
        places = [
            {
                "copy": f"{d['file']}#{d['row']}",
                "kept": (f"{d['dataset'][:12]}: " if d["dataset"] else "") + f"{d['kept_file']}#{d['kept_row']}",
                "similarity": d["similarity"],
                "kind": d["kind"],
            }
            for d in duplicates.slice(0, LISTED).to_pylist()
        ]
        print_rows(places, format_)
        _say_more(duplicates.num_rows)
        return
    shown = (*keys[:4], "kept_file", *keys[4:], "removed", "dataset")
    print_rows(({k: d[k] for k in shown} for d in duplicates.to_pylist()), format_)


def search_line(search: Search) -> str:
    """Say in one line how near-duplicates were searched, and how many of them that finds."""
    counted = f"{search.compared:,} pairs compared exactly, {search.pairs:,} reach {search.threshold}"
    if search.method == "exact":
        return f"exact: {counted}; recall 1 by construction"
    cut = f"{search.permutations} permutations in {search.bands} bands of {search.rows}"
    measured = "not measured, no pair among them"
    if search.measured_recall is not None:
        measured = f"measured {search.measured_recall:.4f} of {search.measured_pairs:,} pairs"
    return (
        f"{search.method}: {cut}; {counted}; recall at least {search.expected_recall:.4f} expected, {measured}"
        f" (of {search.measured_on:,} samples)"
    )


def print_split(account: Mapping[str, Any], folder: Path, format_: str) -> None:
    """Print the parts of a split: size, what they share with each other, and what a random split would have had."""
    rows = []
    for name, part in account["parts"].items():
        shared = [o for o in account["overlap"] if o["part"] == name]
        random = account["random"]["parts"].get(name, {})
        rows.append(
            {
                "part": name, "file": part["file"], "samples": part["samples"], "wanted": part["wanted"],
                "groups": part["groups"], "exact": sum(o["exact"] for o in shared),
                "near": sum(o["near"] for o in shared), "random_exact": random.get("exact"),
                "random_copies": random.get("copies"),
            }
        )  # fmt: skip
    if check_format(format_) != "table":
        print_rows(rows, format_)
        return
    table = make_table(["part", "samples", "wanted", "groups", "shared with another part", "random split: in train"])
    for row in rows:
        shared_now = f"{row['exact']:,} exact, {row['near']:,} near"
        by_chance = row["random_exact"]
        chance = "" if by_chance is None else f"{by_chance:.1%} exact, {row['random_copies']:.1%} exact or near"
        sizes = (f"{row[key]:,}" for key in ("samples", "wanted", "groups"))
        table.add_row(row["part"], *sizes, shared_now, chance)
    console = out()
    console.print(table)
    for line in split_remarks(account):
        console.print(f"  {line}", markup=False)
    console.print(f"{folder}: written; {folder / 'split.json'} has settings, digests and counts", markup=False)


def split_remarks(account: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader of the split has to know: records left out, and parts that whole groups do not fill."""
    data, groups, seeds = account["dataset"], account["groups"], account["random"]["seeds"]
    ties = ", ".join(f"{size:,} by {tie}" for tie, size in groups["largest"].items())
    yield f"{data['samples']:,} samples in {groups['count']:,} groups; the largest: {ties}"
    least = "" if account["random"]["complete"] else "; with its near copies at least that, for not all were counted"
    yield f"a random split of the same sizes: mean of {seeds} seeds{least}"
    if data["quarantined"]:
        bad = f"{data['quarantined']:,} records cannot be read and are in no part"
        yield f"{bad}; `governance quarantine list` names them"
    largest = list(groups["largest"].values())[-1]
    for name, part in account["parts"].items():
        off = part["samples"] - part["wanted"]
        if abs(off) > max(1, data["samples"] // 100):
            yield (
                f"{name} is {abs(off):,} samples {'over' if off > 0 else 'short'}: a group is not divided, and the "
                f"largest has {largest:,}"
            )


def print_overlaps(overlaps: Overlaps, format_: str) -> None:
    """Print what samples share with sources: as a table counts per source and the longest places, else every row."""
    import pyarrow.compute as pc

    if check_format(format_) != "table":
        print_rows(overlaps.table.drop_columns(["n"]).to_pylist(), format_)
        return
    secondary = pc.equal(overlaps.table["class"], "item-secondary")
    table = overlaps.table.filter(pc.invert(secondary))
    if not table.num_rows:
        print("nothing is shared")
    else:
        print_rows(_shared_sources(table.to_pylist()), format_, title="sources")
        order = [("lexemes", "descending"), ("score", "descending"), ("n", "ascending")]
        places = [
            {
                "sample": f"{o['file']}#{o['row']}", "field": _at(o["field"], o["line"], o["end_line"]),
                "class": o["class"], "source": _at(o["source"], o["source_line"], o["source_end_line"]),
                "lexemes": o["lexemes"] or None, "score": o["score"],
            }
            for o in table.sort_by(order).slice(0, LISTED).to_pylist()
        ]  # fmt: skip
        print_rows(places, format_, title=f"places ({table.num_rows:,}, the longest first)")
        _say_more(table.num_rows)
    if below := overlaps.table.num_rows - table.num_rows:
        print(f"{below:,} more are like items that a better hit in the same place names; --format jsonl prints them")
    if overlaps.undecidable:
        print(
            f"{len(overlaps.undecidable):,} of {overlaps.items:,} benchmark items are too short or too common to tell "
            "anything, and were not looked for"
        )


def _shared_sources(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Count samples per class and source, of held-out sets per set; columns that would say nothing are left out."""
    counted: dict[tuple[Any, ...], tuple[set[int], int]] = {}
    for r in rows:
        held_out = r["class"] == "held-out"
        source = r["index"] if held_out else r["source"]
        key = (r["class"], source, r["source_licence"], r["index"], "yes" if r["allowed"] else None)
        samples, longest = counted.get(key, (set(), 0))
        samples.add(r["n"])
        counted[key] = samples, max(longest, r["lexemes"])
    order = sorted(counted.items(), key=lambda c: (-len(c[1][0]), -c[1][1], c[0][1] or ""))
    names = ("class", "source", "licence", "index", "allowed", "samples", "longest run")
    table = [dict(zip(names, (*key, len(samples), longest or None), strict=True)) for key, (samples, longest) in order]
    unsaid = {name for name in ("licence", "allowed", "longest run") if not any(row[name] for row in table)}
    if len({row["index"] for row in table}) == 1:
        unsaid.add("index")
    return [{name: value for name, value in row.items() if name not in unsaid} for row in table]


def _at(name: str, first: int | None, last: int | None) -> str:
    lines = _lines(first, last)
    return f"{name}:{lines}" if lines else name


def _lines(first: int | None, last: int | None) -> str:
    return "" if not first else str(first) if first == last else f"{first}-{last}"


def print_collected(stats: Mapping[str, Any], path: Path) -> None:
    """Print how many samples were made and which files were left out, and why."""
    console = out()
    console.print(f"{path}: {stats['samples']:,} samples from {stats['files']:,} files", markup=False)
    for reason, count in sorted(stats["skipped"].items()):
        console.print(f"  left out: {count:,} {reason}", markup=False)


def print_truncation(cut: Truncation) -> None:
    """Print, on stderr, what the cutoff costs; a model that never saw the end of its answers does not write one."""
    print(
        f"{cut.samples:,} samples, the longest of {cut.longest:,} tokens: {cut.shortened:,} are shortened, "
        f"{cut.left_out:,} left out; {cut.answer_tokens_lost:,} of {cut.answer_tokens:,} tokens of answers "
        f"({cut.share_lost:.1%}) are never seen",
        file=sys.stderr,
    )


def print_trained(record: Mapping[str, Any], path: Path, format_: str) -> None:
    """Print what was trained, on what, and what is not known of it; with another format its record."""
    if check_format(format_) != "table":
        print_rows([record], format_)
        return
    sanity, losses = record["sanity"], record["losses"]
    print(f"{path}: {record['status']}")
    print(
        f"{record['steps']:,} steps on {record['consumed']['rows_read']:,} of {record['data']['samples']:,} samples "
        f"of dataset {record['data']['dataset'][:16]}"
        + (f", the first {record['resumed_at']:,} of them before it went on" if record["resumed_at"] else "")
    )
    if losses:
        print(f"loss {losses[0][1]:.3f} at the first step, {losses[-1][1]:.3f} at the last")
    tensors = f"{sanity['parameters']:,} parameters in {sanity['tensors']} tensors, none empty"
    print(f"{tensors}; the card is {path / 'README.md'}")


def print_plan(plan: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Print what each remedy would cost."""
    print_rows(plan, format_, title="what each remedy would do")


def print_ledger(ledger: Any, path: Path) -> None:
    """Print the account of records."""
    summary = ledger.summary()
    rows = [{"records": "in", "count": summary["in"]}, {"records": "kept as they were", "count": summary["kept"]}]
    rows += [{"records": "changed", "count": summary["changed"]}]
    rows += [{"records": f"dropped: {reason}", "count": n} for reason, n in summary["dropped"].items()]
    print_rows(rows, "table", title=f"{path}: every record is accounted for")


def print_proof(proof: Sequence[Any], format_: str) -> None:
    """Print which violation was planted for each gate and whether the gate closed."""
    rows = [
        {"gate": p.gate, "planted": p.planted, "status": p.status, "closed": "yes" if p.closed else "NO"} for p in proof
    ]
    print_rows(rows, format_)


def print_runs(rows: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Print runs, newest first."""
    if format_ == "table":
        rows = [{**r, "digest": r["digest"][:12]} for r in rows]
    print_rows(rows, format_)


def print_quarantine(rows: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Print quarantined records without their content."""
    print_rows(rows, format_)


def print_rules(rules: Sequence[Rule], format_: str) -> None:
    """Print rules: id, severity, what they read."""
    rows = [
        {"rule": r.rule_id, "severity": r.severity, "kind": r.kind, "field": r.field, "message": r.message}
        for r in rules
    ]
    print_rows(rows, format_, shown=1000)


def print_rule(rule: Rule) -> None:
    """Print one rule in full."""
    console = out()
    console.print(
        f"{rule.rule_id}  (version {rule.version}, {rule.severity}, {rule.kind} on {rule.field})", markup=False
    )
    console.print(rule.message, markup=False)
    console.print(f"\n{rule.why.strip()}\n", markup=False)
    if rule.aliases:
        console.print(f"also known as: {', '.join(rule.aliases)}", markup=False)
    for name, texts in (("flags", rule.flags), ("passes", rule.passes)):
        console.print(f"{name}:")
        for text in texts:
            shown = "(not shown: the pack is sensitive)" if rule.sensitive and name == "flags" else repr(text)
            console.print(f"  - {shown}", markup=False, soft_wrap=True)
    for reference in rule.references:
        console.print(reference, markup=False, soft_wrap=True)


def print_indexed(account: Indexed, format_: str) -> None:
    """Print what one call added to a source index, what it left out, and the index as a whole."""
    check_format(format_)
    if format_ != "table":
        print_rows([account.row()], format_)
        return
    of, rate = account.index, account.row()["megabytes_per_second"]
    lexemes = ", ".join(f"{n:,} {view}" for view, n in account.lexemes.items())
    print(f"{of['path']}: {account.sources:,} sources added, {account.bytes / 1e6:,.1f} MB, lexemes: {lexemes}")
    print(f"{account.seconds:.1f} s, {rate:.1f} MB/s")
    for reason, count in sorted(account.skipped.items()):
        if count:
            which = f" ({', '.join(account.large)})" if reason == "too-large" else ""
            print(f"  left out, {reason}: {count:,}{which}")
    kind = "keyed, without text" if of["keyed"] else "with text"
    print(
        f"the index: {of['sources']:,} sources in {of['segments']} segments, {kind}, {of['fingerprints']:,} "
        f"fingerprints, {of['bytes_per_lexeme_and_view']:.2f} bytes per lexeme and view beyond the text"
    )


def print_shared_runs(rows: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Print the runs that a text shares with sources: lines on both sides, length, source, licence."""
    if check_format(format_) != "table":
        print_rows(rows, format_)
        return
    shown = []
    for r in rows:
        where = "/".join(p for p in (r["name"] or r["repository"], r["path"] or r["file"]) if p) or f"#{r['source']}"
        row = "" if r["row"] is None else f"#{r['row']}"
        lines = "" if r["source_line"] is None else f":{r['source_line']}-{r['source_end_line']}"
        shown.append(
            {
                "lines": f"{r['line']}-{r['end_line']}",
                "lexemes": f"{r['lexemes']}{'' if r['exact'] else ' or more'}",
                "view": r["view"],
                "source": f"{where}{row}{lines}",
                "licence": r["licence"],
                "in sources": f"{r['df']}{' or more' if r['more'] else ''}",
            }
        )
    print_rows(shown, format_)


def print_audit(audit: Mapping[str, Any], folder: Path | None, format_: str) -> None:
    """Print what an audit found: the headline, what comes back most, the limits and the status."""
    check_format(format_)
    if format_ == "json":
        sys.stdout.write(json.dumps(audit, ensure_ascii=False, indent=1) + "\n")
        return
    if format_ == "jsonl":
        for row in [*audit["rates"], *audit["amounts"]]:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    console = out()
    table = make_table(("asked by", "what comes back", "members", "base", "twins", "base", "added", "95 %"))
    for row in audit["headline"]:
        shares = [row[k]["value"] for k in ("adapter_members", "base_members", "adapter_twins", "base_twins")]
        did = row["did"]
        added = f"{did['value']:+.1%}" if did else "-"
        between = f"{did['low']:+.1%} to {did['high']:+.1%}" if did else row["why"]
        table.add_row(row["kind"], _AUDITED[row["metric"]], *(f"{s:.1%}" for s in shares), added, between)
    console.print(table)
    limits = make_table(("limit", "found", "most", "status", ""))
    for row in audit["limits"]:
        found = "" if row["value"] is None else f"{row['value']:.4g}"
        limits.add_row(row["name"], found, f"{row['limit']:g}", row["status"], row["why"])
    console.print(limits)
    for source in audit["sources"][:5]:
        licence = source["source_licence"] or "licence not known"
        place = f"{source['source_repository'] or ''} {source['source_path'] or ''}".strip()
        console.print(f"{source['model']}: {source['longest']} lexemes of {place}, {licence}", markup=False)
    where = f"; {folder}/audit.json has every number" if folder else ""
    console.print(f"{audit['status']}{where}", markup=False)


_AUDITED = {
    "em50": "the next 50 exactly", "vr50": "a run of 50 lexemes", "extracted100-50": "in 100 draws, at even odds",
}  # fmt: skip
