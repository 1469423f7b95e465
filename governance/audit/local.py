"""a model on this machine, prompts -> what it writes, and how likely it was to write something else.

Generation is batched by length with the model's own cache; the likelihood of a given answer takes one pass without
generating anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Ids = Sequence[int]


@dataclass(frozen=True, slots=True)
class Sampling:
    """
    How tokens are drawn: greedily, or from the *top_k* likeliest at *temperature*.

    Attributes:
        draws: answers per prompt; 1 where greedy.
    """

    greedy: bool = True
    temperature: float = 0.8
    top_k: int = 40
    draws: int = 1
    seed: int = 0


LOGITS = 1 << 27  # numbers that the logits of one batch may be: half a GiB


class LocalModel:
    """
    A causal language model and its tokenizer, for an audit.

    Attributes:
        tokens: that a batch holds at most when it generates.
        forced: that a batch holds at most when all its logits are wanted.
    """

    def __init__(self, model: Any, tokenizer: Any, *, tokens: int = 32_768) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self.tokens = tokens
        self.forced = max(1, min(tokens, LOGITS // max(len(tokenizer), 1)))
        end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        self.pad = pad if pad is not None else end or 0
        self.start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end or 0

    @property
    def context(self) -> int:
        """Tokens that the model can see at most; 0 where its configuration does not say."""
        config = self.model.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", 0) or 0)

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Ids],
        new: int,
        sampling: Sampling = Sampling(),
        progress: Callable[[int], None] | None = None,
    ) -> list[list[int]]:
        """
        Return what follows each prompt, without the end token; ``draws`` answers per prompt, in a row.

        At most *new* tokens each. But for rounding, the greedy answers do not depend on what else is in the batch. A
        model that is asked nothing is given its start token.
        """
        prompts = [p if len(p) else (self.start,) for p in prompts]
        answers: dict[int, list[list[int]]] = {}
        how: dict[str, Any] = {"do_sample": False}
        if not sampling.greedy:
            torch.manual_seed(sampling.seed)
            how = {
                "do_sample": True, "temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": 1.0,
                "num_return_sequences": sampling.draws,
            }  # fmt: skip
        draws = 1 if sampling.greedy else sampling.draws
        for rows in self._batches([len(p) + new for p in prompts], draws, self.tokens):
            ids, mask = self._left_padded([prompts[r] for r in rows])
            out = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=new, pad_token_id=self.pad, use_cache=True, **how
            )
            written = out[:, ids.shape[1] :].tolist()
            for k, row in enumerate(rows):
                answers[row] = [self._ended(w) for w in written[k * draws : (k + 1) * draws]]
            if progress:
                progress(len(rows))
        return [answer for row in range(len(prompts)) for answer in answers[row]]

    @torch.inference_mode()
    def log_probabilities(
        self, prompts: Sequence[Ids], answers: Sequence[Ids], sampling: Sampling | None = None
    ) -> list[NDArray[np.float64]]:
        """
        Return, per pair, ln of the probability of every token of the answer after the prompt and the tokens before it.

        With *sampling* under that sampler: after its temperature, and minus infinity for what its top k leaves out.
        """
        prompts = [p if len(p) else (self.start,) for p in prompts]
        found: dict[int, NDArray[np.float64]] = {}
        for rows in self._batches([len(p) + len(a) for p, a in zip(prompts, answers, strict=True)], 1, self.forced):
            whole = [[*prompts[r], *answers[r]] for r in rows]
            ids, mask = self._right_padded(whole)
            logits = self.model(input_ids=ids, attention_mask=mask).logits.float()
            for k, row in enumerate(rows):
                start = len(prompts[row])
                own = logits[k, start - 1 : len(whole[k]) - 1]
                targets = ids[k, start : len(whole[k])]
                found[row] = _chosen(own, targets, sampling).double().cpu().numpy()
        return [found[row] for row in range(len(prompts))]

    def _batches(self, lengths: Sequence[int], copies: int, tokens: int) -> Iterator[list[int]]:
        """Rows of like length together, as many as fit into *tokens*."""
        order = sorted(range(len(lengths)), key=lambda r: (lengths[r], r))
        batch: list[int] = []
        for row in order:
            if batch and (len(batch) + 1) * copies * lengths[row] > tokens:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _left_padded(self, prompts: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(1, *map(len, prompts))
        ids = torch.full((len(prompts), longest), self.pad)
        mask = torch.zeros_like(ids)
        for k, prompt in enumerate(prompts):
            if len(prompt):
                ids[k, longest - len(prompt) :] = torch.tensor(list(prompt))
                mask[k, longest - len(prompt) :] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    def _right_padded(self, rows: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.pad)
        mask = torch.zeros_like(ids)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = torch.tensor(list(row))
            mask[k, : len(row)] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    def _ended(self, tokens: list[int]) -> list[int]:
        """Cut at the end token; padding follows it."""
        ends = {self.tokenizer.eos_token_id, self.pad}
        return next((tokens[:k] for k, token in enumerate(tokens) if token in ends), tokens)


def _chosen(logits: torch.Tensor, targets: torch.Tensor, sampling: Sampling | None) -> torch.Tensor:
    if sampling is not None and not sampling.greedy:
        logits = logits / sampling.temperature
        if 0 < sampling.top_k < logits.shape[-1]:
            least = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
    picked = logits.gather(-1, targets[:, None])[:, 0]
    return picked - logits.logsumexp(-1)
