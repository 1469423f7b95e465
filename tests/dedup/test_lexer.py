"""The lexer kernel against the reference lexer, byte by byte."""

from __future__ import annotations

import numpy as np
import pytest
from dedup_reference import lexemes
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.dedup.lexer import ALONE, SPACE, WORD, character_classes, lex_text


def hashes(data: bytes) -> list[int]:
    out = np.zeros(len(data) + 1, np.uint64)
    count = lex_text(np.frombuffer(data + b"x", np.uint8), 0, len(data), character_classes(), out, 0)
    assert not out[count:].any()
    found: list[int] = out[:count].tolist()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int 订单Id2 = 3.5;", ["int", "订", "单", "Id2", "=", "3", ".", "5", ";"]),
        ("snake_case __init__", ["snake_case", "__init__"]),
        ("naïve Größe", ["naïve", "Größe"]),
        ("ユーザー u", ["ユ", "ー", "ザ", "ー", "u"]),
        ("사용자 로그인", ["사용자", "로그인"]),
        ("a\u00a0b\u3000c\u2028d", ["a", "b", "c", "d"]),
        ("==", ["=", "="]),
        ("🙂x", ["🙂", "x"]),
        (" \n\t", []),
    ],
)
def test_lexemes(text: str, expected: list[str]) -> None:
    """
    Words of any script are one lexeme, Chinese and Japanese characters and signs stand alone, space is nothing.
    """
    assert list(lexemes(text)) == expected
    assert hashes(text.encode()) == [hashes(part.encode())[0] for part in expected]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text(text: str) -> None:
    """
    Any text has as many lexemes as the reference says, and each has the hash it has alone.
    """
    assert hashes(text.encode()) == [hashes(part.encode())[0] for part in lexemes(text)]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    """
    Bytes that are not UTF-8 are read to their end and not beyond, at most one lexeme per byte.
    """
    assert len(hashes(data)) <= len(data)


def test_hashes_are_stable() -> None:
    """
    A hash is the same number in every version and on every machine: stored shingles stay comparable.
    """
    assert [f"{h:016x}" for h in hashes("def 单 _".encode())] == STABLE


def fnv_mixed(part: bytes) -> int:
    state = 0xCBF29CE484222325
    for byte in part:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    state ^= state >> 33
    state = state * 0xFF51AFD7ED558CCD % 2**64
    state ^= state >> 33
    state = state * 0xC4CEB9FE1A85EC53 % 2**64
    return state ^ (state >> 33)


STABLE = [f"{fnv_mixed(part.encode()):016x}" for part in ("def", "单", "_")]


def test_every_character() -> None:
    """
    Every code point is what the reference says: a word's, a lexeme of its own, or space.
    """
    classes = character_classes()
    for point in range(classes.size):
        if not 0xD800 <= point < 0xE000:
            joined = lexemes(f"a{chr(point)}a")
            kind = {(1, 3): WORD, (3, 3): ALONE, (2, 2): SPACE}[len(joined), sum(map(len, joined))]
            assert classes[point] == kind, hex(point)


def test_classes() -> None:
    """
    Every code point below the table's end has one of the three classes; the last letters of the table are Han.
    """
    classes = character_classes()
    assert set(np.unique(classes).tolist()) == {SPACE, WORD, ALONE}
    assert [classes[ord(c)] for c in " a_9é中あ;"] == [SPACE, WORD, WORD, WORD, WORD, ALONE, ALONE, ALONE]
