"""a dataset that passed, a base model -> an adapter folder; the whole of `governance train`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.context import Progress
from governance.errors import UsageError
from governance.train.checkpoints import Checkpoints
from governance.train.extra import require_train
from governance.train.folder import check_new

if TYPE_CHECKING:
    from governance.settings import Pipeline, Policy
    from governance.store import Workspace
    from governance.train.encode import Truncation


def train_adapter(
    dataset: Path | str,
    base_model: Path,
    out: Path,
    *,
    workspace: Workspace,
    pipeline: Pipeline | None = None,
    policy: Policy | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str = "auto",
    max_row_bytes: int = 64 << 20,
    mask: Callable[[str], str] = str,
    keep_checkpoints: bool = False,
    told: Callable[[Truncation], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Train a LoRA adapter on a dataset that passed, and write it to the folder *out*.

    A training that stopped goes on where the last whole checkpoint in ``.NAME.checkpoints`` beside *out* was written,
    if the dataset, the base, and the settings are the same.

    Args:
        pipeline: if given, the one that the dataset has to have passed under. How the adapter is trained stands in
            the pipeline that it did pass under, which the verdict's signature covers.
        mask: hides what may not be shown of a file's name, as the check had it.
        told: is told what the cutoff costs, before training.

    Returns:
        The adapter's record, `adapter.json`; see `adapter.write_adapter`.

    Raises:
        GateClosed, SignatureError: the dataset is not approved.
        UsageError: no torch, a base that cannot be used, *out* is not empty, checkpoints of another training.
        TrainingStopped, EmptyAdapter: no adapter came of it.
        WorkspaceError: the disk is full or refuses.
    """
    require_train()
    check_new(out)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("governance train is one process; for several use: governance guard DATASET -- COMMAND")
    from governance.gate.keys import load_fingerprint_key
    from governance.train.base import look_at_base
    from governance.train.door import open_gated

    progress = progress or Progress()
    data = open_gated(
        dataset, workspace, policy=policy, pipeline=pipeline, columns=columns, encoding=encoding,
        max_row_bytes=max_row_bytes, mask=mask,
    )  # fmt: skip
    base = look_at_base(base_model)
    from governance.train.adapter import write_adapter
    from governance.train.lora import prepare_lora, train_lora
    from governance.train.release import attest_training

    with progress.stage("load"):
        prepared = prepare_lora(data, base, data.pipeline.training)
    if told:
        told(prepared.truncation)
    settings = data.pipeline.training.model_dump(mode="json")
    identity = {"dataset": data.digest, "base": base.digest, "training": settings}
    checkpoints = Checkpoints(out, identity, load_fingerprint_key(workspace.root))
    try:
        with progress.stage("train", prepared.steps) as done:
            trained = train_lora(prepared, checkpoints, progress=done)
        record = write_adapter(trained, data, base, out)
        attest_training(out, workspace)
        if not keep_checkpoints:
            checkpoints.remove()
    finally:
        checkpoints.close()
    return record
