"""The commands that look at runs and set things up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance.cli import DEFAULT_WORKSPACE, LOOK, SET_UP, Folders, Format, Out, RunName, WorkspacePath, app

quarantine_app = typer.Typer(no_args_is_help=True, help="Bad and dropped records.")
rules_app = typer.Typer(no_args_is_help=True, help="The rules, and the proof of their own examples.")
keys_app = typer.Typer(no_args_is_help=True, help="Signing keys and whom to trust.")
app.add_typer(quarantine_app, name="quarantine", rich_help_panel=LOOK)
app.add_typer(rules_app, name="rules", rich_help_panel=SET_UP)
app.add_typer(keys_app, name="keys", rich_help_panel=SET_UP)


@app.command(rich_help_panel=LOOK)
def show(
    run: RunName = "latest",
    rule: Annotated[str | None, typer.Option(help="Only this rule, or rules such as 'rest/*'.")] = None,
    cluster: Annotated[
        int | None, typer.Option(help="This cluster of duplicates: its members, and two of them side by side.")
    ] = None,
    members: Annotated[
        str | None,
        typer.Option(help="The two, as A,B; one alone stands against the kept sample. Default: the least similar."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Most places to show.", min=1)] = 20,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show secrets and personal data; at a terminal only.")
    ] = False,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Show the flagged places of a run with their text; secrets and personal data are masked."""
    from governance.cli_output import parse_numbers, terminal_paint, terminal_width
    from governance.steps import show_run

    wanted = parse_numbers("--members", members) if members is not None else None
    lines = show_run(
        run, workspace, rule=rule, cluster=cluster, members=wanted, limit=limit, reveal=reveal,
        width=terminal_width(), paint=terminal_paint(),
    )  # fmt: skip
    for line in lines:
        typer.echo(line)


@app.command(rich_help_panel=LOOK)
def report(
    run: RunName = "latest",
    format_: Annotated[str, typer.Option("--format", "-f", help="html, md, json, sarif, junit.")] = "md",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; stdout without it.")] = None,
    lang: Annotated[str, typer.Option(help="en or zh, for html.")] = "en",
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Write a document of a run again."""
    from governance.steps import render_run

    text = render_run(run, workspace, format_, lang)
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
    else:
        from governance.files import write_durably

        write_durably(out, text.encode())


@app.command(rich_help_panel=LOOK)
def verify(
    run: Annotated[
        str, typer.Argument(help="Run id, its beginning, 'latest', or the folder of a run, bundle or adapter.")
    ] = ("latest"),
    policy_file: Annotated[Path | None, typer.Option(help="The company's policy: whose keys count.")] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="Public key to trust, for a bundle or an adapter (repeatable).")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Check signature, digests of every file, expiry and verdict of a run, of a bundle, or of an adapter."""
    from governance.hand_out import verify_handed_out
    from governance.steps import verify_run

    found = verify_handed_out(Path(run), workspace, policy_file, key or [])
    for line in verify_run(run, workspace, policy_file) if found is None else found:
        typer.echo(line)


@app.command(rich_help_panel=LOOK)
def runs(
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index again from the run folders.")] = False,
    format_: Format = "table",
) -> None:
    """List the runs of the workspace, newest first."""
    from governance.cli_output import print_runs
    from governance.store import Workspace

    place = Workspace(workspace, make=rebuild)
    if rebuild:
        place.rebuild_index()
    print_runs(place.list_runs(), format_)


@app.command(rich_help_panel=LOOK)
def lex(
    file: Annotated[Path, typer.Argument(help="File to lex.")],
    language: Annotated[str | None, typer.Option(help="Any name of a language; found out without it.")] = None,
    view: Annotated[str, typer.Option(help="verbatim, or renamed: names, numbers and strings folded.")] = "verbatim",
    format_: Format = "table",
) -> None:
    """Print the lexemes of a file, with byte offsets."""
    from governance.cli_output import print_rows
    from governance.languages.look import lex_file

    print_rows(lex_file(file, language, view), format_)


@quarantine_app.command("list")
def quarantine_list(
    dataset: Annotated[str | None, typer.Argument(help="Digest of a dataset, or its beginning.")] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    format_: Format = "table",
) -> None:
    """List bad and dropped records with their reasons."""
    from governance.cli_output import print_quarantine
    from governance.steps import list_quarantine

    print_quarantine(list_quarantine(workspace, dataset), format_)


@quarantine_app.command("restore")
def quarantine_restore(
    dataset: Annotated[str, typer.Argument(help="Digest of a dataset, or its beginning.")],
    out: Out,
    row: Annotated[list[int] | None, typer.Option("--row", help="Record number (repeatable); all without it.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only records with this reason.")] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Write quarantined records to a file, byte for byte."""
    from governance.steps import restore_quarantine

    count = restore_quarantine(workspace, dataset, out, rows=row, reason=reason)
    typer.echo(f"{out}: {count} records")


@rules_app.command("list")
def rules_list(
    rules: Folders = None, pack: Annotated[str | None, typer.Option()] = None, format_: Format = "table"
) -> None:
    """List the rules."""
    from governance.cli_output import print_rules
    from governance.rules import load_rules

    print_rules(load_rules([pack] if pack else None, rules or ()), format_)


@rules_app.command("show")
def rules_show(
    rule: Annotated[str, typer.Argument(help="Rule id, or an old name of it.")], rules: Folders = None
) -> None:
    """Show one rule: what it flags, why, and what it leaves alone."""
    from governance.cli_output import print_rule
    from governance.steps import find_rule

    print_rule(find_rule(rule, rules or ()))


@rules_app.command("test")
def rules_test(
    folder: Annotated[Path | None, typer.Argument(help="Own folder of packs; the built-in ones without it.")] = None,
) -> None:
    """Prove every rule on its own `flags` and `passes`."""
    from governance.steps import prove_rule_folder

    rules, problems = prove_rule_folder(folder)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    typer.echo(f"{rules} rules, {len(problems)} problems")
    raise typer.Exit(2 if problems else 0)


@keys_app.command("make")
def keys_make(workspace: WorkspacePath = DEFAULT_WORKSPACE) -> None:
    """Make the workspace's signing key, if it has none, and print its id."""
    from governance.gate.keys import key_id, make_key
    from governance.store import Workspace

    typer.echo(key_id(make_key(Workspace(workspace).root).public_key()))


@keys_app.command("list")
def keys_list(workspace: WorkspacePath = DEFAULT_WORKSPACE, format_: Format = "table") -> None:
    """List own and trusted keys."""
    from dataclasses import asdict as vars_of

    from governance.cli_output import print_rows
    from governance.gate.keys import list_keys
    from governance.store import Workspace

    print_rows([vars_of(k) for k in list_keys(Workspace(workspace, make=False).root)], format_)


@keys_app.command("trust")
def keys_trust(
    key: Annotated[Path, typer.Argument(help="Public key in PEM.")],
    name: Annotated[str, typer.Option(help="Whose it is.")],
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Trust a public key: verdicts signed with it count."""
    from governance.gate.keys import trust_key
    from governance.store import Workspace

    typer.echo(trust_key(Workspace(workspace).root, key, name).keyid)


@app.command(rich_help_panel=SET_UP)
def config(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Check pipeline, policy, rule and baseline files, as a pre-commit hook does."""
    from governance.steps import check_config

    for path in files:
        typer.echo(f"{path}: {check_config(path)}")


@app.command(rich_help_panel=SET_UP)
def purge(
    dataset: Annotated[str | None, typer.Argument(help="Digest of a dataset; all without it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
) -> None:
    """Delete the texts of datasets; evidence stays."""
    from governance.store import Workspace

    if not yes:
        typer.confirm(f"Delete the texts of {dataset or 'all datasets'} in {workspace}?", abort=True)
    gone = Workspace(workspace, make=False).purge(dataset)
    typer.echo(f"{len(gone)} datasets purged")


@app.command(rich_help_panel=SET_UP)
def doctor(format_: Format = "table") -> None:
    """Say what is installed, which engines and extras work, and what would reach the network."""
    from governance.cli_output import print_rows
    from governance.doctor import examine

    rows = examine()
    print_rows(rows, format_)
    raise typer.Exit(0 if all(r["ok"] != "no" for r in rows) else 1)
