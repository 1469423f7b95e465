"""From counts to statuses, from statuses to a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.gate.judge import (
    ERROR,
    FAILED,
    NOT_RUN,
    PASSED,
    WAIVED,
    WARNED,
    ExpectationResult,
    GateResult,
    judge_dataset,
    judge_gate,
)
from governance.settings import GateSpec

RATE = GateSpec(metric="quarantined", limit=0.1)
COUNT = GateSpec(metric="quarantined", unit="count", limit=2)
DIGEST = "a" * 64
OK = judge_gate("ok", RATE, (10, 1))
SOUND: dict[str, Any] = {
    "digest_start": DIGEST,
    "digest_end": DIGEST,
    "probes_planted": 5,
    "probes_missed": (),
    "samples": 10,
    "required": ["ok"],
}


@pytest.mark.parametrize(
    ("spec", "measured", "status", "value"),
    [
        (RATE, (10, 1), PASSED, 0.1),
        (RATE, (10, 2), FAILED, 0.2),
        (COUNT, (10, 2), PASSED, 2.0),
        (COUNT, (10, 30), FAILED, 30.0),  # places: more than units is possible
        (RATE.model_copy(update={"level": "warn"}), (10, 2), WARNED, 0.2),
        (RATE.model_copy(update={"level": "warn"}), (10, 1), PASSED, 0.1),
        (RATE, (0, 0), FAILED, None),
        (COUNT, (0, 0), FAILED, None),
        (RATE.model_copy(update={"level": "warn"}), (0, 0), FAILED, None),  # a warning is about a number
        (RATE.model_copy(update={"allow_empty": True}), (0, 0), PASSED, 0.0),
        (COUNT.model_copy(update={"allow_empty": True}), (0, 3), FAILED, 3.0),
        (RATE, None, NOT_RUN, None),
        (RATE, (10, 11), ERROR, None),
        (RATE, (-1, 0), ERROR, None),
        (COUNT, (10, -1), ERROR, None),
        (RATE, (10, float("nan")), ERROR, None),
        (RATE, (float("inf"), 1), ERROR, None),
        (RATE, (10, 0.5), ERROR, None),
        (RATE, (True, False), ERROR, None),
        (RATE, (10, None), ERROR, None),
    ],
)
def test_status(spec: GateSpec, measured: Any, status: str, value: float | None) -> None:
    """Within the limit passes, over it fails or warns; no number, no data or an impossible number does not pass."""
    result = judge_gate("g", spec, measured)
    assert (result.status, result.value) == (status, value)


def test_an_error_is_an_error_whatever_was_measured() -> None:
    """Neither an error while measuring nor a blind rule is outweighed by good numbers."""
    assert judge_gate("g", RATE, (10, 0), error="no rule").status == ERROR
    blind = judge_gate("g", RATE, (10, 0), probes_missed=[f"x/{c}" for c in "gfedcba"])
    assert (blind.status, blind.value) == (ERROR, None)
    assert blind.detail == "missed probes of x/a, x/b, x/c, x/d, x/e and 2 more"


def test_a_limit_that_is_nan_is_never_met() -> None:
    """``x <= nan`` is false, so a limit that is no number closes."""
    assert judge_gate("g", RATE.model_copy(update={"limit": float("nan")}), (10, 0)).status == FAILED


@given(
    checked=st.integers(-3, 50),
    failed=st.integers(-3, 60),
    limit=st.floats(0, 1),
    unit=st.sampled_from(["rate", "count"]),
)
def test_passed_means_measured_and_within(checked: int, failed: int, limit: float, unit: str) -> None:
    """Whatever the counts, PASSED means that something was checked and the number is within the limit."""
    spec = RATE.model_copy(update={"limit": limit, "unit": unit})
    if judge_gate("g", spec, (checked, failed)).status == PASSED:
        assert checked > 0
        assert failed >= 0
        assert (failed / checked if unit == "rate" else failed) <= limit


def test_sentences() -> None:
    """A result says its number, its counts and its limit in one line."""
    assert judge_gate("q", RATE, (8, 2)).sentence == "q is 25 % (2 of 8 samples), limit 10 %"
    assert judge_gate("q", COUNT, (8, 3)).sentence == "q is 3 in 8 samples, limit 2"
    assert judge_gate("q", RATE, None).sentence == "q is NOT_RUN: was not measured; limit 10 %"


def test_a_sound_dataset_passes() -> None:
    """All required gates open, probes found, digest unchanged: PASSED without a reason."""
    verdict = judge_dataset([OK], **SOUND)
    assert (verdict.status, verdict.breaches, verdict.reasons, verdict.test_result) == ("PASSED", (), (), "PASSED")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": 0}, "the dataset has no sample"),
        ({"digest_end": "b" * 64}, "the dataset changed while it was checked"),
        ({"digest_start": "", "digest_end": ""}, "the digest of the dataset is not known"),
        ({"digest_start": "None", "digest_end": "None"}, "the digest of the dataset is not known"),
        ({"probes_planted": 0}, "no probe was sent"),
        ({"probes_missed": ["secrets/a"]}, "probes were missed: secrets/a"),
        ({"required": []}, "no gate is required"),
        ({"required": ["ok", "gone"]}, "gone is required and has no result"),
        ({"disagreements": ["ok: x"]}, "the recorder disagrees: ok: x"),
        ({"objections": ["policy 'p' requires gate 'x'"]}, "policy 'p' requires gate 'x'"),
        ({"expectations": [ExpectationResult("e", FAILED, 10, detail="not met")]}, "expectation e is FAILED: not met"),
        ({"expectations": [ExpectationResult("e", ERROR, 10)]}, "expectation e is ERROR"),
        ({"expectations": [ExpectationResult("e", PASSED, 0)]}, "expectation e is PASSED"),
    ],
)
def test_one_thing_amiss_closes(change: dict[str, Any], reason: str) -> None:
    """Each condition of the verdict closes on its own, with exactly its reason."""
    verdict = judge_dataset([OK], **(SOUND | change))
    assert verdict.status == "CLOSED"
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(reason)
    assert verdict.test_result == "FAILED"


@pytest.mark.parametrize(
    "result",
    [
        judge_gate("ok", RATE, (10, 5)),
        judge_gate("ok", RATE, None),
        judge_gate("ok", RATE, (10, 0), error="x"),
        judge_gate("ok", RATE, (0, 0)),
        GateResult("ok", RATE, PASSED),
        GateResult("ok", RATE, PASSED, 0, 0, 0.0),
        GateResult("ok", RATE, WARNED, 0, 0, 0.0),
        GateResult("ok", RATE, PASSED, 10, 5, 0.5),
        GateResult("ok", RATE, PASSED, 10, 5, float("nan")),
        GateResult("ok", RATE.model_copy(update={"waivable": False}), WAIVED, 10, 5, 0.5),
    ],
)
def test_a_required_gate_that_is_not_open_is_a_breach(result: GateResult) -> None:
    """A result that failed, or that says PASSED without the numbers for it, is a breach."""
    verdict = judge_dataset([result], **SOUND)
    assert (verdict.status, verdict.breaches) == ("CLOSED", (result,))


@pytest.mark.parametrize(
    "result", [GateResult("ok", RATE, WARNED, 10, 5, 0.5), GateResult("ok", RATE, WAIVED, 10, 5, 0.5)]
)
def test_warned_and_waived_are_open(result: GateResult) -> None:
    """They do not close, and in-toto's result says WARNED, not PASSED."""
    verdict = judge_dataset([result], **SOUND)
    assert (verdict.status, verdict.test_result) == ("PASSED", "WARNED")


def test_all_breaches_at_once_in_order() -> None:
    """Every breach and every other reason is there, breaches first, in pipeline order; a gate not required is none."""
    results = [judge_gate(n, RATE, m) for n, m in (("b", (10, 9)), ("ok", (10, 0)), ("a", None), ("extra", (10, 9)))]
    verdict = judge_dataset(results, **(SOUND | {"required": ["b", "ok", "a"], "samples": 0}))
    assert [r.gate for r in verdict.breaches] == ["b", "a"]
    assert [r.split()[0] for r in verdict.reasons] == ["b", "a", "the"]


def test_two_results_of_one_gate_close() -> None:
    """A second, better result does not hide the first."""
    verdict = judge_dataset([OK, OK], **SOUND)
    assert verdict.reasons == ("ok has 2 results, expected one",)
