"""The pool: same tables for any number of processes, light workers, and no way for one to hang or to leak."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from scan_batches import KEY, a_batch, a_rule, write_samples

from governance.errors import GovernanceError, RuleError
from governance.rules import Rule
from governance.scan import pool
from governance.scan.patterns import compile_database
from governance.scan.pool import Task, scan_samples
from governance.scan.prove import missed_probes, probe_batch

RULES = [a_rule("t/digits", r"\d{4}", flags=("1234",)), a_rule("t/create", "/create", field="path", flags=("/create",))]
HEAVY = ("duckdb", "numba", "pandas", "pydantic", "great_expectations", "typer", "torch", "yaml")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A samples file of three record batches."""
    batches = [
        a_batch([{"instruction": f"{b}", "output": f"row {i} 用户 {i:04}\nGET /create"} for i in range(50)])
        for b in range(3)
    ]
    return write_samples(tmp_path / "samples.arrow", batches)


@pytest.fixture
def always_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files go through processes as well, in small slices."""
    monkeypatch.setattr(pool, "INLINE", 0)
    monkeypatch.setattr(pool, "SLICE", 7)


def children() -> list[psutil.Process]:
    """The processes that this one started and that still run."""
    return [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.usefixtures("always_pool")
def test_processes_change_nothing(samples: Path) -> None:
    """One, two or three processes and a file scanned inline give the same tables, and progress counts every row."""
    inline = scan_samples(samples, RULES, KEY, processes=1)
    assert inline.findings.num_rows == 300
    assert inline.routes.num_rows == 150
    for processes in (2, 3):
        done: list[int] = []
        result = scan_samples(samples, RULES, KEY, processes=processes, progress=done.append)
        assert all(a.equals(b) for a, b in zip(result, inline, strict=True))
        assert sum(done) == 150
    assert children() == []


@pytest.mark.usefixtures("always_pool")
def test_probes_go_through_every_process(samples: Path) -> None:
    """Probes are found by the workers, apart from the data's findings."""
    probes = probe_batch(RULES)
    result = scan_samples(samples, RULES, KEY, processes=2, probes=probes)
    assert missed_probes(probes, result.probes) == []
    assert set(result.findings.column("file").to_pylist()) == {"d.jsonl"}
    assert set(result.probes.column("file").to_pylist()) == {"probe"}


def test_a_probe_that_one_process_misses_is_missed() -> None:
    """What only some of the processes found does not count as found."""
    rows = [{"n": n, "rule": "t/a", "start": 0, "end": 1} for n in range(2)]
    whole, part = (pa.RecordBatch.from_pylist(r, schema=pool.FINDINGS) for r in (rows, rows[1:]))
    assert pool._found_by_all([whole, part, whole]).column("n").to_pylist() == [1]
    assert pool._found_by_all([whole, whole]).num_rows == 2


@pytest.mark.usefixtures("always_pool")
def test_workers_import_nothing_heavy(samples: Path, add_check: Callable[[str], Rule]) -> None:
    """A worker never loads what it does not need; each would cost its start time and memory in every process."""
    rule = add_check(
        "def added(unit, text, params):\n"
        f"    yield Hit(0, 0, ','.join(m for m in {HEAVY} if sys.modules.get(m)) or 'none')\n"
    )
    findings = scan_samples(samples, [*RULES, rule], KEY, processes=2).findings.to_pylist()
    assert {r["detail"] for r in findings if r["rule"] == rule.rule_id} == {"none"}


@pytest.fixture
def add_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Rule]:
    """Make the function ``added`` of a text a check that workers know, and return a rule that calls it."""

    def add(source: str) -> Rule:
        (tmp_path / "added_check.py").write_text(
            "import sys\nfrom governance.scan.registry import Hit, named_check\n@named_check('added')\n" + source
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(pool, "_BOOT", pool._BOOT.replace("; serve()", "; import added_check; serve()"))
        return a_rule("t/added", "added", kind="check")

    return add


@pytest.mark.usefixtures("always_pool")
def test_a_failure_in_a_worker_holds_no_text(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], add_check: Callable[[str], Rule]
) -> None:
    """A bug in a worker ends the scan with the place of the bug, and nothing of the sample, anywhere."""
    rule = add_check("def added(unit, text, params):\n    raise KeyError(text)\n")
    file = write_samples(tmp_path / "s.arrow", [a_batch([{"output": f"confidential {i}"} for i in range(30)])])
    with pytest.raises(RuntimeError, match=r"^scan process: KeyError at added_check.py:5 added < ") as problem:
        scan_samples(file, [rule], KEY, processes=2)
    out, err = capfd.readouterr()
    assert "confidential" not in f"{problem.value!r}{problem.value.__context__!r}{out}{err}"
    assert children() == []


@pytest.mark.usefixtures("always_pool")
def test_a_rule_error_in_a_worker_stays_one(samples: Path) -> None:
    """A wrong rule that only the scanner notices is the same clear error from a pool."""
    with pytest.raises(RuleError, match=r"^t/unknown: check 'nope' is unknown"):
        scan_samples(samples, [a_rule("t/unknown", "nope", kind="check")], KEY, processes=2)


def setup_of(samples: Path) -> dict[str, Any]:
    """What a worker is sent first."""
    return {"samples": str(samples), "rules": RULES, "key": KEY, "database": compile_database(RULES)}


def test_a_killed_worker_is_reported(samples: Path) -> None:
    """A worker that the system ends is an error that says so, not a hang."""
    with pool._started(2, setup_of(samples)) as workers:
        os.kill(workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(GovernanceError, match="ended by SIGKILL"):
            pool._run(workers, [Task(0, i, 1) for i in range(20)], None, None)
    assert children() == []


def test_interrupt_leaves_no_process(samples: Path) -> None:
    """Ctrl-C in the parent ends every worker at once."""

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pool._started(2, setup_of(samples)) as workers:
        pool._run(workers, [Task(0, i, 1) for i in range(20)], None, interrupt)
    assert children() == []


def processes_of(parent: psutil.Process, count: int) -> list[psutil.Process]:
    """Wait until *parent* has *count* children."""
    for _ in range(200):
        if len(found := parent.children()) >= count:
            return found
        time.sleep(0.05)
    pytest.fail("the workers did not start")


@pytest.fixture
def parent(samples: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has started two workers and then waits for ever."""
    code = (
        "import pickle, sys, time, governance.scan.pool as p\n"
        "with p._started(2, pickle.load(sys.stdin.buffer)) as workers:\n"
        "    p._run(workers, [p.Task(0, 0, 1)], None, None)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(pickle.dumps(setup_of(samples)))
    process.stdin.close()
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_workers_end_with_their_parent(parent: subprocess.Popen[bytes]) -> None:
    """Workers end when their parent is killed without a chance to end them."""
    workers: Sequence[psutil.Process] = processes_of(psutil.Process(parent.pid), 2)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_script_needs_no_main_guard(samples: Path, tmp_path: Path) -> None:
    """A script that scans at its top level works: workers do not import it again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import pickle, sys\nfrom pathlib import Path\nfrom governance.scan import pool\n"
        "pool.INLINE = 0\npool.SLICE = 10\n"
        "setup = pickle.load(sys.stdin.buffer)\n"
        "print(pool.scan_samples(Path(setup['samples']), setup['rules'], b'k', processes=2).findings.num_rows)\n"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, str(script)],
        input=pickle.dumps(setup_of(samples)),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.stdout == b"300\n"
