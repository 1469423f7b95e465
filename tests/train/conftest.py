"""A dataset that was checked once per session, copied with its workspace for every test that attacks it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from governance.context import Options
from governance.data import data_folder
from governance.pipeline import check_dataset
from governance.store import Workspace

Record = dict[str, Any]


@dataclass(frozen=True)
class Approved:
    """A workspace of this test's own with two runs, which passed, and the files that they are about."""

    file: Path
    place: Workspace
    run: Path
    digest: str
    other_file: Path
    other_run: Path


@pytest.fixture(scope="session")
def checked_once(tmp_path_factory: pytest.TempPathFactory, compiled: Path) -> Path:
    """A folder with two datasets and the workspace ``ws`` in which both passed the pipeline `default`."""
    folder = tmp_path_factory.mktemp("approved")
    shutil.copy(data_folder("pipelines") / "controls" / "default.jsonl", folder / "data.jsonl")
    lines = (folder / "data.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "other.jsonl").write_bytes(b"".join(lines[:-2]))
    (folder / "ws").mkdir()
    (folder / "ws" / "cache").symlink_to(compiled)
    options = Options(workspace=folder / "ws", record=False, processes=1)
    for name in ("other.jsonl", "data.jsonl"):
        assert check_dataset(folder / name, options).passed
    return folder


@pytest.fixture
def approved(checked_once: Path, tmp_path: Path) -> Approved:
    """A copy of the checked dataset and its workspace."""
    shutil.copytree(checked_once / "ws", tmp_path / "ws", symlinks=True)
    for name in ("data.jsonl", "other.jsonl"):
        shutil.copy(checked_once / name, tmp_path / name)
    place = Workspace(tmp_path / "ws")
    runs = {}
    for run in place.runs.glob("[!.]*"):
        told = json.loads((run / "evidence.json").read_bytes())["dataset"]
        runs[told["name"]] = run, told["digest"]
    run, digest = runs["data.jsonl"]
    return Approved(tmp_path / "data.jsonl", place, run, digest, tmp_path / "other.jsonl", runs["other.jsonl"][0])


@pytest.fixture
def records() -> Callable[[Path], list[Any]]:
    """Read the records of a JSON Lines file as ordered pairs."""
    return lambda path: [json.loads(line, object_pairs_hook=list) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a base model that knows nothing: Llama, one layer of width 16, weights as they were drawn."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("small") / "base"
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(["def f(x):\n    return x\n"], vocab_size=260, special_tokens=["<|end|>", "<|pad|>"])
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=trained._tokenizer, eos_token="<|end|>", pad_token="<|pad|>", model_max_length=512
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 4, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=2048, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def trained_once(checked_once: Path, small_base: Path) -> Path:
    """The adapter that `governance train` made of the checked dataset."""
    from governance.train.run import train_adapter

    out = checked_once / "adapter"
    train_adapter(checked_once / "data.jsonl", small_base, out, workspace=Workspace(checked_once / "ws"))
    return out


@pytest.fixture
def adapter(approved: Approved, trained_once: Path, tmp_path: Path) -> Path:
    """A copy of that adapter, beside a copy of its workspace."""
    return Path(shutil.copytree(trained_once, tmp_path / "adapter"))
