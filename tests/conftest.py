"""Fixtures of the frame: datasets that pass and that do not, a workspace, the command line in this process."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from governance.cli import main
from governance.context import Checked, Options
from governance.data import data_folder

Record = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled patterns that all workspaces of this session share; compiling takes a second."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def workspace(tmp_path: Path, compiled: Path) -> Path:
    """A workspace of its own."""
    path = tmp_path / "ws"
    path.mkdir()
    (path / "cache").symlink_to(compiled)
    return path


@pytest.fixture(scope="session")
def control() -> list[Record]:
    """Records that pass every gate of the pipelines `default` and `code-generation`."""
    text = (data_folder("pipelines") / "controls" / "default.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write records to ``tmp_path/NAME`` as JSON Lines and return the path."""

    def write(records: list[Record], name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), "utf-8")
        return path

    return write


@pytest.fixture
def passing(tmp_path: Path) -> Path:
    """A file that passes the pipeline `default`."""
    path = tmp_path / "passing.jsonl"
    shutil.copy(data_folder("pipelines") / "controls" / "default.jsonl", path)
    return path


@pytest.fixture(scope="session")
def faults(control: list[Record]) -> list[Record]:
    """Records that each close one gate of `default`: an address, an empty output, no licence, a copy."""
    address = "anna.schmidt" + "@" + "firma-beispiel.de"
    base = control[0]
    return [
        {**base, "input": "an address", "output": f"write to {address} about the order of last week"},
        {**base, "input": "empty", "output": ""},
        {**base, "input": "no licence", "output": f"{base['output']}\n// own part of this one\n", "licence": None},
        control[1],
    ]


@pytest.fixture
def closing(write_jsonl: Callable[..., Path], control: list[Record], faults: list[Record]) -> Path:
    """A file that the pipeline `default` closes on, with one record that cannot be read at its end."""
    path = write_jsonl([*control, *faults], "closing.jsonl")
    with path.open("ab") as file:
        file.write(b'{"instruction": "cut\n')
    return path


@pytest.fixture
def check(workspace: Path) -> Callable[..., Checked]:
    """Check a dataset in this process, without the Great Expectations record unless it is asked for."""
    from governance.pipeline import check_dataset

    def run(dataset: Path | str, **options: Any) -> Checked:
        settings = {"workspace": workspace, "record": False, "processes": 1} | options
        return check_dataset(dataset, Options(**settings))

    return run


@pytest.fixture
def governance(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the command line in this process, in *tmp_path*, and return how it ended."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        found = capsys.readouterr()
        return Ended(int(ended.value.code or 0), found.out, found.err)

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny base model that learned little; the workers of one test run share it."""
    import torch

    from governance.train.tiny import make_tiny_model

    torch.set_num_threads(1)  # the workers are as many as the cores
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "tiny"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make_tiny_model(folder, steps=30, megabytes=0.3)
    return folder
