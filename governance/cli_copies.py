"""The commands about copies: duplicates, splits without them, and overlap with other sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance.cli import (
    CHECK,
    DEFAULT_WORKSPACE,
    LOOK,
    PREPARE,
    Benchmarks,
    Columns,
    Dataset,
    Encoding,
    Format,
    HeldOut,
    Indexes,
    IndexKey,
    Memory,
    PipelineName,
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
    method: Annotated[str, typer.Option(help="exact: every pair; minhash: from signatures, and says its recall.")] = (
        "exact"
    ),
    permutations: Annotated[int, typer.Option(help="128 or 256, of a MinHash signature.")] = 128,
    against: Annotated[
        Path | None,
        typer.Option(help="Folder with what is known of the company's earlier datasets: find copies of those as well."),
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Add the dataset to --against, without its text.")
    ] = False,
    signatures: Annotated[
        Path | None, typer.Option(help="File for one datasketch.LeanMinHash record per sample, in their order.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    processes: Processes = 0,
    memory_limit: Memory = "4GiB",
    format_: Format = "table",
) -> None:
    """Find exact, near-duplicate and renamed copies; every one names the kept sample and their similarity."""
    from governance.cli_output import print_duplicates, search_line
    from governance.steps import dedup_dataset

    settings = options(
        "default", workspace, columns=column, encoding=encoding, processes=processes, memory=memory_limit
    )
    found, search = dedup_dataset(
        dataset, threshold, settings, method=method, permutations=permutations, against=against, register=register,
        signatures=signatures,
    )  # fmt: skip
    print_duplicates(found, format_)
    if format_ == "table":
        typer.echo(search_line(search), err=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


@app.command(rich_help_panel=PREPARE)
def split(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; it must not exist, or be empty.")],
    train: Annotated[float, typer.Option(help="Share of the training part.")] = 0.8,
    validation: Annotated[float, typer.Option(help="Share of the validation part; 0 writes none.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the test part; 0 writes none.")] = 0.1,
    audit: Annotated[int, typer.Option(help="Samples held out as twins for the audit after training.")] = 0,
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    by: Annotated[
        str, typer.Option(help="What stays together: cluster (always), group, repository.")
    ] = "cluster,group",
    stratify: Annotated[
        str, typer.Option(help="Columns that every part gets in proportion; empty for none.")
    ] = "step,language",
    threshold: Annotated[float, typer.Option(help="Jaccard similarity from which two samples stay together.")] = 0.6,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    processes: Processes = 0,
    memory_limit: Memory = "4GiB",
    format_: Format = "table",
) -> None:
    """Split a dataset by whole groups into train, validation, test and audit, and compare the parts with each other."""
    from governance.cli_output import print_split
    from governance.split import SplitSettings, split_dataset

    settings = options(
        "default", workspace, columns=column, encoding=encoding, processes=processes, memory=memory_limit
    )
    wanted = SplitSettings(train, validation, test, audit, seed, _names(by), _names(stratify), threshold)
    print_split(split_dataset(dataset, out, wanted, settings), out, format_)


@app.command(rich_help_panel=PREPARE)
def index(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Folder, file, git repository (@REVISION), dataset, benchmark."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the index; an index that is there is added to.")],
    kind: Annotated[
        str, typer.Option(help="source, dataset or benchmark; auto goes by the suffix of a file.")
    ] = "auto",
    licence: Annotated[str | None, typer.Option(help="Licence of what names none itself.")] = None,
    name: Annotated[str | None, typer.Option(help="What the sources are called in reports.")] = None,
    text: Annotated[
        bool, typer.Option("--text/--no-text", help="Store the texts; without them only keyed fingerprints.")
    ] = True,
    key: Annotated[Path | None, typer.Option(help="File with the key of an index without text.")] = None,
    show_paths: Annotated[
        bool, typer.Option("--paths", help="Let an index without text name repositories and paths.")
    ] = False,
    processes: Annotated[int, typer.Option(help="Threads; 0 is one per core.", min=0)] = 0,
    format_: Format = "table",
) -> None:
    """Build or extend an index of sources: code, datasets and benchmark items whose text must not come back."""
    from governance.cli_output import ConsoleProgress, print_indexed
    from governance.index_build import build_index

    with ConsoleProgress().stage("index") as done:
        account = build_index(
            paths, out, kind=kind, licence=licence, name=name, key=key, text=text, show_paths=show_paths,
            threads=processes, progress=done,
        )  # fmt: skip
    print_indexed(account, format_)


@app.command(rich_help_panel=CHECK)
def overlap(
    dataset: Dataset,
    pipeline: PipelineName = "default",
    index: Indexes = None,
    benchmark: Benchmarks = None,
    held_out: HeldOut = None,
    least: Annotated[
        int | None, typer.Option(help="Lexemes of the shortest run that counts; all of 50 and more are found.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Least Jaccard similarity with a held-out sample, 0.5 to 1.0.")
    ] = None,
    rephrased: Annotated[
        float | None,
        typer.Option(
            help="Also list texts that are like a benchmark item in other words, from this cosine on, such as 0.4."
        ),
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    processes: Processes = 0,
    memory_limit: Memory = "4GiB",
    index_key: IndexKey = None,
    format_: Format = "table",
) -> None:
    """List what samples share with protected sources, benchmark items and held-out sets; nothing is judged."""
    from governance.cli_output import print_overlaps
    from governance.overlaps import overlap_dataset

    settings = options(
        pipeline, workspace, columns=column, encoding=encoding, processes=processes, memory=memory_limit,
        indexes=index, benchmarks=benchmark, held_out=held_out, index_key=index_key,
    )  # fmt: skip
    found = overlap_dataset(dataset, settings, least=least, threshold=threshold, rephrased=rephrased)
    print_overlaps(found, format_)


@app.command(rich_help_panel=LOOK)
def find(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A text file, or - for standard input.")],
    index_folder: Annotated[Path, typer.Option("--index", help="Folder of a source index.")],
    least: Annotated[int, typer.Option(help="Lexemes; of shorter runs only some are found.", min=1)] = 50,
    view: Annotated[str, typer.Option(help="verbatim, renamed or both.")] = "both",
    language: Annotated[str, typer.Option(help="Language of the text; told by the file's name without it.")] = "",
    key: Annotated[Path | None, typer.Option(help="File with the key of an index without text.")] = None,
    format_: Format = "table",
) -> None:
    """Find everything that one text has in common with the sources of an index."""
    from governance.cli_output import print_shared_runs
    from governance.index_build import find_in_file

    rows, finished = find_in_file(file, index_folder, least=least, view=view, language=language, key=key)
    print_shared_runs(rows, format_)
    if not finished:
        typer.echo(
            "unfinished: parts of the text stand in more places than were looked at; sources may be missing", err=True
        )
