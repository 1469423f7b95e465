"""what the drivers of the peers share: reading texts, the shingles of those that bring none, joining pairs to groups.

Standard library only: a driver runs in the environment of its peer, where the project is not installed.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

TOKENS = re.compile(r"\w+|[^\w\s]")
SHINGLE = 5  # tokens


def arguments() -> argparse.Namespace:
    """Parse what every driver gets: the JSONL with a ``text`` per row, the file of groups, threshold, processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    return parser.parse_args()


def read_texts(source: Path) -> list[str]:
    """Return the text of every row."""
    with source.open("rb") as lines:
        return [json.loads(line)["text"] for line in lines]


def shingles(text: str) -> set[str]:
    """Return the distinct five-token shingles of *text*, words and single signs being tokens; all of a shorter text."""
    tokens = TOKENS.findall(text)
    if len(tokens) < SHINGLE:
        return {" ".join(tokens)} if tokens else set()
    return {" ".join(tokens[i : i + SHINGLE]) for i in range(len(tokens) - SHINGLE + 1)}


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each of *count* rows the first row of its connected component, which is the one that is kept."""
    parent = list(range(count))

    def root(x: int) -> int:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for a, b in pairs:
        x, y = root(a), root(b)
        if x != y:
            parent[max(x, y)] = min(x, y)
    return [root(x) for x in range(count)]


def write(out: Path, kept: list[int], settings: str) -> None:
    """Write for every row the row that stays for it (itself if it is kept), and the peer's settings in words."""
    out.write_text(json.dumps({"kept": kept, "settings": settings}), "utf-8")
