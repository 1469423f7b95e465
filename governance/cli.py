"""One thin command per step. Exit codes: 0 passed, 1 gate closed or audit failed, 2 wrong usage or file, 3 a bug."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from governance import quick
from governance.errors import GovernanceError, UsageError

app = typer.Typer(
    name="governance", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode="rich", help="Quality gates between a company's code and the model tuned on it.",
)  # fmt: skip

PREPARE, CHECK, LOOK, SET_UP = "Prepare", "Check", "Look", "Set up"

Dataset = Annotated[str, typer.Argument(help="File, folder, saved dataset folder, or digest in the workspace.")]
PipelineName = Annotated[str, typer.Option("--pipeline", "-p", help="Pipeline file, or the name of a built-in one.")]
WorkspacePath = Annotated[Path, typer.Option("--workspace", help="Where runs, datasets and keys are.")]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="COLUMN=ROLE: what a column of the dataset is (repeatable).")
]
Encoding = Annotated[str, typer.Option(help="auto, utf-8, gb18030, utf-16.")]
Folders = Annotated[list[Path] | None, typer.Option("--rules", help="Own folder of rule packs (repeatable).")]
Processes = Annotated[int, typer.Option(help="Worker processes; 0 is one per core.", min=0)]
Memory = Annotated[str, typer.Option("--memory-limit", help="For all processes together, such as 4GB.")]
MaxRow = Annotated[str, typer.Option("--max-row-bytes", help="Larger records go to quarantine.")]
Key = Annotated[Path | None, typer.Option("--fingerprint-key", help="File with the team's fingerprint key.")]
Indexes = Annotated[
    list[Path] | None, typer.Option("--index", help="Source index whose text must not be in it (repeatable).")
]
Benchmarks = Annotated[
    list[Path] | None, typer.Option("--benchmark", help="File of benchmark items that must not be in it (repeatable).")
]
HeldOut = Annotated[
    list[str] | None, typer.Option("--held-out", help="Dataset, or digest of one, that must not be in it (repeatable).")
]
IndexKey = Annotated[Path | None, typer.Option("--index-key", help="File with the key of an index without text.")]


def known_format(value: str) -> str:
    """Refuse an unknown ``--format`` before any work is done."""
    from governance.cli_output import check_format

    return check_format(value)


Format = Annotated[str, typer.Option("--format", "-f", help="table, json or jsonl.", callback=known_format)]
Out = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
RunName = Annotated[str, typer.Argument(help="Run id, its beginning, a folder, or 'latest'.")]

DEFAULT_WORKSPACE = Path(".governance")
INTERRUPTED = 130  # 128 + SIGINT, as shells have it; typer turns Ctrl-C into it


def size(text: str) -> int:
    """
    Return the bytes that *text* says: ``64``, ``5MB``, ``4GiB``.

    >>> size("5MB"), size("1GiB")
    (5000000, 1073741824)
    """
    units = {"": 1, "B": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
    letters = text.strip().upper().rstrip("B")
    binary = letters.endswith("I")
    letters = letters.rstrip("I")
    number, unit = letters.rstrip("KMGT"), letters[len(letters.rstrip("KMGT")) :]
    try:
        factor = units[unit] if not binary else 1024 ** " KMGT".index(unit)
        value = int(float(number) * factor)
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{text!r} is no size; expected a number with B, KB, MB, GB, KiB, MiB or GiB") from None
    if value < 1:
        raise UsageError(f"{text!r} is no size; expected at least one byte")
    return value


def column_map(columns: list[str] | None) -> dict[str, str]:
    """Return ``COLUMN=ROLE`` arguments as a mapping. Raises UsageError."""
    found = {}
    for item in columns or []:
        name, _, role = item.partition("=")
        if not (name and role):
            raise UsageError(f"--column {item!r}: expected COLUMN=ROLE, such as question=instruction")
        found[name] = role
    return found


def options(
    pipeline: str, workspace: Path, *, columns: list[str] | None = None, memory: str = "4GiB", max_row: str = "64MiB",
    rules: list[Path] | None = None, indexes: list[Path] | None = None, benchmarks: list[Path] | None = None,
    held_out: list[str] | None = None, **rest: Any,
) -> Any:  # fmt: skip
    """Return `context.Options` from the arguments of a command."""
    from governance.cli_output import ConsoleProgress
    from governance.context import Compare, Options

    compare = Compare(tuple(indexes or ()), tuple(benchmarks or ()), tuple(Path(h) for h in held_out or ()))
    progress = rest.pop("progress", None) or ConsoleProgress()
    return Options(
        pipeline=pipeline, workspace=workspace, columns=column_map(columns), memory_limit=size(memory),
        max_row_bytes=size(max_row), rules=tuple(rules or ()), progress=progress, compare=compare, **rest,
    )  # fmt: skip


@app.command(rich_help_panel=CHECK)
def check(
    dataset: Dataset,
    pipeline: PipelineName = "default",
    policy_file: Annotated[
        Path | None, typer.Option(help="The company's policy: a pipeline may only be stricter.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="Accepted findings; the gates count the others.")] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    rules: Folders = None,
    processes: Processes = 0,
    memory_limit: Memory = "4GiB",
    max_row_bytes: MaxRow = "64MiB",
    index: Indexes = None,
    benchmark: Benchmarks = None,
    held_out: HeldOut = None,
    index_key: IndexKey = None,
    fingerprint_key: Key = None,
    signing_key: Annotated[Path | None, typer.Option(help="Ed25519 private key in PEM.")] = None,
    record: Annotated[bool, typer.Option(help="Let Great Expectations record the gates (adds some seconds).")] = True,
    format_: Format = "table",
) -> None:
    """Measure a dataset, judge its gates, write a signed run and a report."""
    from governance.aside import Helpers

    with Helpers(dataset, record=record, processes=processes) as helpers:  # they import while this process does
        from governance.cli_output import print_checked
        from governance.pipeline import check_dataset

        settings = options(
            pipeline, workspace, columns=column, memory=memory_limit, max_row=max_row_bytes, rules=rules,
            policy=policy_file, baseline=baseline, encoding=encoding, processes=processes,
            fingerprint_key=fingerprint_key, signing_key=signing_key, record=record, indexes=index,
            benchmarks=benchmark, held_out=held_out, index_key=index_key,
        )  # fmt: skip
        checked = check_dataset(dataset, settings, helpers=helpers)
    print_checked(checked, format_, settings.progress)
    raise typer.Exit(0 if checked.passed else 1)


@app.command(rich_help_panel=CHECK)
def scan(
    dataset: Dataset,
    pack: Annotated[
        list[str] | None, typer.Option("--pack", help="Pack of rules (repeatable); all without it.")
    ] = None,
    rules: Folders = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    processes: Processes = 0,
    fingerprint_key: Key = None,
    format_: Format = "table",
) -> None:
    """Match rules against every sample; findings only, nothing is judged or written."""
    from governance.cli_output import print_findings
    from governance.steps import scan_dataset

    settings = options("default", workspace, columns=column, rules=rules, encoding=encoding, processes=processes, fingerprint_key=fingerprint_key)  # fmt: skip  # noqa: E501
    print_findings(*scan_dataset(dataset, pack, settings), format_)


@app.command(rich_help_panel=PREPARE)
def collect(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Folder, file, git repository, or REPOSITORY@REVISION.")
    ],
    task: Annotated[str, typer.Option(help="code, test or story.")],
    out: Out,
    processes: Processes = 0,
) -> None:
    """Turn repositories into samples that know their repository, commit, lines and licence."""
    from governance.cli_output import print_collected
    from governance.steps import collect_dataset

    print_collected(collect_dataset(paths, task, out, processes), out)


@app.command(rich_help_panel=PREPARE)
def init(
    dataset: Annotated[str | None, typer.Argument(help="A dataset to propose limits for.")] = None,
    out: Out = Path("governance.yaml"),
    pipeline: PipelineName = "default",
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
) -> None:
    """Write a pipeline file with limits proposed beside today's numbers."""
    from governance.propose import propose_pipeline

    settings = options(pipeline, workspace, columns=column, record=False)
    propose_pipeline(dataset, out, settings)
    typer.echo(f"{out}: written; read the limits, then: governance check DATASET --pipeline {out}")


@app.command(rich_help_panel=PREPARE)
def scrub(
    dataset: Dataset,
    out: Out,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    rules: Folders = None,
    processes: Processes = 0,
) -> None:
    """Mask secrets and personal data; nothing else is changed."""
    from governance.clean import scrub_dataset

    settings = options("default", workspace, columns=column, encoding=encoding, rules=rules, processes=processes)
    spans, samples = scrub_dataset(dataset, out, settings)
    typer.echo(f"{out}: {spans} places masked in {samples} samples")


@app.command(rich_help_panel=PREPARE)
def clean(
    dataset: Dataset,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; needed without --plan.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what each remedy would cost.")] = False,
    pipeline: PipelineName = "default",
    policy_file: Annotated[Path | None, typer.Option(help="The company's policy.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Accepted findings are left alone.")] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    column: Columns = None,
    encoding: Encoding = "auto",
    rules: Folders = None,
    processes: Processes = 0,
    memory_limit: Memory = "4GiB",
    index: Indexes = None,
    benchmark: Benchmarks = None,
    held_out: HeldOut = None,
    index_key: IndexKey = None,
    fingerprint_key: Key = None,
    record: Annotated[bool, typer.Option(help="Let Great Expectations record the gates.")] = True,
    format_: Format = "table",
) -> None:
    """Apply the remedies that the pipeline names, account for every record, and check again."""
    from governance.clean import clean_dataset, plan_clean
    from governance.cli_output import print_checked, print_ledger, print_plan

    settings = options(
        pipeline, workspace, columns=column, rules=rules, policy=policy_file, baseline=baseline, encoding=encoding,
        processes=processes, memory=memory_limit, fingerprint_key=fingerprint_key, record=record, indexes=index,
        benchmarks=benchmark, held_out=held_out, index_key=index_key,
    )  # fmt: skip
    if plan:
        print_plan(plan_clean(dataset, settings), format_)
        return
    if out is None:
        raise UsageError("--out is missing; name the file to write, or give --plan")
    checked, ledger = clean_dataset(dataset, out, settings)
    if format_ == "table":
        print_ledger(ledger, out)
    print_checked(checked, format_, settings.progress)
    raise typer.Exit(0 if checked.passed else 1)


@app.command(rich_help_panel=CHECK)
def prove(
    pipeline: Annotated[str, typer.Argument(help="Pipeline file, or the name of a built-in one.")] = "default",
    dataset: Annotated[str | None, typer.Option(help="A dataset that passes; a built-in control without it.")] = None,
    rules: Folders = None,
    policy_file: Annotated[Path | None, typer.Option(help="The company's policy.")] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    format_: Format = "table",
) -> None:
    """Plant one violation per gate into a copy of the data and show that each gate closes."""
    from governance.cli_output import print_proof
    from governance.prove import prove_gates

    place = workspace if dataset else None  # copies of a user's data stay in the dataset store
    proof = prove_gates(pipeline, dataset, rules=tuple(rules or ()), policy=policy_file, workspace=place)
    print_proof(proof, format_)
    raise typer.Exit(0 if all(p.closed for p in proof) else 1)


@app.command(rich_help_panel=CHECK)
def accept(
    run: RunName,
    finding: Annotated[list[str], typer.Argument(help="Fingerprint (or its beginning), or rules such as 'rest/*'.")],
    reason: Annotated[str, typer.Option(help="Why this may stay.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    expires: Annotated[str, typer.Option(help="Day on which it ends, YYYY-MM-DD, at most a year ahead.")],
    baseline: Annotated[Path, typer.Option(help="Baseline file to add to.")] = Path("governance-baseline.jsonl"),
    approver: Annotated[str, typer.Option(help="Who approved it; not the owner.")] = "",
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Accept findings of a run, by keyed fingerprint, until a day; the gate closes on new ones."""
    from governance.steps import accept_findings

    added = accept_findings(run, finding, baseline, reason=reason, owner=owner, approver=approver, expires=expires, workspace=workspace)  # fmt: skip  # noqa: E501
    typer.echo(f"{baseline}: {added} accepted until {expires}; check with --baseline {baseline}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; every expected failure is one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    if not (given and given[0] in {c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands}):
        import governance.cli_copies  # these register the other commands
        import governance.cli_look
        import governance.cli_train  # noqa: F401

    try:
        app(args=arguments, standalone_mode=True)
    except GovernanceError as problem:
        for line in str(problem).splitlines():
            print(f"error: {line}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("interrupted; a run is written whole or not at all", file=sys.stderr)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as bug:  # noqa: BLE001  # the one place: a bug ends with 3, and its message may hold sample text
        for frame in traceback.format_tb(bug.__traceback__):
            print(frame, end="", file=sys.stderr)
        shown = f": {bug}" if os.environ.get("GOVERNANCE_DEBUG") else " (GOVERNANCE_DEBUG=1 shows its message)"
        print(f"bug: {type(bug).__name__}{shown}; please report the lines above", file=sys.stderr)
        sys.exit(3)


def run() -> None:
    """
    The program: `main`, and an exit that waits for nobody.

    DuckDB's binding prints a page about leaks at a normal exit once Great Expectations was used with it, and a
    background import may still run; both are noise after the last line of a command.
    """
    quick.hide()
    quick.undocument()
    quick.postpone()
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):  # the reader has seen enough; the verdict's code stays
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    run()
