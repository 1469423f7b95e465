"""The demo's loop on the planted shop ends as examples/README.md says; the standard library is left to `make demo`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The module of the demo, writing below *tmp_path*."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import demo as module

    monkeypatch.setattr(module, "OUT", tmp_path)
    return module


@pytest.mark.parametrize(
    ("task", "before", "closed", "after", "still"),
    [
        ("code", "CLOSED", {"rest-naming", "secrets", "personal-data", "licence", "exact-duplicates"}, "PASSED", "-"),
        (
            "story",
            "CLOSED",
            {"enough-criteria", "whole-criteria", "personal-data", "text"},
            "CLOSED",
            "enough-criteria",
        ),
    ],
)
def test_loop(demo: Any, tmp_path: Path, task: str, before: str, closed: set[str], after: str, still: str) -> None:
    """Code is mended; thin stories stay closed, for no remedy writes criteria."""
    demo.shop.make_shop(tmp_path / "shop")
    said = io.StringIO()
    pipeline = dict(demo.TASKS)[task]
    row, pages = demo.loop(Console(file=said, width=200), f"shop, {task}", tmp_path / "shop", task, pipeline)
    shown = [str(cell) for cell in row]
    assert (shown[2], shown[4], shown[6].split(",")[0]) == (before, after, still)
    assert closed <= set(shown[3].split(", "))
    assert int(shown[1]) >= int(shown[5]) > 0
    assert len(pages) == 2 and all(page.is_file() for page in pages)
    assert "samples from" in said.getvalue() and "cleaned:" in said.getvalue()


def test_demo_is_what_make_runs(demo: Any) -> None:
    """`make demo` runs this file, on the shop and on the standard library of the Python that runs it."""
    assert "examples/demo.py" in (ROOT / "Makefile").read_text("utf-8")
    assert {task for task, _ in demo.TASKS} == {"code", "test", "story"}
    assert "stdlib" in Path(sys.modules["demo"].__file__ or "").read_text("utf-8")
