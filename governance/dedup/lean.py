"""MinHash signatures <-> the bytes that `datasketch.LeanMinHash` writes and reads.

One record: the seed (8 bytes, signed), minus the number of permutations (4 bytes, signed), 1 for the scheme affine32
(1 byte), then the values (4 bytes each). In the machine's own layout (``@``, the default there and here) three zero
bytes stand before the values, in the others none. Records follow each other without a gap.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import numpy as np

from governance.dedup.minhash import PERMUTATIONS
from governance.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ByteOrder = Literal["@", "=", "<", ">", "!"]

_AFFINE32 = 1


def to_lean(signatures: NDArray[np.uint32], seed: int = 1, byteorder: ByteOrder = "@") -> bytes:
    """
    Return the records of *signatures*, of shape (K,) for one or (n, K) for n.

    >>> to_lean(np.arange(2, dtype=np.uint32), seed=1, byteorder="<").hex()
    '0100000000000000feffffff010000000001000000'
    """
    rows = np.atleast_2d(signatures)
    header = struct.pack(f"{byteorder}qiB0I", seed, -rows.shape[1], _AFFINE32)
    out = np.empty((rows.shape[0], len(header) + 4 * rows.shape[1]), np.uint8)
    out[:, : len(header)] = np.frombuffer(header, np.uint8)
    out[:, len(header) :] = rows.astype(_values(byteorder)).view(np.uint8)
    return out.tobytes()


def from_lean(data: bytes, byteorder: ByteOrder = "@") -> tuple[NDArray[np.uint32], int]:
    """
    Return the signatures of the records *data*, shape (n, K), and their seed.

    Raises:
        InputError: the data is cut short, of another scheme or byte order, or holds several kinds of signatures.
    """
    head = struct.Struct(f"{byteorder}qiB0I")
    if len(data) < head.size:
        raise InputError(f"LeanMinHash data has {len(data)} bytes, expected at least the {head.size} of one header")
    seed, negated, scheme = head.unpack_from(data)
    if negated >= 0 or scheme != _AFFINE32 or -negated not in PERMUTATIONS:
        raise InputError(
            f"LeanMinHash data holds {_described(negated, scheme)}, expected scheme 'affine32' with "
            f"{' or '.join(map(str, PERMUTATIONS))} permutations in byte order {byteorder!r}; sign the samples again"
        )
    size = head.size - 4 * negated
    if len(data) % size:
        raise InputError(f"LeanMinHash data has {len(data)} bytes, expected a multiple of {size}; it is cut short")
    records = np.frombuffer(data, np.uint8).reshape(-1, size)
    other = np.flatnonzero((records[:, : head.size] != records[0, : head.size]).any(axis=1))
    if other.size:
        raise InputError(f"LeanMinHash record {other[0]} has another seed, number or scheme than record 0")
    values = np.ascontiguousarray(records[:, head.size :]).view(_values(byteorder))
    return values.astype(np.uint32), seed


def _values(byteorder: ByteOrder) -> np.dtype[np.uint32]:
    return np.dtype(np.uint32).newbyteorder({"@": "=", "!": ">"}.get(byteorder, byteorder))  # type: ignore[arg-type]


def _described(negated: int, scheme: int) -> str:
    if negated >= 0:
        return f"scheme 'legacy' with {negated} permutations"
    name = {_AFFINE32: "'affine32'", 2: "'affine64'"}.get(scheme, f"number {scheme}")
    return f"scheme {name} with {-negated} permutations"
