"""a threshold -> a pair just above it and one just below, to prove that the search tells them apart."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path

import pyarrow as pa

from governance.samples import SAMPLES, sample_id

SHINGLES = 400
"""5-grams of the probe. Changing the last k of its words changes k of them, so J = (400 - k) / (400 + k)."""


def probe_pair(out: Path, threshold: float, attempt: int = 0) -> None:
    """
    Write three samples as an Arrow file: row 1 is just near enough to row 0, row 2 just not.

    Row 1 has the most words changed at the end that *threshold* allows (none but white space at 1.0), row 2 one more at
    the beginning. Row 0 has the lowest id, so it is the one that is kept and both others are compared with it. Another
    *attempt* has other words: a sketch may miss a pair that is just near enough, but no working one misses several.
    """
    t = Fraction(str(threshold))
    most = int(SHINGLES * (1 - t) / (1 + t))
    texts = next(
        texts
        for texts in (_texts(salt, most) for salt in itertools.count(1000 * attempt))
        if texts[0] == min(texts, key=lambda text: sample_id([("output", text)]))
    )
    rows = [
        {
            "n": n,
            "file": "probe",
            "row": n,
            "sample_id": sample_id([("output", text)]),
            "shape": "text",
            "texts": [{"field": "text", "role": "output", "text": text}],
            "record": "{}",
        }
        for n, text in enumerate(texts)
    ]
    table = pa.Table.from_pylist(rows, schema=SAMPLES)
    with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(table)


def _texts(salt: int, most: int) -> list[str]:
    words = _words(f"probe {salt}", SHINGLES + 4)
    near = "  ".join([*words[: len(words) - most], *_words("near", most)])
    far = " ".join([*_words("far", most + 1), *words[most + 1 :]])
    return [" ".join(words), near, far]


def _words(seed: str, count: int) -> list[str]:
    return [hashlib.sha256(f"{seed} {i}".encode()).hexdigest()[:8] for i in range(count)]
