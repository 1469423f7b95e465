"""the standard library -> its functions, edited copies of them, and their duplicates by brute force."""

from __future__ import annotations

import ast
import random
import re
import sysconfig
import textwrap
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations
from pathlib import Path

from dedup_reference import grams, lexemes

from governance.samples import sample_id

MODULES = (
    "argparse", "configparser", "csv", "datetime", "difflib", "doctest", "fractions", "ftplib", "gettext", "inspect",
    "mailbox", "optparse", "pdb", "pickle", "shutil", "smtplib", "statistics", "subprocess", "tarfile", "threading",
    "tokenize", "turtle", "typing", "zipfile",
)  # fmt: skip
LICENCES = ("# Copyright {} Example AG. See the file LICENCE.\n", "# SPDX-License-Identifier: MIT, {}\n")
Decisions = dict[int, tuple[int, float, str]]
"""{removed: (kept, similarity, kind)}, by row."""


@cache
def word_lexemes(word: str) -> tuple[str, ...]:
    """Return the lexemes of a text without white space; none reaches over any."""
    return lexemes(word)


@cache
def pool() -> tuple[str, ...]:
    """Return all functions of 8 to 60 lines, no two of them equal."""
    found: set[str] = set()
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in (p for name in MODULES for p in (root / f"{name}.py", root / name / "__init__.py") if p.exists()):
        source = path.read_text("utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and 8 <= (node.end_lineno or 0) - node.lineno < 60:
                found.add(textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno])))
    return tuple(sorted(found))


def functions(count: int, seed: int = 0) -> list[str]:
    """Return *count* functions drawn at random."""
    return random.Random(seed).sample(pool(), count)  # noqa: S311


def edit_lines(text: str, rng: random.Random, share: float) -> str:
    """Change one word of *share* of the lines, at least of one."""
    lines = text.splitlines()
    places = [k for k, line in enumerate(lines) if re.search(r"\w", line)]
    for k in rng.sample(places, min(len(places), max(1, round(share * len(lines))))):
        word = rng.choice(re.findall(r"\w+", lines[k]))
        lines[k] = lines[k].replace(word, f"w{rng.randrange(10**6)}", 1)
    return "\n".join(lines)


def insert_lines(text: str, rng: random.Random, share: float) -> str:
    """Put *share* new lines, at least one, in between."""
    lines = text.splitlines()
    for _ in range(max(1, round(share * len(lines)))):
        lines.insert(rng.randrange(1, len(lines) + 1), f"    log(step={rng.randrange(10**6)})")
    return "\n".join(lines)


def rename(text: str, rng: random.Random, share: float) -> str:
    """Rename *share* of the names, at least one, wherever they stand."""
    names = sorted(set(re.findall(r"\b[a-z_]\w{2,}\b", text)))
    for name in rng.sample(names, min(len(names), max(1, round(share * len(names))))):
        text = re.sub(rf"\b{name}\b", f"n{rng.randrange(10**6)}", text)
    return text


def move(text: str, rng: random.Random, share: float) -> str:
    """Move a block of *share* of the lines, at least one, to another place."""
    lines = text.splitlines()
    size = max(1, round(share * len(lines)))
    start = rng.randrange(1, len(lines) - size)
    block = lines[start : start + size]
    del lines[start : start + size]
    at = rng.randrange(1, len(lines) + 1)
    return "\n".join([*lines[:at], *block, *lines[at:]])


def swap_header(text: str, rng: random.Random, share: float) -> str:
    """Put a licence header before the text, often another than the next copy has."""
    del share
    return rng.choice(LICENCES).format(rng.randrange(2010, 2026)) + text


def space(text: str, rng: random.Random, share: float) -> str:
    """Change nothing but white space."""
    del share
    return re.sub(r"\n", "\n" * rng.randrange(2, 4), text)


def same(text: str, rng: random.Random, share: float) -> str:
    """Change nothing."""
    del rng, share
    return text


EDITS = (edit_lines, insert_lines, rename, move, swap_header, space, same)
SHARES = (0.01, 0.03, 0.05, 0.1, 0.15)


def planted(originals: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Return every original with one copy per edit, in random order, and the name of the edit of every text."""
    rng = random.Random(seed)  # noqa: S311
    out = [(text, "original") for text in originals]
    for text in originals:
        out += [(edit(text, rng, rng.choice(SHARES)), edit.__name__) for edit in EDITS]
    rng.shuffle(out)
    return [text for text, _ in out], [name for _, name in out]


class Truth:
    """
    What the definitions say of *texts*, each the only text of a sample.

    Attributes:
        contents: their distinct sequences of lexemes, of one lexeme or more.
        shared: {(a, b): common shingles} of all pairs of *contents* with any, a < b.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.sequences = [tuple(x for word in text.split() for x in word_lexemes(word)) for text in texts]
        self.contents = sorted({s for s in self.sequences if s})
        self.sets = [grams(s) for s in self.contents]
        holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for k, shingles in enumerate(self.sets):
            for shingle in shingles:
                holders[shingle].append(k)
        self.shared = Counter(pair for held in holders.values() for pair in combinations(held, 2))

    def near(self, threshold: float) -> dict[tuple[int, int], float]:
        """Return the similarity of every pair of contents that reaches the threshold."""
        limit = Fraction(str(threshold))
        found = {}
        for (a, b), common in self.shared.items():
            union = len(self.sets[a]) + len(self.sets[b]) - common
            if common * limit.denominator >= limit.numerator * union:
                found[a, b] = common / union
        return found

    def decisions(self, threshold: float) -> Decisions:
        """Return who is removed: leaders first by more lexemes, then by the smaller sample id."""
        ids = [sample_id([("output", text)]) for text in self.texts]
        number = {content: k for k, content in enumerate(self.contents)}
        group = [number.get(sequence, -1) for sequence in self.sequences]
        first: dict[str, int] = {}
        leader: dict[int, int] = {}
        for row, key in enumerate(ids):
            first.setdefault(key, row)
            if group[row] >= 0 and (group[row] not in leader or key < ids[leader[group[row]]]):
                leader[group[row]] = row
        neighbours: dict[int, dict[int, float]] = defaultdict(dict)
        for (a, b), value in self.near(threshold).items():
            neighbours[a][b] = neighbours[b][a] = value
        rank = {}
        witness: dict[int, int] = {}
        for c in sorted(leader, key=lambda c: (-len(self.contents[c]), ids[leader[c]])):
            kept = [k for k in neighbours[c] if k in rank and k not in witness]
            rank[c] = len(rank)
            if kept:
                witness[c] = min(kept, key=lambda k: (-neighbours[c][k], rank[k]))
        out: Decisions = {}
        for row, (key, c) in enumerate(zip(ids, group, strict=True)):
            if c in witness:
                out[row] = (leader[witness[c]], neighbours[c][witness[c]], "near")
            elif c >= 0 and first[key] != leader[c]:
                out[row] = (leader[c], 1.0, "lexemes")
            elif first[key] != row:
                out[row] = (first[key], 1.0, "exact")
        return out
