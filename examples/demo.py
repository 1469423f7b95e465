"""The whole loop on real input: collect, check (CLOSED), clean, check again; `make demo` runs it.

Input (a) is the repository of examples/shop with its mistakes planted, made anew with its own git history. Input (b) is
the standard library of the Python that runs this. Everything is written below demo-out/.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent))
import shop

from governance.clean import clean_dataset
from governance.cli_output import ConsoleProgress
from governance.context import Options
from governance.pipeline import check_dataset
from governance.steps import collect_dataset

OUT = Path("demo-out")
TASKS = (("code", "code-generation"), ("test", "test-generation"), ("story", "user-stories"))
SHOWN = 6  # findings and reasons per dataset


def main() -> None:
    """Run the demo and print a table of verdicts."""
    start = time.perf_counter()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    console = Console()
    repository = OUT / "shop"
    shop.make_shop(repository)
    jobs = [(f"shop, {task}", repository, task, pipeline) for task, pipeline in TASKS]
    jobs.append(("standard library, code", Path(sysconfig.get_paths()["stdlib"]), "code", "code-generation"))
    names = ("dataset", "samples", "before", "closed gates", "after cleaning", "samples", "what stays closed")
    table = Table(*(Column(name, overflow="fold") for name in names))
    reports = []
    for name, path, task, pipeline in jobs:
        console.rule(name)
        row, pages = loop(console, name, path, task, pipeline)
        table.add_row(*row)
        reports += pages
    console.print(table)
    for page in reports:
        console.print(f"report: {page}", soft_wrap=True)
    console.print(f"{time.perf_counter() - start:.0f} s")


def loop(console: Console, name: str, path: Path, task: str, pipeline: str) -> tuple[list[Any], list[Path]]:
    """Collect one dataset, check it, clean it, check it again."""
    slug = name.replace(", ", "-").replace(" ", "-")
    dataset, cleaned = OUT / f"{slug}.jsonl", OUT / f"{slug}.clean.jsonl"
    stats = collect_dataset([str(path)], task, dataset)
    left = ", ".join(f"{n:,} {reason}" for reason, n in sorted(stats["skipped"].items()))
    console.print(f"{stats['samples']:,} samples from {stats['files']:,} files; left out: {left or 'nothing'}")
    options = Options(pipeline=pipeline, workspace=OUT / "workspace", progress=ConsoleProgress())
    before = check_dataset(dataset, options)
    show(console, before.evidence)
    after, ledger = clean_dataset(dataset, cleaned, options)
    account = ledger.summary()
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in account["dropped"].items())
    console.print(
        f"cleaned: {account['in']:,} in = {account['kept']:,} kept + {account['changed']:,} changed + "
        f"{sum(account['dropped'].values()):,} dropped ({dropped or 'none'})"
    )
    closed = ", ".join(before.evidence["breaches"])
    still = ", ".join(after.evidence["breaches"]) or "-"
    counts = [f"{c.evidence['dataset']['samples']:,}" for c in (before, after)]
    verdicts = [verdict(c.evidence) for c in (before, after)]
    for gate in after.evidence["gates"]:
        if gate["gate"] in after.evidence["breaches"]:
            console.print(f"still closed: {gate['title']}; next: {gate['command']}", markup=False, soft_wrap=True)
    row = [name, counts[0], verdicts[0], closed, verdicts[1], counts[1], still]
    return row, [c.folder / "report.html" for c in (before, after)]


def show(console: Console, evidence: dict[str, Any]) -> None:
    """Print the verdict, its reasons and the rules that found most."""
    console.print(verdict(evidence))
    for reason in evidence["verdict"]["reasons"][:SHOWN]:
        console.print(f"  {reason}", markup=False)
    for found in [f for f in evidence["findings"] if f["severity"] == "error"][:SHOWN]:
        console.print(f"  {found['findings']:>6,} x {found['rule']}", markup=False)


def verdict(evidence: dict[str, Any]) -> Text:
    """The verdict in its colour."""
    status = evidence["verdict"]["status"]
    return Text(status, style="bold green" if status == "PASSED" else "bold red")


if __name__ == "__main__":
    main()
