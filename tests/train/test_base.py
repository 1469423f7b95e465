"""A base model is looked at before any library opens it; what cannot be used, or would run code, is one clear line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from governance.errors import UsageError
from governance.train.base import look_at_base
from governance.train.load import load_base, load_tokenizer


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that may be broken."""
    return Path(shutil.copytree(tiny_model, tmp_path / "base"))


def edit(path: Path, **changes: Any) -> None:
    """Change the configuration."""
    config = json.loads((path / "config.json").read_bytes())
    (path / "config.json").write_text(json.dumps(config | changes))


def test_a_base_is_known_by_what_it_computes(tiny_model: Path, base: Path) -> None:
    """The digest is of its files, not of its place; family, name and size come from its configuration."""
    found, copied = look_at_base(tiny_model), look_at_base(base)
    assert found.digest == copied.digest and len(found.digest) == 64
    assert (found.family, found.vocabulary) == ("llama", 1024) and found.name == tiny_model.name
    edit(base, rms_norm_eps=0.1)
    assert look_at_base(base).digest != found.digest


def test_a_base_is_loaded(tiny_model: Path) -> None:
    """Model and tokenizer of one folder come in the precision that is asked for."""
    model, tokenizer = load_base(look_at_base(tiny_model), "bfloat16")
    assert model.dtype == torch.bfloat16 and len(tokenizer) == 1024 and not model.training


def pickled(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


def no_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


def cut_short(path: Path) -> None:
    data = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(data[:-100])


def cut_header(path: Path) -> None:
    (path / "model.safetensors").write_bytes((path / "model.safetensors").read_bytes()[:5])


def endless_header(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"\xff" * 8 + b"{}")


def too_much(path: Path) -> None:
    with (path / "model.safetensors").open("ab") as file:
        file.write(b"more")


def a_page(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"<!doctype html><title>sign in</title>" * 10)


def absent_part(path: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


def outside_part(path: Path) -> None:
    index = {"weight_map": {"a": "../elsewhere.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


def odd_index(path: Path) -> None:
    (path / "model.safetensors.index.json").write_text("[]")


LOOKED_AT: list[tuple[Callable[[Path], Any], str]] = [
    (shutil.rmtree, "no such folder"),
    (lambda p: (p / "config.json").unlink(), "no config.json"),
    (lambda p: (p / "config.json").write_text("{"), "not JSON"),
    (lambda p: (p / "config.json").write_text("[]"), "no object"),
    (lambda p: edit(p, model_type="bert-of-mine"), "bert-of-mine"),
    (lambda p: edit(p, model_type="vit"), "vit"),
    (lambda p: edit(p, model_type=None), "None"),
    (lambda p: edit(p, auto_map={"AutoModelForCausalLM": "modeling.Mine"}), "code of its own"),
    (lambda p: (p / "modeling.py").write_text("raise SystemExit"), "code of its own"),
    (lambda p: (p / "adapter_config.json").write_text("{}"), "holds an adapter"),
    (no_weights, "no weights"),
    (pickled, "pytorch_model.bin"),
    (cut_short, "cut short"),
    (cut_header, "cut short"),
    (endless_header, "cut short"),
    (too_much, "cut short"),
    (a_page, "cut short"),
    (absent_part, "is missing"),
    (outside_part, "is missing"),
    (odd_index, "not an index"),
    (lambda p: (p / "tokenizer.json").unlink(), "no tokenizer"),
]


@pytest.mark.parametrize(("breaks", "said"), LOOKED_AT, ids=[said for _, said in LOOKED_AT])
def test_what_is_seen_without_loading(base: Path, breaks: Callable[[Path], Any], said: str) -> None:
    """A folder that cannot be used is refused with what was found, and no library opened it."""
    breaks(base)
    with pytest.raises(UsageError, match=said) as refused:
        look_at_base(base)
    assert "\n" not in str(refused.value) and str(base) in str(refused.value)


def fewer_rows(path: Path) -> None:
    """A model whose embedding is smaller than its tokenizer."""
    tensors = load_file(path / "model.safetensors")
    name = "model.embed_tokens.weight"
    save_file(tensors | {name: tensors[name][:1000].clone()}, path / "model.safetensors", metadata={"format": "pt"})
    edit(path, vocab_size=1000)


def other_architecture(path: Path) -> None:
    """Weights of one family under the configuration of another."""
    edit(path, model_type="gpt2", architectures=["GPT2LMHeadModel"], n_embd=128, n_layer=2, n_head=4)


def one_tensor_less(path: Path) -> None:
    """A layer that nobody trained would be made of random numbers, in silence."""
    tensors = load_file(path / "model.safetensors")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def other_shape(path: Path) -> None:
    edit(path, hidden_size=64)


def odd_tokenizer(path: Path) -> None:
    (path / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "Unheard"}}')


def tokenizer_code(path: Path) -> None:
    config = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["tokenization.Mine", None]}}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").unlink()
    (path / "vocab.txt").write_text("a")


LOADED: list[tuple[Callable[[Path], Any], str]] = [
    (fewer_rows, "1024 tokens, the model 1000"),
    (other_architecture, "gpt2"),
    (one_tensor_less, "up_proj"),
    (other_shape, "llama"),
    (odd_tokenizer, "llama"),
    (tokenizer_code, "llama"),
]


@pytest.mark.parametrize(("breaks", "said"), LOADED, ids=[b.__name__ for b, _ in LOADED])
def test_what_is_seen_while_loading(
    base: Path, breaks: Callable[[Path], Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Files that do not belong together are refused, and the libraries add no page of their own."""
    breaks(base)
    with pytest.raises(UsageError, match=said) as refused:
        load_base(look_at_base(base))
    assert "\n" not in str(refused.value) and str(base) in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_is_loaded_alone(tiny_model: Path) -> None:
    """The tokenizer comes without the model."""
    assert load_tokenizer(look_at_base(tiny_model)).eos_token == "<|end|>"
