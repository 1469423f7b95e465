"""Plant functions of the standard library in functions of installed packages and count what the overlap search finds.

    python benchmarks/overlap.py [--items 1500] [--samples 10000] [--seed 1]

Half of the items are planted, each once, in one of six ways; the other half is not. A hit that is not planted
is a *copy* if the sample holds at least 0.6 of the item's 5-grams of words, a *relative* if another item was planted in
the sample (functions of one file share long runs), and *other* if not. Two precisions count the last one or both wrong.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import random
import re
import sys
import sysconfig
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from governance.languages.detect import language_ids
from governance.overlap.benchmark import Items, find_benchmark_items
from governance.samples import SAMPLES, sample_id

GROUPS = ((0, 13), (13, 30), (30, sys.maxsize))  # lexemes of an item


def functions(folder: Path, chance: random.Random) -> Iterator[str]:
    """Yield the source of functions below *folder*, file by file in a random order, site-packages inside left out."""
    paths = sorted(folder.rglob("*.py"))
    chance.shuffle(paths)
    for path in paths:
        if "site-packages" in path.relative_to(folder).parts:
            continue
        try:
            source = path.read_text("utf-8")
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            continue
        lines = source.splitlines(keepends=True)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield "".join(lines[node.lineno - 1 : node.end_lineno])


def renamed(text: str) -> str:
    """Every name but built-in ones, self and cls changed."""
    tree = ast.parse(textwrap.dedent(text))
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    table = {name: f"v{i}" for i, name in enumerate(sorted(names - {"self", "cls", *dir(builtins)}))}
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda m: table.get(m.group(), m.group()), text)


def stripped(text: str) -> str:
    """Without comments and docstrings."""
    tree = ast.parse(textwrap.dedent(text))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def truncated(text: str) -> str:
    """The first 70 % of the lines."""
    lines = text.splitlines(keepends=True)
    return "".join(lines[: max(1, int(0.7 * len(lines)))])


WAYS: dict[str, Callable[[str], str]] = {
    "alone": str,
    "inside another": str,
    "tabs": lambda text: "\n".join("\t\t" + line.replace("    ", "\t") for line in text.splitlines()),
    "no comments": stripped,
    "70 % of the lines": truncated,
    "renamed": renamed,
}


def words(text: str) -> list[str]:
    """Words and other characters, near enough to lexemes."""
    return re.findall(r"\w+|[^\w\s]", text)


def grams(text: str) -> set[tuple[str, ...]]:
    """5-grams of words."""
    found = words(text)
    return {tuple(found[i : i + 5]) for i in range(max(1, len(found) - 4))}


def plant(items: list[str], samples: list[str], chance: random.Random) -> dict[tuple[int, int], str]:
    """Plant every second item in a sample of its own; return {(sample, item): way}."""
    hosts = chance.sample(range(len(samples)), len(items) // 2)
    truth = {}
    for k, host in enumerate(hosts):
        way = list(WAYS)[k % len(WAYS)]
        try:
            text = WAYS[way](items[2 * k])
        except (SyntaxError, ValueError):
            continue
        lines = [] if way == "alone" else samples[host].splitlines()
        at = chance.randrange(len(lines) + 1)
        samples[host] = "\n".join([*lines[:at], text, *lines[at:]])
        truth[host, 2 * k] = way
    return truth


def write(path: Path, texts: list[str]) -> None:
    """Write one sample per text."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        for start in range(0, len(texts), 2_000):
            rows = [
                {
                    "n": n, "file": "data", "row": n, "sample_id": sample_id([("output", text)]), "shape": "text",
                    "texts": [{"field": "output", "role": "output", "text": text}], "record": "{}",
                    "language": "python",
                }
                for n, text in enumerate(texts[start : start + 2_000], start)
            ]  # fmt: skip
            writer.write_table(pa.Table.from_pylist(rows, schema=SAMPLES))


def as_items(texts: list[str]) -> Items:
    """Return *texts* as items."""
    parts = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(parts), np.uint8)
    ends = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    names = pa.array([str(i) for i in range(len(texts))])
    return Items(data, ends, language_ids(["python"] * len(texts), None, data, ends), pa.table({"source": names}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_500)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)  # noqa: S311  # a choice of texts
    own = dict.fromkeys(islice(functions(Path(sysconfig.get_path("stdlib")), chance), 4 * asked.items))
    others = dict.fromkeys(islice(functions(Path(sysconfig.get_path("purelib")), chance), 4 * asked.samples))
    items = chance.sample(list(own), min(asked.items, len(own)))
    others = {text: None for text in others if text not in own}
    samples = chance.sample(list(others), min(asked.samples, len(others)))
    truth = plant(items, samples, chance)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "samples.arrow", samples)
        start, used = time.perf_counter(), time.process_time()
        found = find_benchmark_items(Path(folder) / "samples.arrow", as_items(items))
        seconds, used = time.perf_counter() - start, time.process_time() - used
    secondary = [kind == "item-secondary" for kind in found.hits["class"].to_pylist()]
    every = list(zip(found.hits["place"].to_pylist(), found.hits["item"].to_pylist(), strict=True))
    hits = {pair for pair, below in zip(every, secondary, strict=True) if not below}
    undecidable = set(found.undecidable.tolist())
    size = sum(map(len, samples)) / 1e6
    print(f"{len(items):,} items, {len(samples):,} samples, {size:.1f} MB: {seconds:.1f} s, processor {used:.1f} s")
    print(f"{len(undecidable):,} items are undecidable")
    for way in WAYS:
        cells = []
        for low, high in GROUPS:
            wanted = [p for p, w in truth.items() if w == way and low <= len(words(items[p[1]])) < high]
            known = [p for p in wanted if p[1] not in undecidable]
            cells.append(f"{sum(p in hits for p in known):4} of {len(known):4} ({len(wanted):4} planted)")
        print(f"{way:18} " + "   ".join(cells))
    hosts = {host for host, _ in truth}
    kinds = Counter(
        "planted" if p in truth
        else "copy" if _holds(samples[p[0]], items[p[1]])
        else "relative" if p[0] in hosts
        else "other"
        for p in hits
    )  # fmt: skip
    bad = kinds["other"], kinds["other"] + kinds["relative"]
    low, high = (1 - count / max(len(hits), 1) for count in reversed(bad))
    print(f"{sum(secondary):,} more are secondary, {sum(p in truth for p in set(every) - hits):,} planted ones of them")
    print(f"{len(hits):,} hits: {dict(sorted(kinds.items()))}; precision {high:.3f}, with relatives {low:.3f}")


def _holds(sample: str, item: str) -> bool:
    wanted = grams(item)
    return len(wanted & grams(sample)) >= 0.6 * len(wanted)


if __name__ == "__main__":
    main()
