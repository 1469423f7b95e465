"""shingle sets of two sides -> those that may be near one of the other side; the others cannot be, so none is lost.

If ``J(A, B) >= t``, at least ``t |A|`` shingles of A stand in B. So A is out where fewer stand anywhere on the
other side. A table of bits says which leading bits of a hash occur there: it can say yes where no is right, never the
reverse. Two datasets with little in common, the rule in a registry, then cost two passes over their shingles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import boolean, int64, types, uint8, uint64, void

from governance.kernels import FLAGS, I64, U64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from governance.dedup.join import Sets

_BITS = 28  # of the table's logarithm at most: 32 MiB
_RANGE = 1 << 16  # sets between two releases of a mapped file
_TABLE = types.Array(uint8, 1, "C")
_OUT = types.Array(boolean, 1, "C")


def possible_sets(sets: Sets, side: NDArray[np.int8], p: int, q: int) -> NDArray[np.bool_]:
    """Return, shape (n,), which of *sets* may reach the similarity p / q with one whose *side*, 0 or 1, is another."""
    possible = np.zeros(sets.sizes.size, np.bool_)
    here = side != 0
    if not here.any() or here.all():
        return possible
    small, large = sorted((here, ~here), key=lambda chosen: int(sets.sizes[chosen].sum()))
    _look_up(sets, large, small, p, q, possible)
    _look_up(sets, possible.copy(), large, p, q, possible)
    return possible


def _look_up(
    sets: Sets, marked: NDArray[np.bool_], asked: NDArray[np.bool_], p: int, q: int, out: NDArray[np.bool_]
) -> None:
    """Write to *out* for the sets *asked* whether enough of their shingles stand in those *marked*."""
    bits = min(_BITS, max(12, (8 * int(sets.sizes[marked].sum())).bit_length()))
    table = np.zeros(1 << (bits - 3), np.uint8)
    for first in range(0, sets.sizes.size, _RANGE):
        mark(sets.hashes, sets.starts, sets.sizes, marked, first, min(first + _RANGE, marked.size), table, 64 - bits)
        sets.release()
    for first in range(0, sets.sizes.size, _RANGE):
        last = min(first + _RANGE, asked.size)
        look_up(sets.hashes, sets.starts, sets.sizes, asked, first, last, table, 64 - bits, p, q, out)
        sets.release()


@kernel(void(U64, I64, I64, FLAGS, int64, int64, _TABLE, int64))
def mark(hashes: Any, starts: Any, sizes: Any, chosen: Any, first: int, last: int, table: Any, shift: int) -> None:
    """Set the bit of ``hash >> shift`` in *table* for the shingles of the *chosen* sets of ``[first, last)``."""
    for i in range(first, last):
        if chosen[i]:
            for k in range(starts[i], starts[i] + sizes[i]):
                slot = hashes[k] >> uint64(shift)
                table[int64(slot >> uint64(3))] |= uint8(uint64(1) << (slot & uint64(7)))


@kernel(void(U64, I64, I64, FLAGS, int64, int64, _TABLE, int64, int64, int64, _OUT))
def look_up(
    hashes: Any, starts: Any, sizes: Any, chosen: Any, first: int, last: int, table: Any, shift: int, p: int, q: int,
    out: Any,
) -> None:  # fmt: skip
    """Write for the *chosen* sets whether at least p / q of their shingles have their bit in *table*, and one has."""
    for i in range(first, last):
        if chosen[i]:
            found = 0
            for k in range(starts[i], starts[i] + sizes[i]):
                slot = hashes[k] >> uint64(shift)
                found += int64((uint64(table[int64(slot >> uint64(3))]) >> (slot & uint64(7))) & uint64(1))
            out[i] = found > 0 and q * found >= p * sizes[i]
