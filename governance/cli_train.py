"""The commands about models: the tiny base model, training behind the gate, and what is measured afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance.cli import (
    DEFAULT_WORKSPACE,
    SET_UP,
    Columns,
    Dataset,
    Encoding,
    Format,
    Indexes,
    IndexKey,
    PipelineName,
    WorkspacePath,
    app,
    options,
)  # fmt: skip
from governance.errors import UsageError

TRAIN = "Train"

BaseModelPath = Annotated[
    Path, typer.Option("--base-model", help="Folder of the base model: safetensors, a family built into transformers.")
]
AnyPipeline = Annotated[
    str | None, typer.Option("--pipeline", "-p", help="The pipeline that it has to have passed under; any without.")
]
PolicyFile = Annotated[Path | None, typer.Option("--policy-file", help="The company's policy.")]


@app.command(rich_help_panel=TRAIN)
def train(
    dataset: Dataset,
    base_model: BaseModelPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the adapter; it must not exist, or be empty.")],
    pipeline: AnyPipeline = None,
    policy_file: PolicyFile = None,
    keep_checkpoints: Annotated[
        bool, typer.Option("--keep-checkpoints", help="Leave the checkpoints beside the adapter.")
    ] = False,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    format_: Format = "table",
) -> None:
    """Train a LoRA adapter on a dataset that passed, as its pipeline says; a training that stopped goes on."""
    from governance.cli_output import print_trained, print_truncation
    from governance.hand_out import train_dataset

    settings = options(pipeline or "default", workspace, columns=column, policy=policy_file, encoding=encoding)
    try:
        record = train_dataset(
            dataset, base_model, out, settings, pipeline=pipeline, keep_checkpoints=keep_checkpoints,
            told=print_truncation,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("the same command goes on from the last checkpoint, if one was written", err=True)
        raise
    print_trained(record, out, format_)


@app.command("tiny-model", rich_help_panel=SET_UP)
def tiny_model(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the model; it must not exist, or be empty.")],
    seed: Annotated[int, typer.Option(help="Another seed gives another model.", min=0)] = 0,
    steps: Annotated[int, typer.Option(help="Optimiser steps; fewer are faster and teach less.", min=1)] = 160,
) -> None:
    """Make a tiny base model from the standard library's code, to try training and audit on a CPU."""
    from governance.train.extra import require_train

    require_train()
    from governance.train.tiny import make_tiny_model

    make_tiny_model(out, seed=seed, steps=steps)
    typer.echo(f"{out}: written; try: governance train DATASET --base-model {out} --out DIR")


@app.command(rich_help_panel=TRAIN)
def guard(
    dataset: Dataset,
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND...", help="{dataset} in it becomes the path of the approved bytes."),
    ],
    pipeline: AnyPipeline = None,
    adapter: Annotated[
        Path | None, typer.Option(help="New folder that COMMAND writes its adapter to; the record names its files.")
    ] = None,
    policy_file: PolicyFile = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
) -> None:
    """Run another trainer on the approved bytes: read-only, at a path that no cache knows; the record is signed."""
    from governance.hand_out import guard_dataset

    settings = options(pipeline or "default", workspace, columns=column, policy=policy_file, encoding=encoding)
    ended = guard_dataset(dataset, command, settings, pipeline=pipeline, produced=adapter)
    typer.echo(f"{ended.record}: offered, signed; the command ended with {ended.code}", err=True)
    if not ended.unchanged:
        typer.echo("error: the offered files were changed while the command ran; do not use what it made", err=True)
    raise typer.Exit(ended.code or (0 if ended.unchanged else 1))


@app.command(rich_help_panel=TRAIN)
def export(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle; it must not exist, or be empty.")],
    approved: Annotated[bool, typer.Option("--approved", help="Only what passed; there is no other export.")] = False,
    pipeline: AnyPipeline = None,
    policy_file: PolicyFile = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
) -> None:
    """Write an approved dataset with what proves it; `governance verify DIR` checks it anywhere."""
    from governance.hand_out import export_dataset

    if not approved:
        raise UsageError("--approved is missing; only a dataset that passed can be exported, and you say so")
    settings = options(pipeline or "default", workspace, columns=column, policy=policy_file, encoding=encoding)
    digest, samples = export_dataset(dataset, out, settings, pipeline=pipeline)
    typer.echo(f"{out}: {samples} samples; bundle {digest}; check it with: governance verify {out} --key SIGNER.pub")


@app.command(rich_help_panel=TRAIN)
def audit(
    base_model: Annotated[
        Path | None, typer.Option("--base-model", help="Folder of the base model; needed without --texts.")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Folder of the adapter; without one the base is compared with itself.")
    ] = None,
    members: Annotated[
        str | None, typer.Option(help="Dataset that was trained on: a file, a folder, a digest in the workspace.")
    ] = None,
    twins: Annotated[
        str | None, typer.Option(help="Held-out samples of the same kind, such as audit.jsonl of `governance split`.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Saved generations of any system, as JSON Lines; no model is asked.")
    ] = None,
    canaries: Annotated[Path | None, typer.Option(help="File of canaries and controls, as JSON Lines.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what sample size and time a limit needs.")] = False,
    profile: Annotated[str | None, typer.Option(help="quick or full, in the place of the pipeline's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New folder for the audit: numbers, no text.")] = None,
    pipeline: PipelineName = "default",
    index: Indexes = None,
    index_key: IndexKey = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    format_: Format = "table",
) -> None:
    """Measure what of the training data a model gives back, beside the base model and held-out twins."""
    from governance.audit.run import Request, audit_leakage, plan_leakage
    from governance.cli_output import print_audit, print_plan

    if profile not in (None, "quick", "full"):
        raise UsageError(f"--profile {profile!r}: expected quick or full")
    request = Request(members, twins, base_model, adapter, texts, canaries, out)
    settings = options(
        pipeline, workspace, columns=column, encoding=encoding, indexes=index, index_key=index_key
    )  # fmt: skip
    if plan:
        rows, remarks = plan_leakage(request, settings)
        print_plan(rows, format_)
        for remark in remarks:
            typer.echo(remark, err=True)
        return
    found = audit_leakage(request, settings, profile=profile)
    print_audit(found, out, format_)
    raise typer.Exit(0 if found["status"] == "RELEASED" else 1)
