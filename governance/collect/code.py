"""source text -> code samples. What Java and Python have in common: the card of a class and one method of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class Method:
    """
    One method, ready to become a sample.

    Attributes:
        card: the class as the model is shown it, see `card`.
        output: what the model has to write.
        group: ``package.Class``, or the module of a function; samples of one group belong into one split.
        start_line, end_line: lines of the method in its file, from 1, both inclusive.
    """

    name: str
    card: str
    output: str
    group: str
    step: str
    start_line: int
    end_line: int


def card(name: str, constructor: Iterable[str], fields: Iterable[str], methods: Iterable[str]) -> str:
    """
    Return a class card; a line without content is left out.

    >>> print(card("a.B", ["String"], ["id:Long"], ["find(Long): B"]))
    a.B(String)
    - fields: id:Long
    - methods: find(Long): B
    """
    lines = [f"{name}({', '.join(constructor)})"]
    if joined := ", ".join(fields):
        lines.append(f"- fields: {joined}")
    if joined := ", ".join(methods):
        lines.append(f"- methods: {joined}")
    return "\n".join(lines)


def flat(node: Node | None) -> str:
    """Return the source of *node* on one line, or nothing for None."""
    if node is None or node.text is None:
        return ""
    return " ".join(node.text.decode().split())


def child(node: Node, field: str) -> Node:
    """Return the child that the grammar always has at *field*."""
    found = node.child_by_field_name(field)
    if found is None:
        raise ValueError(f"{node.type} without {field}")
    return found


def strip_indent(lines: list[str], indent: str, keep: frozenset[int] = frozenset()) -> list[str]:
    """
    Return *lines* without their first *indent*; those whose number is in *keep* stay as they are.

    >>> strip_indent(["    a", "  b", "", "    c"], "    ", keep=frozenset({3}))
    ['a', 'b', '', '    c']
    """
    out = []
    for number, line in enumerate(lines):
        if number in keep:
            out.append(line)
        elif line.startswith(indent):
            out.append(line[len(indent) :])
        else:
            white = len(line) - len(line.lstrip())
            out.append(line[min(white, len(indent)) :])
    return out
