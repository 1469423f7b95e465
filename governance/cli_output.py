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
    from governance.rules import Rule

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
    if len(listed) > shown:
        out().print(f"... and {len(listed) - shown:,} more; --format jsonl prints all")


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
        table.add_row(
            Text(g["gate"]), status, number(g, "value"), limit, checked_of, Text(g["remedy"] if g["command"] else "")
        )
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
    """Print every removed sample with its witness."""
    keys = ("file", "row", "sample_id", "cluster", "kept_row", "kept_sample_id", "similarity", "kind")
    if check_format(format_) == "table":
        counted = duplicates.group_by(["kind"]).aggregate([("n", "count"), ("cluster", "count_distinct")])
        rows = [
            {"kind": r["kind"], "copies": r["n_count"], "clusters": r["cluster_count_distinct"]}
            for r in sorted(counted.to_pylist(), key=lambda r: r["kind"])
        ]
        print_rows(rows, format_)
        places = [
            {
                "copy": f"{d['file']}#{d['row']}",
                "kept": f"{d['kept_file']}#{d['kept_row']}",
                "similarity": d["similarity"],
                "kind": d["kind"],
            }
            for d in duplicates.slice(0, LISTED).to_pylist()
        ]
        if places:
            print_rows(places, format_)
        return
    print_rows(({k: d[k] for k in (*keys[:4], "kept_file", *keys[4:])} for d in duplicates.to_pylist()), format_)


def print_collected(stats: Mapping[str, Any], path: Path) -> None:
    """Print how many samples were made and which files were left out, and why."""
    console = out()
    console.print(f"{path}: {stats['samples']:,} samples from {stats['files']:,} files", markup=False)
    for reason, count in sorted(stats["skipped"].items()):
        console.print(f"  left out: {count:,} {reason}", markup=False)


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
