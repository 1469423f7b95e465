"""What rules are judged on beside plain texts: routes and stories found in a text. Offsets count its code points."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """
    One route that a text declares.

    Attributes:
        method: ``GET`` ..., or ``ANY`` where the code does not fix it.
        path: the whole path, prefixes joined, parameters normalised to ``{name}``: ``/blog/createPost``.
        framework: ``spring`` or ``plain`` (a ``METHOD /path`` line).
        start, end: span of the declaration's own path literal (without quotes), or of the annotation without one.
        line: line of ``start``, from 1.
        handler: name of the handling method, or empty.
        pieces: ``(path_start, path_end, text_start)`` for every run of ``path`` that stands in the text as it is, so
            that a span of the path can be shown in the text.
    """

    method: str
    path: str
    framework: str
    start: int
    end: int
    line: int
    handler: str = ""
    pieces: tuple[tuple[int, int, int], ...] = ()

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """
        Return the span in the text of ``path[start:end]``; the whole route's where the text does not hold it.

        >>> Route("GET", "/a/b", "plain", 4, 8, 1, pieces=((0, 4, 4),)).locate(3, 4)
        (7, 8)
        """
        for path_start, path_end, text_start in self.pieces:
            if path_start <= start and end <= path_end:
                return text_start + start - path_start, text_start + end - path_start
        return self.start, self.end

    def segments(self) -> list[tuple[int, int, str]]:
        """
        Return ``(start, end, segment)`` of every path segment that is not empty, offsets into ``path``.

        >>> Route("GET", "/a/{id}", "plain", 0, 7, 1).segments()
        [(1, 2, 'a'), (3, 7, '{id}')]
        """
        out, at = [], 0
        for part in self.path.split("/"):
            if part:
                out.append((at, at + len(part), part))
            at += len(part) + 1
        return out


@dataclass(frozen=True, slots=True)
class Step:
    """One Given, When or Then line of a criterion; ``text`` is without the keyword."""

    kind: str  # given, when, then
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Criterion:
    """One acceptance criterion: its heading and its steps. ``number`` is None where the heading has none."""

    title: str
    start: int
    end: int
    number: int | None = None
    steps: tuple[Step, ...] = ()

    @property
    def complete(self) -> bool:
        """True if it has a Given, a When and a Then."""
        return {"given", "when", "then"} <= {s.kind for s in self.steps}


@dataclass(frozen=True, slots=True)
class Story:
    """
    One user story and its criteria; ``declared`` counts headings, ``effective`` those complete and distinct.

    ``role``, ``goal`` and ``benefit`` are empty where the story lacks them.
    """

    title: str
    start: int
    end: int
    language: str  # zh, en, mixed
    format: str  # free, gherkin
    criteria: tuple[Criterion, ...] = ()
    role: str = ""
    goal: str = ""
    benefit: str = ""

    @property
    def declared(self) -> int:
        """Number of criteria with a heading (or Gherkin scenarios)."""
        return len(self.criteria)

    @property
    def effective(self) -> int:
        """Number of criteria that have Given, When and Then and whose step texts no earlier one has."""
        return len({tuple((s.kind, " ".join(s.text.split())) for s in c.steps) for c in self.criteria if c.complete})
