r"""samples, findings of sensitive packs -> the same samples with every flagged span masked.

The mask is Presidio's ``mask`` operator; which characters it gets, and which it may not touch, is decided here, so
that code still parses:

- The length stays, so offsets, line numbers and columns of everything else stay.
- ``x`` masks, not the usual ``*``: an unquoted YAML value of ``*`` is an alias, in a shell a glob, in code an operator,
  in Markdown emphasis. A word of ``x`` is a legal string, identifier and YAML, JSON-string, dotenv or XML value.
- A span of digits alone becomes ``1`` repeated: it may be a number of JSON or code, where a leading zero is an error,
  and no run of 11 to 19 ones is valid for any check digit of the packs (zeros satisfy Luhn).
- White space, line ends and escapes (``\n``, ``\"``) stay; ``\x41`` becomes ``\x11``. In a span over several lines or
  literals, as a private key joined from strings, only words are masked, so its quotes, commas and operators stay.

What is masked is one character repeated, which every rule of the packs ignores: masking again changes nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.samples import sample_id

LETTER = "x"
DIGIT = "1"

_ESCAPE = r"\\x([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\U[0-9A-Fa-f]{4}([0-9A-Fa-f]{4})|\\([0-7]{2,3})|\\.|\\"
_PLAIN = re.compile(rf"{_ESCAPE}|[^\\\s]+", re.DOTALL)
_WORDS = re.compile(rf"{_ESCAPE}|[+/=]*[0-9A-Za-z][0-9A-Za-z+/=_.-]*", re.DOTALL)
_SEVERAL = re.compile(r"[\r\n]|.{40}[\"'`]\s*[+,.)\"'`]", re.DOTALL)
_OPEN_ESCAPE = re.compile(r"(?:^|[^\\])(?:\\\\)*\\$", re.DOTALL)

Span = tuple[int, int, str]
"""Start and end (half-open code points) and the entity or rule."""


def scrub_text(text: str, spans: Sequence[Span]) -> tuple[str, int]:
    """
    Mask *spans* in *text*.

    Args:
        text: any text.
        spans: half-open code points with the entity; they may overlap and come in any order.

    Returns:
        The text, of the same length, and how many spans were masked.

    Raises:
        ValueError: a span that is not inside the text.

    >>> scrub_text('password = "hunter2"  # call 13912345678', [(12, 19, "PASSWORD"), (29, 40, "PHONE")])
    ('password = "xxxxxxx"  # call 11111111111', 2)
    """
    pieces: list[tuple[int, int, str]] = []
    for start, end, _ in spans:
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"span {start}:{end} is not inside a text of {len(text)} characters")
        pieces += _pieces(text, start, end)
    if not pieces:
        return text, len(spans)
    return _mask(text, _merged(pieces)), len(spans)


def _pieces(text: str, start: int, end: int) -> list[tuple[int, int, str]]:
    """Return what of the span has to be masked, each piece with its masking character."""
    value = text[start:end]
    if value.isascii() and value.isdigit():
        return [(start, end, DIGIT)]
    if _OPEN_ESCAPE.search(text[max(0, start - 16) : start]):
        start += 1  # "\nuser@...": the n belongs to the escape, "\x" would be a broken one
    pattern = _WORDS if _SEVERAL.search(value) else _PLAIN
    out = []
    for m in pattern.finditer(text, start, end):
        if m.lastindex:  # \x41 stays an escape of one character: \x11
            out.append((*m.span(m.lastindex), DIGIT))
        elif m.group()[0] != "\\":
            out.append((*m.span(), LETTER))
    return out


def _merged(pieces: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Join overlapping pieces; a joined one is masked with letters unless all were digits."""
    out: list[tuple[int, int, str]] = []
    for start, end, char in sorted(pieces):
        if out and start < out[-1][1]:
            first, last, other = out[-1]
            out[-1] = (first, max(last, end), char if char == other else LETTER)
        else:
            out.append((start, end, char))
    return out


def _mask(text: str, pieces: Sequence[tuple[int, int, str]]) -> str:
    engine, result, operators = _presidio()
    found = [result(entity_type=char, start=start, end=end, score=1.0) for start, end, char in pieces]
    # Left to itself the engine masks the blanks between two entities of one type as well.
    masked = engine.anonymize(text, found, operators, merge_entities_with_spaces=False)
    return str(masked.text)


@functools.cache
def _presidio() -> tuple[Any, Any, Any]:
    """The engine, its type for a span, and one mask operator per masking character. Imported on first use (0.2 s)."""
    from presidio_anonymizer import AnonymizerEngine
    from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

    everything = 2**31  # the operator masks at most the length of the span
    operators = {
        char: OperatorConfig("mask", {"masking_char": char, "chars_to_mask": everything, "from_end": False})
        for char in (LETTER, DIGIT)
    }
    make_engine: Any = AnonymizerEngine  # untyped upstream
    return make_engine(), RecognizerResult, operators


def scrub_samples(batch: pa.RecordBatch, findings: pa.Table) -> tuple[pa.RecordBatch, int]:
    """
    Mask every finding in the texts of a SAMPLES *batch*.

    Samples without a finding stay as they are; the others get new texts and a new ``sample_id``. ``record`` holds no
    text and stays, and so do the metadata columns.

    Args:
        batch: schema ``samples.SAMPLES``.
        findings: schema ``samples.FINDINGS``, of rules of sensitive packs; those of other batches are ignored.

    Returns:
        The batch and how many findings were masked.

    Raises:
        ValueError: a finding that names a field its sample does not have, or a span outside its text.
    """
    mine = findings.filter(pc.is_in(findings.column("n"), value_set=batch.column("n")))
    if mine.num_rows == 0:
        return batch, 0
    texts = batch.column("texts")
    sizes = pc.fill_null(pc.list_value_length(texts), 0).to_numpy(zero_copy_only=False)
    first = np.concatenate([[0], np.cumsum(sizes)])
    flat = texts.flatten()
    fields, roles, values = (flat.field(i) for i in range(3))
    row_of = {n: i for i, n in enumerate(batch.column("n").to_pylist())}
    spans: dict[tuple[int, str], list[Span]] = {}
    for n, field, start, end, rule in zip(
        *(mine.column(name).to_pylist() for name in ("n", "field", "start", "end", "rule")), strict=True
    ):
        spans.setdefault((row_of[n], field), []).append((start, end, rule))
    changed: dict[int, str] = {}
    for (row, field), places in spans.items():
        at = _position(fields, int(first[row]), int(first[row + 1]), field)
        changed[at] = scrub_text(values[at].as_py(), places)[0]
    masked = _replaced(values, changed)
    struct = pa.StructArray.from_arrays([fields, roles, masked], fields=list(flat.type))
    lists = pa.ListArray.from_arrays(pa.array(first, pa.int32()), struct, mask=pc.is_null(texts), type=texts.type)
    ids = {}
    for row in {row for row, _ in spans}:
        members = range(int(first[row]), int(first[row + 1]))
        ids[row] = sample_id((roles[i].as_py(), masked[i].as_py()) for i in members)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns |= {"texts": lists, "sample_id": _replaced(columns["sample_id"], ids)}
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema), mine.num_rows


def _position(fields: pa.Array, first: int, last: int, field: str) -> int:
    for i in range(first, last):
        if fields[i].as_py() == field:
            return i
    raise ValueError(f"a finding names the field {field!r}, which its sample does not have")


def _replaced(column: pa.Array, values: dict[int, str]) -> pa.Array:
    """Return *column* with the texts at the given positions replaced."""
    places = sorted(values)
    mask = np.zeros(len(column), np.bool_)
    mask[places] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.array([values[i] for i in places], column.type))
