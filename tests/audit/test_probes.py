"""Who is asked, and what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from audit_samples import record, sample

from governance.audit.probes import KINDS, MEMBER, choose_samples, make_probes, text_probes
from governance.samples import SAMPLES, Text


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Ninety samples in two languages."""
    rows = []
    for n in range(90):
        own = sample(n)
        texts = [{"field": t.field, "role": t.role, "text": t.text} for t in own.texts]
        row = dict.fromkeys(SAMPLES.names) | {
            "n": n, "file": "f", "row": n, "sample_id": own.sample_id, "texts": texts, "record": "{}",
            "language": "java" if n % 3 == 0 else "python",
        }  # fmt: skip
        rows.append(row)
    return pa.table([pa.array([r[f.name] for r in rows], f.type) for f in SAMPLES], schema=SAMPLES)


def test_choice_is_in_proportion_and_repeatable(table: pa.Table) -> None:
    """A choice has the languages of the whole, is the same for any order of rows, and another for another seed."""
    chosen = choose_samples(table, MEMBER, 30)
    assert Counter(s.language for s in chosen) == {"python": 20, "java": 10}
    mixed = table.take(pa.array(np.random.default_rng(0).permutation(90)))
    assert {s.sample_id for s in choose_samples(mixed, MEMBER, 30)} == {s.sample_id for s in chosen}
    assert {s.sample_id for s in choose_samples(table, MEMBER, 30, seed=1)} != {s.sample_id for s in chosen}
    assert len(choose_samples(table, MEMBER, 1000)) == 90


def test_copies_are_in_proportion_too(table: pa.Table) -> None:
    """What stands several times in the data is asked for in its share."""
    copies = np.where(np.arange(90) < 30, 4, 1)
    chosen = choose_samples(table, MEMBER, 30, copies=copies)
    assert Counter(s.copies for s in chosen) == {1: 20, 4: 10}


def test_the_last_answer() -> None:
    """The answer of a sample is its last output, also where a question follows it; a sample without one has none."""
    base = sample(1)
    turns = [("input", "a"), ("output", "first"), ("input", "b"), ("output", "second"), ("input", "c")]
    own = type(base)(*[getattr(base, f) for f in base.__slots__][:-1], tuple(Text(r, r, t) for r, t in turns))
    assert own.answer == "second"
    assert type(base)(*[getattr(base, f) for f in base.__slots__][:-1], (Text("input", "input", "a"),)).answer == ""


def test_prompts_of_the_tiny_model(tiny_model: Path) -> None:
    """A prefix is the first tokens of the answer after the prompt of training; prompt and wanted join to the answer."""
    from governance.train.base import look_at_base
    from governance.train.load import load_tokenizer

    tokenizer = load_tokenizer(look_at_base(tiny_model))
    short = type(sample(0))(
        *[getattr(sample(0), f) for f in sample(0).__slots__][:-1], (Text("output", "output", "return x + 1"),)
    )
    samples = [sample(1), short, sample(2)]
    probes, left = make_probes(samples, tokenizer, KINDS, 64, template="alpaca", context=1024)
    plain = {p.sample: p for p in probes if p.kind == "instruction"}
    assert "### Response" in plain[0].prompt and record(1)["instruction"] in plain[0].prompt
    for probe in probes:
        if probe.kind != "prefix-50":
            continue
        answer = samples[probe.sample].answer
        before = probe.prompt.removeprefix(plain[probe.sample].prompt)
        assert answer.startswith(before + probe.wanted)
        assert probe.ids[: len(plain[probe.sample].ids)] == plain[probe.sample].ids
        assert len(probe.ids) - len(plain[probe.sample].ids) == 50 and len(probe.wanted_ids) <= 64
    assert left["prefix-50"] == {"too-short": 1, "too-long": 0} and left["instruction"]["too-short"] == 0
    _, cut = make_probes(samples, tokenizer, ["instruction"], 64, template="alpaca", context=100)
    assert cut["instruction"]["too-long"] >= 2


def test_without_a_tokenizer() -> None:
    """Texts alone are asked by instruction, and all of the answer is wanted."""
    probe = text_probes([sample(5)])[0]
    assert probe.kind == "instruction" and probe.wanted == record(5)["output"] and probe.ids == ()
