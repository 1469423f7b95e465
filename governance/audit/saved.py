"""a file of generations of any system -> probes and what was written, as if a model here had been asked.

JSON Lines, an object per generation:

    generation   the text; needed
    sample       sample id (or its beginning, eight digits at least), or FILE:ROW, in --members or --twins
    record       the text that must not come back; instead of sample
    prompt       what the system was asked; with *sample*, the instruction of the sample without it
    set          member or twin; needed with *record*, known with *sample*
    group        repository or class of the record, for the interval
    model        adapter (without it) or base
    kind         what kind of prompt it was; instruction without it
    draw         number of the draw, from 0; what is not 0 counts as sampled

Nothing is known of tokens, so exact match counts lexemes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from governance.audit.measure import Written
from governance.audit.probes import INSTRUCTION, KINDS, MEMBER, TWIN, Probe, Sample, text_probes
from governance.errors import UsageError
from governance.samples import Text, sample_id

MODELS = ("adapter", "base")
DIGITS = 8  # of a sample id
FARTHEST = 20_000  # characters of a prompt that are looked at for the beginning of the answer


def read_saved(path: Path, samples: Sequence[Sample]) -> tuple[list[Sample], list[Probe], list[Written]]:
    """
    Return the samples, those of records that stand in the file added, what was asked, and what was written.

    Raises:
        UsageError: the file cannot be read, or a line is not as above; no message holds text of it.
    """
    saved = _Saved(path, samples)
    try:
        with path.open("rb") as source:
            for number, line in enumerate(source, 1):
                if line.strip():
                    saved.add(number, line)
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror}") from None
    if not saved.written:
        raise UsageError(f"{path}: holds no generation; expected JSON Lines with 'generation'")
    return saved.samples, saved.probes, saved.written


class _Saved:
    def __init__(self, path: Path, samples: Sequence[Sample]) -> None:
        self.path = path
        self.samples = list(samples)
        self.probes: list[Probe] = []
        self.written: list[Written] = []
        self._by_id: dict[str, int] = {}
        for k, s in enumerate(samples):
            for name in (s.sample_id, f"{s.file}:{s.row}"):
                self._by_id.setdefault(name, k)
        self._by_text: dict[str, int] = {}
        self._asked: dict[tuple[int, str, str], int] = {}

    def add(self, number: int, line: bytes) -> None:
        """Take one line."""
        where = f"{self.path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"{where}: is not JSON; expected an object per line") from None
        if not isinstance(row, dict) or not isinstance(row.get("generation"), str):
            raise UsageError(f"{where}: has no text 'generation'; expected an object per line")
        texts = [k for k in ("sample", "record", "prompt", "group") if not isinstance(row.get(k, ""), str)]
        if texts:
            raise UsageError(f"{where}: {texts[0]} is no text")
        model, kind, draw = row.get("model", MODELS[0]), row.get("kind", INSTRUCTION), row.get("draw", 0)
        if model not in MODELS or kind not in KINDS or not isinstance(draw, int) or draw < 0:
            raise UsageError(
                f"{where}: expected model {' or '.join(MODELS)}, kind {', '.join(KINDS)}, draw a number from 0"
            )
        sample = self._sample(row, where)
        probe = self._probe(sample, kind, row)
        how = "sampled" if draw else "greedy"
        self.written.append(Written(probe, model, row["generation"], None, how, draw))

    def _sample(self, row: Mapping[str, Any], where: str) -> int:
        if "sample" in row:
            name = row["sample"]
            found = self._by_id.get(name)
            if found is None and len(name) >= DIGITS:
                fits = [k for k, s in enumerate(self.samples) if s.sample_id.startswith(name)]
                found = fits[0] if len(fits) == 1 else None
            if found is None:
                raise UsageError(f"{where}: sample is none of --members and --twins; expected its id, or FILE:ROW")
            return found
        set_ = row.get("set")
        if not row.get("record") or set_ not in (MEMBER, TWIN):
            raise UsageError(f"{where}: expected 'sample', or 'record' with 'set' member or twin")
        record = str(row["record"])
        own = sample_id([("output", record)])
        key = f"{set_}:{own}"
        if key not in self._by_text:
            self._by_text[key] = len(self.samples)
            group, texts = row.get("group") or own, (Text("record", "output", record),)
            copies = int(set_ == MEMBER)
            place = self.path.name, len(self.samples)
            self.samples.append(Sample(own, *place, set_, group, "", "", "", copies, texts))
        return self._by_text[key]

    def _probe(self, sample: int, kind: str, row: Mapping[str, Any]) -> int:
        prompt = row.get("prompt")
        key = (sample, kind, prompt or "")
        if key not in self._asked:
            self._asked[key] = len(self.probes)
            probe = text_probes([self.samples[sample]])[0]
            shown = probe.prompt if prompt is None else prompt
            wanted = probe.wanted
            if kind != INSTRUCTION:  # the answer goes on after the part of it that the prompt ends with
                wanted = _after(shown, wanted)
            self.probes.append(replace(probe, sample=sample, kind=kind, prompt=shown, wanted=wanted))
        return self._asked[key]


def _after(prompt: str, answer: str) -> str:
    """
    Return what follows in *answer* after the longest beginning of it that *prompt* ends with.

    >>> _after("Write it.\\n\\ndef f(", "def f(x): pass")
    'x): pass'
    """
    most = min(len(prompt), len(answer), FARTHEST)
    joined = f"{answer[:most]}\0{prompt[len(prompt) - most :]}"
    border = [0] * len(joined)  # Knuth, Morris and Pratt: the longest beginning that is also an ending
    for i in range(1, len(joined)):
        k = border[i - 1]
        while k and joined[i] != joined[k]:
            k = border[k - 1]
        border[i] = k + 1 if joined[i] == joined[k] else 0
    return answer[min(border[-1], most) :]
