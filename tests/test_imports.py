"""Imports point down only, heavy libraries stand in one place each, and `--help` loads none of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import governance

PACKAGE = Path(governance.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_data" not in p.parts)

LAYERS = (
    (
        "errors",
        "quick",
        "files",
        "data",
        "templates",
        "samples",
        "yamlfile",
        "rules",
        "settings",
        "kernels",
        "memory",
        "languages",
    ),
    ("engines", "store"),
    ("collect", "ingest", "scan", "dedup", "overlap", "scrub"),
    ("ledger", "gate"),
    ("report",),
    ("context", "aside"),
    ("train",),
    ("audit",),
    (
        "remedies",
        "inherit",
        "evidence",
        "hand_out",
        "index_build",
        "overlaps",
        "overlap_probe",
        "duplicates",
        "pipeline",
        "steps",
        "clean",
        "propose",
        "prove",
        "doctor",
        "split",
    ),
    ("cli_output",),
    ("cli",),
    ("cli_look", "cli_copies", "cli_train", "__main__"),
)
"""From the bottom to the top, as in docs/architecture.md; `clean` alone stands beside the pipeline it calls."""

REGISTERS = {("cli", f"governance.{name}") for name in ("cli_look", "cli_copies", "cli_train")}  # at the call
STEPS = {"collect", "ingest", "scan", "dedup", "overlap", "scrub"}
HOME = {
    "duckdb": ("store.py", "engines/"),
    "great_expectations": ("gate/expectations.py",),
    "typer": ("cli.py", "cli_look.py", "cli_copies.py", "cli_train.py"),
    "sqlalchemy": ("gate/expectations.py",),
    "pyspark": ("engines/",),
}
NOWHERE_AT_TOP = {
    "torch", "transformers", "peft", "presidio_analyzer", "presidio_anonymizer", "great_expectations", "pandas",
    "openai", "sqlalchemy",
}  # fmt: skip
AT_TOP_HERE = {"train": {"torch", "transformers"}, "audit": {"torch", "transformers"}}
"""Modules of these are themselves imported only by what trains or asks a model."""


def part(path: Path) -> str:
    """The module below `governance` that *path* belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def level(name: str) -> int:
    """The layer of a part; a part that no layer names fails the test."""
    return next(i for i, names in enumerate(LAYERS) if name in names)


def imports(path: Path) -> Iterator[tuple[str, bool, bool, int]]:
    """Yield (module, at the top of the file, for type checkers only, line) of every import in *path*."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "governance":
            names = [f"governance.{a.name}" for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            first = node.args[0]
            names = [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        elif isinstance(node, ast.ImportFrom):
            names = ["." * node.level]
        for name in names:
            yield name, id(node) in top, id(node) in typing_only, getattr(node, "lineno", 0)


def test_every_part_has_a_layer() -> None:
    """Every module of the package stands in exactly one layer."""
    parts = {part(p) for p in FILES} - {"__init__"}
    named = [n for names in LAYERS for n in names]
    assert len(named) == len(set(named)) and parts <= set(named), parts - set(named)


def test_imports_point_down() -> None:
    """No module imports one of a higher layer, and no step imports another step."""
    wrong = []
    for path in FILES:
        own = part(path)
        for name, _, typing_only, line in imports(path):
            if not name.startswith("governance.") or typing_only or own == "__init__":
                continue
            other = name.split(".")[1]
            if other == own or (own, name) in REGISTERS:
                continue
            sideways = own in STEPS and other in STEPS
            if level(other) > level(own) or sideways:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert wrong == []


def test_no_relative_imports() -> None:
    """Every import names its module in full."""
    assert [str(p) for p in FILES for name, *_ in imports(p) if name.startswith(".")] == []


@pytest.mark.parametrize("library", HOME)
def test_library_has_one_home(library: str) -> None:
    """A library named by the design is imported in its own place only; elsewhere its types are for the checker."""
    wrong = []
    for path in FILES:
        place = path.relative_to(PACKAGE).as_posix()
        for name, _, typing_only, line in imports(path):
            if name.split(".")[0] == library and not typing_only and not place.startswith(HOME[library]):
                wrong.append(f"{place}:{line}")
    assert wrong == []


def test_heavy_libraries_wait() -> None:
    """What takes seconds to import is imported inside the function that needs it."""
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in FILES
        for name, top, typing_only, line in imports(path)
        if top and not typing_only and name.split(".")[0] in NOWHERE_AT_TOP - AT_TOP_HERE.get(part(path), set())
    ]
    assert wrong == []


def test_packages_are_empty() -> None:
    """Importing a package alone loads nothing: its __init__ imports nothing but its own modules."""
    for path in PACKAGE.rglob("__init__.py"):
        own = f"governance.{path.parent.name}"
        assert all(n.startswith(own) or n == "__future__" for n, *_ in imports(path)), path


def loaded(*arguments: str) -> set[str]:
    """The top-level modules that a command has loaded when it ends."""
    script = (
        "import atexit, os, sys\n"
        "names = lambda: ' '.join({m.split('.')[0] for m in sys.modules})\n"
        "atexit.register(lambda: os.write(2, f'LOADED {names()}'.encode()))\n"
        "from governance.cli import main\n"
        f"main({list(arguments)!r})\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.rpartition("LOADED ")[2].split())


HEAVY = {
    "duckdb",
    "pyarrow",
    "pydantic",
    "numba",
    "great_expectations",
    "pandas",
    "scipy",
    "numpy",
    "torch",
    "hyperscan",
}


@pytest.mark.parametrize("command", ["", "check", "clean", "quarantine"])
def test_help_is_light(command: str) -> None:
    """`--help` loads none of the engines; typer itself needs pydantic for the options of a command."""
    own = {"pydantic"} if command else set()
    assert loaded(*([command] if command else []), "--help") & HEAVY <= own


def test_listing_rules_is_light() -> None:
    """`rules list` reads rule files: no engine, no compiler, no recorder."""
    assert loaded("rules", "list") & {"numba", "great_expectations", "pandas", "scipy", "torch", "duckdb"} == set()


def test_check_without_record_is_light(tmp_path: Path, passing: Path) -> None:
    """A check without the record loads neither Great Expectations nor any training library."""
    found = loaded_check(passing, tmp_path / "ws")
    assert (
        found & {"great_expectations", "torch", "transformers", "presidio_analyzer", "sqlalchemy", "pyspark"} == set()
    )


def loaded_check(data: Path, workspace: Path) -> set[str]:
    """The modules of one check."""
    return loaded("check", str(data), "--workspace", str(workspace), "--no-record")
