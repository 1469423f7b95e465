"""A model on this machine answers in batches what it answers alone, and knows its own probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from governance.audit.local import LocalModel, Sampling


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    """The tiny model."""
    from governance.train.base import look_at_base
    from governance.train.load import load_base

    return LocalModel(*load_base(look_at_base(tiny_model)))


@pytest.fixture(scope="module")
def prompts(model: LocalModel) -> list[list[int]]:
    """Prompts of several lengths, and an empty one."""
    texts = ["import os\n", "def total(order):\n    return ", "class A:\n" * 9, "x"]
    return [*(model.tokenizer.encode(t) for t in texts), []]


def forced_by_hand(model: LocalModel, prompt: list[int], answer: list[int]) -> np.ndarray:
    """ln p of each token of the answer, one pass per token."""
    found = []
    for k in range(len(answer)):
        ids = torch.tensor([[*prompt, *answer[:k]]])
        found.append(float(model.model(input_ids=ids).logits[0, -1].log_softmax(-1)[answer[k]]))
    return np.array(found)


def test_batches_change_nothing(model: LocalModel, prompts: list[list[int]]) -> None:
    """Greedy answers do not depend on what else is in the batch, and are as long as asked unless they end."""
    together = model.generate(prompts, 12)
    alone = [model.generate([p], 12)[0] for p in prompts]
    assert together == alone and max(map(len, together)) == 12


@torch.inference_mode()
def test_probabilities(model: LocalModel, prompts: list[list[int]]) -> None:
    """The probability of an answer is that of its tokens one after another, however the batch is padded."""
    answers = [model.tokenizer.encode("self.name = name\n")] * 4 + [[5]]
    found = model.log_probabilities(prompts, answers)
    for prompt, answer, own in zip(prompts, answers, found, strict=True):
        assert own == pytest.approx(forced_by_hand(model, prompt or [model.start], answer), abs=1e-4)


def test_probability_is_how_often_it_comes(model: LocalModel) -> None:
    """Drawn tokens come as often as the probability under the sampler says, and never what its top k leaves out."""
    prompt = model.tokenizer.encode("import os\n")
    sampling = Sampling(greedy=False, temperature=0.8, top_k=5, draws=2000)
    drawn = [ids[0] if ids else -1 for ids in model.generate([prompt], 1, sampling)]
    seen = sorted(set(drawn) - {-1})
    assert len(seen) <= 5
    log_p = model.log_probabilities([prompt] * model_size(model), [[k] for k in range(model_size(model))], sampling)
    p = np.exp(np.concatenate(log_p))
    assert p.sum() == pytest.approx(1, abs=1e-4) and (p > 0).sum() == 5
    for token in seen:
        assert drawn.count(token) / 2000 == pytest.approx(p[token], abs=0.04)


def model_size(model: LocalModel) -> int:
    """Tokens of the vocabulary."""
    return int(model.model.get_input_embeddings().weight.shape[0])


def test_greedy_is_the_likeliest(model: LocalModel, prompts: list[list[int]]) -> None:
    """What the model writes greedily has, token by token, the highest probability there is."""
    answer: Any = model.generate([prompts[0]], 6)[0]
    own = model.log_probabilities([prompts[0]], [answer], Sampling(greedy=False, temperature=1.0, top_k=1))[0]
    assert own == pytest.approx(np.zeros(len(answer)))
