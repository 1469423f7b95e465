"""a Python function on flat arrays -> a compiled one: without the GIL, compiled once per machine.

Numba notices a changed function by its own source file only. So a kernel may call compiled functions of its own file
and of no other: after an update a stale copy in the cache would otherwise still hold the old ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import boolean, float64, int32, int64, njit, types, uint8, uint16, uint64

F = TypeVar("F", bound=Callable[..., Any])


def _input(item: Any) -> Any:
    return types.Array(item, 1, "C", readonly=True)


U8, U16, U64, I32, I64, F64, FLAGS = map(_input, (uint8, uint16, uint64, int32, int64, float64, boolean))
"""Flat input arrays; a kernel cannot write to them, so buffers of a mapped file will do."""

PAIR = cast(Any, types).UniTuple(int64, 2)
"""What a kernel that counts two things returns."""


def kernel(signature: Any = None) -> Callable[[F], F]:
    """
    Return a decorator that compiles for *signature* at import; without one, for what a kernel of its file passes.

    The machine code is cached beside the source, or in the user's cache folder where that is not writable. Where
    neither is, every process compiles anew (some seconds).
    """

    def compile_it(function: F) -> F:
        try:
            compiled: F = njit(signature, nogil=True, cache=True)(function)
        except RuntimeError:  # no folder for a cache
            compiled = njit(signature, nogil=True)(function)
        return compiled

    return compile_it
