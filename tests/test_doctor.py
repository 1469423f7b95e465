"""`doctor` says what is installed and what works."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from governance import doctor


def test_everything_is_well_here(governance: Any) -> None:
    """Where the tests run, everything required is there and works."""
    ended = governance("doctor", "--format", "json")
    rows = {r["check"]: r for r in json.loads(ended.out)}
    assert ended.code == 0 and all(r["ok"] in ("yes", "optional") for r in rows.values())
    assert rows["duckdb"]["detail"] == metadata.version("duckdb")
    assert {"engine: patterns", "engine: kernels", "engine: duckdb", "grammars", "data folders", "network"} <= set(rows)


def test_missing_package_is_said(governance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A required package that is not installed is a no, and the command ends with 1."""
    monkeypatch.setitem(doctor.REQUIRED, "no-such-package", "")
    ended = governance("doctor", "--format", "json")
    rows = {r["check"]: r for r in json.loads(ended.out)}
    assert ended.code == 1 and rows["no-such-package"] == {
        "check": "no-such-package",
        "ok": "no",
        "detail": "not installed",
    }


def test_broken_engine_is_said(governance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that fails is a no with the name of the error, and the other rows still stand."""

    def broken() -> str:
        raise OSError("cannot load")

    monkeypatch.setattr(doctor, "_grammars", broken)
    ended = governance("doctor", "--format", "json")
    rows = {r["check"]: r for r in json.loads(ended.out)}
    assert ended.code == 1 and (rows["grammars"]["ok"], rows["grammars"]["detail"]) == ("no", "OSError")
    assert rows["data folders"]["ok"] == "yes"
