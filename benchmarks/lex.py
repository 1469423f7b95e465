"""functions of the standard library -> megabytes per second that one core lexes, with and without the renamed view.

taskset -c 1 python benchmarks/lex.py [MB]
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np

from governance.languages.lexer import LANGUAGES, lex_texts


def functions(most: int) -> list[bytes]:
    """Return functions of the standard library, at most so many bytes of them."""
    found: list[bytes] = []
    size = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        try:
            source = path.read_text("utf-8")
            tree = ast.parse(source)
        except (SyntaxError, ValueError):  # test files that are wrong on purpose
            continue
        lines = source.splitlines(keepends=True)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append("".join(lines[node.lineno - 1 : node.end_lineno]).encode())
                size += len(found[-1])
        if size > most:
            break
    return found


def main() -> None:
    """Print the best of five runs each, in CPU time."""
    texts = functions(int(float(sys.argv[1] if len(sys.argv) > 1 else "20") * 1e6))
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    print(f"{len(texts):,} functions, {data.size / 1e6:.1f} MB")
    for name, language, renamed, places in (
        ("python, both views, offsets", "python", True, True),
        ("python, verbatim, offsets", "python", False, True),
        ("python, verbatim alone", "python", False, False),
        ("prose, both views, offsets", "text", True, True),
    ):
        languages = np.full(len(texts), LANGUAGES.index(language), np.uint8)
        best = float("inf")
        for _ in range(5):
            begin = time.process_time()
            count = len(lex_texts(data, offsets, languages, renamed=renamed, places=places))
            best = min(best, time.process_time() - begin)
        print(f"{name:30} {data.size / 1e6 / best:6.1f} MB/s, {count:,} lexemes")


if __name__ == "__main__":
    main()
