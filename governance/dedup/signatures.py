"""samples (Arrow IPC file) -> a file of `datasketch.LeanMinHash` records, one per sample in the order of the file.

What is signed is what `cluster` compares: the shingles of all texts but the prompts that several samples share. Equal
samples have equal records; one without shingles has the largest value in every place, as in datasketch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from governance.dedup.lean import to_lean
from governance.dedup.minhash import EMPTY, permutations, ranges, sign_block
from governance.dedup.sets import Groups, read_groups
from governance.dedup.texts import read_places
from governance.files import sync_file, sync_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 50_000  # samples written at a time


def sign_groups(groups: Groups, *, count: int = 128, seed: int = 1) -> NDArray[np.uint32]:
    """
    Return the signatures of *groups*, shape (g + 1, *count*); the last is that of group -1, which has no lexemes.

    Raises:
        ValueError: see `minhash.permutations`.
    """
    drawn = permutations(count, seed)
    signatures = np.full((groups.sets.sizes.size + 1, count), EMPTY, np.uint32)
    for first, last in ranges(groups.sets.sizes):
        sign_block(groups.sets, first, last, drawn, signatures[first:last])
    return signatures


def write_signatures(samples: Path, out: Path, *, count: int = 128, seed: int = 1, threads: int = 2) -> int:
    """
    Write the signatures of *samples*, schema `samples.SAMPLES`, to *out*; the file is whole or as before.

    Signatures of the distinct samples stand in memory, ``4 * count`` bytes each.

    Returns:
        The number of records, each of ``16 + 4 * count`` bytes in the machine's own layout.

    Raises:
        ValueError: *count* is neither 128 nor 256, or *seed* does not fit 32 bits.
    """
    permutations(count, seed)
    groups = read_groups(samples, read_places(samples), threads=threads)
    signatures = sign_groups(groups, count=count, seed=seed)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            for start in range(0, groups.group.size, _BLOCK):
                file.write(to_lean(signatures[groups.group[start : start + _BLOCK]], seed))
        sync_file(temporary)
        temporary.replace(out)
        sync_folder(out.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return groups.group.size
