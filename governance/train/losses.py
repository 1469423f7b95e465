"""labels, logits -> the loss that training minimises, with the two options against memorisation.

*Goldfish* (Hans et al. 2024): one token in k, chosen by a hash of the tokens before it, is never learned. The same
passage loses the same tokens wherever it stands, so a copy gives nothing back that the first one hid, and what the
model writes word for word breaks off at the first hidden token.
*Loss stop*: a sample whose own loss is below a floor teaches no more; what goes on being pushed down below it is
recall, not skill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.train.encode import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # odd; as a signed 64-bit number


def goldfish_mask(ids: Tensor, k: int, context: int) -> Tensor:
    """
    Return True where a token is hidden from the loss: about one in *k*.

    Args:
        ids: shape (batch, length), integers.
        k: at least 2.
        context: tokens before it that decide, at least 1; the first *context* tokens are never hidden.

    Returns:
        Shape (batch, length), bool. A function of the *context* tokens before a place alone.
    """
    import torch

    state = torch.zeros_like(ids, dtype=torch.int64)
    for back in range(1, context + 1):
        shifted = torch.zeros_like(state)
        shifted[:, back:] = ids[:, :-back] + 1
        state = (state ^ shifted) * _MULTIPLIER  # wraps modulo 2**64
        state = state ^ ((state >> 29) & 0x7FFFFFFFF)
    hidden = (((state >> 33) & 0x7FFFFFFF) % k) == 0
    hidden[:, :context] = False
    return hidden


def answer_loss(logits: Tensor, labels: Tensor, *, floor: float | None = None) -> tuple[Tensor, Tensor]:
    """
    Return the mean loss over the learned tokens of a batch, and the mean of each sample.

    Args:
        logits: shape (batch, length, vocabulary).
        labels: shape (batch, length); -100 is not learned. Token t is predicted at t - 1.
        floor: samples whose own mean is below it count nothing.

    Returns:
        A number, and shape (batch,); a sample without a learned token has the mean 0. Where no sample counts, the loss
        is 0 and so is its gradient.
    """
    import torch
    from torch.nn.functional import cross_entropy

    targets = labels[:, 1:]
    learned = targets != IGNORED
    rows = learned.nonzero()[:, 0]
    # only the rows of logits that are learned: with a vocabulary of 150,000 the others would be most of the memory
    losses: Any = cross_entropy(logits[:, :-1][learned].float(), targets[learned], reduction="none")
    sums = torch.zeros(labels.shape[0], dtype=losses.dtype, device=losses.device).index_add(0, rows, losses)
    counts = learned.sum(1)
    means = sums / counts.clamp(min=1)
    counted = torch.ones_like(means, dtype=torch.bool) if floor is None else means.detach() >= floor
    total = (counts * counted).sum().clamp(min=1)
    return (sums * counted).sum() / total, means.detach()
