"""Python source -> one sample per function or method: the card of its class or module, and its own source.

The output is the function with its decorators, not the class reduced to it as for Java: in Python a method is a
definition of its own, its class adds nothing that the card has not said, and repeating ``__init__`` in the sample of
every method would make all samples of a class near-duplicates of each other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tree_sitter import Node, QueryCursor

from governance.collect.code import Method, card, child, flat, strip_indent
from governance.languages.treesitter import parse, query

# Statements whose blocks are still the module's or the class's own scope.
_TRANSPARENT = frozenset(
    {"if_statement", "try_statement", "with_statement", "block"}
    | {"else_clause", "elif_clause", "except_clause", "finally_clause"}
)
_QUOTES = re.compile(r"\"\"\"|'''")


@dataclass(slots=True)
class Scope:
    """A module or a class: its full name, its functions (the outermost node, decorators included) and its fields."""

    name: str
    functions: list[tuple[Node, Node]] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    is_class: bool = False

    @property
    def is_test(self) -> bool:
        """True if unittest or pytest would collect it: its last name or its module says so."""
        return bool(re.search(r"(?:^|\.)(?:test_\w+|\w+_test|tests)(?:\.|$)", self.name))


def python_functions(data: bytes, module: str, skipped: Counter[str]) -> Iterator[Method]:
    """
    Yield the functions and methods of Python source *data* (UTF-8) in the order of the file.

    A function inside a function stays inside it. A function with a syntax error is counted in *skipped*. Types are the
    annotations as written; a parameter without one stands with its name, a return type that is not annotated is left
    out.
    """
    scopes = python_scopes(data, module)
    found = []
    for scope in scopes:
        shown = python_card(scope)
        for outer, function in scope.functions:
            if outer.has_error:
                skipped["syntax-error"] += 1
                continue
            method = Method(
                name=flat(function.child_by_field_name("name")),
                card=shown,
                output=_source(data, outer, function),
                group=scope.name,
                step="implementation_test" if scope.is_test else "implementation_method",
                start_line=outer.start_point.row + 1,
                end_line=outer.end_point.row + 1,
            )
            found.append((outer.start_byte, method))
    yield from (method for _, method in sorted(found, key=lambda pair: pair[0]))


def python_scopes(data: bytes, module: str) -> list[Scope]:
    """Return the module and its classes, nested ones included, outer before inner."""
    scopes = [Scope(module)]
    waiting: list[tuple[Node, Scope]] = [(parse("python", data).root_node, scopes[0])]
    while waiting:
        parent, scope = waiting.pop()
        for node in parent.named_children:
            inner = child(node, "definition") if node.type == "decorated_definition" else node
            if inner.type == "function_definition":
                scope.functions.append((node, inner))
                if scope.is_class and flat(inner.child_by_field_name("name")) == "__init__":
                    _self_fields(inner, scope)
            elif inner.type == "class_definition":
                nested = Scope(f"{scope.name}.{flat(inner.child_by_field_name('name'))}", is_class=True)
                scopes.append(nested)
                if body := inner.child_by_field_name("body"):
                    waiting.append((body, nested))
            elif node.type in _TRANSPARENT:
                waiting.append((node, scope))
            elif scope.is_class and node.type == "expression_statement":
                _class_field(node, scope)
    return scopes


def _class_field(statement: Node, scope: Scope) -> None:
    for node in statement.named_children:
        if node.type == "assignment" and (left := node.child_by_field_name("left")) and left.type == "identifier":
            scope.fields.setdefault(flat(left), flat(node.child_by_field_name("type")))


def _self_fields(init: Node, scope: Scope) -> None:
    """Fields that ``__init__`` sets on ``self`` in its own statements."""
    body = init.child_by_field_name("body")
    for statement in body.named_children if body else ():
        for node in statement.named_children if statement.type == "expression_statement" else ():
            left = node.child_by_field_name("left") if node.type == "assignment" else None
            if left is not None and left.type == "attribute" and flat(left.child_by_field_name("object")) == "self":
                scope.fields.setdefault(
                    flat(left.child_by_field_name("attribute")), flat(node.child_by_field_name("type"))
                )


def python_card(scope: Scope) -> str:
    """Return the card of a class, or of a module: its functions."""
    constructor: list[str] = []
    methods = []
    for _, function in scope.functions:
        name, parameters = flat(function.child_by_field_name("name")), function.child_by_field_name("parameters")
        shown = _parameters(parameters, skip_self=scope.is_class)
        if scope.is_class and name == "__init__":
            constructor = shown
            continue
        returns = flat(function.child_by_field_name("return_type"))
        methods.append(f"{name}({', '.join(shown)})" + (f": {returns}" if returns else ""))
    fields = [f"{name}:{kind}" if kind else name for name, kind in scope.fields.items()]
    return card(scope.name, constructor, fields, methods)


def _parameters(node: Node | None, *, skip_self: bool) -> list[str]:
    found = []
    for position, parameter in enumerate(node.named_children if node else ()):
        kind = parameter.child_by_field_name("type")
        if parameter.type in ("keyword_separator", "positional_separator", "comment"):
            continue
        name = parameter.child_by_field_name("name") or parameter
        if parameter.type == "typed_parameter":
            name = parameter.named_children[0]
        text = flat(name)
        if skip_self and position == 0 and text in ("self", "cls"):
            continue
        stars = text[: len(text) - len(text.lstrip("*"))]
        found.append(stars + flat(kind) if kind else text)
    return found


def _source(data: bytes, outer: Node, function: Node) -> str:
    """The source of *outer*, moved to the left margin; lines inside strings that are not the docstring keep theirs."""
    text = data[outer.start_byte : outer.end_byte].decode()
    line_start = data.rfind(b"\n", 0, outer.start_byte) + 1
    indent = data[line_start : outer.start_byte].decode()
    if not indent or indent.strip():
        return text
    keep: frozenset[int] = frozenset()
    docstring = _docstring(function)
    if len(_QUOTES.findall(text)) > (2 if docstring else 0):
        top = outer.start_point.row
        strings = QueryCursor(query("python", "(string) @s")).captures(outer).get("s", [])
        keep = frozenset(
            row - top
            for string in strings
            if docstring not in (string, string.parent)
            for row in range(string.start_point.row + 1, string.end_point.row + 1)
        )
    lines = text.split("\n")
    return "\n".join([lines[0], *strip_indent(lines[1:], indent, frozenset(row - 1 for row in keep))])


def _docstring(function: Node) -> Node | None:
    body = function.child_by_field_name("body")
    first: Iterable[Node] = body.named_children[:1] if body else ()
    for statement in first:
        if statement.type == "expression_statement" and statement.named_children:
            return statement.named_children[0] if statement.named_children[0].type == "string" else None
    return None
