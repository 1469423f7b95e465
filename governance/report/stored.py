"""a run, the dataset store -> the texts that its documents may show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from governance.report.spans import Spans
from governance.report.tables import first_places
from governance.samples import Text
from governance.scan.sensitive import SensitiveText
from governance.store import Workspace


class StoredTexts:
    """Reads texts of a stored dataset once and keeps them; an absent dataset gives None."""

    def __init__(self, workspace: Workspace, digest: str, ordinals: Sequence[int]) -> None:
        self._found = workspace.texts(digest, ordinals) if workspace.has_dataset(digest) else None

    def __call__(self, n: int) -> list[Text]:
        return (self._found or {}).get(n, [])


def run_spans(
    workspace: Workspace, evidence: dict[str, Any], tables: Any, per_rule: int = 20, sensitive: Any = None
) -> Any:
    """Return the Spans that decide which flagged text a document of this run may show."""
    digest = evidence["dataset"]["digest"]
    places = first_places(tables.findings, per_rule)
    ordinals = [p["n"] for rule in places.values() for p in rule]
    texts = StoredTexts(workspace, digest, ordinals) if workspace.has_dataset(digest) else None
    return Spans.of(evidence, tables.findings, texts, (sensitive or SensitiveText.of()) if texts else None)
