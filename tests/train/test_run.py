"""`governance train` from the gate to the folder: shut gates, wrong arguments, missing packages, killed processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from governance.data import data_folder
from governance.files import sha256_file

TRAINING = """training:
  {rank: 4, learning_rate: 0.005, cutoff: 320, batch: 4, epochs: EPOCHS, save_steps: 1, log_steps: 1}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """The pipeline `default` with a short training, six steps."""
    text = (data_folder("pipelines") / "default.yaml").read_text("utf-8")
    path = tmp_path / "short.yaml"
    path.write_text(text.rstrip("\n") + "\n" + TRAINING.replace("EPOCHS", "2"), "utf-8")
    return path


@pytest.fixture
def passed(governance: Any, workspace: Path, passing: Path, pipeline: Path) -> Path:
    """A file that passed under it."""
    ended = governance("check", passing, "--pipeline", pipeline, "--workspace", workspace, "--no-record")
    assert ended.code == 0, ended.err
    return passing


def test_train(governance: Any, workspace: Path, passed: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A dataset that passed becomes an adapter, as its signed pipeline says; no checkpoint is left."""
    how = ("train", passed, "--base-model", tiny_model, "--workspace", workspace)
    ended = governance(*how, "--out", tmp_path / "adapter", "--format", "json")
    assert ended.code == 0, ended.err
    [record] = json.loads(ended.out)
    assert record == json.loads((tmp_path / "adapter" / "adapter.json").read_bytes())
    assert record["training"]["rank"] == 4 and record["steps"] == 6 and record["status"] == "unreleased: not audited"
    [line] = ended.err.splitlines()  # the libraries said nothing
    cut = record["truncation"]
    assert f"{cut['shortened']} are shortened" in line and f"{cut['answer_tokens_lost']} of" in line.replace(",", "")
    assert [p.name for p in tmp_path.iterdir() if "adapter" in p.name] == ["adapter"]
    again = governance(*how, "--out", tmp_path / "adapter")
    assert again.code == 2 and "not empty" in again.err
    kept = governance(*how, "--out", tmp_path / "kept", "--keep-checkpoints")
    assert kept.code == 0 and "unreleased: not audited" in kept.out
    assert sorted(p.name for p in (tmp_path / ".kept.checkpoints").glob("checkpoint-*")) == [
        "checkpoint-5",
        "checkpoint-6",
    ]
    weights = "adapter_model.safetensors"
    assert sha256_file(tmp_path / "kept" / weights) == sha256_file(tmp_path / "adapter" / weights)


def test_a_shut_gate_trains_nothing(
    governance: Any, workspace: Path, closing: Path, passing: Path, tmp_path: Path
) -> None:
    """What was never checked, and what is closed, ends with 1; the base is not even looked at."""
    how = ("--base-model", tmp_path / "none", "--out", tmp_path / "adapter", "--workspace", workspace)
    unknown = governance("train", passing, *how)
    assert unknown.code == 1 and "never checked" in unknown.err
    assert governance("check", closing, "--workspace", workspace, "--no-record").code == 1
    closed = governance("train", closing, *how)
    assert closed.code == 1 and "CLOSED" in closed.err
    assert [p.name for p in tmp_path.iterdir() if "adapter" in p.name] == []


def test_wrong_arguments(governance: Any, workspace: Path, passed: Path, tmp_path: Path) -> None:
    """A base that is none, an output that is a file or is in use, several processes: 2 and one line each."""
    how = ("train", passed, "--workspace", workspace)
    (tmp_path / "file").write_text("x")
    for arguments, said in (
        (("--base-model", tmp_path / "none", "--out", tmp_path / "adapter"), "no such folder"),
        (("--base-model", tmp_path, "--out", tmp_path / "file"), "is no folder"),
        (("--base-model", tmp_path, "--out", tmp_path), "not empty"),
    ):
        ended = governance(*how, *arguments)
        assert ended.code == 2 and said in ended.err and len(ended.err.splitlines()) == 1, ended.err


def test_one_process_only(
    governance: Any, workspace: Path, passed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started once per GPU by a launcher it says what to use for that, and trains nothing."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = governance(
        "train", passed, "--workspace", workspace, "--base-model", tmp_path, "--out", tmp_path / "adapter"
    )
    assert ended.code == 2 and "governance guard" in ended.err


def test_a_killed_training_goes_on(
    governance: Any, workspace: Path, passed: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """kill -9 leaves no adapter; the same command goes on, and the bytes are those of an undisturbed training."""
    how = ["train", str(passed), "--base-model", str(tiny_model), "--workspace", str(workspace), "--out"]
    out = tmp_path / "adapter"
    process = subprocess.Popen(
        [sys.executable, "-m", "governance", *how, str(out)],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    sealed, deadline = tmp_path / ".adapter.checkpoints" / "checkpoint-2" / "seal.json", time.monotonic() + 120
    while not sealed.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert not out.exists()
    resumed = governance(*how, out)
    assert resumed.code == 0, resumed.err
    record = json.loads((out / "adapter.json").read_bytes())
    assert 2 <= record["resumed_at"] <= 6 and record["steps"] == 6 and "went on" in resumed.out
    assert governance(*how, tmp_path / "whole").code == 0
    weights = "adapter_model.safetensors"
    assert sha256_file(out / weights) == sha256_file(tmp_path / "whole" / weights)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_other_settings_do_not_go_on(
    governance: Any, workspace: Path, passed: Path, pipeline: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Checkpoints of other settings stop the command before any step, and the line says what differs."""
    folder = tmp_path / ".adapter.checkpoints"
    folder.mkdir()
    (folder / "training.json").write_text('{"dataset": "x", "base": "y", "training": {"rank": 8}}')
    ended = governance(
        "train", passed, "--workspace", workspace, "--base-model", tiny_model, "--out", tmp_path / "adapter"
    )  # fmt: skip
    assert ended.code == 2 and "another training" in ended.err and str(folder) in ended.err


WITHOUT = (
    "import sys\n"
    "for name in ('torch', 'transformers', 'peft'): sys.modules[name] = None\n"
    "from governance.cli import main\n"
    "main(sys.argv[1:])\n"
)


@pytest.mark.parametrize(
    "arguments",
    [("train", "data.jsonl", "--base-model", "base", "--out", "out"), ("tiny-model", "--out", "out")],
    ids=["train", "tiny-model"],
)
def test_without_the_extra(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Without torch the command says in one line what is missing and how to install it; nothing is written."""
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], capture_output=True, check=False, text=True, cwd=tmp_path
    )
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert "torch" in line and "lora-data-governance[train]" in line and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "tiny-model"])
def test_help_needs_no_torch(command: str, tmp_path: Path) -> None:
    """`--help` works where torch is not installed."""
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT, command, "--help"], capture_output=True, check=False, text=True, cwd=tmp_path
    )
    assert ended.returncode == 0 and "--out" in ended.stdout, ended.stderr
