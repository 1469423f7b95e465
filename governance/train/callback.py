"""approved data inside somebody's Trainer -> training that stops when it is no longer what was approved.

For transformers' `Trainer` and what is built on it, TRL's `SFTTrainer` too:

    data = open_gated("shop.clean.jsonl", Workspace(Path(".governance")))
    rows, truncation = GatedRows.of(data, tokenizer, cutoff=1024)
    trainer = Trainer(model, args, train_dataset=rows, callbacks=[DataGateCallback(data)])

The rows are token ids with labels; a trainer that would tokenize them itself is told not to (TRL:
``dataset_kwargs={"skip_prepare_dataset": True}``), and ``remove_unused_columns`` may be on or off.

A callback can be left out, so it is no lock: what it notes is needed to sign the adapter, and without it nothing is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from governance.errors import GovernanceError, SignatureError, WorkspaceError
from governance.files import disk_error, read_json, sha256_file, write_durably

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from governance.train.door import GatedDataset
    from governance.train.encode import Encoded, Truncation
    from governance.train.prompts import Template

MARK = "governance.json"
"""What every checkpoint is marked with: the dataset it was trained on, and the digests of its files."""


class GatedRows(Dataset):  # type: ignore[type-arg]
    """
    The token ids of approved samples, as a torch dataset that notes which rows were read.

    Make it with `of`, which tokenizes *data* itself; the constructor believes that *encoded* was made from it.

    Attributes:
        digest: of the dataset that the ids were made from.
        read: shape (n,), bool; rows that were asked for in this process. Workers of a loader are other processes.
        asked: how often a row was asked for in this process.
    """

    def __init__(self, data: GatedDataset, encoded: Encoded) -> None:
        self.digest = data.digest
        self._encoded = encoded
        self._sealed = _seal(encoded)
        self.read: NDArray[np.bool_] = np.zeros(len(encoded), np.bool_)
        self.asked = 0

    @classmethod
    def of(
        cls, data: GatedDataset, tokenizer: Any, *, template: Template = "alpaca", cutoff: int = 1024
    ) -> tuple[Self, Truncation]:
        """
        Return the token ids of *data*, and what the *cutoff* (tokens of a sample) cost.

        Raises:
            UsageError: the tokenizer has no chat template, and *template* is ``chat``.
        """
        from governance.train.encode import encode
        from governance.train.prompts import pieces_of

        pieces = (pieces_of(texts, template, tokenizer) for texts in data)
        encoded, truncation = encode(pieces, tokenizer, cutoff, specials=template != "chat")
        return cls(data, encoded), truncation

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, row: int) -> dict[str, Any]:
        if not 0 <= row < len(self._encoded):
            raise IndexError(row)
        self.read[row] = True
        self.asked += 1
        where = slice(int(self._encoded.ends[row]), int(self._encoded.ends[row + 1]))
        ids = torch.from_numpy(self._encoded.ids[where].astype(np.int64))
        labels = torch.from_numpy(self._encoded.labels[where].astype(np.int64))
        return {"input_ids": ids, "labels": labels}

    def recheck(self) -> None:
        """Raise SignatureError if the token ids are not those that were made from the approved samples."""
        if _seal(self._encoded) != self._sealed:
            raise SignatureError(f"the token ids changed after they were made from dataset {self.digest[:16]}")


def _seal(encoded: Encoded) -> bytes:
    digest = hashlib.sha256()
    for part in (encoded.ids, encoded.labels, encoded.ends, encoded.kept):
        digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return digest.digest()


class DataGateCallback(TrainerCallback, ExportableState):  # type: ignore[misc,unused-ignore]
    """
    Checks the approved data again at init, at the start, at every save and at the end, in every process.

    Each process opens and checks the data itself. Where training is spread over several, they tell each other what
    they found before any goes on, so that all stop with a reason where one would: a process that stops alone leaves
    the others waiting. Every checkpoint is marked with its dataset, and one without this mark is not gone on from.

    Attributes:
        consumed: digest of the dataset that training read, once it began; None before, and after a check that failed.
        checks: how often the data was found to be as approved.
    """

    def __init__(self, data: GatedDataset) -> None:
        self.data = data
        self.consumed: str | None = None
        self.checks = 0
        self._rows: GatedRows | None = None
        self._begun: tuple[int, int] | None = None  # (step, rows asked for) where that is counted in this process

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback; transformers asks for it at every save."""
        return {"args": {}, "attributes": {"dataset": self.data.digest}}

    def on_init_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """When the trainer is made."""
        self._together(self._check)

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Before the first step: the rows that the trainer reads have to be the approved ones."""

        def check() -> None:
            loader = more.get("train_dataloader")
            rows = _innermost(getattr(loader, "dataset", None))
            if not isinstance(rows, GatedRows) or rows.digest != self.data.digest:
                raise SignatureError(
                    f"the trainer reads other rows than the approved dataset {self.data.digest[:16]}; "
                    "give it train_dataset=GatedRows.of(data, tokenizer)[0]"
                )
            if state.global_step:
                self._check_resumed(args, state)
            self._rows = rows
            self._begun = None if getattr(loader, "num_workers", 0) else (state.global_step, rows.asked)
            self._check()

        self.consumed = None
        self._together(check)
        self.consumed = self.data.digest

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """After every checkpoint, which is marked."""
        self._together(self._check)
        if getattr(state, "is_world_process_zero", True):
            mark_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}", self.data.digest)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """After the last step."""

        def check() -> None:
            self._check()
            if self._begun is None or self._rows is None:
                return
            step, asked = self._begun
            if state.global_step > step and self._rows.asked == asked:
                raise SignatureError("no approved row was read, and the model was trained all the same")

        self._together(check)

    def _check(self) -> None:
        self.data.recheck()
        if self._rows is not None:
            self._rows.recheck()

    def _check_resumed(self, args: Any, state: Any) -> None:
        """A checkpoint of other data is other data, however approved the rows are that follow."""
        kept: Any = (state.stateful_callbacks or {}).get(type(self).__name__)
        kept = kept[-1] if isinstance(kept, list) and kept else kept
        try:
            found = kept["attributes"]["dataset"]
        except (KeyError, TypeError):
            found = None
        if found != self.data.digest:
            raise _other_checkpoint(f"the checkpoint of step {state.global_step}", found, self.data.digest)
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if folder.is_dir():
            check_checkpoint(folder, self.data.digest)

    def _together(self, check: Any) -> None:
        """Run *check* here, hear what the other processes found, and raise if it failed anywhere."""
        problem: GovernanceError | None = None
        try:
            check()
        except GovernanceError as found:
            problem = found
        said = _said_by_all("" if problem is None else str(problem), self.data.digest)
        if problem is None:
            others = [f"process {rank}: {text}" for rank, (text, _) in enumerate(said) if text]
            others += [
                f"process {rank} has dataset {digest[:16]}, expected {self.data.digest[:16]}"
                for rank, (_, digest) in enumerate(said)
                if digest != self.data.digest
            ]
            problem = SignatureError(others[0]) if others else None
        if problem is not None:
            self.consumed = None
            raise problem
        self.checks += 1


def _said_by_all(problem: str, digest: str) -> list[tuple[str, str]]:
    """Return (problem, digest) of every process, by rank."""
    own = (problem, digest)
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return [own]
    said: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(said, own)
    return said


def _innermost(rows: Any) -> Any:
    """Trainers wrap a dataset once or twice; what they wrap is still the one that is read."""
    for _ in range(4):
        inner = getattr(rows, "dataset", None)
        if inner is None or isinstance(rows, GatedRows):
            break
        rows = inner
    return rows


def mark_checkpoint(folder: Path, digest: str) -> None:
    """Write into the checkpoint *folder* which dataset it was trained on, and the digests of its files."""
    import json

    try:
        files = {p.name: sha256_file(p) for p in sorted(folder.iterdir()) if p.is_file() and p.name != MARK}
        write_durably(folder / MARK, json.dumps({"dataset": digest, "files": files}, indent=1).encode())
    except OSError as problem:
        raise disk_error(problem, folder / MARK) from None


def check_checkpoint(folder: Path, digest: str) -> None:
    """
    Raise SignatureError unless the checkpoint in *folder* was trained on dataset *digest*, and is as it was written.

    The mark is not signed: it keeps a mistake and a mix-up out, not someone who writes marks of his own.
    """
    try:
        mark = read_json(folder / MARK)
        found, files = mark["dataset"], dict(mark["files"])
    except (WorkspaceError, KeyError, TypeError, ValueError):
        found, files = None, {}
    if found != digest:
        raise _other_checkpoint(str(folder), found, digest)
    for name, wanted in files.items():
        path = folder / name
        if path.parent != folder or not path.is_file() or sha256_file(path) != wanted:
            raise SignatureError(f"{path}: changed after the checkpoint was written; delete the checkpoint")


def _other_checkpoint(what: str, found: Any, digest: str) -> SignatureError:
    of = f"dataset {str(found)[:16]}" if found else "a training without this gate"
    return SignatureError(f"{what} is of {of}, this training is of dataset {digest[:16]}; delete the checkpoint")
