"""a text -> the routes it declares: Spring controllers in Java, and plain `METHOD /path` lines.

A framework is one function ``(text, start, end) -> declarations`` in FRAMEWORKS; this module cuts Markdown into prose
and code, asks the frameworks whose mark stands in the text, and turns what they declare into routes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from governance.scan.route_path import Declaration
from governance.scan.routes_plain import plain_routes
from governance.scan.routes_spring import spring_routes
from governance.scan.units import Route

TRIGGER = r"Mapping\b|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\b[^\n]*/"
"""Stands in every text that can hold a route. RE2 and Hyperscan syntax, case-sensitive."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One way to declare routes: its name, a mark that its texts hold, and the words after a code fence it reads."""

    name: str
    mark: re.Pattern[str]
    extract: Callable[[str, int, int], Iterator[Declaration]]
    fences: frozenset[str]


FRAMEWORKS = (
    Framework("spring", re.compile(r"@[\w.]*Mapping\b"), spring_routes, frozenset({"", "java", "kotlin", "kt"})),
    Framework(
        "plain",
        re.compile(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\b"),
        plain_routes,
        frozenset({"", "text", "txt", "plaintext", "http", "api", "rest", "markdown", "md"}),
    ),
)

_FENCE = re.compile(r"^[ \t>]*(?:```+|~~~+)[ \t]*([\w+#.-]*)[^\n]*$", re.M)


def extract_routes(text: str) -> list[Route]:
    """
    Return the routes that *text* declares, in the order they stand in it.

    Any text is fine: whole files, half classes, one method, Markdown with code in it, cut-off text. Comments and
    HTTP clients declare nothing. Offsets count code points. Takes time linear in the text.

    >>> [(r.method, r.path) for r in extract_routes("GET /users/:id\\nPOST /users")]
    [('GET', '/users/{id}'), ('POST', '/users')]
    """
    marked = [f for f in FRAMEWORKS if f.mark.search(text)]
    if not marked:
        return []
    found: list[tuple[Declaration, str]] = []
    for start, end, language in _blocks(text):
        for framework in marked:
            if language in framework.fences and framework.mark.search(text, start, end):
                found += [(d, framework.name) for d in framework.extract(text, start, end)]
    found.sort(key=lambda f: (f[0].start, f[0].end))
    breaks = [m.start() for m in re.finditer("\n", text)] if found else []
    return [
        Route(
            d.method, d.path.text, name, d.start, d.end, bisect_right(breaks, d.start - 1) + 1, d.handler, d.path.pieces
        )
        for d, name in found
    ]


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and fence word of every stretch of prose (word ``""``) and of fenced code."""
    at, opened = 0, ""
    inside = False
    for m in _FENCE.finditer(text):
        if m.start() > at:
            yield at, m.start(), opened
        at = m.end()
        inside = not inside
        opened = m[1].lower() if inside else ""
    if at < len(text):
        yield at, len(text), opened
