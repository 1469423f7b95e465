"""--memory-limit bounds the sum of all processes and changes no result."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from governance.engines.tables import refused_memory
from governance.errors import UsageError, WorkspaceError
from governance.memory import HERE, LEAST, MIB, READER, RECORDER, SCANNER, THREAD, Shares, return_memory, share_memory

LIMIT = 1_000_000_000
ALLOWED = 1_500_000_000


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize("cores", [1, 2, 16, 192])
@pytest.mark.parametrize("limit", [800 * MIB, LIMIT, 4096 * MIB, 65536 * MIB])
def test_the_parts_fit_into_the_limit(limit: int, cores: int, record: bool) -> None:
    """At every stage what works at once takes at most the limit, and at most one process per core is used."""
    shares = share_memory(limit, cores, record=record)
    rest = limit - HERE - (RECORDER if record else 0)
    for count, each in ((shares.readers, READER), (shares.scanners, SCANNER), (shares.threads, THREAD)):
        assert 1 <= count <= cores
        assert count * each <= rest
    assert 2 * shares.search <= rest >= 2 * shares.database


def test_more_memory_never_means_less_of_anything() -> None:
    """Raising the limit lowers no share."""

    def parts(shares: Shares) -> list[int]:
        return [shares.readers, shares.scanners, shares.threads, shares.database, shares.search]

    found = [parts(share_memory(limit * MIB, 32)) for limit in range(512, 8192, 64)]
    assert all(a <= b for one, two in itertools.pairwise(found) for a, b in zip(one, two, strict=True))


def test_a_limit_below_the_floor_is_refused_with_the_floor() -> None:
    """Too little for one process is said before any work, with what is needed; the floor itself is enough."""
    floor = HERE + LEAST
    with pytest.raises(UsageError, match=rf"--memory-limit is 511MiB, expected at least {floor // MIB}MiB$"):
        share_memory(floor - 1, 2)
    with pytest.raises(UsageError, match=rf"at least {(floor + RECORDER) // MIB}MiB, or {floor // MIB}MiB with --no"):
        share_memory(floor, 2, record=True)
    assert share_memory(floor, 2).threads == 2


def test_the_command_refuses_too_little(governance: Any, passing: Path, workspace: Path) -> None:
    """`check --memory-limit 100MB` ends with 2 and one line, and writes no run."""
    ended = governance("check", passing, "--workspace", workspace, "--memory-limit", "100MB", "--no-record")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "--memory-limit is 95MiB, expected at least 512MiB" in ended.err
    assert list((workspace / "runs").iterdir()) == []


def test_memory_that_is_refused_is_one_line() -> None:
    """What DuckDB, NumPy and Arrow raise for want of memory becomes an error that says what to do, without a value."""
    with pytest.raises(WorkspaceError, match="raise --memory-limit"), refused_memory():
        con = duckdb.connect(config={"memory_limit": "2MB", "temp_directory": ""})
        con.execute("select list(range) from range(10_000_000)").fetchall()
    with pytest.raises(WorkspaceError, match="raise --memory-limit"), refused_memory():
        bytearray(1 << 60)
    with pytest.raises(ZeroDivisionError), refused_memory():
        _ = 1 // 0


def test_returned_memory_harms_nothing() -> None:
    """Freed memory is returned while tables are in use, and they stay what they are."""
    import pyarrow as pa

    table = pa.table({"n": list(range(100_000))})
    return_memory()
    assert table["n"][99_999].as_py() == 99_999


def write_dataset(path: Path, rows: int) -> Path:
    """About 5 kB a row: random words, with copies, e-mail addresses and bad rows in between."""
    draw = random.Random(7)  # noqa: S311  data, not a secret
    words = [f"{draw.getrandbits(24):x}" for _ in range(4096)]
    before = ""
    with path.open("w") as out:
        for k in range(rows):
            text = f"{before} and one more" if k % 10 == 9 else " ".join(draw.choices(words, k=850))
            if k % 97 == 0:
                text += f" anna.{words[k % 4096]}" + "@" + "firma-beispiel.de"
            out.write("{\n" if k % 500 == 250 else json.dumps({"instruction": f"write {k}", "output": text}) + "\n")
            before = text
    return path


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def taken(pid: int) -> int:
    """Proportional set size of a process and all below it, bytes; shared pages count once."""
    total = 0
    try:
        for process in family(pid):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    except (OSError, StopIteration):
        pass  # one of them has just ended
    return total


def check(dataset: Path, workspace: Path, *arguments: str) -> tuple[dict[str, bytes], int]:
    """Check *dataset* in a process of its own; returns the files of the run, and the most that was taken at once."""
    command = [sys.executable, "-m", "governance", "check", str(dataset), "--no-record", "--workspace", str(workspace)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "GOVERNANCE_FINGERPRINT_KEY": "k" * 32}
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, env=environment)
    most = 0
    while process.poll() is None:
        most = max(most, taken(process.pid))
        time.sleep(0.05)
    assert process.returncode == 1
    [run] = (workspace / "runs").iterdir()
    files = [p for p in run.rglob("*") if p.is_file() and p.name not in ("verdict.dsse.json", "manifest.json")]
    return {p.name: p.read_bytes() for p in files}, most


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux to count memory")
def test_the_limit_holds_over_all_processes(tmp_path: Path, workspace: Path) -> None:
    """A dataset of 64 MB checked with a limit of 1 GB takes less than 1.5 GB, though 16 processes were asked for."""
    large = write_dataset(tmp_path / "large.jsonl", 13_000)
    assert large.stat().st_size > 60_000_000
    _, most = check(large, workspace, "--memory-limit", "1GB", "--processes", "16")
    assert 100_000_000 < most < ALLOWED


def test_the_limit_changes_no_result(tmp_path: Path, workspace: Path, compiled: Path) -> None:
    """With the least memory there may be, and without a thought of it, a run has the same bytes."""
    dataset = write_dataset(tmp_path / "some.jsonl", 2_500)
    assert dataset.stat().st_size > 10_000_000  # enough for several readers and scanners
    other = workspace.with_name("other")
    other.mkdir()
    (other / "cache").symlink_to(compiled)
    least, _ = check(dataset, workspace, "--memory-limit", "512MiB", "--processes", "1")
    most, _ = check(dataset, other, "--memory-limit", "8GB", "--processes", "3")
    assert [name for name in least if least[name] != most[name]] == []
    assert least.keys() == most.keys()
