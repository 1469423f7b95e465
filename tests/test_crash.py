"""Ctrl-C, SIGTERM and kill -9 at any moment of a check leave no run or a whole one, and no process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from governance.files import sha256_file
from governance.store import Workspace

CHANCE = random.Random(20261122)  # noqa: S311  # the same moments every time
PARTS = {signal.SIGINT: 5, signal.SIGKILL: 5, signal.SIGTERM: 2}
STOPS = [(kind, CHANCE.uniform(k / n, (k + 1) / n)) for kind, n in PARTS.items() for k in range(n)]
"""Which signal, and after which share of a whole check: one in every equal part, so that each stage is met."""


@dataclass(frozen=True)
class Long:
    """A dataset large enough for the pool of processes, and the seconds that its check takes here and now."""

    data: Path
    seconds: float


def start(data: Path, workspace: Path, *more: str) -> subprocess.Popen[str]:
    """Start a check in a session of its own, as a shell would, and wait until it has opened its workspace."""
    command = [sys.executable, "-m", "governance", "check", str(data), "--workspace", str(workspace)]
    process = subprocess.Popen(
        [*command, "--processes", "2", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not (workspace / ".locks").exists() and process.poll() is None:
        time.sleep(0.005)
    return process


def new_workspace(place: Path, compiled: Path) -> Path:
    """A workspace whose patterns are compiled."""
    place.mkdir()
    (place / "cache").symlink_to(compiled)
    return place


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, compiled: Path, control: list[Any]) -> Long:
    """About 5 MB of samples, checked once to the end."""
    place = tmp_path_factory.mktemp("long")
    data = place / "long.jsonl"
    with data.open("w", encoding="utf-8") as file:
        for k in range(1_900):
            words = " ".join(f"w{CHANCE.randrange(10**5)}" for _ in range(300))
            record = control[k % len(control)]
            file.write(json.dumps({**record, "output": f"{record['output']}\n{words}"}, ensure_ascii=False) + "\n")
    assert data.stat().st_size > 5_000_000
    workspace = new_workspace(place / "ws", compiled)
    process = start(data, workspace, "--no-record")
    begin = time.perf_counter()
    _, err = process.communicate(timeout=300)
    assert process.returncode in (0, 1) and err == ""
    assert len(whole_runs(workspace)) == 1
    return Long(data, time.perf_counter() - begin)


def whole_runs(workspace: Path) -> list[Path]:
    """The runs, each of which has to be whole: its manifest lists every file with its digest."""
    runs = [p for p in (workspace / "runs").iterdir() if not p.name.startswith(".")]
    for run in runs:
        listed = json.loads((run / "manifest.json").read_text())["files"]
        present = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
        present -= {"manifest.json", "verdict.dsse.json"}
        assert present == set(listed)
        assert {name: sha256_file(run / name) for name in listed} == listed
    return runs


@pytest.mark.parametrize(("kind", "moment"), STOPS, ids=[f"{kind.name}-{moment:.2f}" for kind, moment in STOPS])
def test_stopped(kind: signal.Signals, moment: float, long: Long, tmp_path: Path, compiled: Path) -> None:
    """A check that is stopped leaves whole runs only, no process, and nothing that the next command does not sweep."""
    workspace = new_workspace(tmp_path / "ws", compiled)
    recorded = kind == signal.SIGINT  # the recorder is one process more that must go
    process = start(long.data, workspace, "--record" if recorded else "--no-record")
    time.sleep(moment * long.seconds)
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    if kind == signal.SIGINT:
        os.killpg(process.pid, kind)  # a terminal sends Ctrl-C to the whole group
    else:
        process.send_signal(kind)
    out, err = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    runs = whole_runs(workspace)
    if process.returncode in (0, 1):  # it was done before the signal came
        assert len(runs) == 1 and err == ""
    elif kind == signal.SIGINT:
        assert process.returncode == 130, err
        assert err.splitlines() == ["interrupted; a run is written whole or not at all"] and out == ""
    else:
        assert process.returncode == -kind and err == ""
    Workspace(workspace)
    left = [p.name for p in workspace.rglob("*") if p.name.startswith((".tmp-", "work-"))]
    assert left == []
    for dataset in (p for p in (workspace / "datasets").iterdir() if len(p.name) == 64):
        assert {p.name for p in dataset.iterdir()} == {"manifest.json", "samples.parquet"}
