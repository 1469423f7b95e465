"""The loss: on answers only, without the tokens that goldfish hides, without the samples that the floor stops."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from governance.train.encode import IGNORED
from governance.train.losses import answer_loss, goldfish_mask


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of three samples: all learned, half learned, nothing learned."""
    torch.manual_seed(seed)
    logits = torch.randn(3, 12, 50, requires_grad=True)
    labels = torch.randint(0, 50, (3, 12))
    labels[1, :6] = IGNORED
    labels[2] = IGNORED
    return logits, labels


def test_the_loss_is_the_mean_over_learned_tokens() -> None:
    """It equals torch's cross entropy over the shifted labels, and so does its gradient."""
    logits, labels = batch()
    loss, means = answer_loss(logits, labels)
    plain = cross_entropy(logits[:, :-1].reshape(-1, 50), labels[:, 1:].reshape(-1), ignore_index=IGNORED)
    torch.testing.assert_close(loss, plain)
    [ours], [theirs] = torch.autograd.grad(loss, [logits]), torch.autograd.grad(plain, [logits])
    torch.testing.assert_close(ours, theirs)
    assert means.shape == (3,) and means[2] == 0


def test_a_sample_below_the_floor_teaches_nothing() -> None:
    """The loss and its gradient are those of the other samples alone; with none left both are 0."""
    logits, labels = batch()
    _, means = answer_loss(logits, labels)
    low = int(means[:2].argmin())
    loss, _ = answer_loss(logits, labels, floor=float(means[:2].max()))
    torch.testing.assert_close(loss, means[1 - low])
    [gradient] = torch.autograd.grad(loss, [logits])
    assert not gradient[low].any() and gradient[1 - low].any()
    nothing, _ = answer_loss(logits, labels, floor=1e9)
    [gradient] = torch.autograd.grad(nothing, [logits])
    assert nothing == 0 and not gradient.any()


def test_nothing_learned_is_no_loss() -> None:
    """A batch without a learned token has the loss 0, not NaN."""
    logits, labels = batch()
    loss, _ = answer_loss(logits[2:], labels[2:])
    loss.backward()
    assert loss == 0


@pytest.mark.parametrize("k", [2, 3, 4, 16])
def test_goldfish_hides_one_token_in_k(k: int) -> None:
    """About one token in k is hidden, never one of the first that have too few before them."""
    torch.manual_seed(1)
    hidden = goldfish_mask(torch.randint(0, 32_000, (40, 1_000)), k, 13)
    share = hidden[:, 13:].float().mean().item()
    assert abs(share - 1 / k) < 4 * (1 / k * (1 - 1 / k) / (40 * 987)) ** 0.5  # four standard errors
    assert not hidden[:, :13].any()


@pytest.mark.parametrize("context", [1, 4, 13])
def test_goldfish_hides_the_same_in_every_copy(context: int) -> None:
    """A passage loses the same tokens wherever it stands, so no copy gives back what another hid."""
    torch.manual_seed(2)
    passage = torch.randint(0, 1_000, (1, 200))
    alone = goldfish_mask(passage, 4, context)
    moved = goldfish_mask(torch.cat([torch.randint(0, 1_000, (1, 37)), passage], 1), 4, context)[:, 37:]
    assert (alone[:, context:] == moved[:, context:]).all() and alone.any()


def test_goldfish_hears_its_context_alone() -> None:
    """Another token before the context, or at the place itself, changes nothing; one within it does."""
    torch.manual_seed(3)
    ids = torch.randint(0, 1_000, (200, 30))
    before, within, here = ids.clone(), ids.clone(), ids.clone()
    before[:, 9] += 1
    within[:, 15] += 1
    here[:, 20] += 1
    place = goldfish_mask(ids, 3, 10)[:, 20]
    assert (goldfish_mask(before, 3, 10)[:, 20] == place).all() and (goldfish_mask(here, 3, 10)[:, 20] == place).all()
    assert (goldfish_mask(within, 3, 10)[:, 20] != place).any()
