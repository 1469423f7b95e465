"""The lexer: a slow one agrees, no language changes the verbatim lexemes, and no byte sequence leads astray."""

from __future__ import annotations

# ruff: noqa: E501, I001

import json
import random
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_lexer import slow_lexemes

from governance.cli import main
from governance.languages.characters import ALONE, HAN, HAN_BLOCKS, LETTER, SPACE, character_classes
from governance.languages.lexer import KINDS, LANGUAGES, Lexemes, hash_bytes, lex_string, lex_texts

PIECES = [
    b'"""', b"'''", b'"', b"'", b"`", b"//", b"/*", b"*/", b"#", b"--", b"${", b"}", b"{", b"\\", b"\n", b'r#"', b'"#',
    b'R"x(', b')x"', b"<<EOF\n", b"EOF\n", b"<<", b"$$", b"$a$", b"%q(", b")", b"=begin", b"\n=end", b"<?php", b"?>",
    b"<!--", b"-->", b"/", b"f", b"1e-", b"0x1F.", b"\xe4\xb8\xad", b"\xe4", b"\xff", b" ", b"\r\n", b"if", b"```\n",
    b"\n```py\n", b"\xc3\xa9", b"\xef\xbb\xbf", b"...", b"===", b"$(", b"\\(", b"#{", b"1.5", b"\xed\xa0\x80", b"\xf0\x9f",
]  # fmt: skip

ANY = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))


def lex(texts: list[bytes], languages: list[int]) -> Lexemes:
    """Lex raw texts."""
    ends = np.cumsum([0, *map(len, texts)])
    return lex_texts(np.frombuffer(b"".join(texts), np.uint8), ends.astype(np.int64), np.array(languages, np.uint8))


@settings(max_examples=400, deadline=None)
@given(ANY)
def test_slow_lexer_agrees(raw: bytes) -> None:
    """Starts, ends and hashes are those of a lexer written character by character, for any bytes."""
    lexemes, expected = lex([raw], [0]), [place[:2] for place in slow_lexemes(raw)]
    assert list(zip(lexemes.starts.tolist(), lexemes.ends.tolist(), strict=True)) == expected
    assert lexemes.verbatim.tolist() == [hash_bytes(raw[s:e]) for s, e in expected]


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY, min_size=1, max_size=6))
def test_language_changes_no_verbatim_lexeme(texts: list[bytes]) -> None:
    """Every language gives the same verbatim lexemes and offsets, with the renamed view and without."""
    first = lex(texts, [0] * len(texts))
    for number in range(len(LANGUAGES)):
        other = lex(texts, [number] * len(texts))
        for name in ("verbatim", "starts", "ends", "text_ends"):
            assert (getattr(first, name) == getattr(other, name)).all()
        assert (other.kinds < len(KINDS)).all()
    raw = np.frombuffer(b"".join(texts), np.uint8)
    bare = lex_texts(raw, np.cumsum([0, *map(len, texts)]), np.zeros(len(texts), np.uint8), renamed=False, places=False)
    assert (bare.verbatim == first.verbatim).all()
    assert bare.renamed.size == bare.starts.size == bare.kinds.size == 0


def test_text_does_not_see_its_neighbours() -> None:
    """A text among others, anywhere in a buffer, has the kinds and folded lexemes it has alone."""
    rng = random.Random(7)  # noqa: S311
    for _ in range(60):
        texts = [b"".join(rng.choices(PIECES, k=rng.randrange(25))) for _ in range(len(LANGUAGES))]
        numbers = list(range(len(LANGUAGES)))
        together = lex(texts, numbers)
        for j, text in enumerate(texts):
            alone = lex([text], [j])
            part = slice(together.text_ends[j], together.text_ends[j + 1])
            assert (together.renamed[part] == alone.renamed).all()
            assert (together.kinds[part] == alone.kinds).all()
    raw = np.frombuffer(b"abc x = 'y' zz", np.uint8)
    inner = lex_texts(raw, np.array([4, 11]), np.array([LANGUAGES.index("c")], np.uint8))
    assert inner.starts.tolist() == [4, 6, 8, 9, 10]
    assert inner.ends.tolist() == [5, 7, 9, 10, 11]


@pytest.mark.parametrize(
    "piece", [b'"${', b"`${`", b"<<A\n", b"x = /a", b"%q(", b"'\\", b"r#", b"$a", b"/*", b"'''", b'"']
)
def test_time_grows_with_the_text(piece: bytes) -> None:
    """No repeated delimiter makes any language slower than a fixed cost per byte."""
    for number in range(len(LANGUAGES)):
        begin = time.process_time()
        lex([piece * (400_000 // len(piece))], [number])
        assert time.process_time() - begin < 2.0, LANGUAGES[number]


def test_hashes_are_for_ever() -> None:
    """Stored hashes stay what they are: FNV-1a, then the finaliser of MurmurHash3."""
    assert lex_string("return x", "c").verbatim.tolist() == [hash_bytes(b"return"), hash_bytes(b"x")]
    assert hash_bytes(b"x") == 478781583942767621


def test_character_classes() -> None:
    """Every character that Unicode 14 assigns has the class that its category says; what came later stands alone."""
    classes = character_classes()
    pinned = unicodedata.unidata_version == "14.0.0"
    for point in range(classes.size):
        character = chr(point)
        if any(first <= point <= last for first, last in HAN_BLOCKS):
            assert classes[point] == HAN
        elif character.isspace() or point == 0xFEFF:
            assert classes[point] == SPACE
        elif character in "0123456789":
            assert classes[point] == 4
        elif character == "_" or unicodedata.category(character)[0] in "LMN":
            assert classes[point] == LETTER or (not pinned and classes[point] == ALONE)
        else:
            assert classes[point] == ALONE


def test_fences() -> None:
    """What stands between Markdown fences has the language that the fence names, or looks like; the rest is prose."""
    text = "It's\n```python\nx = 'a' # c\n```\nbye\n~~~\ndef f(self):\n    return None\n~~~\nend's"
    kinds = [KINDS[k] for k in lex_string(text, "markdown").kinds]
    lexemes = lex_string(text, "md")
    words = [text.encode()[s:e].decode() for s, e in zip(lexemes.starts, lexemes.ends, strict=True)]
    assert kinds[words.index("a")] == "string"
    assert kinds[words.index("c")] == "comment"
    assert kinds[words.index("def")] == "keyword"
    assert kinds[words.index("bye")] == kinds[words.index("end")] == "word"


@pytest.mark.parametrize("offsets", [[0, 9], [-1, 2], [2, 1, 3]])
def test_wrong_offsets(offsets: list[int]) -> None:
    """Offsets outside the data are refused and never read."""
    with pytest.raises(ValueError, match="do not fit"):
        lex_texts(np.zeros(4, np.uint8), np.array(offsets), np.zeros(len(offsets) - 1, np.uint8))


def test_wrong_language() -> None:
    """A number that is no language is refused."""
    with pytest.raises(ValueError, match="language 200"):
        lex_texts(np.zeros(4, np.uint8), np.array([0, 4]), np.array([200], np.uint8))


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    got = capsys.readouterr()
    return int(stop.value.code or 0), got.out, got.err


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`governance lex` prints offsets, line, kind and text; undecodable bytes are lexemes of their own."""
    path = tmp_path / "a.py"
    path.write_bytes(b"x = 'a'\ny \xff 5 # no\n")
    code, out, _ = run(capsys, "lex", str(path), "--format", "json")
    rows = json.loads(out)
    assert code == 0
    assert rows[0] == {"start": 0, "end": 1, "line": 1, "kind": "identifier", "text": "x"}
    assert {"start": 10, "end": 11, "line": 2, "kind": "operator", "text": "\\xff"} in rows
    code, out, _ = run(capsys, "lex", str(path), "--format", "jsonl", "--view", "renamed")
    assert [json.loads(line)["renamed"] for line in out.splitlines()] == ["ID", "=", "STR", "ID", "\\xff", "NUM"]
    assert run(capsys, "lex", str(path), "--language", "text", "--format", "json")[1].count('"word"') == 4


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["missing.py"], "missing.py"),
        (["."], "folder"),
        (["x.c", "--language", "klingon"], "klingon"),
        (["x.c", "--view", "both"], "both"),
    ],
)
def test_command_bad_input(
    args: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be lexed is one line on stderr that names it, and exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("x.c").write_text("int x;")
    code, out, err = run(capsys, "lex", *args)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_standard_library() -> None:
    """Every lexeme of real files is found where its offsets say, and the renamed view of Python drops docstrings."""
    path = Path(json.__file__)
    lexemes, raw = lex_string(path.read_text("utf-8"), "python"), path.read_bytes()
    words = zip(lexemes.starts[:200], lexemes.ends[:200], lexemes.verbatim[:200], strict=True)
    assert all(hash_bytes(raw[s:e]) == value for s, e, value in words)
    assert KINDS[lexemes.kinds[0]] == "comment"
