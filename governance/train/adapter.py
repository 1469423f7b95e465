"""what training left -> the adapter folder, written whole or not at all, and looked at before it is called whole.

    NAME/
      adapter_model.safetensors   the tensors; nothing in the folder is a pickle
      adapter_config.json         as peft reads it; names the base, not where it lay
      adapter.json                our record: base, data, settings, template, losses, versions, digest of every file
      README.md, loss.svg         written from the record

The record's ``status`` says what the adapter is not yet: it was not audited, and nobody signed it.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save

from governance.context import current_time
from governance.errors import GovernanceError, UsageError, WorkspaceError
from governance.files import canonical, read_json, sha256_file, write_durably, write_json
from governance.train.card import loss_plot, write_card
from governance.train.door import describe
from governance.train.folder import new_folder, refused
from governance.train.prompts import describe_template

if TYPE_CHECKING:
    from governance.train.base import BaseModel
    from governance.train.door import GatedDataset
    from governance.train.lora import Trained

FORMAT = "governance-adapter/1"
WEIGHTS, CONFIG, RECORD, CARD, PLOT = (
    "adapter_model.safetensors", "adapter_config.json", "adapter.json", "README.md", "loss.svg",
)  # fmt: skip
UNRELEASED = "unreleased: not audited"
UNSIGNED = "unsigned: consumed digest is not the approved one"
PACKAGES = ("lora-data-governance", "torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers")
TRIED = 64  # tokens of the sample that base and adapter are compared on


class EmptyAdapter(GovernanceError):
    """An adapter that holds nothing, or no numbers; it is not written."""

    exit_code = 1


def write_adapter(trained: Trained, data: GatedDataset, base: BaseModel, out: Path) -> dict[str, Any]:
    """
    Write the adapter folder *out* and return its record.

    Raises:
        EmptyAdapter: a tensor is missing, all zero or not finite, or the adapter changes nothing.
        UsageError: *out* is not empty.
        WorkspaceError: the disk is full or refuses; there is no folder *out* then.
    """
    with new_folder(out) as folder:
        tensors = _tensors(trained.model)
        (folder / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))
        (folder / CONFIG).write_bytes(canonical(_config(trained.model, base)))
        sanity = look_at_adapter(folder, trained, tensors)
        record = _record(trained, data, base, sanity)
        (folder / PLOT).write_text(loss_plot(record["losses"]), "utf-8")
        (folder / CARD).write_text(write_card(record), "utf-8")
        record["files"] = {p.name: sha256_file(p) for p in sorted(folder.iterdir())}
        write_json(folder / RECORD, record)
    return record


def restate_adapter(folder: Path, status: str) -> dict[str, Any]:
    """
    Write another status into record and card, as an audit's outcome asks for; weights and settings stay.

    Raises:
        UsageError, WorkspaceError: the adapter is not as it was written, or the disk refuses.
    """
    record = {**read_adapter(folder), "status": status}
    try:
        write_durably(folder / CARD, write_card(record).encode())
        record["files"] |= {CARD: sha256_file(folder / CARD)}
        write_durably(folder / RECORD, canonical(record))
    except OSError as problem:
        raise refused(problem, folder) from None
    return record


def read_adapter(path: Path) -> dict[str, Any]:
    """
    Return the record of the adapter in folder *path*, whose files are as they were written.

    Raises:
        UsageError: no adapter of this project, or a file is missing or changed.
    """
    try:
        record: Any = read_json(path / RECORD)
    except WorkspaceError:
        raise UsageError(f"{path}: has no {RECORD}; expected an adapter that `governance train` wrote") from None
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict) or record.get("format") != FORMAT or not {WEIGHTS, CONFIG} <= set(files):
        raise UsageError(f"{path / RECORD}: is no record of format {FORMAT}; train the adapter again")
    for name, digest in files.items():
        file = path / str(name)
        if file.parent != path or not file.is_file():
            raise UsageError(f"{path}: {name} is missing; train the adapter again")
        if sha256_file(file) != digest:
            raise UsageError(f"{file}: changed after it was written; train the adapter again")
    return dict(record)


def look_at_adapter(folder: Path, trained: Trained, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """
    Read the written tensors back and compare what base and adapter make of a training sample.

    Returns:
        ``tensors``, ``parameters``, ``smallest_b`` (least of the largest magnitudes of the B matrices) and
        ``output_change`` (largest difference of a logit on the first tokens of a sample that was trained on).

    Raises:
        EmptyAdapter: see there.
    """
    read = load_file(folder / WEIGHTS)
    broken = [name for name, tensor in read.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise EmptyAdapter(f"the adapter's {broken[0]} is not finite ({len(broken)} tensors); nothing was written")
    if read.keys() != tensors.keys() or any(not torch.equal(read[k], tensors[k]) for k in read):
        raise EmptyAdapter(f"{WEIGHTS} does not hold what was trained; nothing was written, train again")
    made = {
        name: float(tensor.abs().max())
        for name, tensor in read.items()
        if "lora_B" in name or "lora_embedding_B" in name
    }
    empty = [name for name, largest in made.items() if largest == 0]
    if empty or not made:
        raise EmptyAdapter(
            f"the adapter is empty: {empty[0] if empty else 'no B matrix'} is all zero ({len(empty)} of {len(made)}); "
            "nothing was learned there and nothing was written; raise training.learning_rate or epochs"
        )
    change = _output_change(trained)
    if not change > 0:
        raise EmptyAdapter("base and adapter write the same on a training sample; nothing was written, train longer")
    parameters = sum(tensor.numel() for tensor in read.values())
    return {"tensors": len(read), "parameters": parameters, "smallest_b": min(made.values()), "output_change": change}


@torch.inference_mode()
def _output_change(trained: Trained) -> float:
    ids = torch.from_numpy(trained.encoded.ids[: int(trained.encoded.ends[1])][:TRIED].astype("int64"))[None]
    ids = ids.to(trained.model.device)
    tuned = trained.model(input_ids=ids).logits.float()
    with trained.model.disable_adapter():
        plain = trained.model(input_ids=ids).logits.float()
    return float((tuned - plain).abs().max())


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    """The adapter's own tensors, and modules trained whole, by the names that peft reads."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in found.items()}


def _config(model: Any, base: BaseModel) -> dict[str, Any]:
    """peft's configuration as JSON: sets in order, so that equal settings are equal bytes; no path of this machine."""
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base.name, "inference_mode": True}
    plain = json.loads(json.dumps(config, default=lambda v: sorted(v) if isinstance(v, (set, frozenset)) else str(v)))
    return dict(plain)


def _record(trained: Trained, data: GatedDataset, base: BaseModel, sanity: dict[str, Any]) -> dict[str, Any]:
    settings = trained.settings
    cut = dataclasses.asdict(trained.truncation) | {"share_lost": trained.truncation.share_lost}
    return {
        "format": FORMAT,
        "status": UNRELEASED if trained.consumed == data.digest else UNSIGNED,
        "created": current_time().isoformat(),
        "base": {
            "name": base.name, "family": base.family, "digest": base.digest, "vocabulary": base.vocabulary,
        },
        "data": describe(data),
        "consumed": {
            "dataset": trained.consumed, "checks": trained.checks, "rows": trained.rows,
            "rows_read": trained.rows_read,
        },
        "pipeline": data.pipeline.name,
        "training": settings.model_dump(mode="json"),
        "template": describe_template(settings.template, trained.tokenizer),
        "truncation": cut,
        "steps": trained.steps,
        "resumed_at": trained.resumed_at,
        "losses": [[step, loss] for step, loss in trained.losses],
        "sanity": sanity,
        "machine": {
            "device": trained.model.device.type, "threads": torch.get_num_threads(),
            "python": platform.python_version(), "system": platform.system(), "processor": platform.machine(),
        },
        "versions": {name: _version(name) for name in PACKAGES},
    }  # fmt: skip


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
