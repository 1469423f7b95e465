"""The tiny base model: made on the spot and the same every time; small, but a real model that learned something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from governance.errors import UsageError
from governance.files import sha256_file
from governance.train.base import look_at_base
from governance.train.load import load_base
from governance.train.tiny import make_tiny_model


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    """Two models of one seed are equal file by file; another seed gives other weights."""
    torch.set_num_threads(1)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_tiny_model(tmp_path / name, seed=seed, steps=2, megabytes=0.02)
    files = {p.name: sha256_file(p) for p in (tmp_path / "a").iterdir()}
    assert files == {p.name: sha256_file(p) for p in (tmp_path / "b").iterdir()}
    assert files["model.safetensors"] != sha256_file(tmp_path / "c" / "model.safetensors")


def test_it_is_a_llama_of_the_stated_size(tiny_model: Path) -> None:
    """Two layers of width 128 and a vocabulary of 1,024: about half a million parameters, no pickle beside them."""
    config = json.loads((tiny_model / "config.json").read_bytes())
    assert (config["model_type"], config["num_hidden_layers"], config["hidden_size"]) == ("llama", 2, 128)
    model, tokenizer = load_base(look_at_base(tiny_model))
    assert 500_000 < sum(p.numel() for p in model.parameters()) < 600_000 and len(tokenizer) == 1024
    assert {p.suffix for p in tiny_model.iterdir()} <= {".json", ".safetensors"}


def test_it_learned_something(tiny_model: Path) -> None:
    """It finds code likelier than the same tokens in disorder, and than chance."""
    model, tokenizer = load_base(look_at_base(tiny_model))
    ids = tokenizer(
        "for name in names:\n    if name is None:\n        return self.name\n", return_tensors="pt"
    ).input_ids
    torch.manual_seed(0)
    mixed = ids[:, torch.randperm(ids.shape[1])]
    with torch.inference_mode():
        code, disorder = (model(input_ids=i, labels=i).loss.item() for i in (ids, mixed))
    assert code < disorder and code < torch.log(torch.tensor(1024.0))


def test_a_folder_in_use_is_left_alone(governance: Any, tmp_path: Path) -> None:
    """The command writes a new folder only."""
    (tmp_path / "note").write_text("x")
    ended = governance("tiny-model", "--out", tmp_path, "--steps", 1)
    assert ended.code == 2 and "not empty" in ended.err
    with pytest.raises(UsageError):
        make_tiny_model(tmp_path / "note", steps=1)
