"""approved samples, a base model, settings -> a LoRA adapter in memory, by transformers' Trainer and peft."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from governance.errors import GovernanceError, UsageError, WorkspaceError
from governance.train.callback import DataGateCallback, GatedRows
from governance.train.encode import IGNORED, Encoded, Truncation, encode
from governance.train.load import load_base, silent
from governance.train.losses import answer_loss, goldfish_mask
from governance.train.prompts import pieces_of

if TYPE_CHECKING:
    from governance.settings import Training
    from governance.train.base import BaseModel
    from governance.train.checkpoints import Checkpoints
    from governance.train.door import GatedDataset

ROWS = "rows.npy"  # in a checkpoint: which rows were read so far
FULL_DISK = ("No space left", "os error 28", "File too large", "os error 27", "PytorchStreamWriter failed", "quota")


class TrainingStopped(GovernanceError):
    """Training that cannot go on; the last good checkpoint stays."""

    exit_code = 1


@dataclass(frozen=True)
class Prepared:
    """
    All that training needs, before its first step.

    Attributes:
        model: peft model, untrained: it computes what the base does.
        steps: optimiser steps that training will take.
    """

    data: GatedDataset
    settings: Training
    model: Any
    tokenizer: Any
    encoded: Encoded
    truncation: Truncation
    steps: int


@dataclass
class Trained:
    """
    What training left.

    Attributes:
        settings: that it was trained with.
        model: peft model, in evaluation mode.
        losses: (step, mean loss since the one before), as logged.
        consumed: digest of the dataset that was read, None if training never began.
        rows_read: samples that a step saw, of `rows`.
        steps: optimiser steps, those before a resume included.
        resumed_at: step of the checkpoint that it went on from; 0 if it began anew.
        checks: how often the data was found to be as approved.
    """

    settings: Training
    model: Any
    tokenizer: Any
    encoded: Encoded
    truncation: Truncation
    losses: list[tuple[int, float]] = field(default_factory=list)
    consumed: str | None = None
    rows: int = 0
    rows_read: int = 0
    steps: int = 0
    resumed_at: int = 0
    checks: int = 0


def prepare_lora(data: GatedDataset, base: BaseModel, settings: Training) -> Prepared:
    """
    Load the base, make the adapter, and tokenize the samples; nothing is trained yet.

    Raises:
        UsageError: the base cannot be loaded or has no module that `Training.targets` names, the tokenizer has no such
            template, or no sample has an answer within the cutoff.
    """
    model, tokenizer = load_base(base, settings.precision)
    pieces = (pieces_of(texts, settings.template, tokenizer) for texts in data)
    encoded, truncation = encode(pieces, tokenizer, settings.cutoff, specials=settings.template != "chat")
    if not truncation.samples:
        raise UsageError(f"dataset {data.digest[:16]} has no samples; there is nothing to train on")
    if not len(encoded):
        raise UsageError(f"no sample has an answer within the first {settings.cutoff} tokens; raise training.cutoff")
    torch.manual_seed(settings.seed)
    batches = math.ceil(len(encoded) / settings.batch)
    steps = max(1, math.ceil(settings.epochs * math.ceil(batches / settings.accumulate)))
    return Prepared(data, settings, _with_lora(model, settings), tokenizer, encoded, truncation, steps)


def train_lora(
    prepared: Prepared, checkpoints: Checkpoints | None = None, *, progress: Callable[[int], None] | None = None
) -> Trained:
    """
    Train the adapter; go on from the last whole checkpoint where there is one.

    On a CPU the same data, base, settings and number of threads give the same bytes, resumed or not.

    Args:
        checkpoints: without them nothing is written, and a training that stops is lost.
        progress: told how many steps were done since it was last told.

    Raises:
        TrainingStopped: the loss or a gradient is no number any more; the checkpoints stay.
        SignatureError: the data or its approval changed on the way.
        WorkspaceError: the disk is full; the last whole checkpoint stays.
    """
    rows = GatedRows(prepared.data, prepared.encoded)
    gate = DataGateCallback(prepared.data)
    last = checkpoints.last() if checkpoints else None
    if last is not None:
        rows.read |= np.load(last / ROWS, allow_pickle=False)
    with silent(), TemporaryDirectory() as nowhere:  # the Trainer wants a folder even if it writes nothing
        trainer: Any = AnswerTrainer(
            model=prepared.model,
            args=_arguments(prepared, checkpoints.folder if checkpoints else Path(nowhere), save=bool(checkpoints)),
            train_dataset=rows,
            data_collator=_Pad(prepared.tokenizer),
            callbacks=[gate, _Watch(rows, checkpoints, progress)],
        )
        trainer.own = prepared.settings
        trainer.model_accepts_loss_kwargs = False  # our loss is a mean: let the Trainer divide by `accumulate`
        trainer.remove_callback(PrinterCallback)
        with _disk(checkpoints):
            trainer.train(resume_from_checkpoint=str(last) if last else None)
    state = trainer.state
    losses = [(int(e["step"]), float(e["loss"])) for e in state.log_history if "loss" in e]
    return Trained(
        prepared.settings, trainer.model.eval(), prepared.tokenizer, prepared.encoded, prepared.truncation, losses,
        gate.consumed, len(rows), int(rows.read.sum()), state.global_step, _step(last), gate.checks,
    )  # fmt: skip


def _step(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def _with_lora(model: Any, settings: Training) -> Any:
    from peft import LoraConfig, get_peft_model

    targets: Any = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    alpha: Any = settings.alpha  # peft says int and takes any number
    config = LoraConfig(
        r=settings.rank, lora_alpha=alpha, lora_dropout=settings.dropout, target_modules=targets,
        modules_to_save=list(settings.train_whole) or None, task_type="CAUSAL_LM",
    )  # fmt: skip
    model.config.use_cache = False  # of no use while training, and in the way of gradient checkpointing
    known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    unknown = [name for name in settings.train_whole if name not in known]
    if unknown:
        raise UsageError(f"training.train_whole: the base model has no module {unknown[0]!r}; it has {_some(known)}")
    try:
        with silent():  # that a trained embedding is no longer tied to the output is meant
            found = get_peft_model(model, config)
    except ValueError as problem:
        said = " ".join(str(problem).split())
        raise UsageError(f"training.targets: {said:.200}; the base model has {_some(known)}") from None
    if settings.gradient_checkpointing:
        found.enable_input_require_grads()
    return found


def _some(names: set[str]) -> str:
    """The names of modules that are words, the numbers of layers left out."""
    return ", ".join(sorted(n for n in names if n and not n.isdigit())[:16])


def _arguments(prepared: Prepared, work: Path, *, save: bool) -> TrainingArguments:
    settings, cpu = prepared.settings, not torch.cuda.is_available()
    found = TrainingArguments(
        output_dir=str(work), per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate, num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate, lr_scheduler_type="cosine", warmup_steps=0, weight_decay=0.0,
        max_grad_norm=1.0, seed=settings.seed, data_seed=settings.seed, use_cpu=cpu,
        bf16=settings.precision == "bfloat16" and not cpu, gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        save_strategy="steps" if save else "no", save_steps=settings.save_steps, save_total_limit=2,
        logging_steps=min(settings.log_steps, prepared.steps), logging_first_step=True, logging_nan_inf_filter=False,
        report_to=[], disable_tqdm=True, dataloader_pin_memory=False, remove_unused_columns=False,
    )  # fmt: skip
    if found.n_gpu > 1:
        found._n_gpu = 1  # several would split batches behind our loss; several processes are for `guard`
    return found


@contextmanager
def _disk(checkpoints: Checkpoints | None) -> Iterator[None]:
    """Turn what torch, safetensors and Python each raise on a disk that refuses into the one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as problem:
        if checkpoints is None or not any(words in str(problem) for words in FULL_DISK):
            raise
        raise WorkspaceError(
            f"{checkpoints.folder}: the disk refused a checkpoint; free space and give the same command again, "
            "it goes on from the last whole one"
        ) from None


class AnswerTrainer(Trainer):  # type: ignore[misc,unused-ignore]
    """The Trainer with the loss of `losses`."""

    own: Training

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of a batch; see `losses.answer_loss`. Raises TrainingStopped where it is no number."""
        labels = inputs.pop("labels")
        if self.own.goldfish:
            hidden = goldfish_mask(inputs["input_ids"], self.own.goldfish, self.own.goldfish_context)
            labels = labels.masked_fill(hidden, IGNORED)
        outputs = model(**inputs)
        loss, _ = answer_loss(outputs.logits, labels, floor=self.own.loss_stop)
        if not torch.isfinite(loss):
            raise _stopped("the loss", self.state.global_step + 1)
        return (loss, outputs) if return_outputs else loss


def _stopped(what: str, step: int) -> TrainingStopped:
    return TrainingStopped(
        f"{what} is no finite number at step {step}; training stopped, the last good checkpoint stays; "
        "lower training.learning_rate, or look at the base model"
    )


class _Pad:
    """Rows -> a batch of equal length; padding is neither seen nor learned."""

    def __init__(self, tokenizer: Any) -> None:
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        from torch.nn.utils.rnn import pad_sequence

        ids, labels = [r["input_ids"] for r in rows], [r["labels"] for r in rows]
        lengths = torch.tensor([len(i) for i in ids])
        padded = pad_sequence(ids, batch_first=True, padding_value=self.pad)
        return {
            "input_ids": padded,
            "attention_mask": (torch.arange(padded.shape[1])[None] < lengths[:, None]).long(),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }


class _Watch(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Tells the progress, stops at a gradient that is no number, and seals every checkpoint."""

    def __init__(
        self, rows: GatedRows, checkpoints: Checkpoints | None, progress: Callable[[int], None] | None
    ) -> None:
        self._rows, self._checkpoints, self._progress = rows, checkpoints, progress
        self._told = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Tell the steps that a resumed training has behind it."""
        self._tell(state.global_step)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Before a bad gradient gets into the weights, and with them into the next checkpoint."""
        grads = [p.grad for p in more["model"].parameters() if p.grad is not None]
        if grads and not torch.stack([torch.isfinite(g).all() for g in grads]).all():
            raise _stopped("a gradient", state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Tell a step."""
        self._tell(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Add what the Trainer does not keep, and mark the checkpoint as whole."""
        if self._checkpoints is None:
            return
        folder = self._checkpoints.folder / f"checkpoint-{state.global_step}"
        np.save(folder / ROWS, self._rows.read, allow_pickle=False)
        self._checkpoints.seal(state.global_step)

    def _tell(self, step: int) -> None:
        if self._progress and step > self._told:
            self._progress(step - self._told)
            self._told = step
