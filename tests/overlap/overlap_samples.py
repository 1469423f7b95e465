"""functions of the standard library -> datasets with copies planted in them, and benchmark items."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from governance.languages.detect import language_ids
from governance.overlap.benchmark import Items
from governance.samples import SAMPLES, sample_id


@functools.cache
def functions(*modules: str) -> tuple[str, ...]:
    """Return the source of every function and method of the *modules*, each text once, in order."""
    found: dict[str, None] = {}
    for name in modules:
        source = inspect.getsource(importlib.import_module(name))
        lines = source.splitlines(keepends=True)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                found["".join(lines[node.lineno - 1 : node.end_lineno])] = None
    return tuple(found)


def words(text: str) -> int:
    """How many lexemes a text has, near enough."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def renamed(text: str) -> str:
    """The same code with other names."""
    tree = ast.parse(textwrap.dedent(text))
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    names -= {"self", "cls", *dir(__builtins__), *__builtins__}  # type: ignore[misc]
    table = {name: f"thing{i}" for i, name in enumerate(sorted(names))}
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda m: table.get(m.group(), m.group()), text)


def write(path: Path, texts: Sequence[str | tuple[tuple[str, str], ...]], batch: int = 1000) -> Path:
    """Write samples: an output each, or (role, text) pairs whose fields are named after their roles."""
    rows = []
    for n, text in enumerate(texts):
        parts = (("output", text),) if isinstance(text, str) else text
        rows.append(
            {
                "n": n, "file": "data.jsonl", "row": n, "sample_id": sample_id(parts), "shape": "alpaca",
                "texts": [{"field": role, "role": role, "text": value} for role, value in parts], "record": "{}",
            }
        )  # fmt: skip
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=SAMPLES), max_chunksize=batch)
    return path


def items(texts: Sequence[str]) -> Items:
    """Return *texts* as benchmark items of Python, called ``item 0`` and so on."""
    parts = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(parts) or b" ", np.uint8)
    ends = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    none = pa.nulls(len(texts), pa.string())
    names = pa.array([f"item {i}" for i in range(len(texts))], pa.string())
    columns = {"source": names, "repository": none, "path": none, "licence": none}
    table = pa.table({**columns, "index": pa.array(["items"] * len(texts), pa.string())})
    return Items(data, ends, language_ids(["python"] * len(texts), None, data, ends), table)
