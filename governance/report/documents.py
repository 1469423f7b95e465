"""a run folder, its evidence and tables -> the documents beside them."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from governance.data import data_folder
from governance.errors import UsageError, WorkspaceError
from governance.report.html import render_html
from governance.report.junit import render_junit
from governance.report.markdown import render_markdown
from governance.report.sarif import render_sarif
from governance.report.spans import Spans
from governance.report.tables import RunTables

FILES = {
    "html": "report.html",
    "md": "report.md",
    "json": "evidence.json",
    "sarif": "report.sarif",
    "junit": "junit.xml",
}
"""Format -> name of its file in the folder of a run."""


def render(format: str, evidence: Mapping[str, Any], tables: RunTables, spans: Spans, language: str = "en") -> str:
    """
    Return the document of *format* (``html``, ``md``, ``json``, ``sarif``, ``junit``).

    The same evidence gives the same text; no clock, no network. *language* (``en``, ``zh``) is that of the
    documents people read.

    Raises:
        UsageError: an unknown format or language.
    """
    if format == "html":
        return render_html(evidence, tables, spans, language)
    if format == "md":
        return render_markdown(evidence, tables, spans, language)
    if format == "json":
        return evidence_json(evidence)
    if format == "sarif":
        return render_sarif(evidence, tables)
    if format == "junit":
        return render_junit(evidence)
    raise UsageError(f"format {format!r} is unknown; known are {', '.join(FILES)}")


def write_documents(
    run: Path,
    evidence: Mapping[str, Any],
    tables: RunTables,
    spans: Spans,
    formats: Iterable[str] = ("html", "md", "sarif", "junit"),
    language: str = "en",
) -> list[Path]:
    """
    Write the documents of *formats* into the folder *run* and return their paths; ``json`` is there already.

    Raises:
        UsageError: an unknown format or language; nothing is written then.
        WorkspaceError: the folder cannot be written.
    """
    pages = [
        (run / FILES[format], page)
        for format in dict.fromkeys(formats)
        if (page := render(format, evidence, tables, spans, language)) and format != "json"
    ]
    for path, page in pages:
        try:
            path.write_text(page, "utf-8", newline="\n")
        except OSError as problem:
            raise WorkspaceError(f"{path}: cannot be written: {problem.strerror}; free or allow space there") from None
    return [path for path, _ in pages]


def evidence_json(evidence: Mapping[str, Any]) -> str:
    """Return *evidence* as the text of evidence.json: its own key order, two spaces, UTF-8, never NaN."""
    text = json.dumps(evidence, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A file name that is not UTF-8 reaches Python as half characters, which JSON can only hold escaped.
    return re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m.group()):04x}", text)


@functools.cache
def evidence_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of evidence.json."""
    schema: dict[str, Any] = json.loads((data_folder("reports") / "evidence.schema.json").read_text("utf-8"))
    return schema
