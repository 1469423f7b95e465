"""findings, the dataset store -> the few spans that a document may show, with nothing hidden in them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.samples import Text
from governance.scan.sensitive import SensitiveText

LONGEST = 80  # characters of a span in a document

Texts = Callable[[int], list[Text]]
"""``n`` of a sample -> its texts; reads the dataset store."""

# Control characters, line and paragraph separators, bidirectional controls, zero-width characters, tag characters,
# non-characters, lone surrogates: each can make a reader see something else than what is there, or break an encoder.
_INVISIBLE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
    "\\ufff9-\\ufffb\\ufffe\\uffff\\ud800-\\udfff\\U000e0000-\\U000e0fff]"
)


def visible(text: str) -> str:
    r"""
    Return *text* with every character that hides, reorders or controls written as its escape.

    >>> visible("a\u202eb\n")
    'a\\u202eb\\n'
    """
    return _INVISIBLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")


@dataclass(frozen=True)
class Spans:
    """
    Decides which flagged text a document may show.

    Attributes:
        texts: reads the texts of a sample; None (no dataset store at hand) shows nothing.
        sensitive: ids of the rules whose findings are secrets or personal data.
        findings: all findings of the run; a sensitive one that touches a span hides it.
        open_rules: ids of the rules that are known not to be sensitive; None means every rule but the sensitive ones.
        scanner: looks at a place once more before it is shown, for what the run did not look for or did not keep.
    """

    texts: Texts | None
    sensitive: Collection[str]
    findings: pa.Table
    open_rules: Collection[str] | None = None
    scanner: SensitiveText | None = None

    @classmethod
    def of(
        cls,
        evidence: Mapping[str, Any],
        findings: pa.Table,
        texts: Texts | None,
        scanner: SensitiveText | None = None,
    ) -> Spans:
        """
        Take from *evidence* which rules are sensitive.

        A rule that the evidence does not call open (``"sensitive": false``) counts as sensitive, so a report made
        years later from a run whose packs are gone shows too little rather than too much.
        """
        entries = evidence.get("findings", [])
        open_rules = frozenset(e["rule"] for e in entries if e.get("sensitive") is False)
        return cls(texts, frozenset(e["rule"] for e in entries) - open_rules, findings, open_rules, scanner)

    def shown(self, finding: Mapping[str, Any]) -> str | None:
        """
        Return the flagged text of *finding*, at most 80 characters, or None where it must not be shown.

        *finding* is a row of the findings table. Shown are findings of rules that are not sensitive, unless a
        sensitive finding overlaps the span in the same field.
        """
        rule = finding["rule"]
        if self.texts is None or rule in self.sensitive:
            return None
        if self.open_rules is not None and rule not in self.open_rules:
            return None
        field, start, end = finding["field"], finding["start"], finding["end"]
        if end <= start or any(a < end and start < b for a, b, _ in self.masks(finding["n"], field)):
            return None
        text = next((t.text for t in self.texts(finding["n"]) if t.field == field), None)
        if text is None or end > len(text):
            return None
        if self.scanner and any(a < end and start < b for a, b, _ in self.scanner.spans(text, start, end)):
            return None
        span = visible(text[start : min(end, start + LONGEST)])
        return span if end - start <= LONGEST and len(span) <= LONGEST else span[: LONGEST - 1] + "…"

    def masks(self, n: int, field: str) -> list[tuple[int, int, str]]:
        """Return ``(start, end, rule)`` of every sensitive finding in *field* of sample *n*, by start."""
        numbers, rows = self._sensitive_rows
        low, high = np.searchsorted(numbers, n, "left"), np.searchsorted(numbers, n, "right")
        places = rows.slice(int(low), int(high - low)).to_pylist()
        return sorted((p["start"], p["end"], p["rule"]) for p in places if p["field"] == field)

    def masks_in(self, n: int, text: Text, start: int, end: int) -> list[tuple[int, int, str]]:
        """Return the masks of a whole *text* of sample *n*, and those that a second look at its part finds."""
        again = self.scanner.spans(text.text, start, end) if self.scanner else []
        return sorted({*self.masks(n, text.field), *again})

    @functools.cached_property
    def _sensitive_rows(self) -> tuple[Any, pa.Table]:
        """The sensitive findings sorted by sample, filtered once however many spans are asked for."""
        columns = self.findings.select(["n", "field", "start", "end", "rule"])
        if self.open_rules is not None:
            hidden = pc.invert(pc.is_in(columns["rule"], pa.array(sorted(self.open_rules), pa.string())))
        else:
            hidden = pc.is_in(columns["rule"], pa.array(sorted(self.sensitive), pa.string()))
        rows = columns.filter(hidden).combine_chunks().sort_by("n")
        return rows["n"].to_numpy(), rows
