"""A verdict holds for one dataset, one pipeline, one policy, and for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.errors import SignatureError
from governance.gate.judge import GateResult, Verdict, judge_gate
from governance.gate.keys import Trust, key_id
from governance.gate.signing import DETAILS, make_statement, sign
from governance.gate.verdict import verify_verdict
from governance.settings import GateSpec, Policy

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TRUST = Trust({key_id(KEY.public_key()): KEY.public_key()})
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
POLICY = Policy(name="acme", rules=["c" * 64], expires_days=10, allow_waivers=False)
SPEC = GateSpec(metric="quarantined", limit=0.1)


def statement(status: Any = "PASSED", **change: Any) -> dict[str, Any]:
    results = change.pop("results", (judge_gate("fine", SPEC, (10, 0)),))
    given: dict[str, Any] = {
        "dataset": "d.jsonl",
        "digest": "a" * 64,
        "pipeline": ("default", "b" * 64),
        "rules_digest": "c" * 64,
        "policy": ("acme", POLICY.digest()),
        "run": "r1",
        "created": NOW,
        "expires": NOW + timedelta(days=30),
    }
    return make_statement(Verdict(status, results, (), ()), **(given | change))


def verify(made: dict[str, Any], **change: Any) -> Any:
    given: dict[str, Any] = {"digest": "a" * 64, "trust": TRUST, "now": NOW + timedelta(days=1)}
    given |= {"pipeline_digest": "b" * 64, "policy": POLICY}
    return verify_verdict(sign(made, KEY), **(given | change))


def test_a_sound_verdict_holds() -> None:
    """It names dataset, pipeline, rules, policy, run, times and signer."""
    found = verify(statement())
    assert (found.result, found.pipeline, found.run, found.signed_here) == ("PASSED", "default", "r1", False)
    assert found.expires == NOW + timedelta(days=30)
    assert found.signer.endswith("(a trusted key)")
    assert verify(statement(policy=None), policy=None, pipeline_digest=None).policy_digest is None


def test_a_local_signer_is_named_as_such() -> None:
    """A verdict signed with the workspace's own key holds and says that it was signed here."""
    found = verify(statement(), trust=Trust(TRUST.keys, frozenset(TRUST.keys)))
    assert found.signed_here
    assert "the key of this workspace" in found.signer


@pytest.mark.parametrize(
    ("made", "asked", "reason"),
    [
        ({}, {"digest": "e" * 64}, "is about dataset aaaaaaaaaaaaaaaa, this one is eeeeeeeeeeeeeeee"),
        ({}, {"pipeline_digest": "e" * 64}, "was given under pipeline bbbbbbbbbbbbbbbb"),
        ({}, {"now": NOW + timedelta(days=30), "policy": None}, "expired on 2026-05-31 12:00 UTC"),
        ({}, {"now": NOW + timedelta(days=10)}, "older than the 10 days"),
        ({}, {"now": NOW - timedelta(hours=1)}, "is in the future"),
        ({}, {"trust": Trust()}, "which is not trusted"),
        ({"status": "CLOSED"}, {}, "is CLOSED, expected PASSED"),
        ({"policy": None}, {}, "given under no policy, expected 'acme'"),
        ({"policy": ("acme", "e" * 64)}, {}, "given under policy eeeeeeeeeeeeeeee"),
        ({"rules_digest": "e" * 64}, {}, "used rules eeeeeeeeeeeeeeee"),
        ({"accepted": 2}, {}, "accepts 2 findings"),
        ({"results": (GateResult("g", SPEC, "WAIVED", 10, 5, 0.5),)}, {}, "waives g"),
    ],
)
def test_what_does_not_hold_is_refused(made: dict[str, Any], asked: dict[str, Any], reason: str) -> None:
    """Each thing that can be wrong with a signed verdict is refused with its own reason."""
    with pytest.raises(SignatureError, match=reason):
        verify(statement(**made), **asked)


def test_a_small_skew_of_clocks_is_allowed() -> None:
    """A signer's clock that is a minute ahead is no forgery."""
    assert verify(statement(), now=NOW - timedelta(minutes=1)).run == "r1"


def _without(*path: str) -> dict[str, Any]:
    made = statement()
    at: Any = made
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return made


@pytest.mark.parametrize(
    "path",
    [
        ("subject",),
        ("predicate",),
        ("predicate", "result"),
        ("predicate", "configuration"),
        ("predicate", DETAILS),
        ("predicate", DETAILS, "expires"),
        ("predicate", DETAILS, "created"),
        ("predicate", DETAILS, "waived"),
        ("predicate", DETAILS, "accepted"),
        ("predicate", DETAILS, "status"),
    ],
)
def test_a_verdict_that_lacks_a_field_does_not_hold(path: tuple[str, ...]) -> None:
    """No field has a kind default: what is not said is not given."""
    with pytest.raises(SignatureError):
        verify(_without(*path))


@pytest.mark.parametrize("expires", ["", "never", None, 4102444800, "2999-01-01", "2999-01-01T00:00:00"])
def test_an_expiry_that_cannot_be_read_has_passed(expires: Any) -> None:
    """A date that is no moment with a time zone never means that the verdict holds for ever."""
    made = statement()
    made["predicate"][DETAILS]["expires"] = expires
    with pytest.raises(SignatureError, match="is no verdict of this tool"):
        verify(made)


def test_a_result_and_a_status_have_to_agree() -> None:
    """PASSED in one field does not outweigh FAILED in the other."""
    made = statement()
    made["predicate"]["result"] = "FAILED"
    with pytest.raises(SignatureError, match="expected PASSED"):
        verify(made)
