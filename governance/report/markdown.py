"""evidence, tables, spans -> a summary in Markdown, short enough for the step summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from governance.report.html import environment, view
from governance.report.spans import Spans, visible
from governance.report.tables import RunTables

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")
_LIVE = re.compile(r"(?i)(@|://|www\.)")


def render_markdown(evidence: Mapping[str, Any], tables: RunTables, spans: Spans, language: str = "en") -> str:
    """Return the summary as GitHub-flavoured Markdown in *language* (``en`` or ``zh``)."""
    env = environment().overlay()
    env.filters = {**env.filters, "cell": cell, "code": code, "bold": lambda text: f"**{text}**"}
    page = env.get_template("report.md.j2").render(view(evidence, tables, spans, language))
    return re.sub(r"\n{3,}", "\n\n", page).rstrip() + "\n"


def cell(text: object) -> str:
    r"""
    Return *text* so that it stands in a table cell as itself: no markup, no link, no mention, no new row.

    >>> cell("a|b\n<i> @team")
    'a\\|b\\\\n&lt;i&gt; &#64;team'
    """
    plain = visible(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _SPECIAL.sub(r"\\\1", plain)
    return _LIVE.sub(lambda m: "".join(f"&#{ord(c)};" if c in "@:." else c for c in m.group()), plain)


def code(text: object) -> str:
    """
    Return *text* as a code span that also holds in a table cell, whatever back-ticks and bars are in it.

    >>> code("a|b")
    '<code>a&#124;b</code>'
    """
    escaped = visible(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<code>" + re.sub(r"[|`*_\[\]\\~@:]", lambda m: f"&#{ord(m.group())};", escaped) + "</code>"
