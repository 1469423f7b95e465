"""A pipeline may only be stricter than the policy."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import PipelineError
from governance.gate.policy import check_policy, covers, overlaps
from governance.settings import Dedup, GateSpec, Pipeline, Policy, load_policy

POLICY = Policy.model_validate(
    {
        "name": "acme",
        "required_packs": ["secrets"],
        "required_gates": {
            "secrets": {"limit": 0, "unit": "count", "rules": ["secrets/*"], "waivable": False},
            "quarantined": {"limit": 0.01, "of": "records"},
            "own": {"limit": 0, "sql": "SELECT count(*), 0\nFROM samples"},
        },
        "rules": ["d" * 64],
        "expires_days": 30,
        "max_dedup_threshold": 0.8,
        "allow_waivers": False,
    }
)
GATES = {
    "secrets": GateSpec(rules=["secrets/*"], limit=0, unit="count", waivable=False),
    "quarantined": GateSpec(metric="quarantined", of="records", limit=0.01),
    "own": GateSpec(sql="SELECT count(*), 0\nFROM samples\n", limit=0),
}
PIPELINE = Pipeline(name="p", packs=["secrets", "rest"], gates=GATES)


def check(policy: Policy = POLICY, digest: str = "d" * 64, **change: Any) -> list[str]:
    pipeline = PIPELINE.model_copy(update=change)
    return check_policy(policy, pipeline, digest, pipeline.packs)


def test_as_strict_or_stricter_is_no_reason() -> None:
    """The floor itself, a lower limit, more rules and gates, a shorter expiry: nothing to object."""
    assert check() == []
    stricter = GATES | {
        "secrets": GATES["secrets"].model_copy(update={"rules": ["*"], "severity": ["error", "warning"]}),
        "quarantined": GATES["quarantined"].model_copy(update={"limit": 0}),
        "more": GateSpec(metric="exact-duplicates", limit=0),
    }
    assert check(gates=stricter, expires_days=1, dedup=Dedup(threshold=0.7), disable=["rest/*"]) == []


@pytest.mark.parametrize(
    ("gate", "change", "reason"),
    [
        ("quarantined", {"required": False}, "is not required"),
        ("quarantined", {"level": "warn"}, "has level 'warn'"),
        ("quarantined", {"limit": 0.02}, "has limit 0.02, expected at most 0.01"),
        ("quarantined", {"unit": "count"}, "measures the count of records, expected the rate of records"),
        ("quarantined", {"of": "samples"}, "measures the rate of samples"),
        ("quarantined", {"allow_empty": True}, "allows an empty count"),
        ("quarantined", {"metric": "rows-lost"}, "does not count the metric 'quarantined'"),
        ("secrets", {"waivable": True}, "may be waived"),
        ("secrets", {"rules": ["secrets/aws-*"]}, "does not count the rules 'secrets/*'"),
        ("secrets", {"rules": []}, "does not count the rules 'secrets/*'"),
        ("secrets", {"rules": None, "metric": "quarantined"}, "does not count the rules 'secrets/*'"),
        ("secrets", {"rules": None, "sql": "SELECT 1, 0"}, "does not count the rules 'secrets/*'"),
        ("secrets", {"severity": []}, "does not count findings of severity error"),
        ("secrets", {"severity": ["info"]}, "does not count findings of severity error"),
        ("own", {"sql": "SELECT count(*), 0 FROM samples"}, "does not use the SQL of the policy"),
        ("own", {"sql": "SELECT 1, 0"}, "does not use the SQL of the policy"),
    ],
)
def test_a_looser_gate_is_a_reason(gate: str, change: dict[str, Any], reason: str) -> None:
    """Every way to loosen one required gate is exactly one reason that names the gate."""
    found = check(gates=GATES | {gate: GATES[gate].model_copy(update=change)})
    assert len(found) == 1
    assert found[0].startswith(f"gate {gate!r} {reason}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gates": {k: v for k, v in GATES.items() if k != "secrets"}}, "requires gate 'secrets'"),
        ({"packs": ["rest"]}, "pack 'secrets' is required"),
        ({"disable": ["secrets/aws-key"]}, "disables 'secrets/aws-key'"),
        ({"disable": ["*-key"]}, "disables '*-key'"),
        ({"params": {"secrets/entropy": {"least": 9}}}, "changes its parameters"),
        ({"expires_days": 31}, "may hold 30 days, the pipeline says 31"),
        ({"dedup": Dedup(threshold=0.9)}, "from similarity 0.8 on, the pipeline says 0.9"),
        ({"digest": "e" * 64}, "rules of digest eeeeeeeeeeeeeeee are not allowed"),
    ],
)
def test_a_looser_pipeline_is_a_reason(change: dict[str, Any], reason: str) -> None:
    """A missing gate or pack, a rule switched off or changed, other rules, a longer expiry, a higher threshold."""
    found = check(**change)
    assert len(found) == 1
    assert reason in found[0]


def test_rule_folders_need_an_allowed_digest() -> None:
    """Own rules could replace required ones, so without a list of digests they are a reason."""
    assert check(rule_folders=["own"]) == []
    free = POLICY.model_copy(update={"rules": []})
    assert "rule folders" in check(free, rule_folders=["own"])[0]


def test_waivers_in_use() -> None:
    """A policy without waivers objects to accepted findings and waived gates."""
    [reason] = check_policy(POLICY, PIPELINE, "d" * 64, PIPELINE.packs, accepted=3, waived=1)
    assert "3 findings are accepted and 1 gates waived" in reason


def test_a_policy_says_what_its_gates_count(tmp_path: Path) -> None:
    """A required gate without metric, rules or sql, and without the name of a metric, could be met by any gate."""
    path = tmp_path / "policy.yaml"
    path.write_text("name: acme\nrequired_gates:\n  clean-code:\n    limit: 0\n")
    with pytest.raises(PipelineError, match=re.escape("required gate 'clean-code' does not say what it counts")):
        load_policy(path)


IDS = st.text("ab/", min_size=0, max_size=5)
PATTERNS = st.text("ab/*?", min_size=0, max_size=6)


@given(PATTERNS, PATTERNS, IDS)
def test_covers_is_never_wrong(given_: str, wanted: str, rule_id: str) -> None:
    """If one pattern covers another, every id of the other is an id of the one."""
    if covers(given_, wanted) and fnmatchcase(rule_id, wanted):
        assert fnmatchcase(rule_id, given_)


@given(PATTERNS, PATTERNS, IDS)
def test_overlaps_is_never_missed(a: str, b: str, rule_id: str) -> None:
    """Two patterns that match one id overlap."""
    if fnmatchcase(rule_id, a) and fnmatchcase(rule_id, b):
        assert overlaps(a, b)
        assert overlaps(b, a)
