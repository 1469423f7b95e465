"""what a model wrote -> the secrets and personal data that came back, and how it writes routes and stories.

The rules that watched the training data watch the answers. What a prompt already held is not the model's. A secret
*comes back* if the same one, by keyed fingerprint, stands in the training data; any other one is made up, which is
counted apart. No text is kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.rules import Rule, load_rules
from governance.samples import SAMPLES
from governance.scan.patterns import compile_database, scannable
from governance.scan.scanner import Scanner

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 2_000  # texts scanned together


@dataclass(frozen=True, slots=True)
class Habits:
    """
    How one model writes, over so many *texts*.

    Attributes:
        secrets_back: places in answers that hold a secret or personal data of the training data.
        secrets_new: those that it does not hold.
        routes: REST routes written, and of them those with an error or a warning.
        stories: user stories written; criteria with a heading, and those that are complete and distinct.
    """

    texts: int = 0
    secrets_back: int = 0
    secrets_new: int = 0
    routes: int = 0
    routes_wrong: int = 0
    stories: int = 0
    criteria_declared: int = 0
    criteria_effective: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


class Watch:
    """The built-in rules, ready to look at what models write; fingerprints are keyed anew for every audit."""

    def __init__(self, rules: Sequence[Rule] | None = None, cache: Path | None = None) -> None:
        chosen = scannable(load_rules(["pii", "secrets", "rest", "stories"]) if rules is None else rules)
        self._scanner = Scanner(chosen, secrets.token_bytes(32), compile_database(chosen, cache))
        self._sensitive = {r.rule_id for r in chosen if r.sensitive and r.severity == "error"}
        self._rest = {r.rule_id for r in chosen if r.pack == "rest"}
        self._trained: set[tuple[str, str]] = set()

    def learn(self, samples: pa.Table) -> int:
        """Note what is sensitive in the data that was trained on (schema SAMPLES); returns how many places."""
        count = 0
        for batch in samples.to_batches(max_chunksize=BATCH):
            found = self._marks(self._scanner.scan(batch).findings)
            self._trained |= {mark for _, _, mark in found}
            count += len(found)
        return count

    def look(self, prompts: Sequence[str], answers: Sequence[str]) -> Habits:
        """Return how the writer of *answers* writes."""
        total = np.zeros(8, np.int64)
        for first in range(0, len(answers), BATCH):
            part = slice(first, first + BATCH)
            total += self._look(prompts[part], answers[part])
        return Habits(*(int(n) for n in total))

    def _look(self, prompts: Sequence[str], answers: Sequence[str]) -> Any:
        scanned = self._scanner.scan(_batch(prompts, answers))
        marks = self._marks(scanned.findings)
        shown = {(n, mark) for n, field, mark in marks if field == "prompt"}
        own = [(n, mark) for n, field, mark in marks if field == "output" and (n, mark) not in shown]
        back = sum(mark in self._trained for _, mark in own)
        routes = pa.Table.from_batches([scanned.routes])
        routes = routes.filter(pc.equal(routes["field"], "output"))
        spans = set(zip(routes["n"].to_pylist(), routes["start"].to_pylist(), routes["end"].to_pylist(), strict=True))
        wrong = self._wrong_routes(scanned.findings, spans)
        stories = scanned.stories
        declared, effective = (pc.sum(stories[name]).as_py() or 0 for name in ("declared", "effective"))
        counts = (len(answers), back, len(own) - back, len(spans), wrong, stories.num_rows, declared, effective)
        return np.array(counts)

    def _wrong_routes(self, findings: pa.RecordBatch, spans: set[tuple[int, int, int]]) -> int:
        rows = zip(*(findings[c].to_pylist() for c in ("rule", "field", "n", "start", "end")), strict=True)
        places = [(n, start, end) for rule, field, n, start, end in rows if rule in self._rest and field == "output"]
        return sum(any(n == m and s < end and start < e for m, s, e in places) for n, start, end in spans)

    def _marks(self, findings: pa.RecordBatch) -> list[tuple[int, str, tuple[str, str]]]:
        rows = zip(*(findings[c].to_pylist() for c in ("n", "field", "rule", "fingerprint")), strict=True)
        return [(n, field, (rule, mark)) for n, field, rule, mark in rows if rule in self._sensitive]


def _batch(prompts: Sequence[str], answers: Sequence[str]) -> pa.RecordBatch:
    rows = [
        {
            "n": n, "file": "", "row": n, "sample_id": str(n), "shape": "text", "record": "{}",
            "texts": [
                {"field": "prompt", "role": "input", "text": _plain(prompt)},
                {"field": "output", "role": "output", "text": _plain(answer)},
            ],
        }
        for n, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]  # fmt: skip
    columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in SAMPLES]
    return pa.RecordBatch.from_arrays(columns, schema=SAMPLES)


def _plain(text: str) -> str:
    """Lone surrogates are no Arrow string."""
    return text.encode("utf-8", "replace").decode()
