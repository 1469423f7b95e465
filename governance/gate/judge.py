"""counts, limits -> gate results, verdict. Pure: no table, file, clock or engine in it.

What was not measured has not passed. That holds for a gate without a number, a gate over nothing, a number that is
NaN or impossible, a probe that was not found, a verdict without a required gate, and data that changed meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from governance.settings import GateSpec

Status = Literal["PASSED", "WARNED", "FAILED", "ERROR", "NOT_RUN", "WAIVED"]

PASSED: Status = "PASSED"
WARNED: Status = "WARNED"
FAILED: Status = "FAILED"
ERROR: Status = "ERROR"
NOT_RUN: Status = "NOT_RUN"
WAIVED: Status = "WAIVED"
STATUSES: tuple[Status, ...] = (PASSED, WARNED, FAILED, ERROR, NOT_RUN, WAIVED)

OPEN = frozenset({PASSED, WARNED, WAIVED})
"""What a required gate has to be."""

CLOSED: Literal["CLOSED"] = "CLOSED"
NAMED = 5  # rules named in one reason; the rest are counted
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class GateResult:
    """
    One gate, measured and judged.

    Attributes:
        checked, failed: the counts as measured; None where nothing was measured.
        value: ``failed / checked`` for the unit *rate* (0 to 1), ``failed`` for *count*; None for ERROR and NOT_RUN,
            whose numbers must not be read as a measurement.
        detail: fixed words and numbers that explain the status; never content.
    """

    gate: str
    spec: GateSpec
    status: Status
    checked: int | None = None
    failed: int | None = None
    value: float | None = None
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The gate, its number and its limit in one line."""
        if self.value is None or self.checked is None or self.failed is None:
            return f"{self.gate} is {self.status}: {self.detail}; limit {_amount(self.spec, self.spec.limit)}"
        if self.spec.unit == "rate":
            number = f"{_amount(self.spec, self.value)} ({self.failed} of {self.checked} {self.spec.of})"
        else:
            number = f"{self.failed} in {self.checked} {self.spec.of}"
        tail = f"; {self.detail}" if self.detail else ""
        return f"{self.gate} is {number}, limit {_amount(self.spec, self.spec.limit)}{tail}"


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One named stock expectation; ``checked`` is the number of samples, by our own count."""

    name: str
    status: Status
    checked: int
    required: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The outcome for one dataset digest.

    Attributes:
        breaches: every required gate that is not open, in pipeline order.
        reasons: every reason for CLOSED, breaches first; empty exactly if the status is PASSED.
    """

    status: Literal["PASSED", "CLOSED"]
    results: tuple[GateResult, ...]
    breaches: tuple[GateResult, ...]
    reasons: tuple[str, ...]
    expectations: tuple[ExpectationResult, ...] = ()

    @property
    def test_result(self) -> Literal["PASSED", "WARNED", "FAILED"]:
        """
        The verdict in the words of in-toto's test-result; WARNED if it passed with a gate that did not.

        A gate that does not apply to this dataset is NOT_RUN and no warning; one that had to run is a breach.
        """
        if self.status == CLOSED:
            return "FAILED"
        return "PASSED" if all(r.status in (PASSED, NOT_RUN) for r in self.results) else "WARNED"


def judge_gate(
    name: str,
    spec: GateSpec,
    measured: tuple[int, int] | None,
    *,
    error: str = "",
    probes_missed: Sequence[str] = (),
) -> GateResult:
    """
    Return what *measured* = (checked, failed) means under *spec*.

    Args:
        measured: None where the gate was not measured.
        error: why measuring failed; the gate is then ERROR whatever was measured.
        probes_missed: rules of this gate that missed one of their own probes; a blind scanner finds nothing.

    >>> spec = GateSpec(metric="quarantined", of="records", limit=0.01)
    >>> judge_gate("quarantined", spec, (1000, 10)).status
    'PASSED'
    >>> judge_gate("quarantined", spec, (0, 0)).sentence
    'quarantined is FAILED: nothing was checked; limit 1 %'
    """
    if error:
        return GateResult(name, spec, ERROR, detail=error)
    if measured is None:
        return GateResult(name, spec, NOT_RUN, detail="was not measured")
    checked, failed = measured
    if probes_missed:
        return GateResult(name, spec, ERROR, checked, failed, detail=f"missed probes of {_named(probes_missed)}")
    impossible = _impossible(spec, checked, failed)
    if impossible:
        return GateResult(name, spec, ERROR, detail=impossible)
    if checked == 0 and not spec.allow_empty:
        return GateResult(name, spec, FAILED, checked, failed, detail="nothing was checked")
    value = float(failed) if spec.unit == "count" else failed / checked if checked else 0.0
    if value <= spec.limit:
        return GateResult(name, spec, PASSED, checked, failed, value)
    return GateResult(name, spec, WARNED if spec.level == "warn" else FAILED, checked, failed, value)


def judge_dataset(
    results: Sequence[GateResult],
    *,
    digest_start: str,
    digest_end: str,
    probes_planted: int,
    probes_missed: Sequence[str],
    samples: int,
    required: Collection[str],
    expectations: Sequence[ExpectationResult] = (),
    disagreements: Sequence[str] = (),
    objections: Sequence[str] = (),
) -> Verdict:
    """
    Return the verdict over all gates, with every reason at once.

    Args:
        results: in pipeline order.
        digest_start, digest_end: dataset digest before the first step and re-computed from the input bytes at the end.
        probes_planted, probes_missed: how many probes were sent, and which rules missed one of theirs.
        samples: readable samples of the dataset.
        required: names of the gates that have to be open.
        disagreements: gates on which the recorder does not agree.
        objections: further reasons, such as those of a policy (policy.check_policy).
    """
    wanted = set(required)
    breaches = tuple(r for r in results if r.gate in wanted and not _is_open(r))
    reasons = [r.sentence if r.status not in OPEN else f"{r.gate} is {r.status}, but {_doubt(r)}" for r in breaches]
    reasons += _missing(results, required)
    if samples <= 0:
        reasons.append("the dataset has no sample")
    if not (_DIGEST.match(digest_start) and _DIGEST.match(digest_end)):
        reasons.append("the digest of the dataset is not known")
    elif digest_start != digest_end:
        reasons.append(
            f"the dataset changed while it was checked: digest {digest_start[:12]} before, {digest_end[:12]} after; "
            "check it again"
        )
    if probes_planted <= 0:
        reasons.append("no probe was sent, so nothing shows that the scanners work")
    if probes_missed:
        reasons.append(f"probes were missed: {_named(probes_missed)}")
    reasons += [
        f"expectation {e.name} is {e.status}: {e.detail or 'not met'}"
        for e in expectations
        if e.required and (e.status not in OPEN or e.checked <= 0)
    ]
    reasons += [f"the recorder disagrees: {d}" for d in disagreements]
    reasons += objections
    return Verdict(CLOSED if reasons else "PASSED", tuple(results), breaches, tuple(reasons), tuple(expectations))


def _is_open(result: GateResult) -> bool:
    return result.status in OPEN and not _doubt(result)


def _doubt(result: GateResult) -> str:
    """Why an open status may not stand; a result made elsewhere is not believed for its word alone."""
    if result.checked is None or result.failed is None or result.value is None:
        return "it has no number"
    if result.checked == 0 and not result.spec.allow_empty:
        return "nothing was checked"
    if result.status == WAIVED and not result.spec.waivable:
        return "it may not be waived"
    if result.status == PASSED and not result.value <= result.spec.limit:
        return f"its value is over the limit {_amount(result.spec, result.spec.limit)}"
    return ""


def _missing(results: Iterable[GateResult], required: Collection[str]) -> list[str]:
    counts = Counter(r.gate for r in results)
    reasons = [f"{gate} is required and has no result" for gate in required if gate not in counts]
    reasons += [f"{gate} has {n} results, expected one" for gate, n in counts.items() if n > 1]
    if not required:
        reasons.append("no gate is required, so nothing was demanded of the data")
    return reasons


def _impossible(spec: GateSpec, checked: object, failed: object) -> str:
    """What is wrong with the counts; NaN, a fraction, a negative number or a part larger than its whole."""
    for name, number in (("checked", checked), ("failed", failed)):
        if isinstance(number, bool) or not isinstance(number, int):
            return f"{name} is a {type(number).__name__}, expected a whole number"
        if number < 0:
            return f"{name} is {number}, expected at least 0"
    if spec.unit == "rate" and failed > checked:  # type: ignore[operator]
        return f"failed is {failed}, more than the {checked} {spec.of} that were checked"
    return ""


def _named(rules: Sequence[str]) -> str:
    shown = ", ".join(sorted(set(rules))[:NAMED])
    more = len(set(rules)) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _amount(spec: GateSpec, number: float) -> str:
    return f"{number * 100:.4g} %" if spec.unit == "rate" else f"{number:.12g}"
