"""the folder of a base model -> what it is, or the reason why it cannot be used.

A base model is code's nearest neighbour: a pickle in its folder runs when it is loaded, and so does Python that its
configuration names. Both are refused by looking at the folder, before any library opens it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import UsageError
from governance.files import sha256_file

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
MAX_HEADER = 100 << 20  # bytes of a safetensors header, the format's own limit


@dataclass(frozen=True, slots=True)
class BaseModel:
    """
    A base model that may be loaded.

    Attributes:
        path: its folder.
        family: ``model_type`` of its configuration, built into transformers.
        name: what the configuration calls it, else the folder's name.
        digest: SHA-256 over the names and digests of the files that decide what it computes, 64 hex digits.
        vocabulary: rows of its embedding; 0 where the configuration does not say.
    """

    path: Path
    family: str
    name: str
    digest: str
    vocabulary: int


def look_at_base(path: Path) -> BaseModel:
    """
    Return what the model in folder *path* is; no library has opened it, and no weight was read.

    Raises:
        UsageError: no folder, no or a broken configuration, code of its own, an adapter, an architecture that
            transformers has no causal language model for, no weights, weights as pickles, no tokenizer, or a
            safetensors file that is cut short.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder; --base-model takes the folder of a model in safetensors format")
    config = _config(path)
    code = config.get("auto_map") or [p.name for p in sorted(path.glob("*.py"))]
    if code:
        raise UsageError(
            f"{path}: the model brings code of its own, which is never run; use one of a family built into transformers"
        )
    if (path / "adapter_config.json").exists():
        raise UsageError(f"{path}: holds an adapter; --base-model takes the model that it was trained on")
    family = config.get("model_type")
    if not isinstance(family, str) or family not in causal_families():
        raise UsageError(
            f"{path}/config.json: model_type is {family!s:.40}, "
            "expected a causal language model built into transformers"
        )
    weights = _weights(path)
    _tokenizer(path)
    deciding = [
        *weights,
        *(p for p in sorted(path.glob("*.json"))),
        *sorted(path.glob("*.model")),
        *sorted(path.glob("*.jinja")),
    ]
    digest = hashlib.sha256()
    for file in sorted(set(deciding)):
        digest.update(f"{file.name}\0{sha256_file(file)}\n".encode())
    text = config.get("text_config")
    size = config.get("vocab_size") or (text.get("vocab_size") if isinstance(text, dict) else 0)
    name = config.get("_name_or_path") or path.resolve().name
    return BaseModel(path, family, str(name), digest.hexdigest(), size if isinstance(size, int) else 0)


def causal_families() -> frozenset[str]:
    """Return the values of ``model_type`` that the installed transformers has a causal language model for."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return frozenset(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads((path / "config.json").read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path}: has no config.json; expected the folder of a model in safetensors format") from None
    except (OSError, ValueError):
        raise UsageError(f"{path}/config.json: is not JSON; fetch the model again") from None
    if not isinstance(config, dict):
        raise UsageError(f"{path}/config.json: is no object; fetch the model again")
    return config


def _weights(path: Path) -> list[Path]:
    """The safetensors files, all of them whole; those that an index names have to be there."""
    files = sorted(path.glob("*.safetensors"))
    index = path / "model.safetensors.index.json"
    if index.is_file():
        try:
            wanted = sorted({path / str(n) for n in json.loads(index.read_bytes())["weight_map"].values()})
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UsageError(f"{index}: is not an index of weights; fetch the model again") from None
        absent = [f.name for f in wanted if f.parent != path or not f.is_file()]
        if absent:
            raise UsageError(f"{path}: {absent[0]} is missing ({len(absent)} files); fetch the model again")
    if not files:
        pickles = sorted(p.name for p in path.iterdir() if p.suffix in PICKLES)
        found = f"weights as pickles ({pickles[0]}), which run code when loaded" if pickles else "no weights"
        raise UsageError(f"{path}: has {found}; expected *.safetensors")
    for file in files:
        if not _whole(file):
            raise UsageError(f"{file}: is cut short or is no safetensors file; fetch the model again")
    return files


def _whole(file: Path) -> bool:
    """True if the header can be read and the file ends where its last tensor does."""
    size = file.stat().st_size
    with file.open("rb") as source:
        head = source.read(8)
        if len(head) < 8:
            return False
        (length,) = struct.unpack("<Q", head)
        if length > min(MAX_HEADER, size - 8):
            return False
        try:
            header = json.loads(source.read(length))
            ends = [int(t["data_offsets"][1]) for name, t in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
    return bool(size == 8 + length + max(ends, default=0))


def _tokenizer(path: Path) -> None:
    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")):
        raise UsageError(f"{path}: has no tokenizer (tokenizer.json or tokenizer.model); fetch the model again")
