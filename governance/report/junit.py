"""evidence -> JUnit XML: one case per gate, and one for the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from governance.report.spans import visible
from governance.report.words import limit, measured

OUTCOMES = {"FAILED": "failure", "ERROR": "error", "NOT_RUN": "skipped", "WAIVED": "skipped"}


def render_junit(evidence: Mapping[str, Any]) -> str:
    """
    Return one test case per gate, and a last one named ``verdict`` that fails while the dataset is CLOSED.

    FAILED is a failure, ERROR an error, NOT_RUN and WAIVED are skipped. A reader of JUnit takes skipped cases for
    green and knows no digest that changed; the case ``verdict`` is there for both.
    """
    gates, verdict = evidence["gates"], evidence["verdict"]
    closed = verdict["status"] != "PASSED"
    totals = [OUTCOMES.get(g["status"]) for g in gates]
    counts = {
        "tests": str(len(gates) + 1),
        "failures": str(totals.count("failure") + closed),
        "errors": str(totals.count("error")),
        "skipped": str(totals.count("skipped")),
    }
    root = ET.Element("testsuites", {"name": "governance", **counts})
    suite = _element(root, "testsuite", name=evidence["dataset"]["name"], **counts)
    properties = ET.SubElement(suite, "properties")
    for key in ("dataset", "pipeline", "rules"):
        _element(properties, "property", name=f"{key}.sha256", value=evidence[key]["digest"])
    _element(properties, "property", name="run", value=evidence["run"])
    group = f"governance.{evidence['pipeline']['name']}"
    for gate in gates:
        case = _element(suite, "testcase", classname=group, name=gate["gate"])
        if kind := OUTCOMES.get(gate["status"]):
            outcome = _element(case, kind, message=f"{gate['status']}: {summary(gate)}")
            if kind != "skipped":
                outcome.set("type", gate["status"])
                outcome.text = visible_lines(_explain(gate))
        elif gate["status"] == "WARNED":
            ET.SubElement(case, "system-out").text = visible_lines(["WARNED", *_explain(gate)])
    last = _element(suite, "testcase", classname=group, name="verdict")
    if closed:
        failure = _element(last, "failure", message=f"{verdict['status']}: {len(verdict['reasons'])} reasons")
        failure.set("type", str(verdict["status"]))
        failure.text = visible_lines(verdict["reasons"])
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def summary(gate: Mapping[str, Any]) -> str:
    """Return number, limit and denominator of *gate* in one line."""
    value = measured(gate["value"], gate["unit"]) or "not measured"
    failed = "-" if gate["failed"] is None else gate["failed"]
    checked = "-" if gate["checked"] is None else gate["checked"]
    return f"{value}, limit {limit(gate['limit'], gate['unit']) or '-'}; {failed} of {checked} {gate['of']}"


def visible_lines(lines: list[str]) -> str:
    """Return *lines* as one text; XML has no way to write most control characters, so each is shown as its escape."""
    return "\n".join(visible(line) for line in lines)


def _explain(gate: Mapping[str, Any]) -> list[str]:
    lines = [summary(gate)]
    if gate["detail"]:
        lines.append(gate["detail"])
    for place in gate["worst"]:
        where = " ".join(str(place[k]) for k in ("field", "rule") if place.get(k))
        lines.append(f"{place['file']}#{place['row']} {where}".rstrip())
    if gate["command"]:
        lines.append(f"to mend: {gate['command']}")
    return lines


def _element(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, tag, {k: visible(str(v)) for k, v in attributes.items()})
