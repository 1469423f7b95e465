"""stories -> the places that break the rules of the pack `stories`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from governance.scan.registry import Hit, named_check
from governance.scan.units import Criterion, Story

_PLACEHOLDER = re.compile(
    r"[xX×]{3,}|[.…。]{2,}|[-_*?？]{2,}|(?i:todo|tbd|fixme|lorem ipsum)\b.*|<[^<>]{1,40}>|\[[^\[\]]{1,40}\]"
)
_NOISE = re.compile(r"[\W_]+")
_ORDER = ("given", "when", "then")


@named_check("too_few_acs")
def too_few_acs(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a story that declares fewer criteria than ``min``."""
    if story.declared < params["min"]:
        yield Hit(story.start, story.end, _counts(story, params["min"]))


@named_check("too_few_effective_acs")
def too_few_effective_acs(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a story that declares ``min`` criteria, but has fewer that are complete and distinct."""
    if story.effective < params["min"] <= story.declared:
        yield Hit(story.start, story.end, _counts(story, params["min"]))


@named_check("no_acs")
def no_acs(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a story without any criterion."""
    if not story.criteria:
        yield Hit(story.start, story.end, "declared 0")


@named_check("ac_without_steps")
def ac_without_steps(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag criteria that are a heading alone."""
    for criterion in story.criteria:
        if not criterion.steps:
            yield Hit(criterion.start, criterion.end)


@named_check("ac_incomplete")
def ac_incomplete(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag criteria that have steps, but not a Given, a When and a Then; ``need`` names the kinds."""
    for criterion in story.criteria:
        kinds = {s.kind for s in criterion.steps}
        missing = [kind for kind in _ORDER if kind in params["need"] and kind not in kinds]
        if kinds and missing:
            yield Hit(criterion.start, criterion.end, f"missing {', '.join(missing)}")


@named_check("duplicate_ac_titles")
def duplicate_ac_titles(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag criteria whose title an earlier one of the same story has."""
    first: dict[str, int] = {}
    for position, criterion in enumerate(story.criteria, 1):
        title = _plain(criterion.title)
        if title and first.setdefault(title, position) != position:
            yield Hit(criterion.start, _heading_end(criterion, text), f"same as number {first[title]}")


@named_check("broken_numbering")
def broken_numbering(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag the first criterion whose number is not one more than that before it; the first is 1."""
    expected = 1
    for criterion in story.criteria:
        if criterion.number is None:
            continue
        if criterion.number != expected:
            yield Hit(criterion.start, _heading_end(criterion, text), f"number {criterion.number}, expected {expected}")
            return
        expected += 1


@named_check("then_restates_title")
def then_restates_title(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag Then steps that say no more than the title of their criterion."""
    for criterion in story.criteria:
        title = _plain(criterion.title)
        for step in criterion.steps:
            if title and step.kind == "then" and _plain(step.text) == title:
                yield Hit(step.start, step.end)


@named_check("story_part")
def story_part(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a free-form story without the ``part``: role, goal or benefit. A Gherkin feature needs none."""
    if story.format == "free" and not getattr(story, str(params["part"])):
        stop = text.find("\n", story.start, story.end)
        yield Hit(story.start, story.end if stop < 0 else stop)


@named_check("template_left")
def template_left(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag steps, titles and parts that are a placeholder and nothing else: ``xxx``, ``...``, ``<result>``."""
    for criterion in story.criteria:
        for step in criterion.steps:
            if _PLACEHOLDER.fullmatch(step.text):
                yield Hit(step.start, step.end, step.kind)
        if criterion.title and _PLACEHOLDER.fullmatch(criterion.title):
            yield Hit(criterion.start, _heading_end(criterion, text), "title")
    if any(_PLACEHOLDER.fullmatch(part) for part in (story.title, story.role, story.goal, story.benefit) if part):
        yield Hit(story.start, story.criteria[0].start if story.criteria else story.end, "story")


@named_check("mixed_language")
def mixed_language(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a story with keywords of two languages."""
    if story.language == "mixed":
        yield Hit(story.start, story.end)


@named_check("happy_path_only")
def happy_path_only(story: Story, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a story with criteria of which none mentions a failure; ``words`` are looked for in lower case."""
    if story.criteria:
        criteria = text[story.criteria[0].start : story.end].lower()
        if not any(str(word) in criteria for word in params["words"]):
            yield Hit(story.start, story.end, f"declared {story.declared}")


def _counts(story: Story, expected: int) -> str:
    return f"declared {story.declared}, effective {story.effective}, expected {expected}"


def _plain(text: str) -> str:
    """*text* without punctuation and white space, in lower case: what two titles are compared by."""
    return _NOISE.sub("", text).lower()


def _heading_end(criterion: Criterion, text: str) -> int:
    stop = text.find("\n", criterion.start, criterion.end)
    return criterion.end if stop < 0 else stop
