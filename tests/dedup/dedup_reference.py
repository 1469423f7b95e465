"""samples as plain texts -> their duplicates by brute force: sets of tuples, every pair, fractions."""

from __future__ import annotations

import itertools
import random
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
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


OPERATORS = (
    *("===", "!==", "<=>", "...", "<<=", "**=", "??=", "&&=", "||=", "..=", "..<"),
    *("==", "!=", "<=", ">=", "&&", "||", "->", "=>", "::", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "++", "--"),
    *("<<", "**", "//", "/*", "*/", "..", "??", "?.", ":=", "<>"),
)


def is_part(character: str) -> bool:
    """Tell whether *character* may stand in a word."""
    name = unicodedata.name(character, "")
    if ord(character) >= 0x32400 or any(script in name for script in SCRIPTS):
        return False
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def lexemes(text: str) -> tuple[str, ...]:
    """Lex *text*: words, numbers, characters of Chinese and Japanese, operators, everything else alone."""
    out: list[str] = []
    at = 0
    while at < len(text):
        end = at + 1
        if text[at].isspace() or text[at] == "\ufeff":
            at = end
            continue
        if is_part(text[at]):
            while end < len(text) and (is_part(text[end]) or in_number(text[at:end], text[end:])):
                end += 1
        else:
            end = at + max([1, *(len(op) for op in OPERATORS if text.startswith(op, at))])
        out.append(text[at:end])
        at = end
    return tuple(out)


def in_number(before: str, rest: str) -> bool:
    """Tell whether a point or sign at the start of *rest* goes on with the number *before*: ``3.5``, ``1e-9``."""
    if before[0] not in string.digits or len(rest) < 2 or rest[1] not in string.digits:
        return False
    if rest[0] == ".":
        return True
    return rest[0] in "+-" and re.fullmatch(r"[0-9](?:[0-9_.]|(?<![eE])[eE])*(?<=[eE])", before) is not None


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

    def across(self, position: int, others: Iterable[int]) -> dict[int, tuple[Fraction, str]]:
        """Return {other position: (similarity, kind)} of one sample."""
        out = {}
        for k in others:
            a, b = self.content[position], self.content[k]
            if self.ids[k] == self.ids[position]:
                out[k] = (Fraction(1), "exact")
            elif a and a == b:
                out[k] = (Fraction(1), "lexemes")
            elif a and b:
                out[k] = (self.similarity(a, b), "near")
        return out

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


def planted(seed: int, families: int = 12, copies: int = 8) -> list[Texts]:
    """Make originals and copies of them with 0 to 6 lexemes replaced, inserted, deleted or moved, in random order."""
    rng = random.Random(seed)  # noqa: S311
    words = [f"w{k}" for k in range(300)] + list("(){};=.,+") + ["单", "元"]
    asks = ["Implement the method", "Write test for follow code please now", "", "create a story about 订单"]
    out: list[Texts] = []
    for _ in range(families):
        body = [rng.choice(words) for _ in range(rng.choice((0, 1, 3, 5, 6, 20, 40, 80)))]
        card = " ".join(rng.choice(words) for _ in range(rng.choice((2, 10, 30))))
        for _ in range(copies):
            copy = list(body)
            for _ in range(rng.choice((0, 0, 1, 2, 3, 6))):
                at = rng.randrange(len(copy) + 1)
                edit = rng.choice("rid")
                if edit == "i" or not copy or at == len(copy):
                    copy.insert(at, rng.choice(words))
                elif edit == "r":
                    copy[at] = rng.choice(words)
                else:
                    del copy[at]
            gap = rng.choice((" ", " ", "\n  "))
            prompt = card if rng.random() < 0.7 else card + " " + rng.choice(words)
            out.append([("instruction", rng.choice(asks)), ("input", prompt), ("output", gap.join(copy))])
    out += rng.choices(out, k=10)
    rng.shuffle(out)
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
