"""A helping process imports beside the check, answers, and never outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.aside import SMALL, Aside, Helpers
from governance.errors import GovernanceError, PipelineError


@pytest.fixture
def made() -> Iterator[Aside]:
    aside = Aside("governance.settings")
    yield aside
    aside.close()


def test_a_call_returns_what_the_function_returns(made: Aside) -> None:
    """Functions of the module are called there, one after the other, and their values come back."""
    made.start("load_pipeline", "default")
    assert made.result().name == "default"
    made.start("load_pipeline", "user-stories")
    assert made.result().name == "user-stories"


def test_an_expected_failure_keeps_its_class_and_words(made: Aside) -> None:
    """A GovernanceError there is the same error here, and the process goes on."""
    made.start("load_pipeline", "no-such")
    with pytest.raises(PipelineError, match="pipeline 'no-such' is unknown"):
        made.result()
    made.start("load_pipeline", "default")
    assert made.result().name == "default"


def test_a_bug_says_where_and_not_what(made: Aside) -> None:
    """The message of any other exception may quote a sample, so only its kind and place come back."""
    made.start("load_pipeline", 7, "a secret word")
    with pytest.raises(RuntimeError, match=r"helping process: TypeError at aside\.py:\d+ serve") as bug:
        made.result()
    assert "secret" not in str(bug.value)


def test_a_process_that_was_killed_is_an_error(made: Aside) -> None:
    """Ended from outside it gives one line, never an empty result; before the call and during it."""
    made._process.send_signal(signal.SIGKILL)
    made._process.wait()
    made.start("load_pipeline", "default")
    with pytest.raises(GovernanceError, match=r"a helping process ended \(-9\), most often for want of memory"):
        made.result()


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """When the parent is killed, the helping process sees the end of its input and ends."""
    code = (
        "import os, sys, time\nfrom governance.aside import Aside\na = Aside('governance.errors')\n"
        "print(a._process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(600):
        if not alive(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} outlived its parent")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_only_small_datasets_get_a_searcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large dataset, one core, or kernels that are loaded already make no process; a missing dataset neither."""
    monkeypatch.setattr("governance.aside.Aside", lambda *modules: modules)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    small, large = tmp_path / "small.jsonl", tmp_path / "many" / "large.jsonl"
    small.write_bytes(b"{}\n")
    large.parent.mkdir()
    large.write_bytes(b"\n" * (SMALL + 1))

    def searcher(dataset: Path, **settings: Any) -> bool:
        return Helpers(dataset, record=False, **({"processes": 2} | settings)).searcher is not None

    assert searcher(small)
    assert not searcher(large) and not searcher(large.parent) and not searcher(tmp_path / "nothing")
    assert not searcher(small, processes=1)
    monkeypatch.setitem(sys.modules, "numba", os)
    assert not searcher(small)


def test_a_searcher_changes_no_byte(workspace: Path, passing: Path) -> None:
    """The command, which searches aside, and one process alone write the same evidence and tables."""

    def run(place: Path, processes: str) -> dict[str, bytes]:
        command = [sys.executable, "-m", "governance", "check", str(passing), "--no-record"]
        extra = ["--workspace", str(place), "--processes", processes]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "GOVERNANCE_FINGERPRINT_KEY": "k" * 32}
        subprocess.run([*command, *extra], check=True, capture_output=True, env=environment)
        [folder] = (place / "runs").iterdir()
        return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".json", ".parquet", ".html")}

    alone, aside = run(workspace, "1"), run(workspace.with_name("other"), "2")
    assert [name for name in alone if alone[name] != aside[name] and name not in SIGNED] == []


SIGNED = ("verdict.dsse.json",)  # by the key of each workspace
