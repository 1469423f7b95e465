"""Markdown, the command line, the settings -> blocks of text, and the two files that are made from the code.

`python tests/doc_files.py` writes `docs/commands.md` and `pipelines/pipeline.schema.json` again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMMANDS, SCHEMA = ROOT / "docs" / "commands.md", ROOT / "pipelines" / "pipeline.schema.json"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_HERE_DOCUMENT = re.compile(r"<<'(\w+)'")
_EXIT = re.compile(r"#.*\bexit (\d)")
_FILE = re.compile(r"# file: (\S+)\n")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a document, and the exit code that its comment promises (0 without one)."""

    text: str
    exit: int


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of *page* in *language*, in order."""
    return [text for name, text in _FENCE.findall(page.read_text("utf-8")) if name == language]


def headings(page: Path) -> list[tuple[int, str]]:
    """Return (level, text) of the headings of *page*; what stands in a fenced block is none."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", text, re.M)]


def commands(block: str) -> Iterator[Command]:
    """Yield the commands of a shell block: one a line, a here-document with the line that opens it."""
    lines = iter(block.splitlines())
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        taken = [line]
        if opened := _HERE_DOCUMENT.search(line):
            for inner in lines:
                taken.append(inner)
                if inner == opened.group(1):
                    break
        promised = _EXIT.search(line)
        yield Command("\n".join(taken) + "\n", int(promised.group(1)) if promised else 0)


def files(page: Path) -> dict[str, str]:
    """Return name and text of the files that *page* shows: YAML blocks whose first line is ``# file: NAME``."""
    return {m.group(1): text for text in blocks(page, "yaml") if (m := _FILE.match(text))}


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *command* in *folder* as a user would who has the package on the PATH; no setting of ours reaches it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GOVERNANCE_", "PYTEST_", "SOURCE_DATE"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-euc", command.text], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )


def complaint(command: Command, ended: subprocess.CompletedProcess[str]) -> str:
    """Return what is wrong with how *command* ended; empty if it ended as promised."""
    if ended.returncode == command.exit and "Traceback" not in ended.stderr:
        return ""
    said = (ended.stderr or ended.stdout)[-600:]
    return f"{command.text.strip()}\n  exit {ended.returncode}, promised {command.exit}: {said}"


def make_dataset(folder: Path) -> None:
    """Put the planted shop into ``folder/shop`` and its code samples into ``folder/train.jsonl``."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import shop
    finally:
        sys.path.pop(0)
    from governance.steps import collect_dataset

    shop.make_shop(folder / "shop")
    collect_dataset([str(folder / "shop")], "code", folder / "train.jsonl", processes=1)


def pipeline_schema() -> str:
    """Return the JSON Schema of a pipeline file, as editors read it."""
    from governance.settings import METRICS, Pipeline

    schema: dict[str, Any] = Pipeline.model_json_schema()
    gate = schema["$defs"]["GateSpec"]
    gate["properties"]["metric"] = {
        "description": "A built-in metric.",
        "oneOf": [{"const": name, "description": counted} for name, counted in METRICS.items()],
    }
    gate["oneOf"] = [{"required": [key]} for key in ("metric", "rules", "sql")]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "governance pipeline"}
    return json.dumps(head | _without_titles(schema), indent=2, ensure_ascii=False) + "\n"


def _without_titles(value: Any) -> Any:
    """Drop the titles that pydantic derives from the names; a property named *title* stays."""
    if isinstance(value, list):
        return [_without_titles(v) for v in value]
    if isinstance(value, dict):
        return {k: _without_titles(v) for k, v in value.items() if not (k == "title" and isinstance(v, str))}
    return value


def commands_page() -> str:
    """Return ``docs/commands.md``: every command with its arguments, options and defaults."""
    import typer

    import governance.cli_copies  # these register the other commands
    import governance.cli_look
    import governance.cli_train  # noqa: F401
    from governance.cli import app

    parts = [
        "# Commands\n\nMade from the command line by `python tests/doc_files.py`; a test keeps it current.\n\n"
        "Exit codes: 0 passed, 1 a gate is closed or a proof failed, 2 wrong usage or file, 3 a bug. `--format json`\n"
        "prints one array, `jsonl` one object per line, and nothing else stands on stdout; progress goes to stderr.\n"
    ]
    parts += _command_parts(typer.main.get_command(app), "governance")
    return "\n".join(parts)


def _command_parts(command: Any, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        for each in sorted(inner):
            yield from _command_parts(inner[each], f"{name} {each}")
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([name, *(_metavar(p) for p in arguments)])
    yield f"## {name.removeprefix('governance ')}\n\n{command.help}\n\n    {usage}\n"
    rows = [_parameter_row(p) for p in command.params if p.name != "help"]
    if rows:
        yield "| | | default |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _metavar(argument: Any) -> str:
    """``FILE``, ``[FILE]`` where it may be left out, ``FILE...`` where several may be given."""
    shown = (argument.metavar or argument.name.upper()).removesuffix("...") + ("..." if argument.nargs == -1 else "")
    return shown if argument.required else f"[{shown}]"


def _parameter_row(parameter: Any) -> str:
    names = _metavar(parameter)
    if parameter.param_type_name == "option":
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    shown = "" if default is None or default == "" or default is False or callable(default) else f"`{default}`"
    shown = "on" if default is True else shown
    help_ = (getattr(parameter, "help", None) or "").replace("|", "\\|")
    return f"| `{names}` | {help_} | {'required' if parameter.required else shown} |"


if __name__ == "__main__":
    COMMANDS.write_text(commands_page(), "utf-8")
    SCHEMA.write_text(pipeline_schema(), "utf-8")
