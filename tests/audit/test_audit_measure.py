"""Every measure of a generation, on texts whose measures are known."""

from __future__ import annotations

from typing import Any

import pytest
from audit_samples import code, sample

from governance.audit.measure import MOST_LEXEMES, Written, measure
from governance.audit.probes import text_probes


def measured(*texts: str, seed: int = 1, ids: tuple[int, ...] | None = None) -> list[dict[str, Any]]:
    """What is measured of *texts*, each written for the same sample."""
    samples = [sample(seed)]
    written = [Written(0, "adapter", text, ids) for text in texts]
    rows: list[dict[str, Any]] = measure(samples, text_probes(samples), written, 64 if ids else 0).to_pylist()
    return rows


def test_the_whole_record() -> None:
    """A record word for word is one run, matches exactly, and its lines are a block; so it is however indented."""
    text = code(1)
    exact, flat = measured(text, "\n".join(line.strip() for line in text.splitlines()))
    for row in (exact, flat):
        assert row["run"] == row["lexemes"] == row["wanted_lexemes"] == row["covered50"] == row["renamed_run"] > 100
        assert row["em25"] and row["em50"] and row["em100"]
        assert row["lines"] == row["lines_found"] == row["line_run"] >= 12
        assert row["bleu"] == pytest.approx(1) and row["edit_similarity"] == row["jaccard5"] == 1
    collapsed = " ".join(text.split())
    assert exact["run_characters"] == len(collapsed)


def test_nothing_and_something_else() -> None:
    """Nothing written, and a function of its own, have nothing in common but what all code has."""
    nothing, other = measured("", code(2))
    assert nothing["lexemes"] == nothing["run"] == nothing["lines"] == 0 and nothing["em25"] is False
    assert nothing["bleu"] == nothing["edit_similarity"] == nothing["jaccard5"] == 0
    assert 0 < other["run"] < 15 and other["covered25"] == other["lines_found"] == 0 and not other["em25"]


def test_what_the_prompt_shows_is_not_leaked() -> None:
    """A model that repeats its instruction, or that part of the answer which it was given, gives nothing away."""
    samples = [sample(1)]
    probe = text_probes(samples)[0]
    half = "".join(code(1).splitlines(keepends=True)[:7])
    shown = [type(probe)(0, "prefix-50", probe.prompt + half, code(1)[len(half) :])]
    row = measure(samples, shown, [Written(0, "adapter", probe.prompt + half)], 0).to_pylist()[0]
    assert row["run"] == row["covered25"] == row["lines_found"] == 0
    row = measure(samples, shown, [Written(0, "adapter", code(1)[len(half) :])], 0).to_pylist()[0]
    assert row["run"] == row["lexemes"] > 50


def test_renamed_copy() -> None:
    """Other names make the verbatim runs short and leave the renamed run whole."""
    text = code(1)
    for k, name in enumerate(sorted({w for w in text.replace("(", " ").replace(",", " ").split() if "_" in w})):
        text = text.replace(name.strip("):"), f"v{k}")
    row = measured(text)[0]
    assert row["run"] < 50 <= row["renamed_run"]


def test_half_a_record() -> None:
    """Of a generation whose first half is the record, half is covered, in lexemes and lines."""
    lines = code(1).splitlines()
    row = measured("\n".join(lines[:7] + code(3).splitlines()[7:]))[0]
    assert row["covered25"] / row["lexemes"] == pytest.approx(0.5, abs=0.1)
    assert row["lines_found"] == row["line_run"] == 7


def test_tokens_decide_where_they_are_known() -> None:
    """With tokens exact match is that of tokens; what the answer, or the generation, is too short for is not known."""
    samples = [sample(1)]
    probe = text_probes(samples)[0]
    wanted = tuple(range(60))
    probe = type(probe)(0, "prefix-50", probe.prompt, probe.wanted, (1,), wanted)
    texts = [Written(0, "adapter", "x", ids) for ids in (wanted, wanted[:30], (*wanted[:49], 99), ())]
    rows = measure(samples, [probe], texts, 64).to_pylist()
    assert [r["matched"] for r in rows] == [60, 30, 49, 0]
    assert [(r["em25"], r["em50"], r["em100"]) for r in rows] == [
        (True, True, None), (True, False, None), (True, False, None), (False, False, None),
    ]  # fmt: skip


def test_hostile_texts() -> None:
    """Binary, lone surrogates, one endless word and megabytes of brackets are measured like any text."""
    texts = ["\0\ud800\uffff" * 50, "a" * 2_000_000, "(" * 300_000, "\n" * 1000, "中文 " * 200]
    rows = measured(*texts)
    assert all(row["run"] < 10 and row["lexemes"] <= MOST_LEXEMES for row in rows)
    assert measure([], [], [], 0).num_rows == 0
