"""YAML files: every error names file, line and key; nothing in them is executed or silently lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from governance.errors import PipelineError
from governance.yamlfile import load_model, read_yaml


class Inner(BaseModel):
    """A nested model."""

    model_config = ConfigDict(extra="forbid")
    limit: int


class Outer(BaseModel):
    """A model with each kind of nesting."""

    model_config = ConfigDict(extra="forbid")
    name: str
    gates: dict[str, Inner] = {}
    steps: list[Inner] = []
    one: Inner | None = None


def problem(tmp_path: Path, content: str | bytes) -> list[str]:
    """The lines of the error that *content* gives, without the folder."""
    path = tmp_path / "f.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PipelineError) as caught:
        load_model(path, Outer, PipelineError)
    return [line.replace(f"{tmp_path}/", "") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("name: a\nname: b\n", "f.yaml:2: not valid YAML: key 'name' is given twice (first in line 1)"),
        ("name: a\ngates:\n  x: {limit: 1, limit: 2}\n", "f.yaml:3: not valid YAML: key 'limit' is given twice"),
        ("name: a\nnam: b\n", "f.yaml:2: nam: unknown key; did you mean 'name'? (allowed: gates, name, one, steps)"),
        ("name: a\ngates:\n  x:\n    limt: 1\n    limit: 2\n", "f.yaml:4: gates.x.limt: unknown key; did you"),
        ("name: a\nsteps:\n  - limit: 1\n  - limit: x\n", "f.yaml:4: steps.1.limit:"),
        ("name: a\none: {limit: 1, zzz: 2}\n", "f.yaml:2: one.zzz: unknown key (allowed: limit)"),
        ("gates: {}\n", "f.yaml:1: name: is missing"),
        ("name: [\n", "f.yaml:2: not valid YAML"),
        ("name: 'a\n", "not valid YAML"),
        ("\t- a\n", "not valid YAML"),
        ("- a\n", "f.yaml:1: holds list, expected a mapping of keys"),
        ("text\n", "f.yaml:1: holds str, expected a mapping of keys"),
        ("", "f.yaml:1: holds NoneType, expected a mapping of keys"),
        ("name: a\n---\nname: b\n", "not valid YAML"),
        ("name: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("? [a, b]\n: c\n", "not valid YAML"),
        (b"name: \xff\n", "f.yaml: byte 6 is not UTF-8; save the file as UTF-8"),
        ("[" * 5000, "not valid YAML"),
        ("name: *gone\n", "not valid YAML"),
        ("name: a\x00b\n", "not valid YAML"),
    ],
)  # fmt: skip
def test_every_error_names_its_place(content: str | bytes, expected: str, tmp_path: Path) -> None:
    """A wrong file gives one line that begins with file and line and says what is wrong."""
    lines = problem(tmp_path, content)
    assert len(lines) == 1 and lines[0].startswith("f.yaml") and expected in lines[0], lines


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Every wrong key is told in one go, one line each."""
    lines = problem(tmp_path, "nam: a\ngates:\n  x: {limit: much}\n  y: {}\n")
    assert [line.split(": ")[1] for line in lines] == ["name", "gates.x.limit", "gates.y.limit", "nam"]


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there, or is a folder, is an error with its name."""
    for path in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(PipelineError, match="cannot be read"):
            read_yaml(path, PipelineError)


def test_lines_of_keys(tmp_path: Path) -> None:
    """A good file gives its value and the line of every key."""
    path = tmp_path / "f.yaml"
    path.write_text("name: a\nsteps:\n  - limit: 1\n  - limit: 2\n")
    value, lines = read_yaml(path, PipelineError)
    assert value == {"name": "a", "steps": [{"limit": 1}, {"limit": 2}]}
    assert (lines["steps",], lines["steps", 1, "limit"]) == (2, 4)
    assert load_model(path, Outer, PipelineError).steps[1].limit == 2
