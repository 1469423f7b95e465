"""The renamed view: a slow lexer made of regular expressions folds the same, on real files and on broken ones."""

from __future__ import annotations

# ruff: noqa: E501
import random
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_lexer import slow_fold

from governance.languages.detect import path_number
from governance.languages.lexer import KINDS, LANGUAGES, hash_bytes, lex_texts
from governance.languages.syntax import SYNTAXES

DELIMITERS = sorted(
    {text.encode() for s in SYNTAXES for d in s.delimiters + s.prefixed for text in (d.open, d.close, d.hole) if text}
)
SOUP = [
    *DELIMITERS, b"\n", b"\n", b"\r\n", b"\r", b" ", b" ", b"\t", b"\\", b"\\\n", b"$", b"a", b"if", b"EOF", b"_EOF", b"EOF\n",
    b"x", b"5", b"1e-", b"(", b")", b"[", b"]", b"{", b"}", b"=", b";", b"~", b"-", b"!", b"w", b"q", b"R", b"e", b"\xe4\xb8\xad",
    b"\xc3\xa9", b"\xff", b"\xe4", b"SELECT", b"<", b">", b"&", b"<<A\n", b"\nA\n", b"r#", b"##", b"php",
]  # fmt: skip


def both(texts: list[bytes], numbers: list[int]) -> list[str]:
    """What the two lexers do not agree on."""
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    found = lex_texts(np.frombuffer(b"".join(texts), np.uint8), ends, np.array(numbers, np.uint8))
    wrong = []
    for j, (raw, number) in enumerate(zip(texts, numbers, strict=True)):
        part = slice(found.text_ends[j], found.text_ends[j + 1])
        kinds, renamed = slow_fold(raw, number)
        places = found.starts[part] - ends[j]
        for at, one, other, value, expected in zip(
            places, found.kinds[part], kinds, found.renamed[part].tolist(), renamed, strict=True
        ):
            if one != other or value != expected:
                shown = raw if len(raw) < 200 else raw[max(0, at - 80) : at + 40]
                wrong.append(
                    f"{LANGUAGES[number]} at {at}: {KINDS[one]} {value}, not {KINDS[other]} {expected}: {shown!r}"
                )
                break
    return wrong


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(SOUP), max_size=25).map(b"".join))
def test_soup_of_delimiters(raw: bytes) -> None:
    """Whatever stands in whatever order, every language folds it as the slow lexer does."""
    numbers = list(range(1, len(LANGUAGES)))
    assert both([raw] * len(numbers), numbers) == []


@pytest.mark.parametrize("number", range(1, len(LANGUAGES)), ids=LANGUAGES[1:])
def test_own_soup(number: int) -> None:
    """The delimiters of one language, in any order and number, fold as in the slow lexer."""
    rng = random.Random(number)  # noqa: S311
    one = SYNTAXES[number]
    own = [text.encode() for d in one.delimiters + one.prefixed for text in (d.open, d.close, d.hole) if text]
    pieces = [*own * 2, *SOUP[len(DELIMITERS) :], *(w.encode() for w in sorted(one.words)[:4])]
    texts = [b"".join(rng.choices(pieces, k=rng.randrange(40))) for _ in range(250)]
    texts += [b"".join(rng.choices(pieces, k=700)) for _ in range(6)]
    assert both(texts, [number] * len(texts)) == []


def real_files(most: int) -> list[Path]:
    """Source files of this Python and its packages, at most so many of a suffix."""
    found: dict[str, list[Path]] = {}
    for folder in ("stdlib", "include", "purelib"):
        for path in sorted(Path(sysconfig.get_path(folder)).rglob("*.*")):
            of_kind = found.setdefault(path.suffix, [])
            if path_number(path.name) and len(of_kind) < most and path.is_file() and path.stat().st_size < 100_000:
                of_kind.append(path)
    return [path for paths in found.values() for path in paths]


def test_real_files() -> None:
    """Files of at least five languages fold as in the slow lexer."""
    files = real_files(25)
    texts, numbers = [f.read_bytes() for f in files], [path_number(f.name) or 0 for f in files]
    assert len(set(numbers)) >= 5
    assert both(texts, numbers) == []


def test_reference_is_no_mirror() -> None:
    """The slow lexer itself folds one line as its language's reference says."""
    python = LANGUAGES.index("python")
    kinds, renamed = slow_fold(b"def f(x): return rb'a' + 2  # c", python)
    names = [KINDS[k] for k in kinds]
    assert names == [
        "keyword", "identifier", "operator", "identifier", "operator", "operator", "keyword", "string", "string",
        "string", "string", "operator", "number", "comment", "comment",
    ]  # fmt: skip
    assert renamed[0] == hash_bytes(b"def")
    assert renamed[8:11] == [*renamed[13:], 0] == [0, 0, 0]
