"""samples, a base model, an adapter on this machine -> what both answer; `audit --plan`: what that takes."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from governance.audit.ask import FORCED, PROFILES, SAMPLED, Profile, ask, load_adapter
from governance.audit.asked import Asked
from governance.audit.canaries import judge, read_canaries, scores_under
from governance.audit.intervals import needed_pairs
from governance.audit.local import LocalModel
from governance.audit.probes import Probe, Sample, make_probes
from governance.audit.report import ADAPTER, BASE
from governance.audit.run import Answers
from governance.context import Progress
from governance.errors import UsageError
from governance.settings import Pipeline
from governance.train.adapter import RECORD, read_adapter
from governance.train.base import BaseModel, look_at_base
from governance.train.load import load_base
from governance.train.prompts import Template, describe_template
from governance.train.release import adapter_digest

TRIED = 8  # members, and twins, that a plan is measured on


def ask_local(
    samples: Sequence[Sample], base_model: Path, adapter: Path | None, canary_file: Path | None, pipeline: Pipeline,
    progress: Progress,
) -> Answers:  # fmt: skip
    """
    Ask the base, then the adapter; without an adapter the base stands for both.

    Raises:
        UsageError: a folder that cannot be used, or an adapter that was trained on another base.
    """
    with quiet():
        return _ask(samples, base_model, adapter, canary_file, pipeline, progress)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what transformers and peft remark on long texts and tied weights off the terminal."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)


def _ask(
    samples: Sequence[Sample], base_model: Path, adapter: Path | None, canary_file: Path | None, pipeline: Pipeline,
    progress: Progress,
) -> Answers:  # fmt: skip
    limits, profile = pipeline.audit, PROFILES[pipeline.audit.profile]
    base = look_at_base(base_model)
    template = _template(base, adapter, pipeline)
    canaries = read_canaries(canary_file) if canary_file else []
    loaded, tokenizer = load_base(base, pipeline.training.precision)
    model = LocalModel(loaded, tokenizer)
    with progress.stage("tokenize"):
        probes, left_out = make_probes(
            samples, tokenizer, profile.kinds, profile.new, template=template, context=model.context
        )
    written = []
    scores = scores_under(canaries, model) if canaries else None
    total = len(probes) + sum(p.kind in profile.sampled for p in probes) * SAMPLED.draws
    with progress.stage("base", total) as done:
        written += ask(model, BASE, probes, profile, limits.seed, done)
    if adapter is None:
        written += [dataclasses.replace(w, model=ADAPTER) for w in written]
        judged = None
    else:
        model = LocalModel(load_adapter(loaded, adapter), tokenizer)
        with progress.stage("adapter", total) as done:
            written += ask(model, ADAPTER, probes, profile, limits.seed, done)
        judged = judge(canaries, scores_under(canaries, model) - scores) if scores is not None else None
    about = {
        "base": {"name": base.name, "family": base.family, "digest": base.digest},
        "adapter": None if adapter is None else adapter_digest(adapter),
        "profile": dataclasses.asdict(profile) | {"name": limits.profile},
        "sampling": dataclasses.asdict(SAMPLED) | {"seed": limits.seed},
        "template": describe_template(template, tokenizer),
        "device": loaded.device.type,
    }  # fmt: skip
    return Answers(list(samples), probes, written, profile.new, about, left_out, judged)


def _template(base: BaseModel, adapter: Path | None, pipeline: Pipeline) -> Template:
    """The words that the adapter was trained with; those of the pipeline where it does not say."""
    if adapter is None:
        return pipeline.training.template
    if not adapter.is_dir():
        raise UsageError(f"{adapter}: no such folder; --adapter takes the folder that `governance train` wrote")
    if not (adapter / RECORD).is_file():
        return pipeline.training.template
    record = read_adapter(adapter)
    digest = (record.get("base") or {}).get("digest")
    if digest != base.digest:
        raise UsageError(
            f"{adapter}: was trained on base {digest!s:.16}, --base-model is {base.digest[:16]}; give that base"
        )
    return "chat" if (record.get("template") or {}).get("name") == "chat" else "alpaca"


def plan_audit(
    asked: Asked, base_model: Path, adapter: Path | None, pipeline: Pipeline
) -> tuple[list[dict[str, Any]], list[str]]:
    """
    Return what the profiles take, and which sample size a limit needs, measured on a few prompts.

    Returns:
        Rows: what, members, twins, tokens that are written, seconds for base and adapter together. And remarks.
    """
    with quiet():
        return _plan(asked, base_model, adapter, pipeline)


def _plan(
    asked: Asked, base_model: Path, adapter: Path | None, pipeline: Pipeline
) -> tuple[list[dict[str, Any]], list[str]]:
    limits = pipeline.audit
    base = look_at_base(base_model)
    loaded, tokenizer = load_base(base, pipeline.training.precision)
    template = _template(base, adapter, pipeline)
    model = LocalModel(load_adapter(loaded, adapter) if adapter else loaded, tokenizer)
    members = sum(s.copies > 0 for s in asked.samples)
    twins = len(asked.samples) - members
    needed = needed_pairs(limits.did_em50)
    tried = PROFILES["quick"]
    chosen = [s for s in asked.samples if s.copies > 0][:TRIED] + [s for s in asked.samples if not s.copies][:TRIED]
    probes, _ = make_probes(chosen, tokenizer, tried.kinds, tried.new, template=template, context=model.context)
    if not probes:
        raise UsageError("no sample has an answer that fits the model; there is nothing to try the time on")
    per_token = _seconds(model, probes, tried, limits.seed) / (len(probes) * tried.new)
    rows = []
    for name, profile in PROFILES.items():
        tokens = profile.new * (len(profile.kinds) + len(profile.sampled) * SAMPLED.draws)
        for what, each, other in (("as set", members, twins), ("the limit needs", needed, needed)):
            total = (each + other) * tokens * 2  # base and adapter
            rows.append(
                {
                    "profile": name,
                    "what": what,
                    "members": each,
                    "twins": other,
                    "tokens": total,
                    "seconds": round(total * per_token, 1),
                }
            )
    remarks = [
        f"did_em50 {limits.did_em50:g}: {needed} members and {needed} twins show it if nothing comes back; "
        "what does come back, and samples of one repository, take more",
        f"a sample counts if its answer has {FORCED} tokens more than the prompt shows",
    ]
    if twins < needed:
        remarks.append(f"{twins} twins are there; hold out more: governance split --audit {needed}")
    return rows, remarks


def _seconds(model: LocalModel, probes: Sequence[Probe], profile: Profile, seed: int) -> float:
    """Seconds that one model takes for *probes*; the first batch, which warms up, is not counted."""
    ask(model, BASE, probes[:2], dataclasses.replace(profile, new=FORCED), seed)
    start = time.perf_counter()
    ask(model, BASE, probes, profile, seed)
    return time.perf_counter() - start
