"""--memory-limit, cores -> how many processes work at once, and what each part of a command may take.

The limit is for all processes together. What a process takes at rest was measured (proportional set size, Linux,
Python 3.11), and is rounded up here to what it takes at work:

    HERE      this process: the interpreter, Arrow, DuckDB, compiled kernels and patterns
    RECORDER  Great Expectations in its process, alive during the whole of a check that records
    READER    a process that parses: a chunk of 4 MiB as bytes, as objects and as a batch, at both ends of its pipe
    SCANNER   a process that scans: the pattern database, its automata, one slice and its findings
    THREAD    a thread of DuckDB or of a kernel with its buffers

What the limit leaves beside HERE and RECORDER is the *rest*. The stages follow each other, so each may use all of it:
as many readers, scanners and threads as fit in, at most one per core, at least one (which is this process itself, so
nothing is started). While duplicates are searched half of the rest is DuckDB's, which spills, and half belongs to the
shingles, which go to a file where they are more. The database of the run gets half, and the tables in Arrow, which
hold no text, the other. Texts are never held: they are read from mapped files, whose pages the system takes back.

A record or a row of tables larger than the rest can still go over the limit; that is no error as long as the machine
has the memory. Where DuckDB or the machine refuses, `refused_memory` says so in one line.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from dataclasses import dataclass

import pyarrow as pa

from governance.errors import UsageError

MIB = 1 << 20
HERE = 256 * MIB
RECORDER = 192 * MIB
READER = 96 * MIB
SCANNER = 96 * MIB
THREAD = 64 * MIB
LEAST = 256 * MIB
"""The least rest: half of it is what DuckDB needs to sort and join with two threads."""


@dataclass(frozen=True, slots=True)
class Shares:
    """
    What the parts of one command may take.

    Attributes:
        readers, scanners: processes that parse, and that scan; 1 is the command's own.
        threads: of DuckDB and of kernels.
        database: bytes for the DuckDB of the run.
        search: bytes for the DuckDB of a search for duplicates, and as many for its shingles.
    """

    readers: int
    scanners: int
    threads: int
    database: int
    search: int


def share_memory(limit: int, cores: int, *, record: bool = False) -> Shares:
    """
    Divide *limit* bytes for at most *cores* processes, as the head of this module says.

    >>> share_memory(1000 * MIB, 64).scanners, share_memory(4096 * MIB, 2).scanners
    (7, 2)

    Raises:
        UsageError: the limit is below what one process needs.
    """
    floor = HERE + LEAST + (RECORDER if record else 0)
    if limit < floor:
        without = f", or {(HERE + LEAST) // MIB}MiB with --no-record" if record else ""
        raise UsageError(f"--memory-limit is {limit // MIB}MiB, expected at least {floor // MIB}MiB{without}")
    rest = limit - floor + LEAST

    def fitting(each: int) -> int:
        return max(1, min(cores, rest // each))

    return Shares(fitting(READER), fitting(SCANNER), fitting(THREAD), rest // 2, rest // 2)


def return_memory() -> None:
    """
    Give what a stage has freed back to the system; the next one needs other sizes, and allocators keep what they had.

    A few milliseconds; where the C library is not glibc only Arrow's part is returned.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
