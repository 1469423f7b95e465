"""A text that says what an item says in other words is named, and little else is."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from overlap_samples import functions, items, write

from governance.languages.lexer import Lexemes, lex_string, lex_texts
from governance.overlap.benchmark import Items
from governance.overlap.rephrased import _SHIFT, LEAST, _Bags, find_rephrased
from governance.overlap.texts import read_pieces

ITEMS = functions("textwrap", "heapq", "fractions", "shlex")
DOCS = functions("tarfile", "argparse", "mailbox")

ITEM = """def longest_palindrome(sentence, min_length=7):
    vowels = [letter for letter in sentence if letter in "aeiou"]
    return max(windows(vowels, min_length), key=palindrome_score)
"""
REWRITTEN = """// score every window of vowels ("aeiou"), at least 7 long
function bestPalindrome(input, minLength = 7) {
  let vowels = [...input].filter(c => "aeiou".includes(c));
  return vowelWindows(vowels, minLength).sort((a, b) => palindromeScore(b) - palindromeScore(a))[0]; }
"""


def everything(count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.ones(count, np.bool_)


def words_of(text: str) -> list[str]:
    """Return the words of a text of names, the slow way."""
    return [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", text)]


@pytest.mark.parametrize(
    "text", ["maxRetryCount max_retry_count MAX_RETRY", "parseHTTPResponse2xx", "a1B2 __init__ X", "Ünïcode 订单"]
)
def test_words(text: str) -> None:
    """Names are cut at capitals, digits and underscores, without regard to case; other scripts are letters."""
    bags = _Bags.of(np.frombuffer(text.encode(), np.uint8), lex_string(text, "text"))
    expected = len(set(words_of(text))) if text.isascii() else 3
    assert bags.words.size == expected
    assert np.exp(bags.counts - 1).sum() == pytest.approx(len(words_of(text)) if text.isascii() else 3)


def test_another_language(tmp_path: Path) -> None:
    """An item that is written again in another language is named, with its cosine and the span of the text."""
    samples = write(tmp_path / "samples.arrow", [*DOCS, REWRITTEN])
    found = find_rephrased(samples, items([*ITEMS, ITEM]), everything(len(ITEMS) + 1))
    [hit] = [h for h in found.to_pylist() if h["place"] == len(DOCS)]
    assert (hit["item"], hit["class"], hit["start"], hit["end"]) == (len(ITEMS), "item-rephrased", 0, len(REWRITTEN))
    assert 0.4 <= hit["score"] < 1.0 and hit["lexemes"] >= LEAST
    assert found.num_rows < 0.05 * len(DOCS)


def test_seeds_lose_nothing(tmp_path: Path) -> None:
    """What is found by seeds is what multiplying out every pair finds, to the last bit of rounding."""
    texts = DOCS[:60]
    samples, wanted = write(tmp_path / "samples.arrow", texts), items(ITEMS)
    for threshold in (0.1, 0.25, 0.5):
        found = find_rephrased(samples, wanted, everything(wanted.count), threshold=threshold)
        got = {h["place"]: (h["item"], h["score"]) for h in found.to_pylist()}
        counted = [bag for piece in read_pieces(samples) for bag in _each(_Bags.of(piece.data, piece.lex()))]
        distinct = {tuple(sorted(bag.items())) for bag in counted}
        df = Counter(word >> _SHIFT for bag in distinct for word, _ in bag)  # words of one bucket count together
        bags = [_weighed(bag, df, len(distinct)) for bag in counted]
        own = [_weighed(bag, df, len(distinct)) for bag in _each(_Bags.of(wanted.data, _lexed(wanted)))]
        for place, bag in enumerate(bags):
            scores = [
                sum(bag[w] * x for w, x in item.items() if w in bag) if len(bag.keys() & item.keys()) >= LEAST else 0.0
                for item in own
            ]
            best = max(scores)
            assert (place in got) == (best >= threshold) or abs(best - threshold) < 1e-9
            if place in got:
                assert got[place][1] == pytest.approx(best) and scores[got[place][0]] == pytest.approx(best)


def _lexed(wanted: Items) -> Lexemes:
    return lex_texts(wanted.data, wanted.ends, wanted.languages)


def _each(bags: _Bags) -> list[dict[int, float]]:
    pairs = list(zip(bags.words.tolist(), bags.counts.tolist(), strict=True))
    return [dict(pairs[a:b]) for a, b in pairwise(bags.ends.tolist())]


def _weighed(bag: dict[int, float], df: Counter[int], texts: int) -> dict[int, float]:
    prior = (100.0, 50.0, 1.0, 20.0, 50.0)
    out = {w: n * math.log((texts + 1001) / (df[w >> _SHIFT] + prior[w & 7] + 1)) for w, n in bag.items()}
    length = math.sqrt(sum(x * x for x in out.values()))
    return {w: x / length for w, x in out.items()} if length else out


def test_threads_batches_and_odd_texts(tmp_path: Path) -> None:
    """Threads and batches change nothing; empty, binary-looking and endless texts are looked at like any other."""
    texts = [*DOCS[:60], "", "\x00\x01", "x" * 200_000, "palindrome " * 30_000, REWRITTEN, REWRITTEN]
    wanted = items([*ITEMS[:20], "", ITEM])
    tables = [
        find_rephrased(write(tmp_path / f"{b}.arrow", texts, b), wanted, everything(wanted.count), threads=t)
        for b, t in ((1000, 1), (7, 2))
    ]
    assert tables[0].equals(tables[1])
    assert {h["place"] for h in tables[0].to_pylist() if h["item"] == 21} == {64, 65}
    nothing = find_rephrased(tmp_path / "7.arrow", wanted, ~everything(wanted.count))
    assert nothing.num_rows == 0
