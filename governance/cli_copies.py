"""The commands about copies: duplicates, splits without them, and overlap with other sources."""

from __future__ import annotations

from typing import Annotated

import typer

from governance.cli import (
    CHECK,
    DEFAULT_WORKSPACE,
    Columns,
    Dataset,
    Encoding,
    Format,
    Memory,
    Processes,
    WorkspacePath,
    app,
    options,
)  # fmt: skip


@app.command(rich_help_panel=CHECK)
def dedup(
    dataset: Dataset,
    threshold: Annotated[
        float, typer.Option(help="Least Jaccard similarity of a near-duplicate.", min=0.5, max=1.0)
    ] = 0.8,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    processes: Processes = 0,
    memory_limit: Memory = "4GiB",
    format_: Format = "table",
) -> None:
    """Find exact and near-duplicates; every one names the kept sample and their similarity."""
    from governance.cli_output import print_duplicates
    from governance.steps import dedup_dataset

    settings = options(
        "default", workspace, columns=column, encoding=encoding, processes=processes, memory=memory_limit
    )
    print_duplicates(dedup_dataset(dataset, threshold, settings), format_)
