"""shingle sets -> MinHash signatures, bit for bit those of `datasketch.MinHash` for the same 32-bit hashes.

MinHash (Broder 1997) with the scheme that datasketch 2 calls ``affine32``: the low 32 bits of a shingle go through the
finaliser of MurmurHash3, then ``a * h + b mod 2**32`` per permutation, ``a`` odd, and the smallest value of the set
stays. The constants come from ``numpy.random.RandomState(seed)``, whose stream NumPy keeps for ever. Two signatures
agree in a place with a probability that is the Jaccard similarity of their sets; over K places the standard error of
the estimate is ``sqrt(J (1 - J) / K)``, at most 0.044 for 128 and 0.031 for 256.

The inner loop is written in LLVM's own terms: left to itself, the compiler takes half vectors and stores the minima
after every shingle (8.1 instead of 15.4 thousand million steps a second on one core). Sixteen lanes become what the
machine has: one register of AVX-512, two of AVX2, four of NEON. Four vectors at a time leave the minima of 64
permutations in registers for the whole set. A step is a multiplication (two micro-operations), an addition and a
minimum, so two vector ports cannot do more than eight lanes a cycle; the measured 7.3 leave nothing to win without
giving up the equality with datasketch.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import int64, types, uint32, uint64, void
from numba.extending import intrinsic

from governance.kernels import I64, U64, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from governance.dedup.join import Sets

PERMUTATIONS = (128, 256)
EMPTY = 0xFFFFFFFF
"""Every place of the signature of an empty set; two empty sets look equal, so nobody may compare them."""

_LANES = 16
_VECTORS = 4
_BLOCK = _LANES * _VECTORS  # permutations in one pass over a set
_RANGE = 500_000  # shingles in one piece of work of a thread
_PER_SET = 10  # shingles that take as long as what a set costs beside them


def permutations(count: int = 128, seed: int = 1) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """
    Return the factors (odd) and the summands of *count* affine permutations, as `datasketch.MinHash` draws them.

    Raises:
        ValueError: *count* is neither 128 nor 256, or *seed* does not fit 32 bits.
    """
    if count not in PERMUTATIONS:
        raise ValueError(f"{count} permutations, expected one of {PERMUTATIONS}")
    random = np.random.RandomState(seed)
    a = random.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, random.randint(0, 1 << 32, count, dtype=np.uint32)


def sign_sets(sets: Sets, *, count: int = 128, seed: int = 1, threads: int = 2) -> NDArray[np.uint32]:
    """
    Return the signatures of *sets*: shape (n, *count*), C order. That of an empty set is all `EMPTY`.

    Raises:
        ValueError: see `permutations`.
    """
    drawn = permutations(count, seed)
    out = np.empty((sets.sizes.size, count), np.uint32)

    def sign(span: tuple[int, int]) -> None:
        sign_block(sets, *span, drawn, out[slice(*span)])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sign, ranges(sets.sizes)))
    return out


def sign_block(
    sets: Sets, first: int, last: int, drawn: tuple[NDArray[np.uint32], NDArray[np.uint32]], out: NDArray[np.uint32]
) -> None:
    """Write the signatures of the sets ``[first, last)`` under the `permutations` *drawn* to *out*, C order."""
    mixed = np.empty(int(sets.sizes[first:last].max()), np.uint32)
    sign_range(sets.hashes, sets.starts, sets.sizes, first, last, *drawn, mixed, out.reshape(-1))
    sets.release()


def ranges(sizes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut the positions of sets into ranges of about equal work."""
    if not sizes.size:
        return []
    cuts = np.unique(np.cumsum(sizes + _PER_SET) // _RANGE, return_index=True)[1].tolist()
    return list(zip(cuts, [*cuts[1:], sizes.size], strict=True))


@kernel(uint32(uint64))
def mix(value: Any) -> Any:
    """Return the 32-bit finaliser of MurmurHash3 of the low half of *value*; Numba would go on in 64 bits."""
    h = uint32(value)
    h = uint32(uint32(h ^ (h >> uint32(16))) * uint32(0x85EBCA6B))
    h = uint32(uint32(h ^ (h >> uint32(13))) * uint32(0xC2B2AE35))
    return uint32(h ^ (h >> uint32(16)))


def _write_block(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Write the code of `lower_block`."""
    word, vector = ir.IntType(32), ir.VectorType(ir.IntType(32), _LANES)
    none, index = ir.Constant(vector, ir.Undefined), ir.IntType(64)

    def pointer(argument: int, offset: Any) -> Any:
        array = context.make_array(signature.args[argument])(context, builder, args[argument])
        return builder.gep(array.data, [offset])

    def vectors(argument: int, offset: Any) -> list[Any]:
        start = pointer(argument, offset)
        places = [builder.gep(start, [ir.Constant(index, v * _LANES)]) for v in range(_VECTORS)]
        return [builder.bitcast(place, vector.as_pointer()) for place in places]

    def load(place: Any) -> Any:
        value = builder.load(place)
        value.align = 4  # arrays are aligned to their items only
        return value

    size = args[1]
    factors, summands = ([load(place) for place in vectors(k, args[4])] for k in (2, 3))
    entry, loop, done = builder.block, builder.append_basic_block(), builder.append_basic_block()
    start, most = ir.Constant(index, 0), ir.Constant(vector, [EMPTY] * _LANES)
    builder.cbranch(builder.icmp_signed(">", size, start), loop, done)

    builder.position_at_end(loop)
    j = builder.phi(index)
    lowest = [builder.phi(vector) for _ in range(_VECTORS)]
    h = builder.insert_element(none, builder.load(pointer(0, j)), ir.Constant(word, 0))
    h = builder.shuffle_vector(h, none, ir.Constant(vector, [0] * _LANES))
    lower = []
    for v in range(_VECTORS):
        value = builder.add(builder.mul(factors[v], h), summands[v])
        lower.append(builder.select(builder.icmp_unsigned("<", value, lowest[v]), value, lowest[v]))
    after = builder.add(j, ir.Constant(index, 1))
    builder.cbranch(builder.icmp_signed("<", after, size), loop, done)
    for phi, first, then in ((j, start, after), *((lowest[v], most, lower[v]) for v in range(_VECTORS))):
        phi.add_incoming(first, entry)
        phi.add_incoming(then, loop)

    builder.position_at_end(done)
    results = [builder.phi(vector) for _ in range(_VECTORS)]
    for v, phi in enumerate(results):
        phi.add_incoming(most, entry)
        phi.add_incoming(lower[v], loop)
    for place, value in zip(vectors(5, args[6]), results, strict=True):
        builder.store(value, place).align = 4
    return context.get_dummy_value()


def _type_block(_: Any, mixed: Any, size: Any, a: Any, b: Any, at: Any, out: Any, out_at: Any) -> Any:
    return void(mixed, size, a, b, at, out, out_at), _write_block


lower_block: Any = intrinsic(_type_block)
"""
``lower_block(mixed, size, a, b, at, out, out_at)``, inside a kernel, for every k of one block of permutations::

    out[out_at + k] = min(a[at + k] * h + b[at + k] for h in mixed[:size])

Without any h it is `EMPTY`. All values are unsigned 32-bit numbers and wrap.
"""

_WORDS = types.Array(uint32, 1, "C")


@kernel(void(U64, I64, I64, int64, int64, _WORDS, _WORDS, _WORDS, _WORDS))
def sign_range(
    hashes: Any, starts: Any, sizes: Any, first: int, last: int, a: Any, b: Any, mixed: Any, out: Any
) -> None:
    """
    Write the signatures of the sets ``[first, last)`` to *out*, row after row of ``a.size`` places.

    Args:
        a, b: of the permutations; their number is a multiple of 64.
        mixed: working room, one entry per shingle of the largest set.
    """
    for i in range(first, last):
        for j in range(sizes[i]):
            mixed[j] = mix(hashes[starts[i] + j])
        for k in range(0, a.size, _BLOCK):
            lower_block(mixed, sizes[i], a, b, k, out, (i - first) * a.size + k)
