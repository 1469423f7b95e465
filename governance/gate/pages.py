"""project folder of Great Expectations -> its record: three JSON files, and pages that load nothing from elsewhere."""

from __future__ import annotations

import html
import re
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

_BEACONS = re.compile(
    r"<script\b.*?</script\s*>|<link\b[^>]*>|<!--.*?-->|<img\b[^>]*>|<(?:iframe|object|embed|form|footer)\b.*?</(?:iframe|object|embed|form|footer)\s*>",
    re.S | re.I,
)
_REMOTE = re.compile(r"""\s(?:href|src|action|srcset)\s*=\s*(?:"(?:https?:)?//[^"]*"|'(?:https?:)?//[^']*')""", re.I)
_REMOTE_STYLE = re.compile(r"""@import[^;]+;|url\(\s*['"]?(?:https?:)?//[^)]*\)""", re.I)
_STYLE = """<style>body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:72rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #ccc;padding:.3rem .5rem;text-align:left}
.modal,.fade,.navbar-toggler,.popover,.cooltip .top{display:none!important}</style>"""

_RANDOM = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_CLOCK = re.compile(r"\b\d{8}T\d{6}\.\d{6}Z\b")

_INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="UTF-8"><meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>Data Docs</title></head><body><h1>Data Docs</h1>
<p>Great Expectations' record of the gates of run {run}. The verdict is not made here; it must agree.</p>
<ul>{links}</ul></body></html>
"""


def keep_record(project: Path, out: Path, run_id: str, moment: datetime | None = None) -> None:
    """
    Move the record out of the project folder: the three JSON files, and the pages without what they would load.

    Their own index is drawn by scripts from the network, so a plain list of links takes its place. Ids drawn at random
    become ids made from *run_id* and their order, and times become *moment*, so that equal runs have equal bytes.
    """
    shutil.copyfile(project / "expectations" / "gates.json", out / "suite.json")
    shutil.copyfile(project / "checkpoints" / "gates.json", out / "checkpoint.json")
    stored = next((project / "uncommitted" / "validations").rglob("*.json"))
    shutil.copyfile(stored, out / "validation.json")
    site = project / "uncommitted" / "data_docs" / "local_site"
    titles = {"expectations": "Suite: what was expected", "validations": "Result: what was found"}
    links = []
    for page in sorted(site.rglob("*.html")):
        place = page.relative_to(site)
        if place.parts[0] in titles:
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            (out / place).write_text(_clean_page(page.read_text("utf-8")), "utf-8")
            links.append(f'<li><a href="{html.escape(place.as_posix())}">{titles[place.parts[0]]}</a></li>')
    index = _INDEX.format(run=html.escape(run_id), links="".join(links))
    (out / "index.html").write_text(index.replace("</head>", _STYLE + "</head>"), "utf-8")
    _settle([out / name for name in ("suite.json", "checkpoint.json", "validation.json")], out, run_id, moment)


def _settle(files: list[Path], out: Path, run_id: str, moment: datetime | None) -> None:
    made: dict[str, str] = {}
    for path in [*files, *sorted(out.glob("*/**/*.html"))]:
        text = path.read_text("utf-8")
        for found in _RANDOM.findall(text):
            made.setdefault(found, str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run_id}#{len(made)}")))
        text = _RANDOM.sub(lambda m: made[m.group()], text)
        if moment is not None:
            text = _CLOCK.sub(moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ"), text)
        path.write_text(text, "utf-8")


def _clean_page(page: str) -> str:
    page = _BEACONS.sub("", page)
    page = _REMOTE_STYLE.sub("", _REMOTE.sub("", page))
    return page.replace("</head>", _STYLE + "</head>", 1)
