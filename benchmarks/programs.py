"""the programs that are compared -> how each is installed, called and measured: time, processor time, peak memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil
from check import memory

PEERS = Path(__file__).parent / "peers"
OWN_SETTINGS = {
    "exact": "no signatures; 5 lexemes, verified",
    "minhash": "128 permutations; 5 lexemes, verified",
}
EVERY = 0.05  # seconds between two looks at the memory


@dataclass(frozen=True)
class Peer:
    """
    A program of others, in an environment of its own.

    Attributes:
        module: what its driver imports; where the running Python has it, no environment is needed.
        wanted: lists for pip, one call each; the first may be ``--no-deps``.
    """

    name: str
    module: str
    wanted: tuple[tuple[str, ...], ...]

    @property
    def driver(self) -> Path:
        """The script that runs it."""
        return PEERS / f"run_{self.name.replace('-', '_')}.py"

    def python(self, folder: Path | None) -> str | None:
        """Return the Python that has it, or None."""
        own = folder / self.name / "bin" / "python" if folder else None
        if own and own.exists() and (own.parent.parent / "installed").exists():
            return str(own)
        return sys.executable if find_spec(self.module) else None


ALL_PEERS = (
    Peer("datasketch", "datasketch", (("datasketch==2.0.0",),)),
    Peer("rensa", "rensa", (("rensa==0.5.0",),)),
    # Its release asks for packages of its other methods (a neural one among them) and for versions that contradict
    # each other; MinHash needs only these.
    Peer(
        "text-dedup",
        "text_dedup",
        (
            ("--no-deps", "text-dedup==0.4.0"),
            (
                "datasets", "click", "click-option-group", "regex", "rich", "scipy", "xxhash", "psutil", "tqdm", "ftfy",
                "bitarray", "pybloom-live", "setuptools", "zstandard",
            ),
        ),
    ),
    Peer("datatrove", "datatrove", (("datatrove==0.10.1", "spacy", "xxhash<4", "orjson", "regex"),)),
)  # fmt: skip


def install(peers: Sequence[Peer], folder: Path, limit: float = 600.0) -> dict[str, str]:
    """Make an environment per peer below *folder*; returns why one was not made, by name. Existing ones stay."""
    problems = {}
    for peer in peers:
        place = folder / peer.name
        if (place / "installed").exists():
            continue
        try:
            _call([sys.executable, "-m", "venv", str(place)], limit)
            for wanted in peer.wanted:
                _call([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted], limit)
            _call([str(place / "bin" / "python"), "-c", f"import {peer.module}"], limit)
        except (subprocess.SubprocessError, OSError) as problem:
            problems[peer.name] = _reason(problem)
        else:
            (place / "installed").touch()
    return problems


def _call(command: list[str], limit: float) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=limit)


def _reason(problem: Exception) -> str:
    """The last line that a program said, or what kept it from saying one."""
    if isinstance(problem, subprocess.TimeoutExpired):
        return f"not done after {problem.timeout:g} s"
    if isinstance(problem, subprocess.CalledProcessError):
        lines = [line.strip() for line in (problem.stderr or "").splitlines() if line.strip()]
        return lines[-1][:160] if lines else f"ended with {problem.returncode}"
    return f"{type(problem).__name__}: {problem}"[:160]


@dataclass
class Result:
    """
    One program over one file.

    Attributes:
        seconds: from the start of the process to its end; of several runs the median.
        processor: seconds of all its processes together, in the same run.
        peak: proportional set size of all its processes together, bytes.
        kept: per row the row that stays for it.
        settings: permutations, bands and rows, and the shingles, in words.
        problem: why there is nothing else.
    """

    name: str
    seconds: float = 0.0
    processor: float = 0.0
    peak: int = 0
    kept: list[int] = field(default_factory=list)
    settings: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Program:
    """A command over a JSONL of texts, and how its answer is read."""

    name: str
    command: Callable[[Path, Path], list[str]]  # (source, an empty folder) -> command
    read: Callable[[Path, str, int], tuple[list[int], str]]  # (folder, stdout, rows) -> kept, settings


def peer_program(peer: Peer, python: str, threshold: float, processes: int) -> Program:
    """Return how *peer* is run by *python*."""

    def command(source: Path, folder: Path) -> list[str]:
        (folder / "work").mkdir()
        return [
            python, str(peer.driver), str(source), str(folder / "groups.json"), "--threshold", str(threshold),
            "--processes", str(processes), "--work", str(folder / "work"),
        ]  # fmt: skip

    def read(folder: Path, _output: str, _rows: int) -> tuple[list[int], str]:
        groups = json.loads((folder / "groups.json").read_text("utf-8"))
        return groups["kept"], groups["settings"]

    return Program(peer.name, command, read)


def own_program(method: str, threshold: float, processes: int, memory_limit: str) -> Program:
    """Return how `governance dedup` is run, from the JSONL to its table of removable rows."""

    def command(source: Path, folder: Path) -> list[str]:
        return [
            sys.executable, "-m", "governance", "dedup", str(source), "--format", "jsonl",
            *(("--method", method) if method != "exact" else ()),
            "--threshold", str(threshold), "--processes", str(processes), "--memory-limit", memory_limit,
            "--workspace", str(folder / "workspace"),
        ]  # fmt: skip

    def read(_folder: Path, output: str, rows: int) -> tuple[list[int], str]:
        kept = list(range(rows))
        for line in output.splitlines():
            removed = json.loads(line)
            if removed["kind"] != "renamed":  # reported, but another question than that of the peers
                kept[removed["row"]] = removed["kept_row"]
        return kept, OWN_SETTINGS[method]

    return Program(f"governance {method}", command, read)


def run(program: Program, source: Path, rows: int, folder: Path, limit: float) -> Result:
    """Run *program* over *source* in a fresh process and an empty *folder*."""
    folder.mkdir(parents=True)
    command = program.command(source, folder)
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder)
        seen, done = _Seen(), threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, seen, done), daemon=True)
        watcher.start()
        killer = threading.Timer(limit, process.kill)
        killer.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for a process that is gone
        killer.cancel()
        done.set()
        watcher.join()
        out.seek(0)
        err.seek(0)
        said, complained = (
            out.read(),
            [line.strip("│ ") for line in err.read().splitlines() if any(map(str.isalnum, line))],
        )
    if process.returncode:
        last = complained[-1][:160] if complained else f"ended with {process.returncode}"
        return Result(program.name, problem=f"not done after {limit:g} s" if seconds >= limit else last)
    kept, settings = program.read(folder, said, rows)
    processor = max(used.ru_utime + used.ru_stime, sum(seen.processor.values()))
    return Result(program.name, seconds, processor, max(seen.peak, used.ru_maxrss * 1024), kept, settings)


@dataclass
class _Seen:
    """What was seen of a family of processes while it ran."""

    peak: int = 0
    processor: dict[int, float] = field(default_factory=dict)


def _watch(pid: int, seen: _Seen, done: threading.Event) -> None:
    """Look at the family of *pid*; the kernel accounts to *pid* no child that another process waited for."""
    while not done.wait(EVERY):
        seen.peak = max(seen.peak, memory(pid))
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            continue
        for process in family:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                seen.processor[process.pid] = times.user + times.system
