"""flat numbers <-> Arrow columns, without what pyarrow's own way would import; sorted distinct numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def arrow(values: NDArray[Any]) -> pa.Array:
    """Return flat numbers as an Arrow array, without a copy; `pa.array` would import pandas."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), values.size, [None, pa.py_buffer(values)])


def arrow_words(words: Sequence[str]) -> pa.Array:
    """Return a few words as an Arrow array."""
    ends = np.cumsum([0, *(len(word.encode()) for word in words)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer("".join(words).encode()))


def numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of whole numbers without nulls; pyarrow's own way would import pandas."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    dtype = np.dtype(str(column.type))
    parts = [np.frombuffer(c.buffers()[1], dtype)[c.offset : c.offset + len(c)] for c in chunks if len(c)]
    return np.concatenate([np.empty(0, dtype), *parts])


def distinct(values: NDArray[T]) -> NDArray[T]:
    """
    Return the distinct values, ascending. `np.unique` took 15 s for 6,600,000 hashes where sorting takes 0.5 s.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(values)
    first = np.ones(ordered.size, np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]
