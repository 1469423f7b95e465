"""samples (Arrow IPC file) -> their texts in pieces, with lexemes; byte offsets -> code points and lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import int64, void

from governance.kernels import I64, U8, kernel
from governance.languages.detect import language_ids
from governance.languages.lexer import Lexemes, lex_texts
from governance.samples import ROLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    T = TypeVar("T")

PIECE = 4 << 20  # bytes of text that are lexed at a time; a larger text is a piece of its own
OUTPUT = ROLES.index("output")


@dataclass(frozen=True)
class Piece:
    """
    Some texts of a dataset, one after another.

    Attributes:
        data, ends: text j is ``data[ends[j]:ends[j + 1]]``, UTF-8.
        rows: shape (texts,), the sample of each text, by its place in the file.
        roles: shape (texts,), place in `samples.ROLES`.
        languages: shape (texts,), see `languages.detect.language_ids`.
        fields: path of each text in its record.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    rows: NDArray[np.int64]
    roles: NDArray[np.int64]
    languages: NDArray[np.uint8]
    fields: pa.Array

    def lex(self, *, renamed: bool = True, places: bool = True) -> Lexemes:
        """Return the lexemes of the texts; runs beside other threads."""
        return lex_texts(self.data, self.ends, self.languages, renamed=renamed, places=places)


def read_pieces(samples: Path, most: int = PIECE) -> Iterator[Piece]:
    """Yield the texts of the Arrow IPC file *samples* in order, mapped and not read as a whole."""
    base = 0
    with pa.memory_map(str(samples)) as source:
        reader = pa.ipc.open_file(source)
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k)
            texts = batch.column("texts")
            if len(texts.values):
                yield from _cut(batch, texts, base, most)
            base += batch.num_rows


def _cut(batch: pa.RecordBatch, texts: pa.ListArray, base: int, most: int) -> Iterator[Piece]:
    sample_ends = texts.offsets.to_numpy().astype(np.int64)
    first, last = int(sample_ends[0]), int(sample_ends[-1])
    flat = texts.values.slice(first, last - first)
    values, fields = pc.struct_field(flat, "text"), pc.struct_field(flat, "field")
    ends = np.frombuffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
    data = values.buffers()[2]
    bytes_ = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    rows = np.repeat(np.arange(batch.num_rows), np.diff(sample_ends))
    roles = pc.fill_null(pc.index_in(pc.struct_field(flat, "role"), pa.array(ROLES)), OUTPUT)
    numbers = roles.to_numpy(zero_copy_only=False).astype(np.int64)
    # What a record says of its language and path it says of its output; a prompt is looked at itself.
    own = pa.array(np.where(numbers == OUTPUT, rows, 0), mask=numbers != OUTPUT)
    declared, paths = (batch.column(name).take(own) for name in ("language", "path"))
    spoken = language_ids(declared, paths, bytes_, np.ascontiguousarray(ends))
    at = 0
    while at < len(values):
        end = max(at + 1, int(np.searchsorted(ends, ends[at] + most, "right")) - 1)
        chosen = slice(at, end)
        yield Piece(
            bytes_[ends[at] : ends[end]], ends[at : end + 1] - ends[at], rows[chosen] + base, numbers[chosen],
            spoken[chosen], fields.slice(at, end - at),
        )  # fmt: skip
        at = end


def mapped(work: Callable[[Piece], T], pieces: Iterator[Piece], threads: int) -> Iterator[tuple[Piece, T]]:
    """Yield every piece with what *work* makes of it, in order; *threads* of them are under way at a time."""
    waiting: deque[tuple[Piece, Future[T]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for piece in pieces:
            waiting.append((piece, pool.submit(work, piece)))
            if len(waiting) > threads:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


@kernel(void(U8, int64, int64, I64, int64[::1], int64[::1]))
def _count(data: Any, begin: int, end: int, offsets: Any, points: Any, lines: Any) -> None:
    """Count the code points and line breaks of ``data[begin:end]`` in front of every ascending offset."""
    at, seen, line = begin, 0, 1
    for j in range(offsets.size):
        while at < min(begin + offsets[j], end):
            if data[at] & 0xC0 != 0x80:
                seen += 1
            if data[at] == 10:
                line += 1
            at += 1
        points[j], lines[j] = seen, line


def places(
    data: NDArray[np.uint8], begin: int, end: int, offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """
    Return the code points before, and the line (from 1) at, each of the byte *offsets* in ``data[begin:end]``.

    Args:
        offsets: relative to *begin*, in any order.
    """
    order = np.argsort(offsets, kind="stable")
    points, lines = np.empty(offsets.size, np.int64), np.empty(offsets.size, np.int64)
    _count(data, begin, end, np.ascontiguousarray(offsets[order], np.int64), points, lines)
    back = np.argsort(order, kind="stable")
    return points[back], lines[back]
