"""Gates are proved by planted violations; a gate that guards nothing is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.errors import GovernanceError
from governance.prove import prove_gates
from governance.settings import load_pipeline


@pytest.mark.parametrize("pipeline", ["code-generation", "default", "test-generation", "user-stories"])
def test_every_shipped_gate_closes(pipeline: str) -> None:
    """On every shipped pipeline the control passes, and each gate closes under its own violation."""
    proofs = prove_gates(pipeline)
    assert [p.gate for p in proofs] == ["(control)", "(dataset)", *load_pipeline(pipeline).gates]
    assert all(p.closed for p in proofs), [p for p in proofs if not p.closed]
    assert proofs[0].status == "PASSED" and {p.status for p in proofs[2:]} == {"FAILED"}


def test_gate_that_guards_nothing(tmp_path: Path, write_jsonl: Callable[..., Path], control: list[Any]) -> None:
    """A gate with a limit that nothing can reach stays open under its violation, and the proof says so."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: own\npacks: [text, pii]\ngates:\n  text: {rules: ['text/*'], limit: 1}\n"
        "  pii: {rules: ['pii/*'], unit: count, limit: 0}\n"
    )
    proofs = {p.gate: p.closed for p in prove_gates(str(pipeline), str(write_jsonl(control)))}
    assert proofs == {"(control)": True, "(dataset)": True, "text": False, "pii": True}


def test_control_that_does_not_pass(write_jsonl: Callable[..., Path], control: list[Any], faults: list[Any]) -> None:
    """A dataset whose gates are closed proves nothing, and the proof says so first."""
    proofs = prove_gates("test-generation", str(write_jsonl([*control, *faults])))
    assert not proofs[0].closed


def test_exit_codes(governance: Any, tmp_path: Path, write_jsonl: Callable[..., Path], control: list[Any]) -> None:
    """`prove` ends with 0 if every gate closes, with 1 if one does not, with 2 on a dataset that it cannot read."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text("name: own\npacks: [text]\ngates:\n  text: {rules: ['text/*'], limit: 0}\n")
    data = write_jsonl(control)
    assert governance("prove", pipeline, "--dataset", data).code == 0
    pipeline.write_text("name: own\npacks: [text]\ngates:\n  text: {rules: ['text/*'], limit: 1}\n")
    ended = governance("prove", pipeline, "--dataset", data)
    assert ended.code == 1 and "NO" in ended.out
    data.write_text("no json\n")
    ended = governance("prove", pipeline, "--dataset", data)
    assert ended.code == 2 and len(ended.err.splitlines()) == 1


def test_missing_dataset() -> None:
    """A dataset that is not there is an error of its own."""
    with pytest.raises(GovernanceError):
        prove_gates("default", "gone.jsonl")
