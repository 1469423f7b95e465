"""runs of hashes, one after another -> one flat array, in memory or mapped from a file that has no name any more.

Pages of a mapped file count as memory of the process as soon as they are read, and stay until they are let go. A pass
over the array therefore says what it is done with (`Hashes.release`).
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Hashes:
    """
    Many hashes, flat.

    Attributes:
        values: shape (m,), uint64.
        mapped: the file behind *values*; None if they stand in memory.
    """

    values: NDArray[np.uint64]
    mapped: mmap.mmap | None = None

    def release(self) -> None:
        """Let go of the pages that were read; what is read again comes from the file, or from the system's cache."""
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)


class Spool:
    """
    Takes runs of hashes.

    Args:
        most: hashes at most; memory is used for those that come.
        work: folder for a file in place of memory.
    """

    def __init__(self, most: int, work: Path | None = None) -> None:
        self._used = 0
        self._file: Any = tempfile.TemporaryFile(dir=work, buffering=0) if work else None  # noqa: SIM115
        self._memory = np.empty(0 if work else most, np.uint64)

    @classmethod
    def open(cls, path: Path) -> Spool:
        """Return the hashes of the file *path*, to `read`."""
        spool = cls(0)
        spool._file = path.open("rb", buffering=0)
        return spool

    def append(self, values: NDArray[np.uint64]) -> int:
        """Add *values* at the end; returns where they start."""
        start = self._used
        if self._file is None:
            self._memory[start : start + values.size] = values
        else:
            left = values.view(np.uint8).data
            while left:
                left = left[self._file.write(left) :]
        self._used += values.size
        return start

    def read(self, start: int, count: int) -> NDArray[np.uint64]:
        """Return a copy of *count* hashes from *start* on that were added before; for a file only."""
        assert self._file is not None
        out = np.empty(count, np.uint64)
        left, at = out.view(np.uint8).data, 8 * start
        while left:
            got = os.preadv(self._file.fileno(), [left], at)
            if not got:
                raise OSError("a working file was cut short")
            left, at = left[got:], at + got
        return out

    def finish(self) -> Hashes:
        """Return all that was added."""
        if self._file is None:
            return Hashes(self._memory[: self._used])
        if not self._used:
            return Hashes(np.empty(0, np.uint64))
        mapped = mmap.mmap(self._file.fileno(), 8 * self._used, access=mmap.ACCESS_READ)
        return Hashes(np.frombuffer(mapped, np.uint64), mapped)


def map_ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """Yield ``function(item)`` in the order of *items*, of which at most *ahead* are read before they are needed."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
