"""samples trained on, samples held out, a tokenizer -> what a model is asked, and what it would have to say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.samples import Text
from governance.train.prompts import Template, pieces_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEMBER, TWIN = "member", "twin"
INSTRUCTION = "instruction"
PREFIXES = (50, 100, 250)  # tokens of the answer that a prompt can hold
SUFFIXES = (25, 50, 100)  # tokens that have to come back for an exact match
KINDS = (INSTRUCTION, *(f"prefix-{p}" for p in PREFIXES))
MOST_BYTES = 1 << 20  # of an answer; what is longer is cut, and counted

COLUMNS = ("file", "row", "sample_id", "repository", "group", "licence", "language", "path")


@dataclass(frozen=True, slots=True)
class Sample:
    """
    A sample that models are asked for.

    Attributes:
        kind: member (trained on) or twin (held out).
        group: what it stands or falls with: its repository, else its group, else itself.
        copies: how often it, or a near-duplicate, stands in the data that was trained on; 0 for a twin.
        answer: its last answer.
    """

    sample_id: str
    file: str
    row: int
    kind: str
    group: str
    licence: str
    language: str
    path: str
    copies: int
    texts: tuple[Text, ...]

    @property
    def answer(self) -> str:
        """The text that the model learned to write last; empty where the sample has none."""
        parts: list[str] = []
        for text in reversed([t for t in self.texts if t.text]):
            if text.role == "output":
                parts.append(text.text)
            elif parts:
                break
        return "\n".join(reversed(parts))


@dataclass(frozen=True, slots=True)
class Probe:
    """
    One question.

    Attributes:
        sample: place in the list of samples.
        kind: of KINDS.
        prompt: all that the model is shown.
        wanted: how the answer goes on, as far as the model may write.
        ids, wanted_ids: both in tokens; empty where no tokenizer is known.
    """

    sample: int
    kind: str
    prompt: str
    wanted: str
    ids: tuple[int, ...] = ()
    wanted_ids: tuple[int, ...] = ()


def choose_samples(
    table: pa.Table, kind: str, most: int, *, seed: int = 0, copies: NDArray[np.int64] | None = None
) -> list[Sample]:
    """
    Return at most *most* samples with an answer, in proportion from every language and copy count.

    Who is chosen depends on the samples and the seed, not on the order of rows.

    Args:
        table: schema SAMPLES.
        copies: shape (n,), see `Sample`; all 1 without.
    """
    from governance.dedup.assign import apportion

    number = table.num_rows
    copies = np.ones(number, np.int64) if copies is None else copies
    ids = table["sample_id"].to_pylist()
    order = sorted(range(number), key=lambda i: hashlib.sha256(f"{seed}:{ids[i]}".encode()).digest())
    languages = table["language"].to_pylist()
    strata: dict[tuple[str, int], list[int]] = {}
    for i in order:
        strata.setdefault((languages[i] or "", min(int(copies[i]), 4)), []).append(i)
    chosen = list(range(number))
    if number > most:
        names = sorted(strata)
        shares = apportion(most, [len(strata[name]) for name in names])
        chosen = sorted(i for name, share in zip(names, shares, strict=True) for i in strata[name][:share])
    rows = table.take(pa.array(chosen, pa.int64()))
    values = {name: rows[name].to_pylist() for name in COLUMNS}
    found = []
    for k, texts in enumerate(rows["texts"].to_pylist()):
        own = {name: values[name][k] for name in COLUMNS}
        sample = Sample(
            own["sample_id"], own["file"] or "", own["row"], kind,
            own["repository"] or own["group"] or own["sample_id"], own["licence"] or "", own["language"] or "",
            own["path"] or "", int(copies[chosen[k]]) if kind == MEMBER else 0,
            tuple(Text(t["field"], t["role"], t["text"]) for t in texts),
        )  # fmt: skip
        if sample.answer:
            found.append(sample)
    return found


def make_probes(
    samples: Sequence[Sample], tokenizer: Any, kinds: Sequence[str], new: int, *, template: Template, context: int
) -> tuple[list[Probe], Mapping[str, Mapping[str, int]]]:
    """
    Return the questions, ordered by kind and sample, and per kind how many samples could not be asked, and why.

    The prompt is the one of training: instruction and input in the words of *template*, then, for a prefix, the first
    tokens of the answer. So the question is in use, or the strongest that somebody can ask who knows the template.

    Args:
        new: tokens that a model may write.
        context: tokens that the model can see at most; 0 if not known.

    Returns:
        Counts: ``too-short`` have fewer than 25 tokens after the prefix, ``too-long`` do not fit the context.
    """
    least = min(SUFFIXES)
    tokenized = []
    for sample in samples:
        pieces = pieces_of(sample.texts, template, tokenizer)
        prompt = "".join(p.text for p in pieces[:-1])
        ids = [
            token
            for k, piece in enumerate(pieces[:-1])
            for token in tokenizer.encode(piece.text, add_special_tokens=k == 0 and template != "chat")
        ]
        answer = tokenizer.encode(sample.answer[:MOST_BYTES], add_special_tokens=False)
        tokenized.append((prompt, ids, answer))
    probes: list[Probe] = []
    left_out = {}
    for kind in kinds:
        before = 0 if kind == INSTRUCTION else int(kind.removeprefix("prefix-"))
        short = long = 0
        for number, (prompt, ids, answer) in enumerate(tokenized):
            if len(answer) < before + (least if before else 1):
                short += 1
            elif context and len(ids) + before + new > context:
                long += 1
            else:
                shown, wanted = answer[:before], answer[before : before + new]
                texts = prompt + _text(tokenizer, shown), _text(tokenizer, wanted)
                probes.append(Probe(number, kind, *texts, (*ids, *shown), tuple(wanted)))
        left_out[kind] = {"too-short": short, "too-long": long}
    return probes, left_out


def _text(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)) if ids else ""


def text_probes(samples: Sequence[Sample], template: Template = "alpaca") -> list[Probe]:
    """Return the questions by instruction, without a tokenizer: what the answer goes on with is all of it."""
    found = []
    for number, sample in enumerate(samples):
        pieces = pieces_of(sample.texts, template)
        found.append(Probe(number, INSTRUCTION, "".join(p.text for p in pieces[:-1]), sample.answer))
    return found
