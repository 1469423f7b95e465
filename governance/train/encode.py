"""conversations, a tokenizer -> token ids and labels, and what did not fit.

The loss is on the answers only: a label of -100 counts nowhere. What is longer than the cutoff loses its end, or the
whole sample where no token of an answer would be left; both are reported before training, because a model that never
saw the end of its answers does not write one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.train.prompts import Piece

BATCH = 1_000  # conversations for one call of the tokenizer
IGNORED = -100
"""The label that the loss leaves out, as torch's cross entropy has it."""


@dataclass(frozen=True)
class Encoded:
    """
    Token ids of n samples, flat.

    Attributes:
        ids, labels: shape (m,), int32; labels are the ids, or -100 where nothing is learned.
        ends: shape (n + 1,), int64; sample i is ``[ends[i], ends[i + 1])``.
        kept: shape (n,), int64; which of the given samples they are.
    """

    ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    ends: NDArray[np.int64]
    kept: NDArray[np.int64]

    def __len__(self) -> int:
        return self.kept.size


@dataclass(frozen=True, slots=True)
class Truncation:
    """What the cutoff cost: samples given, shortened, left out; tokens of answers, and how many of them were lost."""

    samples: int
    shortened: int
    left_out: int
    answer_tokens: int
    answer_tokens_lost: int
    longest: int  # tokens of the longest sample

    @property
    def share_lost(self) -> float:
        """Share of the answers' tokens that no step of training sees, 0 to 1."""
        return self.answer_tokens_lost / self.answer_tokens if self.answer_tokens else 0.0


def encode(
    samples: Iterable[Sequence[Piece]], tokenizer: Any, cutoff: int, *, specials: bool = True
) -> tuple[Encoded, Truncation]:
    """
    Tokenize conversations; the last answer ends with the tokenizer's end-of-text token.

    Pieces are tokenized one by one, so the border between prompt and answer is a border of tokens here as it is when
    the adapter is asked.

    Args:
        samples: conversations that end with an answer; an empty one is left out.
        cutoff: most tokens of a sample, at least 1.
        specials: let the tokenizer begin a sample with its own token, and take what looks like a special token for
            text; a chat template writes these tokens itself.
    """
    ids: list[NDArray[np.int32]] = []
    labels: list[NDArray[np.int32]] = []
    kept: list[int] = []
    count = shortened = answers = lost = longest = 0
    for own, marks in _tokens(samples, tokenizer, specials):
        count += 1
        longest = max(longest, own.size)
        wanted = int((marks != IGNORED).sum())
        seen = int((marks[:cutoff] != IGNORED).sum())
        answers += wanted
        lost += wanted - seen
        if seen == 0:
            continue
        shortened += own.size > cutoff
        ids.append(own[:cutoff])
        labels.append(marks[:cutoff])
        kept.append(count - 1)
    ends = np.cumsum([0, *(part.size for part in ids)], dtype=np.int64)
    none = np.empty(0, np.int32)
    encoded = Encoded(
        np.concatenate([none, *ids]), np.concatenate([none, *labels]), ends, np.array(kept, dtype=np.int64)
    )
    return encoded, Truncation(count, shortened, count - len(kept), answers, lost, longest)


def prompt_ids(prompt: str, tokenizer: Any, *, specials: bool = True) -> list[int]:
    """
    Return the token ids of what stands before an answer, as training had them; see `prompts.prompt_of`.

    Args:
        specials: as for `encode`; False where a chat template wrote the prompt.
    """
    return [*_beginning(tokenizer, specials), *tokenizer.encode(prompt, **_how(specials))]


def _tokens(
    samples: Iterable[Sequence[Piece]], tokenizer: Any, specials: bool
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Yield (ids, labels) of every conversation; a thousand are handed to the tokenizer at once."""
    begin, end = _beginning(tokenizer, specials), tokenizer.eos_token_id
    for several in _batched(samples, BATCH):
        texts = [piece.text for pieces in several for piece in pieces]
        coded = iter(tokenizer(texts, **_how(specials))["input_ids"] if texts else [])
        for pieces in several:
            ids = list(begin) if pieces else []
            labels = [IGNORED] * len(ids)
            for k, piece in enumerate(pieces):
                own = next(coded)
                if k == len(pieces) - 1 and end is not None and end not in own[-2:]:
                    own = [*own, end]  # a chat template may end with it, or with it and a line break
                ids += own
                labels += own if piece.learned else [IGNORED] * len(own)
            yield np.array(ids, np.int32), np.array(labels, np.int32)


def _how(specials: bool) -> dict[str, Any]:
    """A text that names a special token, as code about models does, must not end the sample."""
    return {"add_special_tokens": False, "split_special_tokens": specials, "verbose": False}


def _beginning(tokenizer: Any, specials: bool) -> list[int]:
    """The tokens that this tokenizer begins every text with; an end token that it adds by itself is not one of them."""
    if not specials:
        return []
    whole: list[int] = tokenizer.encode("", add_special_tokens=True)
    ends_it = whole[-1:] == [tokenizer.eos_token_id] and (
        len(whole) > 1 or tokenizer.eos_token_id != tokenizer.bos_token_id
    )
    return whole[:-1] if ends_it else whole


def _batched(samples: Iterable[Sequence[Piece]], size: int) -> Iterator[list[Sequence[Piece]]]:
    source = iter(samples)
    while several := list(islice(source, size)):
        yield several
