"""Worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from governance.errors import WorkspaceError
from governance.ingest.parse import Chunk, Parser
from governance.ingest.workers import Workers

SCRIPT = """
import time
from governance.ingest.parse import Parser
from governance.ingest.workers import Workers
with Workers(Parser(None, 1000), 2) as workers:
    print(*(w.process.pid for w in workers._all), flush=True)
    time.sleep(60)
"""


def test_order_is_kept() -> None:
    """Results come in the order of the chunks, whichever worker is faster."""
    chunks = [Chunk(b'{"text": "%d"}\n' % i * (1 + 500 * (i % 2))) for i in range(20)]
    with Workers(Parser(None, 1000), 2) as workers:
        found = [p.batches[0].column("texts")[0].as_py()[0]["text"] for p in workers.map(iter(chunks))]
    assert found == [str(i) for i in range(20)]


def test_workers_end_with_the_caller() -> None:
    """When the caller is killed, its workers end; the script needs no main guard."""
    caller = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert caller.stdout
    pids = [int(p) for p in caller.stdout.readline().split()]
    assert len(pids) == 2
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(_alive, pids)):
        assert time.monotonic() < deadline, "a worker outlived its caller"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_killed_worker_is_one_line() -> None:
    """A worker that the system ends, for memory for example, is an error that says what to do."""
    chunks = [Chunk(b'{"text": "a"}\n')] * 50
    with (
        pytest.raises(WorkspaceError, match="ended from outside"),
        Workers(Parser(None, 1000), 2) as workers,
    ):
        for worker in workers._all:
            worker.process.kill()
        list(workers.map(iter(chunks)))


def test_stopping_early_ends_the_workers() -> None:
    """An error in the middle of a file leaves no worker behind."""
    chunks = [Chunk(b'{"text": "a"}\n')] * 50
    workers = Workers(Parser(None, 1000), 2)
    try:
        with workers:
            for _ in workers.map(iter(chunks)):
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert all(w.process.poll() is not None for w in workers._all)
