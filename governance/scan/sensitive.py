"""a text, rules of sensitive packs -> what in it has to be hidden, and the text with that hidden.

For what is *shown*: names of files, and the few places a person looks at. It hides more than a scan counts: every rule
looks at every place, overlapping findings all stay, and it works for a pipeline whose own packs look for no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from governance.rules import Rule, load_rules
from governance.scan.patterns import compile_rule
from governance.scan.registry import find_validator
from governance.scan.views import TextView, narrow

PACKS = ("pii", "secrets")
AROUND = 4096  # characters on either side of a place: more than any rule needs, but for a long private key
SUFFIXES = 3  # of a name that are left off in turn
PARTS = 8  # parts of a name between underscores that are also looked at one by one
SHORTEST = 8  # characters of the shortest secret worth looking for in a part of a name


class SensitiveText:
    """Finds secrets and personal data in single texts, in about 0.2 ms per thousand characters."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """*rules* of kind ``pattern``; those of packs that are not sensitive are left out."""
        self._rules = [
            (r, compile_rule(r), find_validator(r.validator, r.rule_id) if r.validator else None)
            for r in rules
            if r.sensitive and r.kind == "pattern"
        ]

    @classmethod
    def of(cls, rules: Sequence[Rule] = ()) -> SensitiveText:
        """Take the sensitive rules among *rules*, and the built-in packs where none of theirs is there."""
        missing = set(PACKS) - {r.pack for r in rules}
        return cls([*rules, *load_rules(sorted(missing))] if missing else rules)

    def spans(self, text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int, str]]:
        """
        Return ``(start, end, rule)`` of everything sensitive near ``text[start:end]``, by start; spans may overlap.

        Offsets are code points of *text*. What lies further than 4,096 characters from the place is not looked at.
        """
        low, high = max(0, start - AROUND), min(len(text), (len(text) if end is None else end) + AROUND)
        part = text[low:high].encode("utf-8", "replace").decode()
        views = {part} if part.isascii() else {part, narrow(part)}
        return sorted({(low + a, low + b, rule) for view in views for a, b, rule in self._found(view)})

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        view = TextView(text.encode())
        for rule, regex, validator in self._rules:
            group = min(1, regex.groups)
            found = [m.span(group) if m.span(group)[0] >= 0 else m.span() for m in regex.finditer(view.data)]
            for start, end in view.spans([s for s in found if s[0] < s[1]]):
                if validator is None or validator(text[start:end], text, start, end):
                    yield start, end, rule.rule_id

    def masked(self, name: str) -> str:
        """
        Return *name* with everything sensitive in it as ``x``; a name of a file, a path, or a message that holds one.

        An underscore joins words for a pattern but parts them in a name, and a suffix looks like the end of an
        address, so parts between underscores and the name without its suffixes are looked at as well.
        """
        edges = [0, *(m.start() + 1 for m in re.finditer("_", name)), len(name) + 1][: PARTS + 1]
        parts = {(start, end - 1) for k, start in enumerate(edges) for end in edges[k + 1 :]}
        parts |= {(0, m.start()) for m in [*re.finditer(r"\.", name)][-SUFFIXES:]}
        hidden = {i for a, b, _ in self.spans(name) for i in range(a, b)}
        for start, end in parts:
            if end - start >= SHORTEST:
                hidden |= {start + i for a, b, _ in self._found(name[start:end]) for i in range(a, b)}
        return "".join("x" if i in hidden else c for i, c in enumerate(name))
