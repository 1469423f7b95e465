"""canaries and controls, a tuned and an untouched model -> the exposure of each canary, and whether it is by chance.

A canary is a text that was made up and put into the training data 1, 4 or 16 times; a control is another one of the
same making that never was. Their score is how much likelier training made them: ln p under the adapter minus ln p under
the base, over the made-up tokens alone. If canaries rank among controls as controls do, nothing was learned by heart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from governance.audit.intervals import fisher
from governance.audit.matching import exposure
from governance.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from governance.audit.local import LocalModel

LEAST_CONTROLS = 100
"""Fewer rank nothing: p is at least 1 / (controls + 1)."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A made-up *secret* after a *prompt*; *copies* of it were trained on, 0 of a control."""

    prompt: str
    secret: str
    copies: int


def read_canaries(path: Path) -> list[Canary]:
    """
    Read canaries and controls: JSON Lines of ``{"prompt": TEXT, "secret": TEXT, "copies": NUMBER}``.

    Raises:
        UsageError: the file, or a line of it, is something else.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prompt, secret, copies = row["prompt"], row["secret"], row["copies"]
        except (ValueError, KeyError, TypeError):
            prompt = secret = copies = None
        texts = isinstance(prompt, str) and isinstance(secret, str) and bool(secret)
        if not texts or not isinstance(copies, int) or isinstance(copies, bool) or copies < 0:
            raise UsageError(f"{path}:{number}: is no canary; expected prompt, secret (texts) and copies (0 or more)")
        found.append(Canary(prompt, secret, copies))
    return found


def score(canaries: Sequence[Canary], adapter: LocalModel, base: LocalModel) -> NDArray[np.float64]:
    """Return ln p of every secret under *adapter* minus under *base*, shape (n,)."""
    return scores_under(canaries, adapter) - scores_under(canaries, base)


def scores_under(canaries: Sequence[Canary], model: LocalModel) -> NDArray[np.float64]:
    """Return ln p of every secret after its prompt, shape (n,)."""
    encode = model.tokenizer.encode
    prompts = [encode(c.prompt) for c in canaries]
    secrets = [encode(c.secret, add_special_tokens=False) for c in canaries]
    return np.array([found.sum() for found in model.log_probabilities(prompts, secrets)])


def judge(canaries: Sequence[Canary], scores: NDArray[np.float64]) -> dict[str, Any]:
    """
    Return exposure per number of copies, and Fisher's p of those that stood once.

    Returns:
        ``controls``, ``tiers`` (copies, n, mean exposure, most, p by Fisher), ``p_value`` of the lowest tier, which is
        the one that a limit is about, or null with ``why``.
    """
    copies = np.array([c.copies for c in canaries], np.int64)
    controls = scores[copies == 0]
    tiers = []
    for tier in sorted(set(copies[copies > 0].tolist())):
        own = scores[copies == tier]
        found = np.array([exposure(float(s), controls) for s in own])
        tiers.append(
            {
                "copies": tier,
                "n": own.size,
                "mean_exposure": float(found.mean()),
                "most_exposure": float(found.max()),
                "p_value": fisher(2.0**-found),
            }
        )
    why = ""
    if controls.size < LEAST_CONTROLS:
        why = f"{controls.size} controls; {LEAST_CONTROLS} are needed"
    elif not tiers:
        why = "no canary stood in the training data"
    result: dict[str, Any] = {"controls": controls.size, "tiers": tiers, "p_value": None, "why": why}
    if not why:
        result["p_value"] = tiers[0]["p_value"]
    return result
