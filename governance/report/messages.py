"""the message of a rule, a span that may be shown -> one sentence without placeholders."""

from __future__ import annotations

import re
from typing import Any

from governance.rules import Rule

_PLACEHOLDER = re.compile(r"\{match(!r)?\}")  # nothing else: a message may well speak of /users/{id}
_NAMELESS = {"en": "the flagged text", "zh": "所标文本"}


def message(text: str, span: str | None, language: str = "en") -> str:
    """
    Fill ``{match!r}`` of a rule's message; without a span to show, in words that name none.

    >>> message("path segment {match!r} has a capital letter", "orderItems")
    "path segment 'orderItems' has a capital letter"
    >>> message("{match!r} looks like a key", None)
    'the flagged text looks like a key'
    """

    def fill(found: re.Match[str]) -> str:
        if span is None:
            return _NAMELESS[language]
        return f"'{span}'" if found.group(1) else span

    return " ".join(_PLACEHOLDER.sub(fill, text).split())


def rule_texts(rule: Rule) -> dict[str, Any]:
    """
    Return what ``evidence["findings"]`` keeps of *rule*, so that a report never needs the rule file again.

    ``sensitive`` decides which spans any later report may show.
    """
    return {
        "message": rule.message,
        "message_zh": rule.message_zh,
        "why": " ".join(rule.why.split()),
        "why_zh": " ".join(rule.why_zh.split()),
        "sensitive": rule.sensitive,
    }
