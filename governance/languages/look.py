"""a file -> its lexemes as rows, for people and programs to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from governance.errors import InputError, UsageError
from governance.languages.detect import language_ids, language_number
from governance.languages.lexer import ID, KINDS, LANGUAGES, NUM, STR, lex_texts

VIEWS = ("verbatim", "renamed")

_FOLDED = {int(ID): "ID", int(NUM): "NUM", int(STR): "STR"}


def lex_file(path: Path, language: str | None = None, view: str = "verbatim") -> Iterator[dict[str, Any]]:
    """
    Yield the lexemes of a file, in order: start, end (byte offsets, half-open), line (from 1), kind, text.

    A byte that is not UTF-8 is a lexeme of its own, and its text is written ``\\xff``. In the renamed view a row also
    has `renamed`: ID, NUM or STR for what folds, else the text; what has no place in that view is left out.

    Args:
        language: any name of a language; by the file's name or content without one.

    Raises:
        UsageError: no such language or view.
        InputError: the file cannot be read.
    """
    if language and language_number(language) is None:
        raise UsageError(
            f"--language {language!r} is not known; known are {', '.join(LANGUAGES)} and their usual names"
        )
    if view not in VIEWS:
        raise UsageError(f"--view {view!r} is not known; expected {' or '.join(VIEWS)}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
    return _rows(raw, str(path), language, view == "renamed")


def _rows(raw: bytes, path: str, language: str | None, renamed: bool) -> Iterator[dict[str, Any]]:
    data = np.frombuffer(raw, np.uint8)
    offsets = np.array([0, data.size], np.int64)
    lexemes = lex_texts(data, offsets, language_ids([language], [path], data, offsets))
    lines = np.searchsorted(np.flatnonzero(data == 10), lexemes.starts) + 1
    for k, (start, end) in enumerate(zip(lexemes.starts.tolist(), lexemes.ends.tolist(), strict=True)):
        text = raw[start:end].decode("utf-8", "backslashreplace")
        row = {"start": start, "end": end, "line": int(lines[k]), "kind": KINDS[lexemes.kinds[k]], "text": text}
        if renamed:
            value = int(lexemes.renamed[k])
            if value == 0:
                continue
            row["renamed"] = _FOLDED.get(value, text)
        yield row
