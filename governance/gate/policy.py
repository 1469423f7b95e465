"""policy, pipeline, rules -> every way in which the pipeline is looser than the policy allows.

A pipeline belongs to the people whose data it judges, a policy does not. So everything by which a pipeline could open a
gate is compared: the gate itself, what it counts and out of what, and the rules behind it.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from governance.samples import OVERLAP_CLASSES
from governance.settings import GateSpec, Overlap, Pipeline, Policy, PolicyGate


def check_policy(
    policy: Policy, pipeline: Pipeline, rules_digest: str, packs: Collection[str], *, accepted: int = 0, waived: int = 0
) -> list[str]:
    """
    Return every reason why *pipeline* is looser than *policy*, in a fixed order; empty if it is not.

    Args:
        rules_digest: of the rules that were run (rules.rules_digest).
        packs: the packs that were run.
        accepted, waived: findings accepted by a baseline, and waived gates, in this run.
    """
    reasons = []
    for name, floor in policy.required_gates.items():
        spec = pipeline.gates.get(name)
        if spec is None:
            reasons.append(f"policy {policy.name!r} requires gate {name!r}, which the pipeline lacks")
        else:
            reasons += [f"gate {name!r} {why} (policy {policy.name!r})" for why in _looser(name, floor, spec)]
    reasons += [f"policy {policy.name!r}: {why}" for why in _rules(policy, pipeline, rules_digest, packs)]
    reasons += [f"policy {policy.name!r}: {why}" for why in _sources(policy, pipeline)]
    if policy.expires_days is not None and pipeline.expires_days > policy.expires_days:
        reasons.append(
            f"policy {policy.name!r}: a verdict may hold {policy.expires_days} days, the pipeline says "
            f"{pipeline.expires_days}"
        )
    most = policy.max_dedup_threshold
    if most is not None and pipeline.dedup.threshold > most:
        reasons.append(
            f"policy {policy.name!r}: near-duplicates are searched from similarity {most:g} on, the pipeline says "
            f"{pipeline.dedup.threshold:g}"
        )
    if not policy.allow_waivers and (accepted or waived):
        reasons.append(
            f"policy {policy.name!r} allows no waivers; {accepted} findings are accepted and {waived} gates waived"
        )
    return reasons


def _looser(name: str, floor: PolicyGate, spec: GateSpec) -> list[str]:
    why = []
    if not spec.required:
        why.append("is not required")
    if spec.level != "fail":
        why.append(f"has level {spec.level!r}, expected 'fail'")
    if (spec.unit, spec.of) != (floor.unit, floor.of):
        why.append(f"measures the {spec.unit} of {spec.of}, expected the {floor.unit} of {floor.of}")
    elif spec.limit > floor.limit:
        why.append(f"has limit {spec.limit:g}, expected at most {floor.limit:g}")
    if spec.allow_empty and not floor.allow_empty:
        why.append("allows an empty count")
    if spec.waivable and not floor.waivable:
        why.append("may be waived")
    why += _counts_less(name, floor, spec)
    return why


def _counts_less(name: str, floor: PolicyGate, spec: GateSpec) -> list[str]:
    """What the gate leaves out of what it has to count."""
    if floor.rules is None:
        if floor.sql is not None:
            # to the letter: a line break ends a comment, and white space inside a literal means something
            same = spec.sql is not None and spec.sql.strip() == floor.sql.strip()
            return [] if same else ["does not use the SQL of the policy"]
        metric = floor.metric or name
        return [] if spec.metric == metric else [f"does not count the metric {metric!r}"]
    why = [
        f"does not count the rules {wanted!r}"
        for wanted in floor.rules
        if not any(covers(given, wanted) for given in spec.rules or ())
    ]
    if missing := [s for s in floor.severity if s not in spec.severity]:
        why.append(f"does not count findings of severity {', '.join(missing)}")
    return why


def _sources(policy: Policy, pipeline: Pipeline) -> list[str]:
    """What the dataset was not compared with, and what was let pass, where a gate on overlap is required."""
    named, least = pipeline.overlap, Overlap().least
    digests = set(named.digests.values())
    missing = [digest[:16] for digest in policy.sources if digest not in digests]
    why = [f"source of digest {digest} was not compared with" for digest in missing]
    counted = {floor.metric or name for name, floor in policy.required_gates.items()}
    counted &= set(OVERLAP_CLASSES) - {"split-overlap"}
    if (counted or policy.sources) and named.allow:
        why.append(f"sources {', '.join(map(repr, named.allow[:5]))} are allowed by the pipeline")
    if "protected-overlap" in counted and named.least > least:
        why.append(f"shared runs count from {least} lexemes on, the pipeline says {named.least}")
    most = policy.max_dedup_threshold
    if "held-out-overlap" in counted and most is not None and named.threshold > most:
        why.append(f"held-out samples are searched from similarity {most:g} on, the pipeline says {named.threshold:g}")
    return why


def _rules(policy: Policy, pipeline: Pipeline, rules_digest: str, packs: Collection[str]) -> list[str]:
    """The rules behind the gates: not switched off, not changed, not replaced, and of an allowed digest."""
    why = [f"pack {pack!r} is required and was not run" for pack in policy.required_packs if pack not in packs]
    demanded = [f"{pack}/*" for pack in policy.required_packs]
    demanded += [pattern for floor in policy.required_gates.values() for pattern in floor.rules or ()]
    for disabled in pipeline.disable:
        if hit := next((d for d in demanded if overlaps(disabled, d)), None):
            why.append(f"rules {hit!r} are required, the pipeline disables {disabled!r}")
    for rule in pipeline.params:
        if any(fnmatchcase(rule, d) for d in demanded):
            why.append(f"rule {rule!r} is required, the pipeline changes its parameters")
    if policy.rules:
        if rules_digest not in policy.rules:
            why.append(f"rules of digest {rules_digest[:16]} are not allowed")
    elif demanded and pipeline.rule_folders:
        why.append(
            "the pipeline has rule folders, whose rules could replace required ones; allow their digest under 'rules'"
        )
    return why


def covers(given: str, wanted: str) -> bool:
    """
    Return whether *given* surely matches every rule id that *wanted* matches; in doubt it does not.

    Matching the text of *wanted* proves it only while ``*`` is the one wildcard of *given* and *wanted* has no ``[``.

    >>> covers("secrets/*", "secrets/aws-*"), covers("*", "secrets/*"), covers("secrets/aws-*", "secrets/*")
    (True, True, False)
    >>> covers("secrets/[*]", "secrets/*")
    False
    """
    if given == wanted:
        return True
    return not set("?[") & set(given) and "[" not in wanted and fnmatchcase(wanted, given)


def overlaps(a: str, b: str) -> bool:
    """
    Return whether two patterns may match the same rule id; in doubt they do (``[`` counts as ``*``).

    >>> overlaps("*-key", "secrets/*"), overlaps("rest/*", "secrets/*"), overlaps("secrets/a?", "secrets/*b")
    (True, False, True)
    """
    if "[" in a or "[" in b:
        a, b = (p.partition("[")[0] + "*" * ("[" in p) for p in (a, b))
    # reach: the places of b at which the part of a that was read so far can end
    reach = _skip({0}, b)
    for c in a:
        if c == "*":
            reach = set(range(min(reach), len(b) + 1)) if reach else set()
        else:
            reach = _skip({_next(i, b) for i in reach if i < len(b) and (c == "?" or b[i] in ("?", "*", c))}, b)
    return len(b) in reach


def _next(i: int, b: str) -> int:
    return i if b[i] == "*" else i + 1


def _skip(places: set[int], b: str) -> set[int]:
    """Add the places after every ``*`` of *b* that may stand for nothing."""
    out = set(places)
    for i in sorted(places):
        at = i
        while at < len(b) and b[at] == "*":
            at += 1
            out.add(at)
    return out
