"""Real training of real adapters on the tiny model: repeatable, resumable, and stopped when it goes wrong."""

from __future__ import annotations

import hashlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from governance.errors import UsageError, WorkspaceError
from governance.settings import Training
from governance.train.adapter import EmptyAdapter, write_adapter
from governance.train.base import BaseModel, look_at_base
from governance.train.checkpoints import Checkpoints
from governance.train.door import GatedDataset, open_gated
from governance.train.lora import Trained, TrainingStopped, prepare_lora, train_lora

KEY = b"k" * 32
SHORT = {"cutoff": 320, "batch": 4, "rank": 4, "learning_rate": 5e-3, "save_steps": 2, "log_steps": 1}
"""Settings under which the control's samples take three steps an epoch, each a fraction of a second."""


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> BaseModel:
    """The tiny model."""
    return look_at_base(tiny_model)


@pytest.fixture
def data(approved: Any) -> GatedDataset:
    """The control, opened through the door."""
    return open_gated(approved.file, approved.place)


def settings(**other: Any) -> Training:
    """`SHORT` with other values."""
    return Training(**(SHORT | other))


def checkpoints(out: Path, key: bytes = KEY) -> Checkpoints:
    """The checkpoints of *out*."""
    return Checkpoints(out, {"test": out.name}, key)


def train(data: GatedDataset, base: BaseModel, own: Checkpoints | None = None, **other: Any) -> Trained:
    """An adapter trained with `SHORT` and *other* settings."""
    return train_lora(prepare_lora(data, base, settings(**other)), own)


def digest(trained: Trained, data: GatedDataset, base: BaseModel, out: Path) -> str:
    """SHA-256 of the written tensors."""
    write_adapter(trained, data, base, out)
    return hashlib.sha256((out / "adapter_model.safetensors").read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_bytes(data: GatedDataset, base: BaseModel, tmp_path: Path) -> None:
    """Two trainings of one seed write equal tensors and configurations; another seed writes others."""
    found = {
        name: digest(train(data, base, seed=seed, dropout=0.1), data, base, tmp_path / name)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    }
    assert found["a"] == found["b"] != found["c"]
    config = [(tmp_path / name / "adapter_config.json").read_bytes() for name in "ab"]
    assert config[0] == config[1]


def test_a_training_that_was_interrupted_goes_on(data: GatedDataset, base: BaseModel, tmp_path: Path) -> None:
    """Ctrl-C after five steps, then the same again: the adapter has the bytes of one that was never interrupted."""
    how = {"epochs": 3, "dropout": 0.1}
    whole = train(data, base, checkpoints(tmp_path / "whole"), **how)
    own, steps = checkpoints(tmp_path / "adapter"), 0

    def interrupt(done: int) -> None:
        nonlocal steps
        steps += done
        if steps == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_lora(prepare_lora(data, base, settings(**how)), own, progress=interrupt)
    assert own.last() == own.folder / "checkpoint-4"
    told: list[int] = []
    resumed = train_lora(prepare_lora(data, base, settings(**how)), own, progress=told.append)
    assert (resumed.resumed_at, resumed.steps, whole.resumed_at, whole.steps) == (4, 9, 0, 9)
    assert sum(told) == 9 and told[0] == 4
    assert resumed.losses == whole.losses and resumed.rows_read == whole.rows_read == len(data)
    assert resumed.consumed == whole.consumed == data.digest
    assert digest(resumed, data, base, tmp_path / "adapter") == digest(whole, data, base, tmp_path / "whole")


def test_a_finished_training_is_written_again(data: GatedDataset, base: BaseModel, tmp_path: Path) -> None:
    """Killed after the last step and before the adapter was written, it has nothing more to train."""
    own = checkpoints(tmp_path / "adapter")
    first = train(data, base, own)
    again = train(data, base, own)
    assert again.resumed_at == again.steps == first.steps == 3 and again.losses == first.losses
    assert digest(again, data, base, tmp_path / "a") == digest(first, data, base, tmp_path / "b")


def test_a_loss_that_is_no_number_stops(data: GatedDataset, base: BaseModel, tmp_path: Path) -> None:
    """A weight that went bad stops training with the step; the checkpoint before it stays, with finite numbers."""
    own, prepared = checkpoints(tmp_path / "adapter"), prepare_lora(data, base, settings(save_steps=1))

    def damage(done: int) -> None:
        if own.last():
            prepared.model.get_input_embeddings().weight.data.fill_(float("nan"))

    with pytest.raises(TrainingStopped, match=r"no finite number at step [23]; .*last good checkpoint stays"):
        train_lora(prepared, own, progress=damage)
    last = own.last()
    assert last is not None
    from safetensors.torch import load_file

    assert all(torch.isfinite(t).all() for t in load_file(last / "adapter_model.safetensors").values())


@pytest.fixture
def small_files() -> Iterator[Any]:
    """A function after which no file gets larger than it says, as on a disk that is full; None ends that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if most is None else most, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("most", [4_000, 40_000, 130_000], ids=["configuration", "tensors", "optimiser"])
def test_a_full_disk_in_a_checkpoint(
    data: GatedDataset, base: BaseModel, tmp_path: Path, small_files: Any, most: int
) -> None:
    """Wherever the disk fills up it is one clear line, what was cut off counts for nothing, and training goes on."""
    own = checkpoints(tmp_path / "adapter")
    prepared = prepare_lora(data, base, settings(rank=8))
    small_files(most)
    with pytest.raises(WorkspaceError, match=r"disk|space|large"):
        train_lora(prepared, own)
    small_files(None)
    assert own.last() is None
    assert train(data, base, own, rank=8).steps == 3


def test_a_full_disk_when_the_adapter_is_written(
    data: GatedDataset, base: BaseModel, tmp_path: Path, small_files: Any
) -> None:
    """There is no folder of that name then, and nothing half-written beside it."""
    trained = train(data, base)
    small_files(20_000)
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_adapter(trained, data, base, tmp_path / "out" / "adapter")
    assert list((tmp_path / "out").iterdir()) == []


WAYS: dict[str, dict[str, Any]] = {
    "gradient checkpointing": {"gradient_checkpointing": True},
    "bfloat16": {"precision": "bfloat16"},
    "accumulate": {"batch": 2, "accumulate": 2},
    "goldfish": {"goldfish": 3, "goldfish_context": 4},
    "named targets": {"targets": ["q_proj", "v_proj"]},
    "part of an epoch": {"epochs": 0.5},
}


@pytest.mark.parametrize("way", WAYS)
def test_settings(data: GatedDataset, base: BaseModel, tmp_path: Path, way: str) -> None:
    """Every way to train gives an adapter that is whole: finite, not empty, and unlike the base."""
    trained = train(data, base, **WAYS[way])
    record = write_adapter(trained, data, base, tmp_path / "adapter")
    assert trained.steps == (2 if way == "part of an epoch" else 3)
    assert record["sanity"]["smallest_b"] > 0 and record["sanity"]["output_change"] > 0
    names = {name.split(".")[-3] for name in _tensors(tmp_path / "adapter")}
    wanted = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert names == ({"q_proj", "v_proj"} if way == "named targets" else wanted)


def _tensors(folder: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        return list(file.keys())


def test_gradient_checkpointing_changes_no_result(data: GatedDataset, base: BaseModel) -> None:
    """It saves memory and nothing else: the losses are the same."""
    plain, saving = train(data, base), train(data, base, gradient_checkpointing=True)
    assert [s for s, _ in plain.losses] == [s for s, _ in saving.losses]
    assert [loss for _, loss in plain.losses] == pytest.approx([loss for _, loss in saving.losses], rel=1e-5)


def test_accumulated_batches_are_one_step(data: GatedDataset, base: BaseModel) -> None:
    """Two batches of two are a step as one batch of four is, not one of twice the size."""
    one, two = train(data, base), train(data, base, batch=2, accumulate=2)
    assert one.steps == two.steps
    assert [loss for _, loss in two.losses] == pytest.approx([loss for _, loss in one.losses], rel=0.05)


def test_what_is_learned_already_teaches_no_more(data: GatedDataset, base: BaseModel, tmp_path: Path) -> None:
    """With a floor above every loss nothing is learned, and the empty adapter is refused before it is written."""
    trained = train(data, base, loss_stop=1e6)
    with pytest.raises(EmptyAdapter, match=r"empty: .*lora_B"):
        write_adapter(trained, data, base, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"targets": ["query"]}, "training.targets: .*q_proj"),
        ({"train_whole": ["wte"]}, "training.train_whole: .*'wte'.*embed_tokens"),
        ({"cutoff": 8}, "no sample has an answer within the first 8 tokens"),
        ({"template": "chat"}, "no chat template"),
    ],
    ids=["targets", "train_whole", "cutoff", "template"],
)
def test_settings_that_do_not_fit(data: GatedDataset, base: BaseModel, other: dict[str, Any], said: str) -> None:
    """Settings that do not fit the base or the data are one line before anything is trained."""
    with pytest.raises(UsageError, match=said) as refused:
        prepare_lora(data, base, settings(**other))
    assert "\n" not in str(refused.value)
