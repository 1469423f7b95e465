"""declared names, paths, contents -> the number of each text's language."""

from __future__ import annotations

# ruff: noqa: PLR1714  # compiled, a comparison with each is faster than a search in a tuple
import functools
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numba import int64, types, uint8, uint64, void

from governance.kernels import I32, I64, U8, U64, kernel
from governance.languages.syntax import LANGUAGES
from governance.languages.tells import TELLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIASES = {
    "text": "txt plain plaintext prose markdown md rst asciidoc adoc tex none natural english chinese",
    "c": "h ansi-c c99 c11",
    "cpp": "c++ cc cxx hpp hh hxx h++ cplusplus cuda cu ino tcc inl",
    "objective-c": "objc objectivec objective-c++ objc++ objective_c m mm",
    "java": "jav jsp groovy gradle",
    "kotlin": "kt kts",
    "csharp": "c# cs c-sharp csx dotnet",
    "go": "golang",
    "rust": "rs",
    "javascript": "js jsx mjs cjs node nodejs ecmascript es6 javascriptreact",
    "typescript": "ts tsx mts cts typescriptreact",
    "scala": "sc sbt",
    "swift": "swiftui",
    "python": "py python3 python2 py3 py2 pyi pyw pyx pxd cython ipython sage starlark bzl",
    "ruby": "rb rake gemspec ru erb podspec jruby",
    "php": "php3 php4 php5 php7 php8 phtml phps",
    "sql": "mysql postgres postgresql plsql pl/sql plpgsql tsql t-sql sqlite sqlite3 mssql oracle ddl psql pgsql hql",
    "shell": "sh bash zsh ksh dash shellscript shell-script shell-session console bats fish dockerfile docker",
    "yaml": "yml",
    "toml": "",
    "properties": "ini cfg conf config env dotenv makefile make mk cmake gitignore editorconfig",
    "json": "jsonl ndjson json5 jsonc geojson ipynb",
    "html": "htm xhtml vue svelte",
    "xml": "xsd xsl xslt svg pom wsdl plist csproj",
    "css": "scss less sass",
}
"""Other names of languages: declared ones, info strings of fences and suffixes of files alike."""

SPECIAL = {
    "makefile": "properties",
    "gnumakefile": "properties",
    "dockerfile": "shell",
    "containerfile": "shell",
    "jenkinsfile": "java",
    "gemfile": "ruby",
    "rakefile": "ruby",
    "podfile": "ruby",
    "vagrantfile": "ruby",
    "cmakelists.txt": "properties",
    "build": "python",
    "workspace": "python",
    "sconstruct": "python",
    ".bashrc": "shell",
    ".profile": "shell",
    ".gitignore": "properties",
}
"""Whole names of files, in small letters."""

_NUMBERS = {name: number for number, name in enumerate(LANGUAGES)} | {
    alias: LANGUAGES.index(language) for language, names in ALIASES.items() for alias in names.split()
}


def language_number(name: str | None) -> int | None:
    """
    Return the number of a language by any of its names, in any case; None if it is not known.

    >>> LANGUAGES[language_number(" C++ ")]
    'cpp'
    """
    if not name:
        return None
    key = name.strip().lower()
    return _NUMBERS.get(key, _NUMBERS.get(key.lstrip(".")))


def path_number(path: str | None) -> int | None:
    """Return the number of the language that a file's name tells; None if it tells none."""
    if not path:
        return None
    name = PurePosixPath(path.replace("\\", "/")).name.lower()
    if name in SPECIAL:
        return LANGUAGES.index(SPECIAL[name])
    _, dot, suffix = name.rpartition(".")
    return _NUMBERS.get(suffix) if dot else None


def _known(values: Any, count: int, look_up: Any) -> NDArray[np.int16]:
    """Return the number of each value, -1 where it is unknown; each distinct value is looked up once."""
    if values is None:
        return np.full(count, -1, np.int16)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        coded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
        names = coded.dictionary.to_pylist()
        table = np.array([-1 if (n := look_up(name)) is None else n for name in names] + [-1], np.int16)
        indices = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        return np.asarray(table[indices], np.int16)
    cache: dict[Any, int] = {}
    out = np.full(count, -1, np.int16)
    for row, value in enumerate(values):
        if value not in cache:
            number = look_up(value)
            cache[value] = -1 if number is None else number
        out[row] = cache[value]
    return out


def language_ids(
    declared: Sequence[str | None] | pa.Array | None,
    paths: Sequence[str | None] | pa.Array | None,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """
    Return the language of n texts, shape (n,): as declared, else as the path tells, else guessed from the content.

    Args:
        declared, paths: n names each, unknown or missing ones None or empty; None for none at all.
        data, offsets: the texts, as for `lexer.lex_texts`; at most 4 KiB of each are read to guess.
    """
    count = len(offsets) - 1
    numbers = _known(declared, count, language_number)
    if (numbers < 0).any():
        by_path = _known(paths, count, path_number)
        numbers = np.where(numbers < 0, by_path, numbers)
    offsets = np.ascontiguousarray(offsets, np.int64)
    rows = np.flatnonzero(numbers < 0)
    if rows.size:
        numbers[rows] = guess_languages(data, offsets[rows], offsets[rows + 1])
    return numbers.astype(np.uint8)


@functools.cache
def _tell_tables() -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int16]]:
    """Return keys and rows of an open hash table, and the weights of every tell, shape (tells * languages,)."""
    weights: dict[int, NDArray[np.int16]] = {}
    for language, levels in TELLS.items():
        for weight, text in levels.items():
            for tell in re.split(r"\s{2,}", text.strip()):
                key = 0
                for lexeme in tell.split(" "):
                    key = (key * _STEP + _lexeme_hash({"~": "\n", "BAR": "|"}.get(lexeme, lexeme).encode())) % 2**64
                row = weights.setdefault(key, np.zeros(len(LANGUAGES), np.int16))
                row[LANGUAGES.index(language)] = weight
    size = 1 << (4 * len(weights)).bit_length()
    keys, rows = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for number, key in enumerate(weights):
        slot = (key >> 20) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot], rows[slot] = key, number
    return keys, rows, np.concatenate(list(weights.values()))


def _lexeme_hash(lexeme: bytes) -> int:
    value = int(_BASIS)
    for byte in lexeme:
        value = (value ^ byte) * int(_PRIME) % 2**64
    return value


def guess_languages(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return what each ``data[start:end]`` looks like, by its first 4 KiB; 0 where that is prose or nothing."""
    keys, rows, weights = _tell_tables()
    out = np.zeros(len(starts), np.uint8)
    guess_texts(
        data, np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64), keys, rows, weights,
        len(LANGUAGES), out,
    )  # fmt: skip
    return out


WINDOW = 4096  # bytes that a guess looks at
MOST = 3  # times that one tell counts

_BASIS = np.uint64(0xCBF29CE484222325)  # FNV-1a
_PRIME = np.uint64(0x100000001B3)
_STEP = 0x9E3779B97F4A7C15
_STEP_1, _STEP_2 = np.uint64(_STEP), np.uint64(_STEP**2 % 2**64)
_I16 = types.Array(types.int16, 1, "C", readonly=True)


@kernel()
def comment_marker(data: Any, at: int, end: int) -> int:
    """Return how many bytes open a line of comment at *at*: ``//``, ``# ``, ``-- ``, ``* `` and the like; else 0."""
    byte = data[at]
    after = data[at + 1] if at + 1 < end else uint8(10)
    third = data[at + 2] if at + 2 < end else uint8(10)
    if byte == 47 and (after == 47 or after == 42):
        return 2
    if (byte == 35 or byte == 42) and after <= 32:
        return 1
    if byte == 45 and after == 45 and third <= 32:
        return 2
    return 0


@kernel()
def skip_quoted(data: Any, at: int, end: int) -> int:
    """Return the end of a string of three quotes whose first one is at *at*; *at* where there are no three."""
    if at + 3 > end or data[at + 1] != data[at] or data[at + 2] != data[at]:
        return at
    k = at + 3
    while k + 3 <= end:
        if data[k] == data[at] and data[k + 1] == data[at] and data[k + 2] == data[at]:
            return k + 3
        k += 1
    return end


@kernel(void(U8, I64, I64, U64, I32, _I16, int64, uint8[::1]))
def guess_texts(
    data: Any, starts: Any, ends: Any, keys: Any, rows: Any, weights: Any, languages: int, out: Any
) -> None:
    """
    Write to *out* the language whose tells weigh most in each ``data[start:end]``.

    keys, rows: an open hash table from tells to their row of *weights*, one column per language.
    """
    mask = keys.size - 1
    counts = np.zeros(weights.size // languages, np.uint8)
    used = np.empty(counts.size, np.int32)
    scores = np.empty(languages, np.int64)
    for i in range(starts.size):
        at, end = starts[i], min(ends[i], starts[i] + WINDOW)
        scores[:] = 0
        tells = words = marks = han = 0
        h0, h1 = uint64(0), uint64(0)
        line_first = True
        pending = True  # the beginning is the end of a line
        while at < end or pending:
            state = _BASIS
            if pending:
                pending = False
                state = (state ^ uint64(10)) * _PRIME
            else:
                byte = data[at]
                if byte == 10:
                    line_first, pending = True, True
                    at += 1
                    while at < end and data[at] <= 32:
                        at += 1
                    continue
                if byte <= 32:
                    at += 1
                    continue
                if line_first:
                    line_first = False
                    width = comment_marker(data, at, end)
                    if width:
                        while at < end and data[at] != 10:
                            at += 1
                        continue
                if byte >= 128:
                    han += byte >= 0xE3
                    at += 1
                    continue
                if 48 <= byte <= 57:
                    while at < end and (48 <= data[at] <= 57 or data[at] == 46 or data[at] == 95):
                        at += 1
                    state = (state ^ uint64(48)) * _PRIME
                elif 65 <= byte <= 90 or 97 <= byte <= 122 or byte == 95:
                    words += 1
                    while at < end:
                        byte = data[at]
                        if not (65 <= byte <= 90 or 97 <= byte <= 122 or 48 <= byte <= 57 or byte == 95):
                            break
                        state = (state ^ uint64(byte)) * _PRIME
                        at += 1
                else:
                    if byte == 34 or byte == 39:
                        far = skip_quoted(data, at, end)
                        if far > at:
                            at = far
                            continue
                    marks += byte in (40, 41, 59, 60, 61, 62, 91, 93, 123, 125)
                    state = (state ^ uint64(byte)) * _PRIME
                    at += 1
            for size in range(3):
                key = state
                if size > 0:
                    key += h0 * _STEP_1
                if size > 1:
                    key += h1 * _STEP_2
                slot = int64(key >> uint64(20)) & mask
                while keys[slot] != 0 and keys[slot] != key:
                    slot = (slot + 1) & mask
                if keys[slot] == key:
                    row = rows[slot]
                    if counts[row] == 0:
                        used[tells] = row
                        tells += 1
                    if counts[row] < MOST:
                        counts[row] += uint8(1)
                        for k in range(languages):
                            scores[k] += weights[row * languages + k]
            h1, h0 = h0, state
        for k in range(tells):
            counts[used[k]] = 0
        scores[0] += han // 3
        best = 1
        for k in range(2, languages):
            if scores[k] > scores[best]:
                best = k
        weight = words + han // 3
        prose = scores[0] > scores[best] or (scores[best] < 8 and 4 * marks < weight)
        if 5 * marks < weight:  # hardly a bracket
            prose = prose or scores[best] < 16 or 2 * scores[0] > scores[best]
        out[i] = 0 if prose or scores[best] == 0 else best


@kernel()
def fence_at(data: Any, at: int, end: int) -> int:
    """Return how many backquotes or tildes (negative) make the fence that begins the line at *at*; 0 if none does."""
    spaces = 0
    while at < end and spaces < 3 and data[at] == 32:
        at += 1
        spaces += 1
    if at + 3 > end or (data[at] != 96 and data[at] != 126):
        return 0
    mark = data[at]
    count = 0
    while at < end and data[at] == mark:
        at += 1
        count += 1
    if count < 3:
        return 0
    if mark == 126:
        return -count
    while at < end and data[at] != 10:
        if data[at] == 96:
            return 0
        at += 1
    return count


@kernel(int64(U8, I64, U8, U64, I32, int64[::1], uint8[::1], int64[::1]))
def split_fences(
    data: Any, offsets: Any, languages: Any, names: Any, numbers: Any, segments: Any, spoken: Any, of_texts: Any
) -> int:
    """
    Split texts of language 0 at their Markdown fences; return the number of segments.

    names, numbers: an open hash table of what a fence may name; a segment without a known name gets 255.
    segments, spoken: filled; where each begins (one more at the end), and its language.
    of_texts: filled; the first segment of each text (one more at the end).
    """
    used = 0
    mask = names.size - 1
    for j in range(languages.size):
        at, end = offsets[j], offsets[j + 1]
        of_texts[j] = used
        segments[used], spoken[used] = at, languages[j]
        used += 1
        fence = 0  # of the open one
        while languages[j] == 0 and at < end:
            here = fence_at(data, at, end)
            begin = at
            while at < end and data[at] != 10:
                at += 1
            at = min(at + 1, end)
            if here == 0 or at == end:
                continue
            if fence == 0:
                k = begin
                while data[k] == 32 or data[k] == 96 or data[k] == 126:
                    k += 1
                state = _BASIS
                first = k
                while k < at and data[k] > 32 and data[k] != 123 and data[k] != 44 and data[k] != 58:
                    byte = data[k]
                    state = (state ^ uint64(byte + 32 if 65 <= byte <= 90 else byte)) * _PRIME
                    k += 1
                number = 255
                slot = int64(state >> uint64(20)) & mask
                while k > first and names[slot] != 0:
                    if names[slot] == state:
                        number = numbers[slot]
                        break
                    slot = (slot + 1) & mask
                fence = here
                segments[used], spoken[used] = at, number
                used += 1
            elif (here >= fence > 0) or (here <= fence < 0):
                fence = 0
                segments[used], spoken[used] = begin, 0
                used += 1
    of_texts[languages.size] = used
    segments[used] = offsets[languages.size]
    return used


@functools.cache
def _name_table() -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    size = 1 << (4 * len(_NUMBERS)).bit_length()
    keys, numbers = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for name, number in _NUMBERS.items():
        key = _lexeme_hash(name.encode())
        slot = (key >> 20) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot], numbers[slot] = key, number
    return keys, numbers


def fenced_segments(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], languages: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64] | None]:
    """
    Split prose at its Markdown fences.

    Args:
        data, offsets, languages: texts, as for `lexer.lex_texts`.

    Returns:
        (offsets of the segments, their languages, and per text its first segment, one more at the end). The last is
        None where no text has a fence. What stands between fences has the language that the fence names, or looks like.
    """
    room = 0
    if (languages == 0).any():
        room = int(np.count_nonzero(data == 96) + np.count_nonzero(data == 126)) // 3
    if not room:
        return offsets, languages, None
    segments, spoken = np.empty(languages.size + room + 1, np.int64), np.empty(languages.size + room, np.uint8)
    of_texts = np.empty(languages.size + 1, np.int64)
    used = split_fences(data, offsets, languages, *_name_table(), segments, spoken, of_texts)
    segments, spoken = segments[: used + 1], spoken[:used]
    unnamed = np.flatnonzero(spoken == 255)
    if unnamed.size:
        spoken[unnamed] = guess_languages(data, segments[unnamed], segments[unnamed + 1])
    return segments, spoken, of_texts
