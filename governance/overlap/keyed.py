"""fingerprints, a key -> what two departments can exchange: HMAC-SHA-256 of each, cut to 64 bits.

The message is one byte for the view and the eight bytes of the fingerprint, little-endian; the result is the first
eight bytes of the digest, read as a little-endian number, bit for bit what ``hmac.digest(key, message, "sha256")``
gives. Without the key nobody can tell what a fingerprint stands for, nor try texts against it. With the key anybody
can try texts: the key is for those who may ask. Equal code has equal fingerprints under one key, so how often a
fingerprint repeats, and how long the sources are, shows without it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import uint8, uint32, uint64, void

from governance.errors import UsageError
from governance.kernels import U64, _input, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_KEY = 16  # bytes
MAX_KEY_FILE = 16_384  # bytes
_BLOCK = 64  # bytes; of SHA-256

U32 = _input(uint32)


def _roots(power: float, count: int) -> NDArray[np.uint32]:
    """The first 32 bits of the fractional parts of the roots of the first primes, as FIPS 180-4 defines them."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % p for p in primes):
            primes.append(candidate)
        candidate += 1
    found = []
    for prime in primes:
        degree = round(1 / power)
        low, high = 0, 1 << 40  # the whole part and 32 bits of the root of prime * 2**(32 * degree)
        target = prime << (32 * degree)
        while low < high:
            middle = (low + high + 1) >> 1
            if middle**degree <= target:
                low = middle
            else:
                high = middle - 1
        found.append(low & 0xFFFFFFFF)
    return np.array(found, np.uint32)


_START = _roots(1 / 2, 8)
_ROUNDS = _roots(1 / 3, 64)


@kernel()
def _turn(value: Any, by: int) -> Any:
    return uint32((value >> uint32(by)) | (value << uint32(32 - by)))


@kernel()
def _compress(state: Any, words: Any, rounds: Any) -> None:
    """One block of SHA-256: *words* has room for 64 and starts with the 16 of the block."""
    for i in range(16, 64):
        x, y = words[i - 15], words[i - 2]
        s0 = _turn(x, 7) ^ _turn(x, 18) ^ (x >> uint32(3))
        s1 = _turn(y, 17) ^ _turn(y, 19) ^ (y >> uint32(10))
        words[i] = uint32(words[i - 16] + s0 + words[i - 7] + s1)
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for i in range(64):
        s1 = _turn(e, 6) ^ _turn(e, 11) ^ _turn(e, 25)
        t1 = uint32(h + s1 + ((e & f) ^ (~e & g)) + rounds[i] + words[i])
        s0 = _turn(a, 2) ^ _turn(a, 13) ^ _turn(a, 22)
        t2 = uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e = g, f, e, uint32(d + t1)
        d, c, b, a = c, b, a, uint32(t1 + t2)
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@kernel()
def _swap(value: Any) -> Any:
    return uint32(
        (value << uint32(24))
        | ((value & uint32(0xFF00)) << uint32(8))
        | ((value >> uint32(8)) & uint32(0xFF00))
        | (value >> uint32(24))
    )


@kernel(void(U64, uint8, U32, U32, U32, uint64[::1]))
def _hmac_all(values: Any, view: int, inner: Any, outer: Any, rounds: Any, out: Any) -> None:
    """
    Write the HMAC of every value; *inner* and *outer* are the states of SHA-256 after the padded key.

    The nine bytes of a message and the 32 of the inner digest fit into one block each.
    """
    words, state, digest = np.zeros(64, np.uint32), np.empty(8, np.uint32), np.empty(8, np.uint32)
    for i in range(values.size):
        low, high = uint32(values[i]), uint32(values[i] >> uint64(32))
        first, second = _swap(low), _swap(high)  # the bytes of the value in their order, most significant first
        words[:16] = 0
        words[0] = (uint32(view) << uint32(24)) | (first >> uint32(8))
        words[1] = (first << uint32(24)) | (second >> uint32(8))
        words[2] = (second << uint32(24)) | uint32(0x800000)
        words[15] = uint32(8 * (64 + 9))
        state[:] = inner
        _compress(state, words, rounds)
        words[:8] = state
        words[8:16] = 0
        words[8] = uint32(0x80000000)
        words[15] = uint32(8 * (64 + 32))
        digest[:] = outer
        _compress(digest, words, rounds)
        out[i] = uint64(_swap(digest[0])) | (uint64(_swap(digest[1])) << uint64(32))


@kernel(void(uint32[::1], U32, U32))
def _absorb(state: Any, block: Any, rounds: Any) -> None:
    """Take one block of 16 words into *state*."""
    words = np.zeros(64, np.uint32)
    words[:16] = block
    _compress(state, words, rounds)


def _padded(key: bytes, pad: int) -> NDArray[np.uint32]:
    """The state of SHA-256 after the block of *key* under *pad* (RFC 2104)."""
    block = key if len(key) <= _BLOCK else hashlib.sha256(key).digest()
    data = bytes(b ^ pad for b in block.ljust(_BLOCK, b"\0"))
    state = _START.copy()
    _absorb(state, np.array(struct.unpack(">16I", data), np.uint32), _ROUNDS)
    return state


def keyed_hashes(hashes: NDArray[np.uint64], view: int, key: bytes) -> NDArray[np.uint64]:
    """
    Return HMAC-SHA-256 under *key* of every fingerprint of the view number *view*, its first 8 bytes, shape (n,).

    >>> key, value = b"0123456789abcdef", np.array([7], np.uint64)
    >>> expected = hmac.digest(key, b"\\x01" + (7).to_bytes(8, "little"), "sha256")[:8]
    >>> int(keyed_hashes(value, 1, key)[0]) == int.from_bytes(expected, "little")
    True
    """
    out = np.empty(hashes.size, np.uint64)
    _hmac_all(hashes, view, _padded(key, 0x36), _padded(key, 0x5C), _ROUNDS, out)
    return out


def key_check(key: bytes) -> str:
    """Return what says whether a key is the one of an index, 32 hex digits; it does not tell the key."""
    return hmac.digest(key, b"governance source index: key check", "sha256")[:16].hex()


def read_key(path: Path) -> bytes:
    """
    Return the key in the file *path*; white space around it does not count.

    Raises:
        UsageError: it cannot be read, is empty, shorter than 16 bytes or larger than 16 KiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as problem:
        raise UsageError(f"{path}: key cannot be read: {problem.strerror}") from None
    key = data.strip()
    if len(data) > MAX_KEY_FILE or len(key) < MIN_KEY:
        raise UsageError(f"{path}: holds {len(key)} bytes, expected a key of {MIN_KEY} to {MAX_KEY_FILE} bytes")
    return key
