"""Pipelines and policies: what may be in them, what their digest covers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from governance.errors import PipelineError
from governance.settings import METRICS, Dedup, GateSpec, Policy, PolicyGate, load_pipeline, load_policy, pipeline_path

TEXT = """# a comment
name: own
packs: [text, pii]
gates:
  text: {rules: ["text/*"], limit: 0.5}
  pii: {rules: ["pii/*"], unit: count, limit: 3}
"""


def write(path: Path, text: str) -> str:
    """Write a pipeline file and return its name."""
    path.write_text(text, "utf-8")
    return str(path)


def test_digest_is_about_meaning(tmp_path: Path) -> None:
    """Comments, quotes and the order of keys do not change a pipeline's digest; any setting does."""
    digest = load_pipeline(write(tmp_path / "a.yaml", TEXT)).digest()
    same = TEXT.replace("# a comment\n", "").replace("limit: 0.5}", "limit: 0.50}").replace('"text/*"', "text/*")
    same = same.replace('{rules: ["pii/*"], unit: count, limit: 3}', '{limit: 3, unit: count, rules: ["pii/*"]}')
    assert load_pipeline(write(tmp_path / "b.yaml", same)).digest() == digest
    for old, new in (("0.5", "0.4"), ("limit: 3", "limit: 3, level: warn"), ("[text, pii]", "[pii, text]")):
        assert load_pipeline(write(tmp_path / "c.yaml", TEXT.replace(old, new))).digest() != digest


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), float("-inf"), -0.1])
def test_limits_are_numbers(limit: float) -> None:
    """A limit that nothing or everything is over is refused, in a pipeline and in a policy."""
    for model in (GateSpec, PolicyGate):
        with pytest.raises(ValidationError, match="finite number of at least 0"):
            model(limit=limit, metric="quarantined")


@pytest.mark.parametrize(
    "given", [{}, {"rules": ["a/*"], "metric": "quarantined"}, {"sql": "select 1", "rules": ["a/*"]}]
)
def test_gate_counts_one_thing(given: dict[str, Any]) -> None:
    """A gate has exactly one source of its number."""
    with pytest.raises(ValidationError, match="exactly one of metric, rules, sql"):
        GateSpec(limit=0, **given)


@pytest.mark.parametrize("metric", METRICS)
def test_metric_is_known(metric: str) -> None:
    """Every built-in metric makes a gate, and a required gate of its name needs no more words in a policy."""
    assert GateSpec(metric=metric, limit=0).metric == metric
    assert Policy(name="p", required_gates={metric: PolicyGate(limit=0)}).required_gates[metric].limit == 0


def test_settings_are_frozen() -> None:
    """Settings cannot be changed after they were checked."""
    pipeline = load_pipeline("default")
    with pytest.raises(ValidationError):
        pipeline.name = "other"  # type: ignore[misc]


def test_names_of_pipelines(tmp_path: Path) -> None:
    """A pipeline is a file, or the name of a built-in one; a file wins over a name only where it is one."""
    assert pipeline_path("default").name == "default.yaml"
    assert pipeline_path(write(tmp_path / "default.yaml", TEXT)) == tmp_path / "default.yaml"
    for name in ("nothing", "gone.yaml", str(tmp_path)):
        with pytest.raises(PipelineError):
            pipeline_path(name)


def test_policy_file(tmp_path: Path) -> None:
    """A policy loads, and a gate in it that does not say what it counts is refused."""
    path = tmp_path / "policy.yaml"
    write(path, "name: company\nrequired_gates:\n  secrets: {rules: ['secrets/*'], unit: count, limit: 0}\n")
    assert load_policy(path).required_gates["secrets"].unit == "count"
    write(path, "name: company\nrequired_gates:\n  secrets: {limit: 0}\n")
    with pytest.raises(PipelineError, match="does not say what it counts"):
        load_policy(path)


@pytest.mark.parametrize("kinds", [["near"], ["exact", "near"], ["exact", "lexemes", "renamed"], ["exact", "none"]])
def test_kinds_to_remove(kinds: list[str]) -> None:
    """A kind of copies is removed together with those before it, in any order; another list is refused."""
    with pytest.raises(ValidationError, match="remove"):
        Dedup(remove=kinds)  # type: ignore[arg-type]
    assert Dedup(remove=["renamed", "near", "exact", "lexemes"]).remove
    assert Dedup(remove=[]).remove == []
    assert "renamed" not in Dedup().remove
