"""a test file and the files that it may test -> one sample per test class: the card under test, and the test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from governance.collect.code import Method, flat
from governance.collect.java import JavaType, java_card, java_types
from governance.collect.python import python_card, python_scopes
from governance.languages.treesitter import parse

INSTRUCTION = "Write test for follow code"
_JAVA_NAME = re.compile(r"^(?:Test(?P<after>[A-Z]\w*)|(?P<before>\w+?)(?:Tests?|TestCase))$")
_PYTHON_NAME = re.compile(r"^(?:test_(?P<after>\w+)|(?P<before>\w+)_tests?)$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that a test may be for: its text and, for Python, its module."""

    data: bytes
    module: str = ""


def tested_stem(path: str) -> str | None:
    """
    Return the stem of the file that the test file *path* is for, by its name, or None for a file that is no test.

    >>> tested_stem("a/PostControllerTests.java"), tested_stem("tests/test_cart.py"), tested_stem("a/Post.java")
    ('PostController', 'cart', None)
    """
    file = PurePosixPath(path)
    pattern = _JAVA_NAME if file.suffix == ".java" else _PYTHON_NAME
    found = pattern.match(file.stem)
    return (found["after"] or found["before"]) if found else None


def java_test_pairs(test: Candidate, candidates: Sequence[Candidate], skipped: Counter[str]) -> Iterator[Method]:
    """
    Yield one sample per top-level test class of *test* whose class under test stands in *candidates*, same package.

    The output is the whole test class without package and imports. A test class without its class under test is
    counted as ``no-class-under-test`` in *skipped*, one with a syntax error as ``syntax-error``.
    """
    known: dict[str, JavaType] = {}
    for candidate in candidates:
        for kind in java_types(candidate.data):
            known.setdefault(kind.name, kind)
    for kind in java_types(test.data):
        if kind.node.parent is None or kind.node.parent.type != "program":
            continue
        package, _, name = kind.name.rpartition(".")
        stem = tested_stem(f"{name}.java")
        if stem is None:
            continue  # a helper class beside the test
        under_test = known.get(f"{package}.{stem}" if package else stem)
        if under_test is None:
            skipped["no-class-under-test"] += 1
        elif kind.node.has_error:
            skipped["syntax-error"] += 1
        else:
            controller = under_test.step == "implementation_spring_controller"
            yield Method(
                name=name,
                card=java_card(under_test),
                output=test.data[kind.node.start_byte : kind.node.end_byte].decode(),
                group=under_test.name,
                step="implementation_controller_test" if controller else "implementation_test",
                start_line=kind.node.start_point.row + 1,
                end_line=kind.node.end_point.row + 1,
            )


def python_test_pairs(test: Candidate, candidates: Sequence[Candidate], skipped: Counter[str]) -> Iterator[Method]:
    """
    Yield the sample of the test module *test*: the cards of the module it tests, and the module without its header.

    Of several candidates with the right name the one that the test imports is taken; a single one needs no import.
    Imports stay in the output: fixtures and helpers are named there, and without them the module does not run.
    """
    root = parse("python", test.data).root_node
    imported = _imports(test.data)
    chosen = [c for c in candidates if any(_names(c.module, name) for name in imported)] or list(candidates)
    if len(chosen) != 1:
        skipped["no-class-under-test"] += 1
        return
    if root.has_error:
        skipped["syntax-error"] += 1
        return
    body = next((node for node in root.children if node.type != "comment"), None)
    if body is None:
        skipped["no-class-under-test"] += 1
        return
    module = chosen[0].module
    scopes = [s for s in python_scopes(chosen[0].data, module) if s.functions or s.is_class]
    yield Method(
        name=test.module,
        card="\n".join(python_card(scope) for scope in scopes),
        output=test.data[body.start_byte :].decode().rstrip(),
        group=module,
        step="implementation_test",
        start_line=body.start_point.row + 1,
        end_line=test.data.rstrip().count(b"\n") + 1,
    )


def _imports(data: bytes) -> set[str]:
    """The dotted names that a module imports: of modules, and of what it takes from them."""
    names: set[str] = set()
    waiting = [parse("python", data).root_node]
    while waiting:
        for node in waiting.pop().named_children:
            if node.type == "import_statement":
                names |= {flat(n.child_by_field_name("name") or n) for n in node.named_children}
            elif node.type == "import_from_statement":
                base = flat(node.child_by_field_name("module_name")).lstrip(".")
                parts = [flat(n.child_by_field_name("name") or n) for n in node.children_by_field_name("name")]
                names |= {base, *(f"{base}.{part}".lstrip(".") for part in parts)}
            elif node.type in ("if_statement", "try_statement", "block"):
                waiting.append(node)
    return names - {""}


def _names(module: str, imported: str) -> bool:
    """True if *imported* is *module*, stands in it, or is how a test inside the package names it (``cart``)."""
    return (
        f"{imported}.".startswith(f"{module}.")
        or module.endswith(f".{imported}")
        or f".{imported}.".endswith(f".{module}.")
    )
