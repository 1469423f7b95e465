"""named checks of whole texts and samples: what no pattern can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from governance.samples import ROLES, Text
from governance.scan.registry import Hit, named_check
from governance.scan.views import TextColumns

Mask = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int64]
CANDIDATES: dict[str, Callable[[TextColumns], Mask]] = {}
"""Check name -> the texts (for ``field: sample`` the rows) that it could flag at all, decided by columns.

Without an entry, and without keywords in the rule, a check is called for every text."""

BLANK = " \t\r\n\f\v"
_IS_BLANK = np.isin(np.arange(256), [ord(c) for c in BLANK])
_BLANK_BYTES = (0x1C, 0x1D, 0x1E, 0x1F, 0xC2, 0xE1, 0xE2, 0xE3)  # of what else str.strip takes for white space
OUTPUT = ROLES.index("output")


def _candidates_of(name: str) -> Callable[[Callable[[TextColumns], Mask]], Callable[[TextColumns], Mask]]:
    def register(function: Callable[[TextColumns], Mask]) -> Callable[[TextColumns], Mask]:
        CANDIDATES[name] = function
        return function

    return register


@named_check("blank")
def blank(unit: Text, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a text that is empty or only white space; the span is the whole text."""
    if not text.strip():
        yield Hit(0, len(text))


@_candidates_of("blank")
def _may_be_blank(texts: TextColumns) -> Mask:
    """After the ASCII white space it starts with: nothing, or a byte that can start other white space."""
    starts = _after_blank(texts, texts.starts.copy(), texts.ends)
    mask = np.asarray(starts == texts.ends)
    filled = np.flatnonzero(~mask)
    mask[filled] = np.isin(np.frombuffer(texts.data, np.uint8)[starts[filled]], _BLANK_BYTES)
    return mask


@named_check("repeats_prompt")
def repeats_prompt(unit: Sequence[Text], text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag an output that is one of the sample's other texts word for word, but for white space at the ends."""
    prompts = {t.text.strip(BLANK) for t in unit if t.role != "output"} - {""}
    for member in unit:
        if member.role == "output" and member.text.strip(BLANK) in prompts:
            yield Hit(0, len(member.text), field=member.field)


@_candidates_of("repeats_prompt")
def _may_repeat(texts: TextColumns) -> Mask:
    """Rows with an output that is as long as one of its prompts, white space at the ends left out."""
    starts, ends = _trimmed(texts)
    size = ends - starts
    key = texts.rows * (np.int64(size.max(initial=0)) + 1) + size
    is_output = (texts.roles == OUTPUT) & (size > 0)
    is_prompt = (texts.roles != OUTPUT) & (size > 0)
    rows = np.zeros(len(texts.first) - 1, np.bool_)
    rows[texts.rows[is_output][np.isin(key[is_output], key[is_prompt])]] = True
    return rows


def _trimmed(texts: TextColumns) -> tuple[Offsets, Offsets]:
    """Starts and ends of the texts without ASCII white space at both ends."""
    data, starts, ends = np.frombuffer(texts.data, np.uint8), texts.starts, texts.ends.copy()
    still = np.flatnonzero(starts < ends)
    while len(still):
        still = still[_IS_BLANK[data[ends[still] - 1]]]
        ends[still] -= 1
        still = still[starts[still] < ends[still]]
    return _after_blank(texts, starts.copy(), ends), ends


def _after_blank(texts: TextColumns, starts: Offsets, ends: Offsets) -> Offsets:
    """Move *starts* over ASCII white space, in place: one step of all texts that still have some at a time."""
    data = np.frombuffer(texts.data, np.uint8)
    still = np.flatnonzero(starts < ends)
    while len(still):
        still = still[_IS_BLANK[data[starts[still]]]]
        starts[still] += 1
        still = still[starts[still] < ends[still]]
    return starts


_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)


@named_check("unclosed_fence")
def unclosed_fence(unit: Text, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag the opening line of a fenced code block that is never closed (CommonMark 0.31, section 4.5)."""
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        fence, info = line.group(1), line.group(2).strip()
        if opened is None:
            if fence[0] == "~" or "`" not in info:
                opened = line
        elif fence[0] == opened.group(1)[0] and len(fence) >= len(opened.group(1)) and not info:
            opened = None
    if opened is not None:
        yield Hit(opened.start(1), opened.end())
