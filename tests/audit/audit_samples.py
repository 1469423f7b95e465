"""Samples that look like code, made from numbers, and what models could have written of them."""

from __future__ import annotations

import random
from typing import Any

from governance.audit.probes import MEMBER, TWIN, Sample
from governance.samples import Text

WORDS = (
    "order",
    "price",
    "rate",
    "total",
    "line",
    "count",
    "stock",
    "item",
    "basket",
    "customer",
    "tax",
    "limit",
    "offer",
)


def code(seed: int, lines: int = 14) -> str:
    """A function of *lines* lines; no two seeds have the same line."""
    made = random.Random(seed)  # noqa: S311
    names = [f"{made.choice(WORDS)}_{made.randrange(10**6)}" for _ in range(6)]
    rows = [f"def {names[0]}({names[1]}, {names[2]}):"]
    for k in range(lines - 2):
        a, b, c = (made.choice(names[1:]) for _ in range(3))
        rows.append(f"    {a} = {b} {made.choice('+-*')} {made.choice(WORDS)}[{seed * 1000 + k}] * {c}")
    return "\n".join([*rows, f"    return {names[1]}"]) + "\n"


def record(seed: int) -> dict[str, Any]:
    """A record of a dataset with the code of *seed*."""
    return {
        "instruction": f"Write the function number {seed}.", "output": code(seed), "repository": f"shop-{seed % 40}",
        "licence": "MIT", "language": "python", "path": f"src/module_{seed}.py",
    }  # fmt: skip


def sample(seed: int, kind: str = MEMBER, copies: int = 1) -> Sample:
    """The sample of `record`."""
    own = record(seed)
    texts = (Text("instruction", "instruction", own["instruction"]), Text("output", "output", own["output"]))
    return Sample(
        f"{seed:064x}", "data.jsonl", seed, kind, own["repository"], "MIT", "python", own["path"],
        copies if kind == MEMBER else 0, texts,
    )  # fmt: skip


def samples(members: int, twins: int) -> list[Sample]:
    """Members, then twins."""
    return [sample(k) for k in range(members)] + [sample(k, TWIN) for k in range(10_000, 10_000 + twins)]
