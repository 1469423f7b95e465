"""what cleaning did to every record -> the account: in = kept + changed + dropped, each with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LEDGER = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("action", pa.string()),  # kept, changed, dropped
        ("reason", pa.string()),  # the gate whose remedy did it; several, joined by "; "
        ("sample_id", pa.string()),  # before; null for a record that could not be read
        ("new_sample_id", pa.string()),  # after; null for a dropped one
        ("kept_file", pa.string()),  # the witness of a dropped copy
        ("kept_row", pa.int64()),
        ("similarity", pa.float64()),
    ]
)


@dataclass
class Ledger:
    """
    The account of one clean.

    Attributes:
        before: the samples as they came (SAMPLES), ordinals 0 to N-1.
        quarantine: records that could not be read; they are dropped.
        reasons: per ordinal, why it was changed or dropped, in the order it happened.
        dropped: ordinal -> (kept ordinal, similarity) for a copy, else (None, None).
        words: words per sample before.
    """

    before: pa.Table
    quarantine: pa.Table
    words: NDArray[np.int64]
    reasons: dict[int, list[str]] = field(default_factory=dict)
    dropped: dict[int, tuple[int | None, float | None]] = field(default_factory=dict)
    changed: dict[int, str] = field(default_factory=dict)  # ordinal -> new sample id
    words_after: dict[int, int] = field(default_factory=dict)  # only where they changed
    rounds: int = 0
    kinds: dict[int, str] = field(default_factory=dict)  # ordinal -> kind of a removed copy
    origins: pa.Table | None = None  # where the removed copies came from (ORIGINS), by the ordinals after cleaning

    def change(self, n: int, reason: str, new_id: str, words: int) -> None:
        """Note that sample *n* has new text."""
        self._because(n, reason)
        self.changed[n] = new_id
        self.words_after[n] = words

    def drop(self, n: int, reason: str, witness: tuple[int | None, float | None] = (None, None)) -> None:
        """Note that sample *n* is gone, and for a copy which sample stays for it."""
        self._because(n, reason)
        self.dropped[n] = witness

    def _because(self, n: int, reason: str) -> None:
        reasons = self.reasons.setdefault(n, [])
        if reason not in reasons:
            reasons.append(reason)

    def summary(self) -> dict[str, Any]:
        """Return the counts; ``in`` always equals kept + changed + dropped."""
        dropped = Counter(self.reasons[n][-1] for n in self.dropped)
        dropped.update(f"quarantine: {r}" for r in self.quarantine["reason"].to_pylist())
        changed = len(self.changed.keys() - self.dropped.keys())
        samples = self.before.num_rows
        return {
            "in": samples + self.quarantine.num_rows,
            "kept": samples - len(self.dropped) - changed,
            "changed": changed,
            "dropped": dict(sorted(dropped.items())),
            "rounds": self.rounds,
            "parent": None,
        }

    def table(self) -> pa.Table:
        """Return one row per record, in the order of the input, the unreadable ones last."""
        files, rows = self.before["file"].to_pylist(), self.before["row"].to_pylist()
        ids = self.before["sample_id"].to_pylist()
        out: dict[str, list[Any]] = {name: [] for name in LEDGER.names}
        for n, (file, row, sample) in enumerate(zip(files, rows, ids, strict=True)):
            gone = n in self.dropped
            kept, similarity = self.dropped.get(n, (None, None))
            out["file"].append(file)
            out["row"].append(row)
            out["action"].append("dropped" if gone else "changed" if n in self.changed else "kept")
            out["reason"].append("; ".join(self.reasons.get(n, [])) or None)
            out["sample_id"].append(sample)
            out["new_sample_id"].append(None if gone else self.changed.get(n, sample))
            out["kept_file"].append(None if kept is None else files[kept])
            out["kept_row"].append(None if kept is None else rows[kept])
            out["similarity"].append(similarity)
        for bad in self.quarantine.select(["file", "row", "reason"]).to_pylist():
            line = {
                "file": bad["file"],
                "row": bad["row"],
                "action": "dropped",
                "reason": f"quarantine: {bad['reason']}",
            }
            for name in LEDGER.names:
                out[name].append(line.get(name))
        return pa.table(out, schema=LEDGER)

    def groups(self, earlier: pa.Table | None = None) -> pa.Table:
        """
        Return what each step and repository lost: records and words, before and after.

        Args:
            earlier: the same of the dataset that was cleaned, if that was made by cleaning too: losses add up, and
                the first ancestor is what they are measured against.
        """
        kept = np.ones(self.before.num_rows, np.int64)
        after = self.words.copy()
        for n, words in self.words_after.items():
            after[n] = words
        for n in self.dropped:
            kept[n] = after[n] = 0
        table = pa.table(
            {
                "step": self.before["step"],
                "repository": self.before["repository"],
                "records_in": np.ones(self.before.num_rows, np.int64),
                "records_kept": kept,
                "words_in": self.words,
                "words_kept": after,
            }
        )
        names = ["records_in", "records_kept", "words_in", "words_kept"]
        grouped = table.group_by(["step", "repository"], use_threads=False).aggregate([(n, "sum") for n in names])
        own = grouped.rename_columns(["step", "repository", *names])
        return own if earlier is None else _added(earlier, own)


def _added(earlier: pa.Table, later: pa.Table) -> pa.Table:
    """*later* with what went in before *earlier*; a group that *earlier* emptied stays in the account."""
    kept = {(r["step"], r["repository"]): r for r in later.to_pylist()}
    rows = []
    for before in earlier.to_pylist():
        now = kept.pop((before["step"], before["repository"]), None)
        left = {n: now[n] if now else 0 for n in ("records_kept", "words_kept")}
        rows.append({**before, **left})
    return pa.Table.from_pylist([*rows, *kept.values()], schema=later.schema)


def count_words(samples: pa.Table) -> NDArray[np.int64]:
    """
    Return the words of every sample: runs without white space, and each Chinese character beside.

    Vectorised over the bytes of the Arrow buffers; the count is for shares of text lost, not for tokenizers.
    """
    counts = [_count_batch(batch) for batch in samples.select(["texts"]).to_batches()]
    return np.concatenate(counts) if counts else np.zeros(0, np.int64)


_BLOCK = 1 << 17  # bytes looked at together: what is made of them stays in the processor's cache


def _count_words(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the words of the texts ``data[ends[j]:ends[j + 1]]``, none of them empty; they fill *data*."""
    before = np.zeros(ends.size, np.int64)  # words that start before each of the ends
    total = 0
    for start in range(0, data.size, _BLOCK):
        block = data[start : start + _BLOCK]
        low, high = np.searchsorted(ends, (start, start + block.size))
        begins = ends[low:high] - start
        filled = block > 32
        word = filled.copy()
        word[1:] &= ~filled[:-1]
        if start:
            word[0] &= data[start - 1] <= 32
        word[begins] = filled[begins]
        word |= (block - np.uint8(0xE4)) <= 5  # the first bytes of Chinese characters, E4 to E9; below, it wraps around
        places = np.flatnonzero(word)
        before[low:high] = total + np.searchsorted(places, begins)
        total += places.size
    before[-1] = total
    return np.diff(before)


def _count_batch(batch: pa.RecordBatch) -> NDArray[np.int64]:
    lists = batch.column("texts")
    texts = lists.flatten().field("text")
    per_text = np.zeros(len(texts), np.int64)
    if len(texts):
        offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
        data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        filled = offsets[:-1] < offsets[1:]
        first = (offsets[:-1] - offsets[0])[filled]
        per_text[filled] = _count_words(data, np.append(first, data.size))
    ends = np.concatenate([[0], np.cumsum(per_text)])
    bounds = np.asarray(lists.offsets) - np.asarray(lists.offsets)[0]
    result: NDArray[np.int64] = ends[bounds[1:]] - ends[bounds[:-1]]
    return result
