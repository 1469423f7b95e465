"""Time near-duplicate search from a file of texts to groups, beside its peers, and count what each of them finds.

    python benchmarks/dedup.py --peers FOLDER --install      makes one environment per peer, below FOLDER
    python benchmarks/dedup.py --peers FOLDER --markdown     20,000 functions, one table for the README
    python benchmarks/dedup.py --scaling --data FILE         10k, 50k, 100k, 400k rows: seconds, memory, exponent

Every program gets the same JSONL with one ``text`` per row (functions of the standard library and of what is
installed, or those of ``--data``) and the same threshold, in a fresh process, and is timed from its start to its end:
interpreter, reading, shingles, search, groups. One run over 200 rows comes first and does not count, so that compiled
kernels and byte code are there for all. Of several ``--runs`` the median counts; the programs take turns. Recall and
precision are held against the brute-force Jaccard similarity of all pairs (`truth.py`), on our lexemes, for all of
them. A peer that is not installed is named with the reason. Not a test: nothing here can fail but the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from check import functions
from programs import ALL_PEERS, Peer, Program, Result, install, own_program, peer_program, run

METHODS = ("exact", "minhash")
WARM = 200  # rows of the run that does not count
JUDGED = 30_000  # most rows for brute force over all pairs
STEPS = (10_000, 50_000, 100_000, 400_000)


def texts(data: Path | None) -> Iterator[str]:
    """Yield the texts: ``text`` or ``output`` of each row of *data*, else every function that is installed here."""
    if data is not None:
        with data.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                yield record["text"] if "text" in record else record["output"]
        return
    for root in (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]):
        yield from (record["output"] for record in functions(Path(root)))


def write_rows(source: Iterable[str], out: Path, most: int) -> dict[str, Any]:
    """Write at most *most* texts as JSONL; returns rows, distinct rows, and MB of distinct text."""
    seen: set[str] = set()
    rows = size = 0
    with out.open("w", encoding="utf-8") as file:
        for text in source:
            if rows == most:
                break
            try:
                data = text.encode()
            except UnicodeEncodeError:
                continue
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            rows += 1
            if text not in seen:
                seen.add(text)
                size += len(data)
    return {"rows": rows, "distinct": len(seen), "mb": size / 1e6}


def programs(options: argparse.Namespace, problems: dict[str, str]) -> Iterator[Program | Result]:
    """Yield what is compared: a program, or for what cannot run a result with the reason."""
    for method in options.methods:
        yield own_program(method, options.threshold, options.processes, options.memory_limit)
    for peer in chosen_peers(options):
        python = peer.python(options.peers)
        if python is None:
            reason = problems.get(peer.name) or ("run --install first" if options.peers else "no --peers FOLDER")
            yield Result(peer.name, problem=f"not installed: {reason}")
        else:
            yield peer_program(peer, python, options.threshold, options.processes)


def chosen_peers(options: argparse.Namespace) -> list[Peer]:
    """The peers that were asked for."""
    return [p for p in ALL_PEERS if options.only is None or p.name in options.only]


def measure(
    wanted: Sequence[Program | Result], source: Path, rows: int, work: Path, runs: int, limit: float
) -> list[Result]:
    """Run every program *runs* times in turn; returns the run of median time of each."""
    found: dict[str, list[Result]] = {w.name: [w] for w in wanted if isinstance(w, Result)}
    for k in range(runs):
        for program in wanted:
            if isinstance(program, Result) or (found.get(program.name) and found[program.name][-1].problem):
                continue
            place = work / f"{program.name.replace(' ', '-')}-{k}"
            say(f"{program.name}, {rows:,} rows, run {k + 1} of {runs}")
            found.setdefault(program.name, []).append(run(program, source, rows, place, limit))
            shutil.rmtree(place)
    return [median(found[w.name]) for w in wanted]


def median(results: Sequence[Result]) -> Result:
    """Return the run of median time, or the one that failed."""
    failed = [r for r in results if r.problem]
    return failed[0] if failed else sorted(results, key=lambda r: r.seconds)[len(results) // 2]


def say(text: str) -> None:
    """Tell the terminal what is going on, beside the tables."""
    print(text, file=sys.stderr, flush=True)


def compare(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run all programs over the same rows and judge their groups."""
    problems = install(chosen_peers(options), options.peers) if options.install else {}
    source, warm = work / "texts.jsonl", work / "warm.jsonl"
    facts = write_rows(texts(options.data), source, options.rows)
    write_rows(texts(source), warm, WARM)
    wanted = list(programs(options, problems))
    measure(wanted, warm, min(WARM, facts["rows"]), work / "warm", 1, options.limit)
    results = measure(wanted, source, facts["rows"], work / "runs", options.runs, options.limit)
    pairs = None
    if facts["rows"] <= JUDGED:
        from truth import judge, true_pairs

        say("brute force over all pairs")
        pairs = true_pairs(list(texts(source)), options.threshold)
        facts["pairs"] = int(pairs[0].size)
    lines = []
    for result in results:
        removed = sum(k != n for n, k in enumerate(result.kept))
        quality = asdict(judge(result.kept, pairs)) if pairs and not result.problem else {}
        groups = len({k for n, k in enumerate(result.kept) if k != n})
        named = {k: v for k, v in asdict(result).items() if k != "kept"}
        lines.append({**named, "groups": groups, "removed": removed, **quality})
    return {**environment(options), **facts, "programs": lines}


def scale(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run our own programs over more and more rows."""
    work.mkdir(exist_ok=True)
    steps: list[dict[str, Any]] = []
    for most in options.steps:
        source = work / f"{most}.jsonl"
        facts = write_rows(texts(options.data), source, most)
        if steps and facts["rows"] == steps[-1]["rows"]:
            say(f"the data has {facts['rows']:,} rows; the step of {most:,} is left out")
            break
        wanted = [own_program(m, options.threshold, options.processes, options.memory_limit) for m in options.methods]
        if not steps:
            write_rows(texts(source), work / "warm.jsonl", WARM)
            measure(wanted, work / "warm.jsonl", min(WARM, facts["rows"]), work / "warm", 1, options.limit)
        results = measure(wanted, source, facts["rows"], work / f"runs-{most}", options.runs, options.limit)
        source.unlink()
        for result in results:
            removed = sum(k != n for n, k in enumerate(result.kept))
            named = {k: v for k, v in asdict(result).items() if k not in ("kept", "settings")}
            steps.append({**facts, **named, "removed": removed})
    return {**environment(options), "steps": steps}


def environment(options: argparse.Namespace) -> dict[str, Any]:
    """What a figure depends on beside the programs."""
    return {
        "threshold": options.threshold, "processes": options.processes, "runs": options.runs,
        "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], "python": sys.version.split()[0],
        "memory_limit": options.memory_limit,
    }  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Return *rows* as a Markdown table, or as columns."""
    if markdown:
        align = ["---", *["---:"] * (len(head) - 1)]
        return "\n".join("| " + " | ".join(line) + " |" for line in [head, align, *rows])
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in [head, *rows]
    )


def comparison_table(found: dict[str, Any], markdown: bool) -> str:
    """Return one line per program, what did not run with its reason, and the settings of each below."""
    own = {p["name"]: p["seconds"] for p in found["programs"] if p["name"].startswith("governance") and p["seconds"]}
    head = [
        "program",
        "seconds",
        *(f"times {name.split()[1]}" for name in own),
        "processor s",
        "peak MB",
        "groups",
        "rows removed",
        "recall",
        "precision",
    ]
    rows, below = [], []
    for p in found["programs"]:
        if p["problem"]:
            rows.append([p["name"], p["problem"], *[""] * (len(head) - 2)])
            continue
        quality = [f"{p[k]:.4f}" if k in p else "not measured" for k in ("recall", "precision")]
        times = ["" if name == p["name"] else f"{p['seconds'] / seconds:.1f}" for name, seconds in own.items()]
        rows.append([
            p["name"], f"{p['seconds']:.2f}", *times, f"{p['processor']:.2f}", f"{p['peak'] / 1e6:,.0f}",
            f"{p['groups']:,}", f"{p['removed']:,}", *quality,
        ])  # fmt: skip
        below.append(f"{p['name']}: {p['settings']}")
    pairs = f"; {found['pairs']:,} pairs reach it by brute force" if "pairs" in found else ""
    said = (
        f"{found['rows']:,} rows, {found['mb']:.1f} MB of distinct text, Jaccard {found['threshold']}{pairs}; "
        f"{found['cores']} cores, load {found['load']:.1f} at the end, median of {found['runs']}."
    )
    return "\n\n".join([said, table(head, rows, markdown), *below])


def scaling_table(found: dict[str, Any], markdown: bool) -> str:
    """Return one line per program and size; the exponent is that of time against MB since the size before."""
    rows, before, first = [], {}, {}
    for s in found["steps"]:
        if s["problem"]:
            rows.append([s["name"], f"{s['rows']:,}", s["problem"], *[""] * 5])
            continue
        exponents = []
        for earlier in (before.get(s["name"]), first.get(s["name"])):
            same = earlier is None or earlier["mb"] == s["mb"]
            exponents.append(
                "" if same else f"{math.log(s['seconds'] / earlier['seconds']) / math.log(s['mb'] / earlier['mb']):.2f}"
            )
        rows.append([
            s["name"], f"{s['rows']:,}", f"{s['mb']:.1f}", f"{s['seconds']:.2f}", f"{s['mb'] / s['seconds']:.1f}",
            f"{s['peak'] / 1e6:,.0f}", f"{s['removed']:,}", exponents[0], exponents[1],
        ])  # fmt: skip
        before[s["name"]] = s
        if s["rows"] >= 50_000:
            first.setdefault(s["name"], s)
    head = ["program", "rows", "MB distinct", "seconds", "MB/s", "peak MB", "rows removed", "exponent", "since 50k"]
    said = f"Jaccard {found['threshold']}, {found['cores']} cores, --memory-limit {found['memory_limit']}."
    return f"{said}\n\n{table(head, rows, markdown)}"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSONL with 'text' or 'output'; the functions installed here without")
    parser.add_argument("--rows", type=int, default=20_000, help="most rows of the comparison")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--runs", type=int, default=3, help="counted runs; the median is shown")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--memory-limit", default="4GiB", help="of our own programs")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that one run may take")
    parser.add_argument("--peers", type=Path, help="folder with one environment per peer")
    parser.add_argument("--install", action="store_true", help="make those environments first; needs a package index")
    parser.add_argument("--only", nargs="*", choices=[p.name for p in ALL_PEERS], help="these peers alone")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS), help="our own, to run")
    parser.add_argument("--scaling", action="store_true", help="our own programs over more and more rows")
    parser.add_argument("--steps", type=int, nargs="*", default=list(STEPS), help="rows for --scaling")
    parser.add_argument("--markdown", action="store_true", help="tables as Markdown")
    parser.add_argument("--out", type=Path, help="write the figures as JSON here as well")
    options = parser.parse_args()
    if options.install and options.peers is None:
        parser.error("--install needs --peers FOLDER")
    if options.peers is not None:
        options.peers = options.peers.resolve()
    return options


def main() -> None:
    """Run and print."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="governance-bench-") as folder:
        work = Path(folder)
        found = scale(options, work) if options.scaling else compare(options, work)
    print((scaling_table if options.scaling else comparison_table)(found, options.markdown))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
