"""a text -> routes declared as plain lines: `GET /users/{id}`, `POST login(user: String): AuthToken /users/login`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.scan.route_path import METHODS, Declaration, Path, normalise_parameters

_METHOD = "|".join(m for m in METHODS if m != "TRACE")
_LINE = re.compile(
    rf"^[ \t>]*(?:(?:[-*+•·|#]+|\d{{1,3}}[.)、]|AC ?\d{{1,3}}[:：.])[ \t]*)*[`*\"“'\[（(]*(?P<method>{_METHOD})\b"
    r"(?P<rest>[^\n]*)",
    re.M,
)
_DIRECT = re.compile(r"[\]`*\"”')）]*(?:[ \t]*[:：|][ \t]*|[ \t]+)[`*\"“']*(?=/)")
_SIGNATURE = re.compile(r"[ \t]+(?P<name>[\w$ -]{0,80}?)[ \t]*\(")
_AFTER_SIGNATURE = re.compile(r"[ \t](?=/)")
_PATH = re.compile(r"/(?:<[^<>\s]{0,60}>|\{[^{}\n]{0,60}\}|[^\s`\"'<>{}|,;，。；、（）()“”‘’\\])*")
_RESULT_TYPE = re.compile(r"(?<=[^/]):[A-Z][\w\[\]]*$")
_BOLD = re.compile(r"(?<=[^/*])\*+$")
_REQUEST = re.compile(r"[ \t]+HTTP/\d")
_PARAGRAPH_CODE = re.compile(
    r"^[ \t]*(?:import [\w.{*]|package [\w.]+;|from [\w.]+ import\b|(?:public|private|protected|static|final|abstract) "
    r"|class \w+[\w \t,<>()]*[:{]|def \w+[ \t]*\(|func \w+\(|fn \w+|function\b|(?:const|let|var) \w+ ?=|#include\b|@\w+)",  # noqa: E501
    re.M,
)


def plain_routes(text: str, start: int, end: int) -> Iterator[Declaration]:
    """
    Yield the routes that lines of ``text[start:end]`` declare.

    A line declares one if it begins, after list marks, with a method in capitals and a path, or with a method, a
    signature and a path. ``GET /x HTTP/1.1`` is a request or a log line. Lines between code are comments or
    strings, so a block of code declares nothing here.

    >>> [(d.method, d.path.text) for d in plain_routes("- `GET /users/:id` one user", 0, 27)]
    [('GET', '/users/{id}')]
    """
    if _PARAGRAPH_CODE.search(text, start, end):
        return
    for m in _LINE.finditer(text, start, end):
        rest, base = m["rest"][:4_000], m.start("rest")
        at, handler = _path_start(rest)
        found = _PATH.match(rest, at) if at >= 0 else None
        if found is None or _REQUEST.match(rest, found.end()):
            continue
        literal = _trim(found.group())
        if found.group().startswith("/*") or not _is_path(literal, rest[found.end() :]):
            continue
        own = Path.at(literal, base + at)
        yield Declaration(m["method"], normalise_parameters(own), base + at, base + at + len(literal), handler)


def _path_start(rest: str) -> tuple[int, str]:
    """Where the path begins in what follows the method, or -1; and the name of the signature before it."""
    direct = _DIRECT.match(rest)
    if direct:
        return direct.end(), ""
    signature = _SIGNATURE.match(rest)
    closed = rest.find(")", signature.end()) if signature else -1
    path = _AFTER_SIGNATURE.search(rest, closed) if closed > 0 else None
    return (path.end(), signature["name"].strip()) if signature and path else (-1, "")


def _trim(literal: str) -> str:
    """Cut off the query, the result type that the origin's API lines glue on, and punctuation of the sentence."""
    literal = re.split(r"[?#]", literal, maxsplit=1)[0]
    literal = _RESULT_TYPE.sub("", literal)
    return _BOLD.sub("", literal.rstrip(".:：!！?？]")).rstrip(".:")


def _is_path(literal: str, after: str) -> bool:
    """Sort out ``GET / POST / PUT``, ``GET /POST`` and ``DELETE /* a comment``."""
    if not literal or literal[1:] in METHODS:
        return False
    return not (literal == "/" and re.match(r"[ \t]*(?:[A-Z]{3,}\b|[\w一-鿿]+[ \t]*/)", after))
