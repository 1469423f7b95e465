"""a Python function on flat arrays -> a compiled one: without the GIL, compiled once per machine.

Numba notices a changed function by its own source file only. So a kernel may call compiled functions of its own file
and of no other: after an update a stale copy in the cache would otherwise still hold the old ones.

A kernel keeps to numbers, flat arrays, and what NumPy does with them element by element. No strings, no ``hash()``, no
linear algebra: machine code from the cache is linked against Numba's runtime alone, see `_Cache`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import boolean, float64, int32, int64, njit, types, uint8, uint16, uint64
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

F = TypeVar("F", bound=Callable[..., Any])


def _input(item: Any) -> Any:
    return types.Array(item, 1, "C", readonly=True)


U8, U16, U64, I32, I64, F64, FLAGS = map(_input, (uint8, uint16, uint64, int32, int64, float64, boolean))
"""Flat input arrays; a kernel cannot write to them, so buffers of a mapped file will do."""

PAIR = cast(Any, types).UniTuple(int64, 2)
"""What a kernel that counts two things returns."""


class _Cache(FunctionCache):
    """
    Numba's cache on disk, without the cost of being able to compile.

    Before it looks for a cached function, Numba registers everything that its compiler knows, which takes longer than
    loading all kernels. Machine code needs the symbols of the runtime only. Where the cache has nothing, the compiler
    registers all that by itself.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


def kernel(signature: Any = None, *, inline: bool = False) -> Callable[[F], F]:
    """
    Return a decorator that compiles for *signature* at import; without one, for what a kernel of its file passes.

    *inline*: become part of each caller, before it is compiled. A call costs two atomic counts per array that it
    passes, so what runs for every few bytes is no call.

    The machine code is cached beside the source, or in the user's cache folder where that is not writable. Where
    neither is, every process compiles anew (some seconds).
    """

    def compile_it(function: F) -> F:
        compiled: Any = njit(nogil=True, inline="always" if inline else "never")(function)
        if not hasattr(compiled, "compile"):  # NUMBA_DISABLE_JIT is set, and the function stays what it is
            return function
        with contextlib.suppress(RuntimeError):  # no folder for a cache
            compiled._cache = _Cache(function)  # type: ignore[no-untyped-call]
        if signature is not None:
            compiled.compile(signature)
            compiled.disable_compile()  # as njit does with a signature: other arguments are an error, not a wait
        return cast(F, compiled)

    return compile_it
