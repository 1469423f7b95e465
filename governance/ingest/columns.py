"""Python values -> Arrow columns, made from buffers.

`pyarrow.array` and `Array.to_numpy` import pandas where it is installed, which costs more than reading a small dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

LARGE = (pa.large_string(), pa.large_binary())


def strings(values: Sequence[bytes | None], kind: pa.DataType) -> pa.Array:
    """
    Return *values*, UTF-8 where *kind* is a string type, as an array of *kind*.

    >>> strings([b"a", None, "\u00e9".encode()], pa.string()).to_pylist()
    ['a', None, '\u00e9']
    """
    count = len(values)
    valid = None
    if None in values:
        valid = pa.py_buffer(np.packbits([v is not None for v in values], bitorder="little"))
        values = [v or b"" for v in values]
    offsets = np.zeros(count + 1, np.int64 if kind in LARGE else np.int32)
    np.cumsum(np.fromiter(map(len, values), offsets.dtype, count), out=offsets[1:])  # type: ignore[arg-type]
    data = pa.py_buffer(b"".join(values))  # type: ignore[arg-type]
    return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(offsets), data])


def integers(values: Any) -> pa.Array:
    """
    Return *values* (a sequence or array of int, or None) as int64.

    >>> integers([1, None]).to_pylist()
    [1, None]
    """
    valid = None
    if isinstance(values, list) and None in values:
        valid = pa.py_buffer(np.packbits([v is not None for v in values], bitorder="little"))
        values = [v or 0 for v in values]
    numbers = np.ascontiguousarray(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [valid, pa.py_buffer(numbers)])
