"""Java source -> one sample per method: the card of its class, and the class reduced to that method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from governance.collect.code import Method, card, child, flat, strip_indent
from governance.languages.treesitter import parse

TYPES = frozenset({"class_declaration", "record_declaration", "enum_declaration", "interface_declaration"})
_COMMENTS = frozenset({"line_comment", "block_comment"})
_CONSTRUCTORS = frozenset({"constructor_declaration", "compact_constructor_declaration"})
_DROPPED = TYPES | {"method_declaration", "annotation_type_declaration", "ERROR"}
_CONTROLLERS = frozenset({"RestController", "Controller"})
_TESTS = frozenset({"Test", "ParameterizedTest", "RepeatedTest"})


@dataclass(slots=True)
class JavaType:
    """A class, record, enum or interface with the nodes of its members, punctuation and comments included."""

    node: Node
    name: str
    annotations: frozenset[str]
    members: list[Node] = field(default_factory=list)

    @property
    def methods(self) -> list[Node]:
        """Its methods, those without a body included."""
        return [m for m in self.members if m.type == "method_declaration"]

    @property
    def is_test(self) -> bool:
        """True if one of its methods is a JUnit test."""
        return any(_annotations(m) & _TESTS for m in self.methods)

    @property
    def step(self) -> str:
        """The step of the process that its methods teach."""
        if self.is_test:
            return "implementation_test"
        if self.annotations & _CONTROLLERS:
            return "implementation_spring_controller"
        return "implementation_spring_service" if "Service" in self.annotations else "implementation_method"


def java_methods(data: bytes, skipped: Counter[str]) -> Iterator[Method]:
    """
    Yield the methods with a body of Java source *data* (UTF-8), in the order of the file; overloads each.

    The output is the method's class with fields, initialisers and constructors kept, its other methods and its nested
    types left out, without package, imports and whatever stands before the class. Methods of anonymous and local
    classes stay inside the method that holds them. Where a method, or what would stand beside it in the output, has a
    syntax error, it is counted as ``syntax-error`` in *skipped*; one without a body as ``no-body``.
    """
    for kind in java_types(data):
        shown = java_card(kind)
        header = [part for part in kind.node.children if part != kind.node.child_by_field_name("body")]
        kept = [member for member in kind.members if member.type not in _DROPPED]
        broken = any(part.has_error for part in header + kept)
        for method in kind.methods:
            if method.child_by_field_name("body") is None:
                skipped["no-body"] += 1
            elif broken or method.has_error:
                skipped["syntax-error"] += 1
            else:
                yield Method(
                    name=flat(method.child_by_field_name("name")),
                    card=shown,
                    output=reduce_to(data, kind, method),
                    group=kind.name,
                    step=kind.step,
                    start_line=method.start_point.row + 1,
                    end_line=method.end_point.row + 1,
                )


def java_types(data: bytes) -> list[JavaType]:
    """Return the types that *data* declares, outer before inner, with names like ``pkg.Outer.Inner``."""
    root = parse("java", data).root_node
    package = next((flat(n.named_children[-1]) for n in root.children if n.type == "package_declaration"), "")
    found: list[JavaType] = []
    waiting = [(node, package) for node in reversed(root.children) if node.type in TYPES]
    while waiting:
        node, scope = waiting.pop()
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is None or body is None:
            continue
        full = f"{scope}.{flat(name)}" if scope else flat(name)
        kind = JavaType(node, full, _annotations(node))
        for part in body.children:
            # An enum keeps its methods one level deeper, after the constants.
            kind.members += part.children if part.type == "enum_body_declarations" else [part]
        found.append(kind)
        waiting += [(m, full) for m in reversed(kind.members) if m.type in TYPES]
    return found


def java_card(kind: JavaType) -> str:
    """Return the card of *kind*; a record's components are its constructor's parameters and its fields."""
    components = kind.node.child_by_field_name("parameters") if kind.node.type == "record_declaration" else None
    constructor = next((m for m in kind.members if m.type == "constructor_declaration"), None)
    parameters = components or (constructor.child_by_field_name("parameters") if constructor else None)
    fields = [f"{name}:{component}" for name, component in _parameters(components)]
    for member in kind.members:
        if member.type in ("field_declaration", "constant_declaration"):
            base = flat(member.child_by_field_name("type"))
            for variable in member.children_by_field_name("declarator"):
                dimensions = flat(variable.child_by_field_name("dimensions"))
                fields.append(f"{flat(variable.child_by_field_name('name'))}:{base}{dimensions}")
    methods = []
    for method in kind.methods:
        types = ", ".join(t for _, t in _parameters(method.child_by_field_name("parameters")))
        returns = flat(method.child_by_field_name("type")) + flat(method.child_by_field_name("dimensions"))
        methods.append(f"{flat(method.child_by_field_name('name'))}({types}): {returns}")
    return card(kind.name, [t for _, t in _parameters(parameters)], fields, methods)


def _parameters(node: Node | None) -> list[tuple[str, str]]:
    """(name, type) of every parameter; ``int... x`` has the type ``int...``, ``T y[]`` the type ``T[]``."""
    found = []
    for parameter in node.named_children if node else ():
        if parameter.type == "formal_parameter":
            kind = flat(parameter.child_by_field_name("type")) + flat(parameter.child_by_field_name("dimensions"))
            found.append((flat(parameter.child_by_field_name("name")), kind))
        elif parameter.type == "spread_parameter":
            parts = [n for n in parameter.named_children if n.type not in ("modifiers", *_COMMENTS)]
            found.append((flat(parts[-1].child_by_field_name("name")), f"{flat(parts[0])}..."))
    return found


def _annotations(node: Node) -> frozenset[str]:
    modifiers = next((n for n in node.children if n.type == "modifiers"), None)
    return frozenset(
        flat(n.child_by_field_name("name")).rpartition(".")[2]
        for n in (modifiers.children if modifiers else ())
        if n.type in ("marker_annotation", "annotation")
    )


def reduce_to(data: bytes, kind: JavaType, method: Node) -> str:
    """
    Return the source of *kind* with *method* as its only method and without nested types.

    What is left stands as in the source, moved to the left margin. A comment goes with the member that follows it;
    one at the end of a line goes with what stands before it there.
    """
    pieces, at = [], kind.node.start_byte
    own = child(kind.node, "body").start_point.row  # last line of the member before
    start, dropped = -1, False  # where the comments of the next member start; what became of the member before
    for i, member in enumerate(kind.members):
        if member.type in _COMMENTS:
            after = next((m for m in kind.members[i:] if m.type not in _COMMENTS), member)
            if start < 0 and member.start_point.row == own < after.start_point.row:
                at = member.end_byte if dropped else at
            elif start < 0:
                start = member.start_byte
            continue
        dropped = member.type in _DROPPED and member != method
        if dropped:
            pieces.append(data[at : start if start >= 0 else member.start_byte].rstrip())
            at = member.end_byte
        start, own = -1, member.end_point.row
    pieces.append(data[at : kind.node.end_byte])
    first, *rest = b"".join(pieces).decode().split("\n")
    return "\n".join([first, *strip_indent(rest, " " * kind.node.start_point.column)])
