"""a Gherkin document -> Story records, one per feature, read by the official parser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from governance.scan.story_lines import lines_of, split_role
from governance.scan.units import Criterion, Step, Story

FEATURE = re.compile(r"^[ \t]*(?:#[ \t]*language[ \t]*:|(?:Feature|Business Need|Ability|功能)[ \t]*:)", re.M)

_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:gherkin|feature|cucumber)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.M | re.S)
_KINDS = {"Context": "given", "Action": "when", "Outcome": "then"}
_HAN = re.compile(r"[一-鿿]")


def gherkin_stories(text: str) -> list[Story]:
    """
    Return one Story per feature of *text*; ``[]`` where the official parser refuses it.

    A text holds one feature, or a Markdown text one per ``gherkin`` block. Scenarios and outlines count once each; the
    steps of a background stand before those of each of its scenarios.
    """
    blocks = [(m.start(1), m[1]) for m in _FENCE.finditer(text)]
    if not blocks:
        first = FEATURE.search(text)
        blocks = [(_document_start(text, first.start()), "")] if first else []
        blocks = [(at, text[at:]) for at, _ in blocks]
    stories = []
    for start, source in blocks:
        document = _parse(source)
        if document and document.get("feature"):
            stories.append(_story(document["feature"], source, start))
    return stories


def _document_start(text: str, at: int) -> int:
    """Return where the tags and comments before the line at *at* begin."""
    while at:
        before = text.rfind("\n", 0, at - 1) + 1
        if not text[before:at].lstrip().startswith(("@", "#")):
            break
        at = before
    return at


def _parse(source: str) -> Mapping[str, Any] | None:
    from gherkin.errors import CompositeParserException, ParserError
    from gherkin.parser import Parser
    from gherkin.token_matcher import TokenMatcher

    dialect = "en" if not re.search(r"^[ \t]*功能[ \t]*:", source, re.M) else "zh-CN"
    try:
        document: Mapping[str, Any] = Parser().parse(source, TokenMatcher(dialect))
    except (ParserError, CompositeParserException):
        return None
    return document


def _story(feature: Mapping[str, Any], source: str, base: int) -> Story:
    starts = [0, *(m.end() for m in re.finditer("\n", source))]

    def place(location: Mapping[str, int]) -> int:
        return starts[location["line"] - 1] + location["column"] - 1

    def line_end(at: int) -> int:
        stop = source.find("\n", at)
        return len(source[: len(source) if stop < 0 else stop].rstrip())

    criteria = []
    for scenario, background in _scenarios(feature):
        at = place(scenario["location"])
        steps: list[Step] = []
        last = "given"
        for step in [*background, *scenario["steps"]]:
            last = _KINDS.get(step["keywordType"], last)
            start = place(step["location"])
            steps.append(Step(last, step["text"], base + start, base + line_end(start)))
        end = max([line_end(at), *(s.end - base for s in steps)])
        criteria.append(Criterion(scenario["name"], base + at, base + end, None, tuple(steps)))
    start = place(feature["location"])
    role, goal, benefit = _narrative(feature.get("description") or "")
    language = "zh" if feature["language"].startswith("zh") else "en"
    if language == "en" and _HAN.search(feature["name"]):
        language = "mixed"
    end = max([base + line_end(start), *(c.end for c in criteria)])
    return Story(feature["name"], base + start, end, language, "gherkin", tuple(criteria), role, goal, benefit)


def _scenarios(feature: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Yield every scenario with the background steps that run before it."""
    outer: list[Mapping[str, Any]] = []
    for child in feature["children"]:
        if "background" in child:
            outer = list(child["background"]["steps"])
        elif "scenario" in child:
            yield child["scenario"], outer
        elif "rule" in child:
            inner: list[Mapping[str, Any]] = []
            for grandchild in child["rule"]["children"]:
                if "background" in grandchild:
                    inner = list(grandchild["background"]["steps"])
                elif "scenario" in grandchild:
                    yield grandchild["scenario"], outer + inner


def _narrative(description: str) -> tuple[str, str, str]:
    role = goal = benefit = ""
    for line in lines_of(description):
        if line.kind == "role":
            role, goal, benefit = split_role(line.text)
        elif line.kind == "goal":
            _, goal, benefit = split_role(line.text)
        elif line.kind == "benefit":
            benefit = line.body
    return role, goal, benefit
