"""Java text -> the routes of its Spring controllers, from whole files down to one cut-off method."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from governance.languages.treesitter import parse
from governance.scan.route_path import METHODS, Declaration, Path, normalise_braces

VERBS = {
    "GetMapping": "GET",
    "PostMapping": "POST",
    "PutMapping": "PUT",
    "DeleteMapping": "DELETE",
    "PatchMapping": "PATCH",
}
CLIENTS = frozenset({"FeignClient", "HttpExchange", "ReactiveFeignClient"})
MAX_ARGUMENTS = 4_000  # characters of one annotation's arguments; longer ones are not read

_TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|\"{3}[\s\S]*?(?:\"{3}|\Z)|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n]{1,6}?|[^'\\\n])')"""
    r"|(?P<at>@[A-Za-z_][\w.]*)"
    r"|\b(?P<type>class|interface|enum|record)[ \t\n]+(?P<name>[A-Za-z_$][\w$]*)"
    r"|\b(?P<call>[A-Za-z_$][\w$]*)[ \t\n]*\("
    r"|(?P<mark>[{};])"
)
_INSIDE = re.compile(
    r"""\"{3}[\s\S]*?(?:\"{3}|\Z)|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n]{1,6}?|[^'\\\n])'|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|[()]"""
)
_BLANK = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s\w$.<>\[\],?&]{0,400}")
_MAPPING = re.compile(r"@[\w.]*Mapping\b")
_OPENING = re.compile(r"\s*\(")
_CONSTANT = re.compile(r"\bString[ \t]+([A-Za-z_$][\w$]*)[ \t\n]*=[ \t\n]*([^;]{1,500});")
_CODE_START = re.compile(
    r"^[ \t]*(?:package [\w.]+;|import [\w.*]+|@\w|(?:public|private|protected|abstract|final|static) "
    r"|(?:class|interface) \w+|/\*|//)",
    re.M,
)


@dataclass(slots=True)
class _Annotation:
    name: str
    start: int
    end: int
    paths: list[tuple[Path, int, int]]
    methods: list[str]


@dataclass(slots=True)
class _Scope:
    """What a class says for the methods in its braces."""

    prefixes: list[Path] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    client: bool = False


def spring_routes(text: str, start: int, end: int) -> Iterator[Declaration]:
    """
    Yield the routes of ``text[start:end]``, in the order of the text.

    The whole Java grammar is not used for the whole text: samples are cut off, stand in prose, and lose their class.
    Every annotation's arguments are parsed by tree-sitter; which class it belongs to is known from the braces.
    """
    first = [m.start() for m in (_CODE_START.search(text, start, end), _MAPPING.search(text, start, end)) if m]
    if first:
        yield from _Reader(text, end).read(min(first))


class _Reader:
    """One pass over the tokens of a text; keeps the open braces and the annotations that wait for their target."""

    def __init__(self, text: str, end: int) -> None:
        self.text = text
        self.end = end
        self.braces: list[bool] = []  # open braces; True for that of a class
        self.scopes: list[_Scope] = []  # open classes
        self.waiting: list[_Annotation] = []
        self.header: _Scope | None = None
        self.gap = 0  # where the last annotation or comment ended
        self._constants: dict[str, tuple[int, str]] | None = None

    def read(self, at: int) -> Iterator[Declaration]:
        while m := _TOKEN.search(self.text, at, self.end):
            at = m.end()
            if m["at"]:
                at = self._annotation(m)
            elif m["skip"]:
                if self.waiting and _BLANK.fullmatch(self.text, self.gap, m.start()):
                    self.gap = at
            elif m["type"]:
                self._type()
            elif m["mark"]:
                self._mark(m["mark"])
            elif self.waiting and _BETWEEN.fullmatch(self.text, self.gap, m.start()):
                yield from self._emit(m["call"])
                self.waiting = []
        if self.waiting and _BETWEEN.fullmatch(self.text, self.gap, self.end):
            yield from self._emit("")

    def _annotation(self, m: re.Match[str]) -> int:
        """Read one annotation; return where it ends."""
        name, at = m["at"].rsplit(".", 1)[-1].lstrip("@"), m.end()
        if name == "interface":  # an annotation type: what stands before it declares no route
            self.waiting = []
            return at
        opening = _OPENING.match(self.text, at, self.end)
        arguments = (at, at)
        if opening:
            arguments = (opening.end() - 1, _closing(self.text, opening.end(), self.end))
            at = arguments[1]
        if name in VERBS or name == "RequestMapping" or name in CLIENTS:
            found = _Annotation(name, m.start(), at, [], [VERBS[name]] if name in VERBS else [])
            if name not in CLIENTS and 0 < arguments[1] - arguments[0] <= MAX_ARGUMENTS:
                self._arguments(found, *arguments)
            if found.paths or not opening or self.text[at - 1] == ")":  # else cut off inside its arguments
                self.waiting.append(found)
        self.gap = at
        return at

    def _type(self) -> None:
        header = _Scope()
        for annotation in self.waiting:
            header.client = header.client or annotation.name in CLIENTS
            if annotation.name == "RequestMapping":
                header.prefixes = [path for path, _, _ in annotation.paths]
                header.methods = annotation.methods
        self.header, self.waiting = header, []

    def _mark(self, mark: str) -> None:
        if mark == "{":
            self.braces.append(self.header is not None)
            if self.header is not None:
                self.scopes.append(self.header)
            self.header = None
        elif mark == "}" and self.braces and self.braces.pop():
            self.scopes.pop()
        self.waiting = []

    def _emit(self, handler: str) -> Iterator[Declaration]:
        scope = self.scopes[-1] if self.scopes else _Scope()
        if scope.client or any(a.name in CLIENTS for a in self.waiting):
            return
        for a in self.waiting:
            if not handler and a.name == "RequestMapping" and not a.methods and not self.braces:
                continue  # cut off before its class or method
            methods = a.methods or scope.methods or ["ANY"]
            for own, start, end in a.paths or [(Path(), a.start, a.end)]:
                for prefix in scope.prefixes or [Path()]:
                    path = normalise_braces(prefix.join(own))
                    for method in methods:
                        yield Declaration(method, path, start, end, handler)

    def _arguments(self, found: _Annotation, start: int, end: int) -> None:
        source = self.text[start:end]
        head = b"@A"
        data = head + source.encode("utf-8", "surrogatepass") + b" class A{}"
        root = parse("java", data).root_node
        arguments = _first(root, "annotation_argument_list")
        if arguments is None:
            return
        reader = _Expression(self, data, source, start, len(head))
        for node in arguments.named_children:
            if node.type == "element_value_pair":
                key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
                name = key.text.decode() if key is not None and key.text else ""
            else:
                name, value = "value", node
            if value is None or node.type == "ERROR" or "comment" in node.type:
                continue
            items = value.named_children if value.type == "element_value_array_initializer" else [value]
            items = [i for i in items if "comment" not in i.type]
            if name in ("value", "path"):
                found.paths += [p for p in (reader.path(i) for i in items) if p is not None]
            elif name == "method" and found.name == "RequestMapping":
                words = [(i.text or b"").decode("utf-8", "replace").rsplit(".", 1)[-1] for i in items]
                found.methods += [w for w in words if w in METHODS]

    def constant(self, name: str) -> tuple[int, str] | None:
        """The start and source of the expression that the String constant *name* is set to in this text."""
        if self._constants is None:
            self._constants = {}
            for m in _CONSTANT.finditer(self.text, 0, self.end):
                self._constants.setdefault(m[1], (m.start(2), m[2]))
        return self._constants.get(name)


class _Expression:
    """An argument's expression -> Path; knows how bytes of the parsed slice map to code points of the text."""

    def __init__(self, reader: _Reader, data: bytes, source: str, start: int, head: int, depth: int = 0) -> None:
        self.reader, self.data, self.start, self.head, self.depth = reader, data, start, head, depth
        self.ascii = source.isascii()

    def place(self, byte: int) -> int:
        """Return the code point of the text at *byte* of the slice."""
        if self.ascii:
            return self.start + byte - self.head
        return self.start + sum((b & 0xC0) != 0x80 for b in self.data[self.head : byte])

    def path(self, node: Node) -> tuple[Path, int, int] | None:
        """Return the path and the span of the expression (of the text inside the quotes, for one literal)."""
        value = self.value(node)
        if value is None:
            return None
        start, end = self.place(node.start_byte), self.place(node.end_byte)
        if node.type == "string_literal" and end - start > 2:
            quotes = 3 if self.data[node.start_byte : node.start_byte + 3] == b'"""' else 1
            start, end = start + quotes, end - quotes
        return value, start, end

    def value(self, node: Node) -> Path | None:
        """The string that *node* is; ``{NAME}`` where the text does not say; None for what is no string."""
        if node.type == "string_literal":
            return self._literal(node)
        if node.type == "parenthesized_expression" and node.named_children:
            return self.value(node.named_children[0])
        if node.type == "binary_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is None or right is None or self.depth > 50:
                return None
            self.depth += 1
            return (self.value(left) or Path()) + (self.value(right) or Path())
        if node.type in ("identifier", "field_access"):
            return self._constant((node.text or b"").decode("utf-8", "replace").rsplit(".", 1)[-1])
        return None if node.type == "ERROR" or node.is_missing else Path("{?}")

    def _literal(self, node: Node) -> Path:
        out = Path()
        for part in node.named_children:
            if part.type == "escape_sequence":
                out += Path((part.text or b"")[1:].decode("utf-8", "replace"))
            elif part.text is not None:
                out += Path.at(part.text.decode("utf-8", "surrogatepass"), self.place(part.start_byte))
        return Path(out.text.strip(), out.cut(*_strip(out.text)).pieces)

    def _constant(self, name: str) -> Path:
        known = self.reader.constant(name)
        if known is None or self.depth > 8:
            return Path("{" + name + "}")
        start, source = known
        data = b"String a=" + source.encode("utf-8", "surrogatepass") + b";"
        declarator = _first(parse("java", data).root_node, "variable_declarator")
        value = declarator.child_by_field_name("value") if declarator is not None else None
        if value is None:
            return Path("{" + name + "}")
        inner = _Expression(self.reader, data, source, start, len(b"String a="), self.depth + 1)
        return inner.value(value) or Path("{" + name + "}")


def _strip(text: str) -> tuple[int, int]:
    left = len(text) - len(text.lstrip())
    return left, max(left, len(text.rstrip()))


def _closing(text: str, at: int, end: int) -> int:
    """Return the position after the bracket that closes the one before *at*; *end* where the text is cut off."""
    depth = 1
    for m in _INSIDE.finditer(text, at, end):
        depth += {"(": 1, ")": -1}.get(m.group(), 0)
        if depth == 0:
            return m.end()
    return end


def _first(node: Node, kind: str) -> Node | None:
    """Return the first node of *kind* in document order."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.type == kind:
            return node
        stack.extend(reversed(node.named_children))
    return None
