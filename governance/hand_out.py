"""an approved dataset -> an adapter, a guarded command, or a bundle; a bundle or an adapter -> what is proved of it.

What the commands `train`, `guard`, `export` and `verify` call; none but the first needs torch.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.context import Options
from governance.errors import SignatureError
from governance.settings import Policy, load_pipeline, load_policy
from governance.store import Workspace

if TYPE_CHECKING:
    from governance.gate.keys import Trust
    from governance.train.door import GatedDataset
    from governance.train.encode import Truncation
    from governance.train.guard import Guarded


def guard_dataset(
    dataset: str, command: Sequence[str], options: Options, *, pipeline: str | None = None, produced: Path | None = None
) -> Guarded:
    """
    Run *command* on the approved bytes of *dataset*, see `guard.guard_command`.

    Args:
        pipeline: if given, the pipeline that the dataset has to have passed under.

    Raises:
        GateClosed, SignatureError: nothing approves the dataset; *command* was not started.
        UsageError: *command* does not name ``{dataset}``, or cannot be started.
    """
    from governance.scan.sensitive import SensitiveText
    from governance.train.guard import check_command, guard_command

    check_command(command, produced)
    workspace = Workspace(options.workspace)
    data = _open(dataset, workspace, options, pipeline)
    return guard_command(data, dataset, command, workspace, produced=produced, mask=SensitiveText.of().masked)


def train_dataset(
    dataset: str,
    base_model: Path,
    out: Path,
    options: Options,
    *,
    pipeline: str | None = None,
    keep_checkpoints: bool = False,
    told: Callable[[Truncation], None] | None = None,
) -> dict[str, Any]:
    """Train a LoRA adapter on an approved dataset and return its record, see `run.train_adapter`; this needs torch."""
    from governance.scan.sensitive import SensitiveText
    from governance.train.extra import require_train
    from governance.train.run import train_adapter

    require_train()
    return train_adapter(
        dataset, base_model, out, workspace=Workspace(options.workspace),
        pipeline=load_pipeline(pipeline) if pipeline else None,
        policy=load_policy(options.policy) if options.policy else None,
        columns=options.columns, encoding=options.encoding, max_row_bytes=options.max_row_bytes,
        mask=SensitiveText.of().masked, keep_checkpoints=keep_checkpoints, told=told, progress=options.progress,
    )  # fmt: skip


def export_dataset(dataset: str, out: Path, options: Options, *, pipeline: str | None = None) -> tuple[str, int]:
    """Write the bundle of *dataset* to the folder *out*; return its digest and its samples, see `export_bundle`."""
    from governance.train.export import export_bundle
    from governance.train.folder import check_new

    check_new(out)
    workspace = Workspace(options.workspace)
    data = _open(dataset, workspace, options, pipeline)
    return export_bundle(data, dataset, workspace, out), len(data)


def _open(dataset: str, workspace: Workspace, options: Options, pipeline: str | None) -> GatedDataset:
    from governance.scan.sensitive import SensitiveText
    from governance.train.door import open_gated

    return open_gated(
        dataset, workspace,
        policy=load_policy(options.policy) if options.policy else None,
        pipeline=load_pipeline(pipeline) if pipeline else None,
        columns=options.columns, encoding=options.encoding, max_row_bytes=options.max_row_bytes,
        mask=SensitiveText.of().masked,
    )  # fmt: skip


def verify_handed_out(
    folder: Path, workspace: Path, policy_file: Path | None, keys: Sequence[Path]
) -> list[str] | None:
    """
    Check a bundle or an adapter; None if *folder* is neither.

    Without *keys*, and without a policy that names some, the trust file of *workspace* says whose signature counts.

    Raises:
        SignatureError: with the first thing that does not hold.
        UsageError: no key is trusted.
    """
    from governance.train.export import bundle_lines, is_bundle, verify_bundle
    from governance.train.release import is_adapter, release_lines, verify_adapter

    if not (is_bundle(folder) or is_adapter(folder)):
        return None
    policy = load_policy(policy_file) if policy_file else None
    trust = _trust(workspace, policy, keys)
    if is_bundle(folder):
        return bundle_lines(verify_bundle(folder, trust, now=dt.datetime.now(dt.UTC), policy=policy))
    return release_lines(verify_adapter(folder, trust, policy=policy))


def _trust(workspace: Path, policy: Policy | None, keys: Sequence[Path]) -> Trust:
    from governance.gate.keys import load_trust
    from governance.train.export import trust_of

    named = bool(policy and policy.trusted_keys)
    if not keys and (workspace / "keys" / "trust.json").is_file():
        trust = load_trust(workspace, policy.trusted_keys if policy else ())
        if not trust.keys and named:
            raise SignatureError("the policy names its keys by their ids alone; name their files with --key")
        return trust
    return trust_of(list(keys), policy)
