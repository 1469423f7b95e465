# Copyright 2026 The shop example authors.
# SPDX-License-Identifier: Apache-2.0
"""Stock of the warehouse: what lies where, and what has to be ordered again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Shelf:
    """A shelf and the pieces on it."""

    name: str
    capacity: int
    pieces: dict[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """How many pieces still fit."""
        return self.capacity - sum(self.pieces.values())

    def put(self, product: str, count: int) -> None:
        """Put *count* pieces on the shelf. Raises ValueError where they do not fit."""
        if count > self.free:
            raise ValueError(f"{self.name}: {count} pieces of {product} do not fit, {self.free} do")
        self.pieces[product] = self.pieces.get(product, 0) + count

    def take(self, product: str, count: int) -> int:
        """Take up to *count* pieces and return how many there were."""
        taken = min(count, self.pieces.get(product, 0))
        if taken:
            self.pieces[product] -= taken
        return taken


def total(shelves: list[Shelf], product: str) -> int:
    """Return the pieces of *product* on all *shelves*."""
    return sum(shelf.pieces.get(product, 0) for shelf in shelves)


def by_product(shelves: list[Shelf]) -> dict[str, int]:
    """Return product -> pieces over all *shelves*."""
    counts: defaultdict[str, int] = defaultdict(int)
    for shelf in shelves:
        for product, count in shelf.pieces.items():
            counts[product] += count
    return dict(counts)


def reorder(shelves: list[Shelf], wanted: dict[str, int]) -> dict[str, int]:
    """Return product -> pieces to order, so that at least the *wanted* number is there."""
    have = by_product(shelves)
    return {product: count - have.get(product, 0) for product, count in wanted.items() if have.get(product, 0) < count}


def pick(shelves: list[Shelf], product: str, count: int) -> list[tuple[str, int]]:
    """Return (shelf, pieces) that together are *count* pieces of *product*, the fullest shelf first."""
    plan = []
    for shelf in sorted(shelves, key=lambda s: -s.pieces.get(product, 0)):
        here = min(count, shelf.pieces.get(product, 0))
        if here:
            plan.append((shelf.name, here))
            count -= here
    if count:
        raise LookupError(f"{count} pieces of {product} are missing")
    return plan
