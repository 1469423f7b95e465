"""The ledger: in = kept + changed + dropped, losses per step and repository, words counted over bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.ledger import LEDGER, Ledger, count_words
from governance.samples import QUARANTINE, SAMPLES, table


def samples(texts: list[list[str]], **columns: list[Any]) -> pa.Table:
    """One sample per list of texts."""
    rows = [
        {
            "n": n, "file": "d.jsonl", "row": n, "sample_id": f"{n:064x}", "shape": "text", "record": "{}",
            "texts": [{"field": f"f{i}", "role": "output", "text": t} for i, t in enumerate(each)],
            **{name: values[n] for name, values in columns.items()},
        }
        for n, each in enumerate(texts)
    ]  # fmt: skip
    return table(SAMPLES, rows)


def words(text: str) -> int:
    """The count in plain Python: starts of runs without control characters and blanks, and every Han-like character."""
    data = text.encode()
    starts = [b > 32 and (i == 0 or data[i - 1] <= 32) for i, b in enumerate(data)]
    return sum(s or 0xE4 <= b <= 0xE9 for s, b in zip(starts, data, strict=True))


@settings(deadline=None)
@given(st.lists(st.lists(st.text(alphabet="ab \n\t中文é😀", max_size=12), max_size=4), max_size=8), st.integers(0, 3))
def test_words_over_bytes(texts: list[list[str]], skipped: int) -> None:
    """Counting over the Arrow buffers gives what counting each text gives, in slices and over several batches too."""
    made = samples(texts)
    expected = [sum(words(t) for t in each) for each in texts]
    assert count_words(made).tolist() == expected
    assert count_words(made.slice(skipped)).tolist() == expected[skipped:]
    assert count_words(pa.concat_tables([made, made.slice(skipped)])).tolist() == expected + expected[skipped:]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["kept", "changed", "dropped", "changed, dropped"]), max_size=12), st.integers(0, 3))
def test_every_record_once(actions: list[str], bad: int) -> None:
    """Whatever happens to a record, it counts once; a record that is changed and then dropped is dropped."""
    quarantine = table(
        QUARANTINE, [{"file": "d.jsonl", "row": len(actions) + i, "line": 1, "reason": "nul"} for i in range(bad)]
    )
    ledger = Ledger(samples([["a b"]] * len(actions)), quarantine, np.full(len(actions), 2, np.int64))
    for n, action in enumerate(actions):
        if "changed" in action:
            ledger.change(n, "secrets", "f" * 64, 1)
        if "dropped" in action:
            ledger.drop(n, "near-duplicates", (0, 0.9))
    summary, rows = ledger.summary(), ledger.table().to_pylist()
    assert ledger.table().schema == LEDGER and len(rows) == len(actions) + bad == summary["in"]
    assert summary["in"] == summary["kept"] + summary["changed"] + sum(summary["dropped"].values())
    assert [r["action"] for r in rows[: len(actions)]] == [a.split(", ")[-1] for a in actions]
    assert all((r["new_sample_id"] is None) == (r["action"] == "dropped") for r in rows)
    assert all(r["kept_row"] == 0 and r["similarity"] == 0.9 for r in rows if r["reason"] and "near" in r["reason"])
    groups = ledger.groups().to_pylist()
    assert sum(g["records_in"] for g in groups) == len(actions)
    assert sum(g["records_kept"] for g in groups) == summary["kept"] + summary["changed"]


def test_losses_per_step_and_repository() -> None:
    """What each step and repository lost is counted apart, so that no group can vanish among the others."""
    made = samples([["a b c"]] * 4, step=["x", "x", "y", "y"], repository=["r", "r", "r", None])
    ledger = Ledger(made, QUARANTINE.empty_table(), count_words(made))
    ledger.drop(2, "text")
    ledger.change(0, "secrets", "f" * 64, 1)
    groups = {(g["step"], g["repository"]): g for g in ledger.groups().to_pylist()}
    assert (groups["x", "r"]["words_in"], groups["x", "r"]["words_kept"]) == (6, 4)
    assert (groups["y", "r"]["records_in"], groups["y", "r"]["records_kept"]) == (1, 0)
    assert (groups["y", None]["records_in"], groups["y", None]["words_kept"]) == (1, 3)


def test_reasons_in_order() -> None:
    """Several reasons stand in the order in which they came, each once; the last one is why a record went."""
    made = samples([["a"]])
    ledger = Ledger(made, QUARANTINE.empty_table(), count_words(made))
    for reason in ("secrets", "personal-data", "secrets"):
        ledger.change(0, reason, "f" * 64, 1)
    ledger.drop(0, "text")
    assert ledger.table()["reason"].to_pylist() == ["secrets; personal-data; text"]
    assert ledger.summary()["dropped"] == {"text": 1} and ledger.summary()["changed"] == 0


def test_empty_dataset() -> None:
    """The account of nothing is all zero."""
    ledger = Ledger(SAMPLES.empty_table(), QUARANTINE.empty_table(), np.zeros(0, np.int64))
    assert ledger.summary()["in"] == 0 and ledger.table().num_rows == 0 and ledger.groups().num_rows == 0
    assert count_words(SAMPLES.empty_table()).tolist() == []


@pytest.mark.parametrize(("text", "count"), [("", 0), (" \n", 0), ("a", 1), ("a b\tc\n", 3), ("你好 a", 3)])
def test_words(text: str, count: int) -> None:
    """A word is a run without white space; Chinese characters count one by one, the one that begins a run once."""
    assert count_words(samples([[text]])).tolist() == [count]


def test_words_at_the_edge_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that lies across two blocks of bytes counts once, and one at the start of a text counts there."""
    texts = [["ab cd", ""], [], ["é 单x", " y"], ["zz"]]
    rows = [[{"field": "f", "role": "output", "text": text} for text in sample] for sample in texts]
    made = table(SAMPLES, [{"n": n, "texts": row} for n, row in enumerate(rows)])
    for block in (1, 2, 3, 5, 64):
        monkeypatch.setattr("governance.ledger._BLOCK", block)
        assert count_words(made).tolist() == [2, 0, 3, 1]
