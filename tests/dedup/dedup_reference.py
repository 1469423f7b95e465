"""samples as plain texts -> their duplicates by brute force: sets of tuples, every pair, fractions."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pyarrow as pa

from governance.samples import SAMPLES, sample_id, table

Texts = Sequence[tuple[str, str]]
"""(role, text) pairs of one sample."""


SCRIPTS = (
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "KANA REPEAT",
    "HENTAIGANA",
    "HANGZHOU",
    "MASU MARK",
    "IDEOGRAPHIC NUM",
    "IDEOGRAPHIC IT",
    "IDEOGRAPHIC CL",
)
"""Parts of the names of characters that are lexemes of their own."""


def lexemes(text: str) -> tuple[str, ...]:
    """Lex *text* one character at a time."""
    out: list[str] = []
    word = False
    for character in text:
        name = unicodedata.name(character, "")
        alone = ord(character) >= 0x32400 or any(script in name for script in SCRIPTS)
        part = character == "_" or unicodedata.category(character)[0] in "LMN"
        if character.isspace():
            word = False
        elif part and not alone:
            if word:
                out[-1] += character
            else:
                out.append(character)
            word = True
        else:
            out.append(character)
            word = False
    return tuple(out)


def content(texts: Texts) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the roles and lexemes of the texts that have any."""
    return tuple((role, lexemes(text)) for role, text in texts if lexemes(text))


def grams(sequence: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return the distinct shingles of one text."""
    return {sequence[k : k + 5] for k in range(max(1, len(sequence) - 4))}


class Reference:
    """
    The same definitions as `governance.dedup.cluster`, written as its docstring says them.

    Attributes:
        contents: the distinct samples, white space aside.
        pairs: {(position, position): similarity} of all pairs that share a shingle.
    """

    def __init__(self, samples: Sequence[Texts]) -> None:
        self.ids = [sample_id(texts) for texts in samples]
        self.content = [content(texts) for texts in samples]
        self.contents = sorted({c for c in self.content if c})
        asked = Counter(t for c in self.contents for t in {t for role, t in c if role != "output"})
        self.shingles: dict[object, set[tuple[str, ...]]] = {}
        self.whole: dict[object, set[tuple[str, ...]]] = {}
        for c in self.contents:
            self.whole[c] = {t for role, t in c if role != "output" and asked[t] > 1}
            self.shingles[c] = set().union(*(grams(t) for role, t in c if role == "output" or asked[t] == 1), set())

    def similarity(self, a: object, b: object) -> Fraction:
        """Return the similarity of two contents."""
        common = len(self.shingles[a] & self.shingles[b])
        union = len(self.shingles[a] | self.shingles[b]) + len(self.whole[a] ^ self.whole[b])
        return Fraction(common, union) if union else Fraction(0)

    def near(self, threshold: Fraction) -> dict[frozenset[object], Fraction]:
        """Return every pair of contents that reaches the threshold."""
        pairs = ((frozenset((a, b)), self.similarity(a, b)) for a, b in itertools.combinations(self.contents, 2))
        return {pair: value for pair, value in pairs if value >= threshold}

    def duplicates(self, threshold: Fraction) -> dict[int, tuple[int, Fraction, str]]:
        """Return {removed position: (kept position, similarity, kind)}."""
        near = self.near(threshold)
        first_of_id: dict[str, int] = {}
        for k, key in enumerate(self.ids):
            first_of_id.setdefault(key, k)
        leader = {
            c: first_of_id[min(i for i, d in zip(self.ids, self.content, strict=True) if c == d)] for c in self.contents
        }
        order = sorted(self.contents, key=lambda c: (-sum(len(t) for _, t in c), self.ids[leader[c]]))
        witness: dict[object, tuple[object, Fraction]] = {}
        kept: list[object] = []
        for c in order:
            found = [(near[frozenset((c, k))], k) for k in kept if frozenset((c, k)) in near]
            if found:
                best = max(value for value, _ in found)
                witness[c] = next((k, value) for value, k in found if value == best)
            else:
                kept.append(c)
        out: dict[int, tuple[int, Fraction, str]] = {}
        for k, (key, c) in enumerate(zip(self.ids, self.content, strict=True)):
            if c in witness:
                by, value = witness[c]
                out[k] = (leader[by], value, "near")
            elif first_of_id[key] != leader.get(c, first_of_id[key]):
                out[k] = (leader[c], Fraction(1), "lexemes")
            elif first_of_id[key] != k:
                out[k] = (first_of_id[key], Fraction(1), "exact")
        return out


def write(path: Path, samples: Sequence[Texts], batch: int = 1000) -> Path:
    """Write *samples* as an Arrow IPC file of SAMPLES with *batch* rows per batch."""
    rows = [
        {
            "n": k,
            "file": "a.jsonl",
            "row": k,
            "sample_id": sample_id(texts),
            "shape": "alpaca",
            "texts": [{"field": f"{role}/{m}", "role": role, "text": text} for m, (role, text) in enumerate(texts)],
        }
        for k, texts in enumerate(samples)
    ]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        for k in range(0, len(rows), batch):
            writer.write_table(table(SAMPLES, rows[k : k + batch]))
    return path
