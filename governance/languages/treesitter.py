"""bytes of source text -> a tree-sitter tree. Parsers and compiled queries are made once per process."""

from __future__ import annotations

import functools
import re
from typing import Literal

import tree_sitter

Language = Literal["java", "python"]

LANGUAGES: tuple[Language, ...] = ("java", "python")
"""Languages with a grammar wheel among the dependencies."""

MAX_ANGLES = 64  # `<` between two brackets or semicolons; real code stays under ten

_BREAK = re.compile(rb"[;{}()>]")


@functools.cache
def grammar(language: Language) -> tree_sitter.Language:
    """
    Return the grammar of *language*.

    Raises:
        ValueError: no grammar for this language is installed.
    """
    if language == "java":
        import tree_sitter_java

        return tree_sitter.Language(tree_sitter_java.language())
    if language == "python":
        import tree_sitter_python

        return tree_sitter.Language(tree_sitter_python.language())
    raise ValueError(f"no grammar for {language!r}; known are {', '.join(LANGUAGES)}")


@functools.cache
def _parser(language: Language) -> tree_sitter.Parser:
    return tree_sitter.Parser(grammar(language))


def parse(language: Language, data: bytes) -> tree_sitter.Tree:
    """
    Return the tree of *data*, UTF-8. Any bytes give a tree; what is not the language becomes ERROR nodes.

    Offsets in the tree are byte offsets of *data*. Text like ``a<a<a<`` has one reading per ``<`` as comparison or
    type argument, and the Java grammar keeps them all: 16 kB of it takes 600 MB. In such a run every ``<`` is
    parsed as a comma.

    >>> parse("java", b"class A {}").root_node.type
    'program'
    """
    return _parser(language).parse(_defuse(data) if language == "java" else data)


def _defuse(data: bytes) -> bytes:
    if data.count(b"<") <= MAX_ANGLES:
        return data
    parts, at = [], 0
    for end in (*(m.end() for m in _BREAK.finditer(data)), len(data)):
        part = data[at:end]
        parts.append(part.replace(b"<", b",") if part.count(b"<") > MAX_ANGLES else part)
        at = end
    return b"".join(parts)


@functools.cache
def query(language: Language, source: str) -> tree_sitter.Query:
    """Return the compiled query. Raises tree_sitter.QueryError where *source* does not fit the grammar."""
    return tree_sitter.Query(grammar(language), source)
