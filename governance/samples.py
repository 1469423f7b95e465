"""Arrow schemas and frozen values that every step shares.

A sample is one record of a dataset. Its texts are kept as the record has them, each with the path of its
field (``output``, ``messages/2/content``) and the role it plays (``system``, ``instruction``, ``input``,
``output``), so that one scanner serves every dataset shape and an offset always counts code points of the
raw field.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

ROLES = ("system", "instruction", "input", "output")
"""What a text is to the model; everything but ``output`` is prompt."""

PROVENANCE = ("step", "repository", "commit", "path", "start_line", "end_line", "group", "licence", "language")
"""Metadata columns with a meaning of their own; read from the record or its ``metadata`` object."""

TEXT = pa.struct([("field", pa.string()), ("role", pa.string()), ("text", pa.large_string())])

SAMPLES = pa.schema(
    [
        ("n", pa.int64()),  # ordinal among the readable records of the dataset, from 0
        ("file", pa.string()),  # as the user knows it: relative to the dataset folder, or the file's name
        ("row", pa.int64()),  # ordinal among the file's records, quarantined ones included, from 0
        ("sample_id", pa.string()),  # 64 hex digits, see sample_id()
        ("shape", pa.string()),  # alpaca, prompt-completion, messages, conversations, text, mapped
        ("texts", pa.list_(TEXT)),
        ("record", pa.string()),  # the record as JSON in its own key order, every text replaced by null
        ("step", pa.string()),
        ("repository", pa.string()),
        ("commit", pa.string()),
        ("path", pa.string()),
        ("start_line", pa.int64()),
        ("end_line", pa.int64()),
        ("group", pa.string()),
        ("licence", pa.string()),
        ("language", pa.string()),
    ]
)

FINDINGS = pa.schema(
    [
        ("n", pa.int64()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("rule", pa.string()),
        ("severity", pa.string()),  # error, warning, info
        ("field", pa.string()),
        ("start", pa.int64()),  # code points of the raw field, half-open
        ("end", pa.int64()),
        ("line", pa.int64()),  # line of `start` in the raw field, from 1
        ("detail", pa.string()),  # numbers and fixed words only ("declared 3, effective 1"); never sample text
        ("fingerprint", pa.string()),  # 24 hex digits, keyed; see rules.fingerprint()
    ]
)

DUPLICATES = pa.schema(
    [
        ("n", pa.int64()),  # the removed sample
        ("file", pa.string()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("cluster", pa.int64()),  # `n` of the kept sample
        ("kept_file", pa.string()),
        ("kept_row", pa.int64()),
        ("kept_sample_id", pa.string()),
        ("similarity", pa.float64()),  # verified Jaccard with the kept sample, 0 to 1
        ("kind", pa.string()),  # exact (equal texts), lexemes (equal but for white space), near
    ]
)

COPIES = DUPLICATES
"""
Kept samples that are renamed copies of another kept one, kind *renamed*; `similarity` is Jaccard over renamed 10-grams
of the outputs. They are reported; the pipeline's `dedup.remove` says whether cleaning drops them.
"""

OVERLAPS = pa.schema(
    [
        ("n", pa.int64()),  # the sample
        ("file", pa.string()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("field", pa.string()),  # the text; empty for class held-out, which compares whole samples
        ("start", pa.int64()),  # code points of the raw field, half-open; from the first shared lexeme to the last
        ("end", pa.int64()),
        ("line", pa.int64()),  # lines of the raw field, from 1
        ("end_line", pa.int64()),
        ("class", pa.string()),  # verbatim, containment, renamed, held-out, item, item-renamed, -secondary, -rephrased
        ("source", pa.string()),  # what the index, the item file or the held-out set calls it
        ("source_repository", pa.string()),
        ("source_path", pa.string()),
        ("source_licence", pa.string()),
        ("source_line", pa.int64()),
        ("source_end_line", pa.int64()),
        ("lexemes", pa.int64()),  # length of the longest shared run; renamed lexemes for the renamed classes
        ("score", pa.float64()),  # 0 to 1: share of the text (containment), of the item (item), similarity (held-out)
        ("df", pa.int64()),  # sources that hold the run; 1 where that is not counted
        ("index", pa.string()),  # name of the index, the item file or the held-out set
        ("allowed", pa.bool_()),  # the pipeline allows the source; listed, and counted nowhere
    ]
)

OVERLAP_CLASSES = {
    "protected-overlap": ("verbatim", "containment", "renamed"),
    "benchmark-overlap": ("item", "item-renamed"),
    "held-out-overlap": ("held-out",),
    "split-overlap": ("split",),
}
"""Metric -> the classes of OVERLAPS that it counts; ``item-secondary`` and ``item-rephrased`` count nowhere."""

ORIGINS = pa.schema(
    [
        ("n", pa.int64()),  # the kept sample, which stands for the removed copy
        ("sample_id", pa.string()),
        ("dataset", pa.string()),  # digest of the dataset that the copy was removed from
        ("file", pa.string()),  # place of the copy there
        ("row", pa.int64()),
        ("copy_id", pa.string()),  # its sample id
        ("similarity", pa.float64()),
        ("kind", pa.string()),  # as in DUPLICATES
        ("repository", pa.string()),  # its provenance, with what is sensitive masked
        ("commit", pa.string()),
        ("path", pa.string()),
        ("start_line", pa.int64()),
        ("end_line", pa.int64()),
        ("licence", pa.string()),
    ]
)

QUARANTINE = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("line", pa.int64()),  # line of the file where the record starts, from 1; 0 where lines mean nothing
        ("reason", pa.string()),  # broken-json, wrong-type, undecodable, nul, too-large, missing-field, ...
        ("detail", pa.string()),  # fixed words and numbers; never content
        ("raw", pa.large_binary()),  # the bytes of the record; lives in the dataset store only
    ]
)

STORIES = pa.schema(
    [
        ("n", pa.int64()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("field", pa.string()),
        ("story", pa.int64()),  # ordinal in the text, from 0
        ("language", pa.string()),  # zh, en, mixed
        ("format", pa.string()),  # free, gherkin
        ("declared", pa.int64()),  # criteria with a heading
        ("effective", pa.int64()),  # of them complete and distinct
        ("start", pa.int64()),
        ("end", pa.int64()),
    ]
)

ROUTES = pa.schema(
    [
        ("n", pa.int64()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("field", pa.string()),
        ("line", pa.int64()),
        ("framework", pa.string()),  # spring, plain
        ("method", pa.string()),  # GET ..., or ANY where the code does not fix it
        ("start", pa.int64()),  # span of the path literal (or of the whole route) in the raw field
        ("end", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a sample: where it stands in the record, what it is to the model, and itself."""

    field: str
    role: str
    text: str


def sample_id(texts: Iterable[tuple[str, str]]) -> str:
    """
    Return the SHA-256 over the length-prefixed (role, text) pairs, as 64 hex digits.

    Nothing is normalised. Empty texts do not count, so a record with ``"input": ""`` is the same sample as
    one without an input, and the same texts have the same id in every dataset shape.

    >>> with_empty = sample_id([("instruction", "a"), ("input", ""), ("output", "b")])
    >>> with_empty == sample_id([("instruction", "a"), ("output", "b")])
    True
    >>> sample_id([("instruction", "ab")]) == sample_id([("instruction", "a"), ("output", "b")])
    False
    """
    digest = hashlib.sha256()
    for role, text in texts:
        if text:
            data = text.encode()
            digest.update(b"%s\0%s" % (role.encode(), struct.pack("<Q", len(data))))
            digest.update(data)
    return digest.hexdigest()


def iter_texts(batch: pa.RecordBatch) -> Iterator[tuple[int, list[Text]]]:
    """Yield (position in *batch*, texts) for every sample of a SAMPLES batch.

    It makes Python objects: for small batches and reports, not for scanning.
    """
    for i, texts in enumerate(batch.column("texts").to_pylist()):
        yield i, [Text(t["field"], t["role"], t["text"]) for t in texts]


def table(schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return *rows* as a table of *schema*; a missing key is null."""
    return pa.Table.from_pylist(list(rows), schema=schema)
