"""Compiled templates are kept beside the package, and a page is the same with and without them."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from governance.report import bytecode
from governance.report.bytecode import TemplateCache


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that compiled templates go to in these tests."""
    folder = tmp_path / "__pycache__"
    monkeypatch.setattr(bytecode.importlib.util, "cache_from_source", lambda _: str(folder / "x.pyc"))
    monkeypatch.setattr(bytecode.sys, "dont_write_bytecode", False)
    return folder


def page(templates: Path, name: str = "world") -> str:
    loader = jinja2.FileSystemLoader(templates)
    return jinja2.Environment(loader=loader, bytecode_cache=TemplateCache()).get_template("t").render(name=name)


def test_the_second_time_nothing_is_compiled(tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compiled once is loaded, until the template changes."""
    (tmp_path / "t").write_text("hello {{ name }}")
    assert page(tmp_path) == "hello world"
    assert len(list(kept.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", lambda *_: pytest.fail("compiled again"))
        assert page(tmp_path) == "hello world"
    (tmp_path / "t").write_text("goodbye {{ name }}")
    assert page(tmp_path) == "goodbye world"


@pytest.mark.parametrize("damage", [b"", b"garbage", b"j2"])
def test_a_damaged_file_is_made_again(tmp_path: Path, kept: Path, damage: bytes) -> None:
    """A cut short or foreign file in the cache counts as none."""
    (tmp_path / "t").write_text("hello {{ name }}")
    page(tmp_path)
    [path] = kept.iterdir()
    whole = path.read_bytes()
    for data in (damage, whole[:30], whole[:-9]):
        path.write_bytes(data)
        assert page(tmp_path) == "hello world"
    assert path.read_bytes() == whole


def test_no_cache_is_no_error(tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python writes no byte code, or the folder cannot be made, pages are compiled each time."""
    (tmp_path / "t").write_text("hello {{ name }}")
    with monkeypatch.context() as patch:
        patch.setattr(bytecode.sys, "dont_write_bytecode", True)
        assert page(tmp_path) == "hello world"
    assert not kept.exists()
    kept.write_bytes(b"a file where the folder should be")
    assert page(tmp_path) == "hello world"
