"""a model on this machine, probes -> what it writes, and how likely it was to write the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.audit.local import LocalModel, Sampling
from governance.audit.measure import Written
from governance.audit.probes import INSTRUCTION, Probe
from governance.errors import UsageError

SAMPLED = Sampling(greedy=False, temperature=0.8, top_k=40, draws=16)
"""How answers are drawn, and the sampler that (n, p) is about."""
FORCED = 50  # tokens whose probability is asked for


@dataclass(frozen=True, slots=True)
class Profile:
    """What is asked: kinds of probes, tokens that may be written, kinds of probes that answers are also drawn for."""

    kinds: tuple[str, ...]
    new: int
    sampled: tuple[str, ...] = ()


PROFILES = {
    "quick": Profile((INSTRUCTION, "prefix-50"), 64),
    "full": Profile((INSTRUCTION, "prefix-50", "prefix-100", "prefix-250"), 128, (INSTRUCTION, "prefix-50")),
}


def ask(
    model: LocalModel,
    name: str,
    probes: Sequence[Probe],
    profile: Profile,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[Written]:
    """
    Return what *model* answers: greedily to every probe, with the probability of the right 50 tokens, then drawn.

    Args:
        name: base or adapter.
        progress: told of every answer.
    """
    greedy = model.generate([p.ids for p in probes], profile.new, progress=progress)
    long = [k for k, p in enumerate(probes) if len(p.wanted_ids) >= FORCED]
    forced = model.log_probabilities(
        [probes[k].ids for k in long], [probes[k].wanted_ids[:FORCED] for k in long], SAMPLED
    )
    log_p = {k: float(found.sum()) for k, found in zip(long, forced, strict=True)}
    written = [
        Written(k, name, decode(model.tokenizer, ids), tuple(ids), log_p=log_p.get(k, float("nan")))
        for k, ids in enumerate(greedy)
    ]
    chosen = [k for k, p in enumerate(probes) if p.kind in profile.sampled]
    if chosen:
        drawn = model.generate(
            [probes[k].ids for k in chosen], profile.new,
            Sampling(False, SAMPLED.temperature, SAMPLED.top_k, SAMPLED.draws, seed), progress,
        )  # fmt: skip
        for i, ids in enumerate(drawn):
            k, draw = chosen[i // SAMPLED.draws], i % SAMPLED.draws
            written.append(Written(k, name, decode(model.tokenizer, ids), tuple(ids), "sampled", draw))
    return written


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text of *ids*, end tokens left out and nothing tidied up."""
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)) if ids else ""


def load_adapter(model: Any, folder: Path) -> Any:
    """
    Put the LoRA adapter in *folder* on *model*.

    Raises:
        UsageError: no adapter, one in pickle format, one that names code, or one of another base.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        config = json.loads((folder / "adapter_config.json").read_bytes())
    except (OSError, ValueError):
        raise UsageError(f"{folder}: has no adapter_config.json that can be read; expected a LoRA adapter") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA" or config.get("auto_mapping"):
        raise UsageError(f"{folder}/adapter_config.json: is no plain LoRA adapter")
    if not (folder / "adapter_model.safetensors").is_file():
        raise UsageError(f"{folder}: has no adapter_model.safetensors; weights as pickles are not read")
    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=False, local_files_only=True).eval()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as problem:
        raise UsageError(
            f"{folder}: the adapter does not fit the base model ({type(problem).__name__}); give the base that it "
            "was trained on"
        ) from None
