"""What the model is shown and what it has to learn: tokens, labels, and what the cutoff costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.samples import Text
from governance.train.base import look_at_base
from governance.train.encode import IGNORED, encode, prompt_ids
from governance.train.load import load_tokenizer
from governance.train.prompts import Piece, pieces_of, prompt_of

ASKED = [
    Text("instruction", "instruction", "Add two numbers."),
    Text("output", "output", "def add(a, b):\n    return a + b"),
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    """The tiny model's tokenizer."""
    return load_tokenizer(look_at_base(tiny_model))


def test_only_answers_are_learned(tokenizer: Any) -> None:
    """The labels of a prompt are ignored; those of the answer are its tokens and the end token."""
    encoded, _ = encode([pieces_of(ASKED, "alpaca")], tokenizer, 512)
    learned = encoded.ids[encoded.labels != IGNORED].tolist()
    assert learned[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(learned[:-1]) == ASKED[1].text
    assert (encoded.labels[encoded.labels != IGNORED] == encoded.ids[encoded.labels != IGNORED]).all()
    assert tokenizer.decode(encoded.ids[encoded.labels == IGNORED]) == prompt_of(ASKED, "alpaca")


def test_a_prompt_is_tokenized_as_in_training(tokenizer: Any) -> None:
    """What an adapter is asked later has the very tokens that stood before the answer in training."""
    encoded, _ = encode([pieces_of(ASKED, "alpaca")], tokenizer, 512)
    asked = prompt_ids(prompt_of(ASKED, "alpaca"), tokenizer)
    assert encoded.ids[: len(asked)].tolist() == asked
    assert (encoded.labels[: len(asked)] == IGNORED).all() and encoded.labels[len(asked)] != IGNORED


def test_the_cutoff_is_counted(tokenizer: Any) -> None:
    """A sample over the cutoff is shortened, one without a token of its answer left out, and every token is counted."""
    long = [Piece("x", False), Piece("word " * 50, True)]
    lost = [Piece("question " * 60, False), Piece("a", True)]
    short = [Piece("q", False), Piece("b", True)]
    whole, free = encode([long, lost, short], tokenizer, 10_000)
    assert free.shortened == free.left_out == free.answer_tokens_lost == 0 and free.share_lost == 0
    cut, cost = encode([long, lost, short], tokenizer, 40)
    assert cut.kept.tolist() == [0, 2] and (cost.samples, cost.shortened, cost.left_out) == (3, 1, 1)
    assert cost.answer_tokens == free.answer_tokens and cost.longest == free.longest
    assert cost.answer_tokens - cost.answer_tokens_lost == int((cut.labels != IGNORED).sum())
    assert cut.ids[:40].tolist() == whole.ids[:40].tolist()


def test_text_that_looks_like_a_special_token_is_text(tokenizer: Any) -> None:
    """An answer that holds the end token's letters does not end there."""
    end = tokenizer.eos_token
    encoded, _ = encode([[Piece("q", False), Piece(f"stop = '{end}'", True)]], tokenizer, 512)
    assert encoded.ids.tolist().count(tokenizer.eos_token_id) == 1 and encoded.ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(encoded.ids[encoded.labels != IGNORED][:-1]) == f"stop = '{end}'"


def test_a_chat_template_that_writes_the_end_gets_no_second_one(tokenizer: Any) -> None:
    """Where a template ends the answer itself, also with a line break after it, none is added."""
    end = tokenizer.eos_token
    for tail in (end, f"{end}\n"):
        encoded, _ = encode([[Piece("q", False), Piece(f"a{tail}", True)]], tokenizer, 512, specials=False)
        assert encoded.ids.tolist().count(tokenizer.eos_token_id) == 1


@pytest.mark.parametrize("samples", [[], [[]], [[], []]], ids=["none", "one empty", "two empty"])
def test_nothing_to_learn(tokenizer: Any, samples: list[list[Piece]]) -> None:
    """No samples, or samples without a turn, are no rows and no error."""
    encoded, cost = encode(samples, tokenizer, 512)
    assert len(encoded) == 0 and encoded.ends.tolist() == [0]
    assert cost.samples == cost.left_out == len(samples) and cost.share_lost == 0


def test_batches_of_the_tokenizer_do_not_show(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ids come out however many conversations the tokenizer gets at once."""
    samples = [[Piece(f"question {k}", False), Piece(f"answer {k} " * (k % 5 + 1), True)] for k in range(23)]
    whole, _ = encode(samples, tokenizer, 512)
    monkeypatch.setattr("governance.train.encode.BATCH", 7)
    parts, _ = encode(samples, tokenizer, 512)
    assert whole.ids.tolist() == parts.ids.tolist() and whole.ends.tolist() == parts.ends.tolist()
