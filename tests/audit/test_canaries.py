"""Canaries: exposure, the combined p, and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from governance.audit.canaries import Canary, judge, read_canaries
from governance.errors import UsageError


def planted(controls: int, per_tier: int = 10) -> list[Canary]:
    """Controls, and canaries that stood 1, 4 and 16 times."""
    tiers = [c for c in (1, 4, 16) for _ in range(per_tier)]
    return [Canary("key = ", f"s{k}", c) for k, c in enumerate([0] * controls + tiers)]


def test_learned_canaries_are_exposed() -> None:
    """What was learned by heart ranks above the controls, more so the oftener it stood there; the p is small."""
    canaries, random = planted(200), np.random.default_rng(0)
    copies = np.array([c.copies for c in canaries])
    found = judge(canaries, random.normal(size=copies.size) + 1.2 * np.log2(copies + 1))
    exposures = [t["mean_exposure"] for t in found["tiers"]]
    assert exposures == sorted(exposures) and exposures[-1] > 6
    assert found["p_value"] == found["tiers"][0]["p_value"] < 0.01 and found["tiers"][2]["p_value"] < 1e-9


def test_an_untouched_model_raises_no_alarm() -> None:
    """Where nothing was learned the p is below 0.001 in about one of 1,000 audits, never in many."""
    canaries, random = planted(200), np.random.default_rng(1)
    p = [judge(canaries, random.normal(size=len(canaries)))["p_value"] for _ in range(400)]
    assert np.mean(np.array(p) < 0.001) <= 0.01 and np.mean(p) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(("controls", "per_tier", "word"), [(99, 5, "99 controls"), (100, 0, "no canary")])
def test_too_few_give_no_p(controls: int, per_tier: int, word: str) -> None:
    """With fewer than 100 controls, or no canary, there is no p, and it says why."""
    found = judge(planted(controls, per_tier), np.zeros(controls + 3 * per_tier))
    assert found["p_value"] is None and word in found["why"]


def test_the_file(tmp_path: Path) -> None:
    """A file of canaries is read; a line that is none is named by its number, and its text is not shown."""
    path = tmp_path / "canaries.jsonl"
    path.write_text('{"prompt": "a", "secret": "b", "copies": 4}\n\n{"prompt": "", "secret": "c", "copies": 0}\n')
    assert read_canaries(path) == [Canary("a", "b", 4), Canary("", "c", 0)]
    for line in ('{"prompt": "hush", "secret": "", "copies": 1}', '["hush"]', "hush", '{"prompt": "hush"}',
                 '{"prompt": "hush", "secret": "x", "copies": true}'):  # fmt: skip
        path.write_text(f"{line}\n")
        with pytest.raises(UsageError, match=":1: is no canary") as problem:
            read_canaries(path)
        assert "hush" not in str(problem.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_canaries(tmp_path)
