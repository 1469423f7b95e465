"""evidence, tables, spans -> one self-contained HTML page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from governance.data import data_folder
from governance.report import plots
from governance.report.bytecode import TemplateCache
from governance.report.messages import message
from governance.report.spans import Spans, visible
from governance.report.tables import RunTables, first_places, largest_clusters, quarantine_reasons
from governance.report.words import Words, limit, measured, number, rate

PLACES = 5  # places shown per rule
RULES = 60  # rules shown with their places; the rest are counted
CLUSTERS = 8  # clusters shown
MEMBERS = 4  # copies shown per cluster
FILES = 100  # files listed
BARS = 12  # bars of a plot before the tail is folded into one

ORDER = ("ERROR", "FAILED", "NOT_RUN", "WAIVED", "WARNED", "PASSED", "idle")
SEVERITIES = ("error", "warning", "info")

Evidence = Mapping[str, Any]


def render_html(evidence: Evidence, tables: RunTables, spans: Spans, language: str = "en") -> str:
    """Return the report as one HTML page in *language* (``en`` or ``zh``): no script, no request, nothing loaded."""
    page = environment().get_template("report.html.j2")
    return page.render(view(evidence, tables, spans, language))


@functools.cache
def environment() -> jinja2.Environment:
    """The template engine: HTML is escaped, a missing key is an error, invisible characters are made visible."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("reports")),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=TemplateCache(),
    )
    env.filters |= {"number": number, "rate": rate, "measured": measured, "limit": limit}
    return env


def view(evidence: Evidence, tables: RunTables, spans: Spans, language: str) -> dict[str, Any]:
    """Return what both templates, HTML and Markdown, are filled with."""
    words = Words(language)
    places = first_places(tables.findings, PLACES)
    entries = sorted(evidence["findings"], key=lambda e: (SEVERITIES.index(e["severity"]), -e["findings"], e["rule"]))
    findings = [_rule_view(entry, places.get(entry["rule"], []), spans, words) for entry in entries[:RULES]]
    return {
        "e": evidence,
        "t": words,
        "lang": "zh-CN" if language == "zh" else "en",
        "passed": evidence["verdict"]["status"] == "PASSED",
        "gates": sorted((_gate_view(g, evidence["breaches"]) for g in evidence["gates"]), key=lambda g: g["order"]),
        "findings": findings,
        "rules_left": len(entries) - len(findings),
        "clusters": largest_clusters(tables.duplicates, CLUSTERS, MEMBERS),
        "quarantine": quarantine_reasons(tables.quarantine),
        "plots": _plots(evidence["distributions"], words),
        "copies": _copies_view(evidence["duplicates"], words),
        "answered": [i for i in evidence["checklist"] if i["status"] != "not_checked" or i["value"]],
        "unanswered": [i for i in evidence["checklist"] if i["status"] == "not_checked" and not i["value"]],
        "files": evidence["dataset"]["files"][:FILES],
        "files_left": max(0, len(evidence["dataset"]["files"]) - FILES),
        "tool": tool_name(evidence),
    }


def tool_name(evidence: Evidence) -> str:
    """Return name and version of what made the evidence."""
    tool = evidence["tool"]
    return (
        f"{tool.get('name', 'governance')} {tool.get('version', '')}".strip()
        if isinstance(tool, Mapping)
        else str(tool)
    )


def _gate_view(gate: Mapping[str, Any], breaches: list[str]) -> dict[str, Any]:
    """A gate that did not run and is no breach does not apply to this dataset; it is shown last and calmly."""
    look = "idle" if gate["status"] == "NOT_RUN" and gate["gate"] not in breaches else gate["status"]
    return {**gate, "look": look, "order": ORDER.index(look)}


def _rule_view(entry: Mapping[str, Any], places: list[dict[str, Any]], spans: Spans, words: Words) -> dict[str, Any]:
    accepted = int(entry.get("accepted") or 0)
    shown = [{**place, "span": spans.shown(place)} for place in places]
    first = next((place["span"] for place in shown if place["span"]), None)
    return {
        **entry,
        "accepted": accepted,
        "open": int(entry["findings"]) - accepted,
        "says": message(words.pick(entry, "message"), first, words.language),
        "reason": words.pick(entry, "why"),
        "places": shown,
    }


def _plots(distributions: Mapping[str, Any], words: Words) -> list[tuple[str, Markup]]:
    """The plots that have something to show, in a fixed order."""
    out: list[tuple[str, Markup]] = []

    def upright(name: str, title: str, axis: str, unit: str, labels: list[str], series: list[plots.Series]) -> None:
        out.append((words(title), plots.bars(name, words(title), words(axis), words(unit), labels, series)))

    lengths = distributions.get("lengths") or {}
    if any(lengths.get("counts") or []):
        labels = [plots.short(edge) for edge in lengths["bins"]]
        upright("lengths", "lengths", "characters_per_sample", "samples", labels, [("", lengths["counts"])])
    criteria = distributions.get("criteria") or {}
    if any(criteria.values()):
        labels, values = _aligned([criteria.get("declared") or {}, criteria.get("effective") or {}])
        pair: list[plots.Series] = [(words("declared"), values[0]), (words("effective"), values[1])]
        upright("criteria", "criteria", "criteria_axis", "samples", labels, pair)
    if distinct := distributions.get("criteria_distinct"):
        labels, values = _aligned([distinct])
        upright("distinct", "criteria_distinct", "criteria_axis", "distinct", labels, [("", values[0])])
    if sizes := distributions.get("cluster_sizes"):
        labels, values = _aligned([sizes])
        upright("clusters", "cluster_sizes", "clusters_axis", "clusters", labels, [("", values[0])])
    if languages := distributions.get("languages"):
        ordered = sorted(languages.items(), key=lambda item: (-item[1], item[0]))[:BARS]
        names = [visible(str(name)) for name, _ in ordered]
        counts = [count for _, count in ordered]
        out.append((words("languages"), plots.rows("lang", words("languages"), words("samples"), names, counts)))
    return out


def _copies_view(duplicates: Mapping[str, Any], words: Words) -> dict[str, Any] | None:
    """Rows by their copies, as a plot and as lines, and what removing the copies costs; None for older evidence."""
    if "copies" not in duplicates:
        return None
    names, copies, removal = ("1", "2", "3", "more"), duplicates["copies"], duplicates["removal"]
    labels = ["1", "2", "3", ">3"]
    shares = {kind: [counts[k] / max(1, sum(counts.values())) for k in names] for kind, counts in copies.items()}
    series = [(words(f"copies_{kind}"), [100 * s for s in shares[kind]]) for kind in ("all", "exact")]
    title = words("copies_title")
    return {
        "plot": plots.bars("copies", title, words("copies_axis"), words("percent_of_rows"), labels, series),
        "title": title,
        "lines": [
            {
                "label": label,
                **{f"{kind}_rows": copies[kind][k] for kind in copies},
                **{kind: shares[kind][i] for kind in copies},
            }
            for i, (k, label) in enumerate(zip(names, labels, strict=True))
        ],
        "sizes": [{**s, "label": _range(s["from"], s["to"])} for s in duplicates["sizes"] if s["clusters"]],
        "all": removal,
        "groups": [("step", removal["steps"]), ("repository", removal["repositories"])],
        "search": _search_says(duplicates["search"], words) if duplicates["search"] else "",
    }


def _search_says(search: Mapping[str, Any], words: Words) -> str:
    """How duplicates were searched, and how many of them that finds."""
    filled = {k: number(search[k]) for k in ("threshold", "compared", "pairs", "permutations", "bands", "rows")}
    says = words(f"search_{search['method']}", **filled, recall=rate(search["expected_recall"]))
    if search["measured_recall"] is None:
        return says
    part = {"n": number(search["measured_on"]), "pairs": number(search["measured_pairs"])}
    return f"{says} {words('search_measured', recall=rate(search['measured_recall']), **part)}"


def _range(low: int, high: int | None) -> str:
    return f">{low - 1}" if high is None else str(low) if low == high else f"{low}–{high}"


def _aligned(counts: list[Mapping[str, int]]) -> tuple[list[str], list[list[int]]]:
    """Bring counts by whole number to common labels; numbers past the first dozen are folded into the last bar."""
    keys = sorted({int(k) for c in counts for k in c})
    head, tail = (keys, []) if len(keys) <= BARS else (keys[: BARS - 1], keys[BARS - 1 :])
    labels = [str(k) for k in head] + ([f"≥{tail[0]}"] if tail else [])
    values = [
        [c.get(str(k), 0) for k in head] + ([sum(c.get(str(k), 0) for k in tail)] if tail else []) for c in counts
    ]
    return labels, values
