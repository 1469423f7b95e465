"""What a fresh machine gets: the build settings, the pinned versions, the make targets, and nothing of ours."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

HOSTS = r"(?:--?(?:extra-)?index-url|trusted-host|find-links)[ =]+\W*https?://"
FOREIGN = {
    "a folder of the machine that it was written on": r"(?<![\w.*~-])/(?:work|root|home/\w+|Users/\w+)/",
    "a package index": HOSTS,
    "how it was made": r"(?i)\b(?:sub-?agents?|co-?pilot|cl"
    + r"aude|as an ai\b|language model wrote|generated (?:by|with) an? ai)\b",
}
"""What -> a pattern that no tracked file may have."""

KNOWN = {"rules/secrets/url-credentials.yaml": "a package index"}
"""File -> what it may hold: the text of a rule that finds a password in the address of an index."""


def pins() -> dict[str, str]:
    """Return name and version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line.strip() and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """Yield the distributions that *name* with *extras* needs on this machine, itself included."""
    if (canonicalize_name(name), extras) in seen:
        return
    seen.add((canonicalize_name(name), extras))
    yield canonicalize_name(name)
    for text in metadata.requires(name) or []:
        wanted = Requirement(text)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": e}) for e in (extras or {""})):
            yield from needed(wanted.name, frozenset(wanted.extras), seen)


def test_everything_installed_is_pinned() -> None:
    """Every distribution that the package and its extra `dev` bring is pinned, to the version that is installed."""
    found = set(needed(PROJECT["name"], frozenset({"", "dev"}), set())) - {PROJECT["name"]}
    assert len(found) > 40
    assert {n: metadata.version(n) for n in sorted(found)} == {n: pins().get(n, "not pinned") for n in sorted(found)}


def test_pins_satisfy_the_package() -> None:
    """Every pinned version is one that pyproject.toml allows; torch is 2.13.0; all three extras are there."""
    extras = PROJECT["optional-dependencies"]
    assert {"train", "spark", "dev"} <= extras.keys()
    wanted = [Requirement(r) for r in [*PROJECT["dependencies"], *(r for group in extras.values() for r in group)]]
    unpinned = [r.name for r in wanted if canonicalize_name(r.name) not in pins()]
    assert [r for r in unpinned if r not in ("types-PyYAML",)] == []
    assert [str(r) for r in wanted if pins().get(canonicalize_name(r.name), "") not in r.specifier] == []
    assert pins()["torch"] == "2.13.0"


@pytest.mark.parametrize(("version", "allowed"), [("3.10", False), ("3.11", True), ("3.14", True), ("3.15", False)])
def test_python_versions(version: str, allowed: bool) -> None:
    """Python 3.11 to 3.14, in pyproject.toml and in the Makefile's search for one."""
    assert (version in SpecifierSet(PROJECT["requires-python"])) is allowed
    search = (ROOT / "Makefile").read_text("utf-8").split("PYTHON ?=")[1].split("\n\n")[0]
    assert (f"python{version}" in search.split("BIN")[0]) is allowed


def test_name_is_free_of_the_taken_one() -> None:
    """The distribution has a name of its own, the command and the package are `governance`."""
    assert PROJECT["name"] == "lora-data-governance"
    module, _, function = PROJECT["scripts"]["governance"].partition(":")
    assert callable(getattr(importlib.import_module(module), function)) and module == "governance.cli"
    assert PROJECT["license"] == "Apache-2.0" and "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def test_ci_runs_make_test() -> None:
    """.ci/run is executable and calls `make test`, which checks style, types and tests."""
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text("utf-8").splitlines()[-1] == "make test"
    ended = subprocess.run(["make", "-n", "test"], cwd=ROOT, text=True, capture_output=True, check=True)
    assert [tool for tool in ("ruff check", "ruff format --check", "mypy", "pytest") if tool not in ended.stdout] == []


@pytest.mark.parametrize("target", ["demo", "test", "bench", "wheelhouse"])
def test_make_targets_install_from_pins(target: str) -> None:
    """Every target makes .venv itself, under the constraints."""
    ended = subprocess.run(["make", "-nB", target], cwd=ROOT, text=True, capture_output=True, check=True)
    assert "-m venv .venv" in ended.stdout and "pip install" in ended.stdout
    assert "export PIP_CONSTRAINT := $(CURDIR)/constraints.txt" in (ROOT / "Makefile").read_text("utf-8")


def test_hooks_name_our_command() -> None:
    """Each pre-commit hook runs a command that exists, and its pattern fits the files it is for."""
    hooks = {h["id"]: h for h in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for hook in hooks.values():
        assert f"## {hook['entry'].removeprefix('governance ')}\n" in page
    fits = re.compile(hooks["governance-config"]["files"]).search
    assert all(
        map(fits, ("governance.yaml", "pipelines/own.yaml", "rules/bank/host.yaml", "governance-baseline.jsonl"))
    )
    assert not any(map(fits, ("README.md", "src/app.yaml", "data/train.jsonl")))


def tracked() -> list[Path]:
    """The files that git tracks; the test is skipped where this is no checkout."""
    ended = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, text=True, capture_output=True, check=False)
    if ended.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in ended.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_of_our_machines(what: str) -> None:
    """No tracked file names a package index, a folder of a developer's machine, or how it was made."""
    pattern = re.compile(FOREIGN[what])
    own = Path(__file__).resolve()
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path == own or KNOWN.get(name) == what:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name}:{text[: m.start()].count(chr(10)) + 1}" for m in pattern.finditer(text)]
    assert found == []
