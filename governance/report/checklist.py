"""evidence, reports/checklist.yaml -> the compliance items that this run can answer, and the rest as not checked."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from governance.data import data_folder
from governance.errors import GovernanceError
from governance.yamlfile import read_yaml

STATUSES = ("met", "not_met", "not_applicable", "not_checked")

Evidence = Mapping[str, Any]
Answer = tuple[str, Mapping[str, object]]
"""Status, and what fills the item's ``value``: numbers and names of ours, never text of a sample; empty, nothing."""


def checklist_items(evidence: Evidence) -> list[dict[str, Any]]:
    """
    Return the 37 items in order, each with ``id``, ``class``, ``title``, ``status``, ``value``, ``why``.

    ``met`` is said only where the whole requirement was checked. Where a part was, and it holds, the item stays
    ``not_checked`` and its value says what is known; where a part fails, it is ``not_met``. ``title_zh``, ``value_zh``
    and ``why_zh`` are the same in Chinese.
    """
    items = []
    for item in _file():
        compute = _COMPUTED.get(item["id"])
        status, facts = compute(evidence) if compute else ("not_checked", {})
        items.append(
            {
                "id": item["id"],
                "class": item["class"],
                "title": item["title"],
                "title_zh": item["title_zh"],
                "demanded_by": list(item["demanded_by"]),
                "status": status,
                "value": item["value"].format(**facts) if facts else "",
                "value_zh": item["value_zh"].format(**facts) if facts else "",
                "why": item["why"][status],
                "why_zh": item["why_zh"][status],
            }
        )
    return items


@functools.cache
def _file() -> tuple[dict[str, Any], ...]:
    value, _ = read_yaml(data_folder("reports") / "checklist.yaml", GovernanceError)
    return tuple(value["items"])


def _identity(evidence: Evidence) -> Answer:
    dataset = evidence["dataset"]
    files = dataset["files"]
    hashed = sum(1 for f in files if _is_sha256(f.get("sha256")))
    value = {"hashed": hashed, "files": len(files), "digest": dataset.get("digest") or "-"}
    unchanged = dataset.get("unchanged", True if evidence["verdict"]["status"] == "PASSED" else None)
    if not files or hashed < len(files) or not _is_sha256(dataset.get("digest")) or unchanged is False:
        return "not_met", value
    return ("met" if unchanged else "not_checked"), value


def _rows(evidence: Evidence) -> Answer:
    dataset, ledger = evidence["dataset"], evidence.get("ledger")
    value = {key: dataset[key] for key in ("records", "samples", "quarantined")}
    if dataset["records"] != dataset["samples"] + dataset["quarantined"]:
        return "not_met", value
    if ledger is None:
        return "met", value
    before, kept, changed = ledger["in"], ledger["kept"], ledger["changed"]
    dropped = sum(ledger["dropped"].values())
    return ("met" if before == kept + changed + dropped else "not_met"), value


def _rights(evidence: Evidence) -> Answer:
    gate = _gate_on(evidence, "unknown-licence", "licence")
    if gate is None or not gate.get("checked") or gate.get("failed") is None:
        return "not_checked", {}
    return ("not_met" if gate["failed"] else "not_checked"), {key: gate[key] for key in ("failed", "checked")}


def _personal_data(evidence: Evidence) -> Answer:
    found = _pack_counts(evidence, "pii")
    if found is None:
        return "not_checked", {}
    return ("not_met" if found[0] else "not_checked"), {"open": found[0], "accepted": found[1]}


def _secrets(evidence: Evidence) -> Answer:
    found, probes = _pack_counts(evidence, "secrets"), evidence["probes"]
    if found is None:
        return "not_checked", {}
    missed = [str(p) for p in probes.get("missed") or []]
    value = {"open": found[0], "accepted": found[1], "found": probes["found"], "planted": probes["planted"]}
    if found[0] or any("secrets/" in p for p in missed):
        return "not_met", value
    return ("met" if probes.get("planted") else "not_checked"), value


def _quality(evidence: Evidence) -> Answer:
    # A gate that did not run and is no breach does not apply to this dataset: rows lost by a clean that was not.
    idle = [g for g in evidence["gates"] if g["status"] == "NOT_RUN" and g["gate"] not in evidence["breaches"]]
    required = [g for g in evidence["gates"] if g["required"] and g not in idle]
    passed = [g for g in required if g["status"] == "PASSED" and g.get("checked")]
    value = {"passed": len(passed), "required": len(required)}
    if not required:
        return "not_checked", value
    return ("met" if len(passed) == len(required) else "not_met"), value


def _near_duplicates(evidence: Evidence) -> Answer:
    gate = _gate_on(evidence, "near-duplicates")
    duplicates = evidence["duplicates"]
    if gate is None or gate["failed"] is None:
        return "not_checked", {}
    value = {"failed": gate["failed"], "checked": gate["checked"], "largest": duplicates["largest"]}
    return ("met" if gate["status"] == "PASSED" and gate.get("checked") else "not_met"), value


def _size(evidence: Evidence) -> Answer:
    dataset = evidence["dataset"]
    languages = evidence["distributions"].get("languages") or {}
    value = {
        "samples": dataset["samples"],
        "characters": dataset["characters"],
        "languages": ", ".join(sorted(languages)) or "-",
    }
    return ("met" if dataset["samples"] else "not_met"), value


def _expiry(evidence: Evidence) -> Answer:
    expires = evidence["verdict"].get("expires")
    return ("not_checked", {"expires": expires}) if expires else ("not_met", {})


def _waivers(evidence: Evidence) -> Answer:
    waived = sum(1 for g in evidence["gates"] if g["status"] == "WAIVED")
    return ("not_checked" if waived else "met"), {"waived": waived}


_COMPUTED: dict[str, Callable[[Evidence], Answer]] = {
    "E01": _identity,
    "E03": _rows,
    "E04": _rights,
    "E07": _personal_data,
    "E10": _secrets,
    "E13": _quality,
    "E18": _near_duplicates,
    "E23": _size,
    "E26": _expiry,
    "E30": _waivers,
}


def _gate_on(evidence: Evidence, metric: str, *names: str) -> Mapping[str, Any] | None:
    """The gate that judges *metric*; where a gate does not name its metric, it is one called like it or *names*."""
    called = (metric, *names)
    return next((g for g in evidence["gates"] if g.get("metric") == metric or g["gate"] in called), None)


def _pack_counts(evidence: Evidence, pack: str) -> tuple[int, int] | None:
    """Open and accepted findings of *pack*; None where it did not run."""
    if pack not in (evidence["rules"].get("packs") or []):
        return None
    entries = [e for e in evidence["findings"] if e["rule"].startswith(f"{pack}/")]
    accepted = sum(int(e.get("accepted") or 0) for e in entries)
    return sum(int(e["findings"]) for e in entries) - accepted, accepted


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None
