"""pieces of a path and where they stand in a text -> one normalised path that still knows where its parts stand."""

from __future__ import annotations

import re
from dataclasses import dataclass

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

Piece = tuple[int, int, int]  # path_start, path_end, text_start

_PARAMETER = re.compile(r"(?:\$\{|#\{|\{)")
_COLON = re.compile(r"(?<=/):([A-Za-z_]\w*)\??")
_ANGLE = re.compile(r"<(?:[^<>:/\n]{1,60}:)?\s*([A-Za-z_][\w-]*)\s*>")


@dataclass(frozen=True, slots=True)
class Path:
    """A part of a path; ``pieces`` says which runs of it stand in the text, and where."""

    text: str = ""
    pieces: tuple[Piece, ...] = ()

    @classmethod
    def at(cls, text: str, start: int) -> Path:
        """A part that stands in the text as it is, from code point *start*."""
        return cls(text, ((0, len(text), start),) if text else ())

    def __add__(self, other: Path) -> Path:
        """Return this part followed by *other*."""
        by = len(self.text)
        return Path(self.text + other.text, self.pieces + tuple((a + by, b + by, at) for a, b, at in other.pieces))

    def cut(self, start: int, end: int) -> Path:
        """
        Return the part ``text[start:end]``.

        >>> Path.at("/a/b", 10).cut(2, 4)
        Path(text='/b', pieces=((0, 2, 12),))
        """
        pieces = (
            (max(a, start) - start, min(b, end) - start, at + max(0, start - a))
            for a, b, at in self.pieces
            if a < end and start < b
        )
        return Path(self.text[start:end], tuple(pieces))

    def join(self, own: Path) -> Path:
        """
        Return this prefix and *own* with exactly one slash between them, as Spring joins them.

        >>> Path("/blog/").join(Path("posts")).text, Path("").join(Path("")).text
        ('/blog/posts', '/')
        """
        left = self.cut(0, len(self.text.rstrip("/"))) if own.text else self
        if left.text and not left.text.startswith(("/", "{")):
            left = Path("/") + left
        if not own.text:
            return left if left.text else Path("/")
        return left + (own if own.text.startswith("/") else Path("/") + own)

    def substitute(self, pattern: re.Pattern[str]) -> Path:
        """Return the path with every match of *pattern* replaced by ``{group 1}``."""
        out, done = Path(), 0
        for m in pattern.finditer(self.text):
            out = out + self.cut(done, m.start()) + Path("{") + self.cut(m.start(1), m.end(1)) + Path("}")
            done = m.end()
        return out + self.cut(done, len(self.text)) if done else self


def normalise_braces(path: Path) -> Path:
    r"""
    Return *path* with ``{id:[0-9]{3}}`` and ``${a.b}`` as ``{id}`` and ``{a.b}``.

    >>> normalise_braces(Path(r"/a/{id:\d{3}}/${base}")).text
    '/a/{id}/{base}'
    """
    text, out, done = path.text, Path(), 0
    for m in _PARAMETER.finditer(text):
        if m.start() < done:
            continue
        depth, end = 1, m.end()
        while end < len(text) and depth:
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        stop = end - (depth == 0)
        name_end = next((k for k in range(m.end(), stop) if text[k] in ":="), stop)
        if depth == 0 and name_end == stop and m.group() == "{":
            continue
        out = out + path.cut(done, m.start()) + Path("{") + path.cut(m.end(), name_end) + Path("}")
        done = end
    return out + path.cut(done, len(text)) if done else path


def normalise_parameters(path: Path) -> Path:
    """
    Return *path* with ``:id`` and ``<int:id>`` as ``{id}``, and what ``normalise_braces`` does.

    >>> normalise_parameters(Path("/users/:id/posts/<int:post_id>")).text
    '/users/{id}/posts/{post_id}'
    """
    return normalise_braces(path).substitute(_COLON).substitute(_ANGLE)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One route as a framework's extractor found it; ``start`` and ``end`` count code points of the whole text."""

    method: str
    path: Path
    start: int
    end: int
    handler: str = ""
