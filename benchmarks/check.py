"""Time a whole `governance check` on every function of the standard library and of what is installed.

    python benchmarks/check.py [--rows N] [--runs 3] [--keep FOLDER]

Prints rows/s and MB/s per stage, the peak memory of all processes together (proportional set size, so that shared
pages count once), and the ratio to a warm load of the same file into DuckDB, measured in the same run. The first, cold
run (no compiled kernels, no compiled patterns) is timed and named as well. Not a test: nothing here can fail.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORKER = """
import json, sys, time
start = time.perf_counter()
from pathlib import Path
from governance.context import Options, Progress
from governance.pipeline import check_dataset
dataset, workspace, record = sys.argv[1:]
progress = Progress()
options = Options(pipeline="code-generation", workspace=Path(workspace), progress=progress, record=record == "record")
checked = check_dataset(Path(dataset), options)
e = checked.evidence
print(json.dumps({"stages": progress.stages, "seconds": time.perf_counter() - start, "samples": e["dataset"]["samples"],
    "findings": sum(f["findings"] for f in e["findings"]), "duplicates": e["duplicates"]}))
"""
LOAD = """
import duckdb, sys, time
con = duckdb.connect()
con.execute("set threads = 2")
start = time.perf_counter()
con.execute(f"create table t as select * from read_json('{sys.argv[1]}', format='newline_delimited')")
print(time.perf_counter() - start)
"""


def functions(root: Path) -> Iterator[dict[str, str]]:
    """Yield a record per function below *root*, in the order of paths and lines."""
    for path in sorted(root.rglob("*.py")):
        try:
            text = path.read_text("utf-8")
            tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        lines = text.splitlines(keepends=True)
        for owner in ast.walk(tree):
            if not isinstance(owner, (ast.Module, ast.ClassDef)):
                continue
            members = [n for n in owner.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
            card = f"{getattr(owner, 'name', path.stem)}\n- methods: {', '.join(m.name for m in members)}"
            for m in members:
                code = "".join(lines[m.lineno - 1 : m.end_lineno])
                yield {
                    "instruction": f"Implement the method {m.name}",
                    "input": card,
                    "output": code,
                    "license": "PSF-2.0",
                }


def make_dataset(path: Path, most: int) -> int:
    """Write at most *most* functions to *path*; returns how many."""
    roots = [Path(sysconfig.get_paths()[k]) for k in ("stdlib", "purelib")]
    count = 0
    with path.open("w", encoding="utf-8") as out:
        for root in roots:
            for record in functions(root):
                try:
                    line = json.dumps(record, ensure_ascii=False)
                    out.write(line + "\n")
                except UnicodeEncodeError:
                    continue
                count += 1
                if count == most:
                    return count
    return count


def memory(pid: int) -> int:
    """Proportional set size in bytes of a process and all its descendants."""
    import psutil

    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration):
            continue
    return total


def run(dataset: Path, workspace: Path, record: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Check *dataset* in a fresh process; returns stages, wall seconds and peak memory."""
    start = time.perf_counter()
    command = [sys.executable, "-c", WORKER, str(dataset), str(workspace), record]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.25):
            peak = max(peak, memory(process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    output, _ = process.communicate()
    wall = time.perf_counter() - start
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"the check ended with {process.returncode}")
    return {**json.loads(output), "wall": wall, "peak": peak}


def load(dataset: Path) -> float:
    """Seconds of a warm load into DuckDB, median of three."""
    times = [float(subprocess.check_output([sys.executable, "-c", LOAD, str(dataset)])) for _ in range(4)]
    return statistics.median(times[1:])


def show(title: str, result: dict[str, Any], size: int, loaded: float) -> None:
    """Print one table in Markdown."""
    print(f"\n### {title}\n")
    print("| stage | seconds | rows/s | MB/s |")
    print("| --- | ---: | ---: | ---: |")
    rows = result["samples"]
    stages = {**result["stages"], "whole process": result["wall"]}
    for name, seconds in stages.items():
        print(f"| {name} | {seconds:.2f} | {rows / seconds:,.0f} | {size / 1e6 / seconds:,.0f} |")
    print(f"\npeak memory of all processes {result['peak'] / 1e9:.2f} GB; ", end="")
    print(f"warm DuckDB load of the same file {loaded:.2f} s, ratio {result['wall'] / loaded:.1f}")


def main() -> None:
    """Make the datasets, time the runs, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000, help="most functions to use")
    parser.add_argument("--runs", type=int, default=3, help="counted warm runs; the median is shown")
    parser.add_argument("--keep", type=Path, help="folder for the datasets; a temporary one without it")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="governance-bench-"))
    place.mkdir(parents=True, exist_ok=True)
    full = place / "functions.jsonl"
    if not full.exists():
        make_dataset(full.with_suffix(".part"), arguments.rows)
        full.with_suffix(".part").rename(full)
    with full.open(encoding="utf-8") as source:
        head = [line for _, line in zip(range(20_000), source, strict=False)]
    (place / "20000.jsonl").write_text("".join(head), "utf-8")
    (place / "100.jsonl").write_text("".join(head[:100]), "utf-8")
    size = full.stat().st_size
    loaded = load(full)
    workspace = place / "workspace"

    def fresh(dataset: Path, record: str = "record", environment: dict[str, str] | None = None) -> dict[str, Any]:
        shutil.rmtree(workspace / "runs", ignore_errors=True)
        shutil.rmtree(workspace / "datasets", ignore_errors=True)
        return run(dataset, workspace, record, environment)

    shutil.rmtree(workspace, ignore_errors=True)
    cold = fresh(full, environment={"NUMBA_CACHE_DIR": tempfile.mkdtemp(prefix="numba-", dir=place)})
    warm = sorted((fresh(full) for _ in range(arguments.runs)), key=lambda r: r["wall"])[arguments.runs // 2]
    print(f"{warm['samples']:,} rows, {size / 1e6:.0f} MB, {len(os.sched_getaffinity(0))} cores")
    show("cold: nothing compiled yet", cold, size, loaded)
    show(f"warm: median of {arguments.runs}", warm, size, loaded)
    print("\n| dataset | with the Great Expectations record | without |")
    print("| --- | ---: | ---: |")
    for name in ("20000", "100"):
        walls = [
            statistics.median(fresh(place / f"{name}.jsonl", record)["wall"] for _ in range(arguments.runs))
            for record in ("record", "none")
        ]
        print(f"| {int(name):,} rows | {walls[0]:.2f} s | {walls[1]:.2f} s |")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "governance.cli", "--help"], check=True, capture_output=True)
    print(f"\n`governance --help`: {time.perf_counter() - start:.2f} s")
    if arguments.keep is None:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
