"""Functions of Python sources."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

from governance.collect.code import Method
from governance.collect.python import python_functions


def functions(source: str, module: str = "shop.cart") -> tuple[list[Method], Counter[str]]:
    skipped: Counter[str] = Counter()
    return list(python_functions(source.encode(), module, skipped)), skipped


SOURCE = '''\
import os

@cache
async def load(path: Path, /, *names: str, flag=False, **more: int) -> list[str]:
    """Load."""
    def inner(): ...
    return []

class Cart(Base):
    limit: int = 3
    name = "x"

    def __init__(self, items: list[str], owner=None):
        self.items: list[str] = items
        self.owner = owner

    @property
    def size(self) -> int:
        """Count.

        Twice.
        """
        return len(self.items)

    def text(self):
        return """
  keeps
        its margin
"""

    class Line:
        @staticmethod
        def of(kind): return kind

if os.name == "nt":
    def only_here(): pass
else:
    def only_here(): return 1
'''


def test_cards() -> None:
    """A card has annotations as written, names where there are none, and fields of class and constructor."""
    found, _ = functions(SOURCE)
    cards = {m.name: m.card for m in found}
    assert cards["size"] == (
        "shop.cart.Cart(list[str], owner)\n"
        "- fields: limit:int, name, items:list[str], owner\n"
        "- methods: size(): int, text()"
    )
    assert cards["load"] == "shop.cart()\n- methods: load(Path, *str, flag, **int): list[str], only_here(), only_here()"


def test_groups_and_order() -> None:
    """Functions come in the order of the file, grouped by class or module; inner functions stay inside."""
    found, _ = functions(SOURCE)
    assert [(m.name, m.group) for m in found] == [
        ("load", "shop.cart"),
        ("__init__", "shop.cart.Cart"),
        ("size", "shop.cart.Cart"),
        ("text", "shop.cart.Cart"),
        ("of", "shop.cart.Cart.Line"),
        ("only_here", "shop.cart"),
        ("only_here", "shop.cart"),
    ]
    assert (found[0].start_line, found[0].end_line) == (3, 7)
    assert SOURCE.split("\n")[found[2].start_line - 1].strip() == "@property"


def test_margins() -> None:
    """A method moves to the left margin with its docstring, while other strings keep every blank they have."""
    by_name = {m.name: m for m in functions(SOURCE)[0]}
    assert by_name["size"].output.split("\n")[:5] == [
        "@property",
        "def size(self) -> int:",
        '    """Count.',
        "",
        "    Twice.",
    ]
    assert by_name["text"].output == 'def text(self):\n    return """\n  keeps\n        its margin\n"""'


def test_broken_functions_are_counted() -> None:
    """A function with a syntax error is counted and left out."""
    found, skipped = functions("def good():\n    return 1\n\ndef bad():\n    return (1 +\n        * 2)\n")
    assert [m.name for m in found] == ["good"]
    assert skipped["syntax-error"] == 1


def test_tests_are_marked() -> None:
    """Functions of a test module teach the step of writing tests."""
    assert functions("def test_a(): pass", "tests.test_cart")[0][0].step == "implementation_test"
    assert functions("def latest(): pass", "shop.contest")[0][0].step == "implementation_method"


def test_outputs_are_python() -> None:
    """Every function of a real package parses on its own, and to the same syntax tree as in its file."""
    folder = Path(json.__file__).parent
    count = 0
    for path in sorted(folder.glob("*.py")):
        source = path.read_text("utf-8")
        trees = {n.name: n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)}
        for method in functions(source)[0]:
            (tree,) = ast.parse(method.output).body
            assert isinstance(tree, ast.FunctionDef)
            if method.name != "__init__":
                assert _without_docstring(tree) == _without_docstring(trees[method.name])
            count += 1
    assert count > 20


def _without_docstring(tree: ast.FunctionDef) -> str:
    # Moving a method to the margin moves its docstring too, which inspect.cleandoc undoes.
    body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    return "".join(ast.dump(node) for node in body)
