"""a SAMPLES batch -> its texts as flat columns; one text -> code-point offsets and its NFKC view."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.samples import ROLES, Text

COMMON_WIDE = "（），：；！？～\u3000\u00a0"
"""Wide punctuation and spaces of ordinary Chinese text: replaced one by one, which is far cheaper than a table."""


@dataclass(frozen=True, slots=True)
class TextColumns:
    """
    The texts of a SAMPLES batch without a Python object per text.

    Attributes:
        data: UTF-8 bytes that ``starts`` and ``ends`` (bytes, half-open, one per text) point into.
        rows: position in the batch of the sample that each text belongs to, ascending.
        first: ordinal of the first text of each row, and the number of texts at the end; length rows + 1.
        roles: index into ``ROLES``; -1 where the role is another one.
        fields: path of the field of each text.
    """

    data: memoryview
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    roles: npt.NDArray[np.int8]
    fields: pa.Array

    def __len__(self) -> int:
        return len(self.starts)

    def bytes_of(self, t: int) -> bytes:
        """UTF-8 bytes of text *t*."""
        return bytes(self.data[self.starts[t] : self.ends[t]])

    def text_of(self, t: int) -> Text:
        """Text *t* as a value."""
        role = ROLES[self.roles[t]] if self.roles[t] >= 0 else ""
        return Text(self.fields[t].as_py(), role, self.bytes_of(t).decode())

    def is_role(self, field: str) -> npt.NDArray[np.bool_]:
        """Mask of the texts that a rule with this *field* reads: a role, ``prompt`` (all but output), else all."""
        if field in ROLES:
            return np.asarray(self.roles == ROLES.index(field))
        if field == "prompt":
            return np.asarray(self.roles != ROLES.index("output"))
        return np.ones(len(self), np.bool_)


def text_columns(batch: pa.RecordBatch) -> TextColumns:
    """Return the texts of a SAMPLES *batch*; nothing is copied but the small columns."""
    column = batch.column("texts")
    first = _numbers(column.offsets, np.int32).astype(np.int64)
    structs = column.values.slice(first[0], first[-1] - first[0]) if len(first) else column.values
    first = first - first[0] if len(first) else np.zeros(1, np.int64)
    texts = structs.field("text")
    _, offset_buffer, values = texts.buffers()
    count = len(texts)
    if offset_buffer is None:
        offsets = np.zeros(count + 1, np.int64)
    else:
        offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + count + 1]
    starts, ends = offsets[:-1], offsets[1:]
    if texts.null_count:
        ends = np.where(np.asarray(texts.is_valid().to_numpy(zero_copy_only=False)), ends, starts)
    encoded = structs.field("role").fill_null("") if structs.field("role").null_count else structs.field("role")
    encoded = encoded.dictionary_encode()
    names = [v.as_py() for v in encoded.dictionary]
    codes = np.array([ROLES.index(n) if n in ROLES else -1 for n in names] + [-1], np.int8)
    indices = _numbers(encoded.indices, np.int32)
    return TextColumns(
        data=memoryview(values) if values is not None else memoryview(b""),
        starts=starts,
        ends=ends,
        rows=np.repeat(np.arange(len(first) - 1), np.diff(first)),
        first=first,
        roles=codes[indices],
        fields=structs.field("field"),
    )


def _numbers(array: pa.Array, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """The values of an array without nulls; ``to_numpy`` would import pandas, in every worker, if installed."""
    return np.frombuffer(array.buffers()[1] or b"", dtype)[array.offset : array.offset + len(array)]


class TextView:
    """One text that something hit: its bytes, its characters, and the way from the first to the second."""

    __slots__ = ("_text", "ascii", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.ascii = data.isascii()
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The text as characters; decoded once."""
        if self._text is None:
            self._text = self.data.decode()
        return self._text

    def spans(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """
        Return *spans* of bytes as spans of code points, in the order given.

        >>> TextView("é = 5".encode()).spans([(5, 6), (0, 2)])
        [(4, 5), (0, 1)]
        """
        if self.ascii or not spans:
            return list(spans)
        points: dict[int, int] = {}
        at = count = 0
        for offset in sorted({o for span in spans for o in span}):
            count += len(self.data[at:offset].decode())
            at = offset
            points[offset] = count
        return [(points[a], points[b]) for a, b in spans]


@functools.cache
def narrow_table() -> dict[int, str]:
    """
    Code points other than ASCII whose NFKC form (Unicode, annex 15) is one ASCII character, and that character.

    One for one, so that an offset in the view is an offset in the text.
    """
    table = {}
    for character in filter(unicodedata.decomposition, map(chr, range(0x80, 0x20000))):  # no later plane has any
        narrow = unicodedata.normalize("NFKC", character)
        if len(narrow) == 1 and narrow.isascii():
            table[ord(character)] = narrow
    return table


def narrow(text: str, *, common_only: bool = False) -> str:
    """
    Return the NFKC view of *text*: wide letters, digits and signs as ASCII, everything else as it is.

    With *common_only* the caller knows that nothing but COMMON_WIDE has to be replaced.

    >>> narrow("电话：１３８")
    '电话:138'
    """
    if not common_only:
        return text.translate(narrow_table())
    table = narrow_table()
    for character in COMMON_WIDE:
        text = text.replace(character, table[ord(character)])
    return text


def character_class(points: Iterable[int]) -> str:
    """
    Return a regex class of the code *points*.

    >>> character_class([0xFF10, 0xFF11, 0xFF12, 0xFF21])
    '[\\\\x{ff10}-\\\\x{ff12}\\\\x{ff21}]'
    """
    ranges: list[list[int]] = []
    for point in sorted(points):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "[" + "".join(f"\\x{{{a:x}}}" + (f"-\\x{{{b:x}}}" if b > a else "") for a, b in ranges) + "]"


def strings(values: Sequence[str]) -> pa.Array:
    """Return *values* as a string array. ``pa.array`` on a list would import pandas where it is installed."""
    encoded = [v.encode("utf-8", "surrogatepass") for v in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(e) for e in encoded], out=offsets[1:])
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def integers(values: Sequence[int]) -> pa.Array:
    """Return *values* as an int64 array, without the import of pandas that ``pa.array`` makes on a list."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.array(values, np.int64))])
