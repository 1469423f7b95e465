"""LICENSE files, project metadata and file headers -> SPDX licence expressions; None where unknown."""

from __future__ import annotations

import email.parser
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from governance.collect.files import Entry

_FILE = re.compile(r"^(?:un)?licen[cs]e(?:\.(?:txt|md|rst))?$|^copying(?:\.(?:lesser|txt|md))?$", re.IGNORECASE)
_DUAL_FILE = re.compile(r"^licen[cs]e[-._](?:mit|apache|bsd|gpl|mpl|unlicense)[-.\w]*$", re.IGNORECASE)
_METADATA = ("pyproject.toml", "package.json", "pom.xml", "setup.cfg")
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([^\n]+)")
_EXPRESSION = re.compile(r"\(*[A-Za-z0-9.+-]+\)*(?:\s+(?:AND|OR|WITH)\s+\(*[A-Za-z0-9.+-]+\)*)*")
HEADER_CHARACTERS = 3_000

# (SPDX id, phrases that all stand in the licence's text with its white space collapsed and in lower case). The texts
# of the GNU licences do not say whether later versions apply, so the id is the one that grants less.
_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL-3.0-only", ("gnu affero general public license version 3, 19 november 2007",)),
    ("LGPL-3.0-only", ("gnu lesser general public license version 3, 29 june 2007",)),
    ("LGPL-2.1-only", ("gnu lesser general public license version 2.1, february 1999",)),
    ("GPL-3.0-only", ("gnu general public license version 3, 29 june 2007",)),
    ("GPL-2.0-only", ("gnu general public license version 2, june 1991",)),
    ("Apache-2.0", ("apache license version 2.0, january 2004",)),
    ("MPL-2.0", ("mozilla public license version 2.0",)),
    ("MPL-2.0", ("mozilla public license, version 2.0",)),
    ("EPL-2.0", ("eclipse public license - v 2.0",)),
    ("Python-2.0", ("python software foundation license version 2", "beopen.com license agreement")),
    ("PSF-2.0", ("python software foundation license version 2",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    (
        "BSD-3-Clause",
        ("redistribution and use in source and binary forms", "be used to endorse or promote products derived from"),
    ),
    (
        "BSD-2-Clause",
        ("redistribution and use in source and binary forms", "this list of conditions and the following disclaimer"),
    ),
    (
        "MIT",
        (
            "permission is hereby granted, free of charge, to any person obtaining a copy",
            "the above copyright notice and this permission notice",
        ),
    ),
    (
        "ISC",
        (
            "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
            "hereby granted, provided that",
        ),
    ),
    (
        "ISC",
        (
            "permission to use, copy, modify, and distribute this software for any purpose with or without fee is "
            "hereby granted, provided that",
        ),
    ),
    (
        "0BSD",
        (
            "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
            "hereby granted.",
        ),
    ),
)

_CONTAINS = {"BSD-3-Clause": {"BSD-2-Clause"}, "Python-2.0": {"PSF-2.0", "0BSD"}}
"""Licences whose own text holds all phrases of another."""

# Notices at the top of a source file. A GNU notice says itself whether later versions apply.
_NOTICES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AGPL-3.0", re.compile(r"gnu affero general public license.{0,80}?version 3")),
    ("LGPL-3.0", re.compile(r"gnu lesser general public license.{0,80}?version 3")),
    ("LGPL-2.1", re.compile(r"gnu lesser general public license.{0,80}?version 2\.1")),
    ("GPL-3.0", re.compile(r"gnu general public license.{0,80}?version 3")),
    ("GPL-2.0", re.compile(r"gnu general public license.{0,80}?version 2\b")),
    ("Apache-2.0", re.compile(r"licensed under the apache license, version 2\.0")),
    ("MPL-2.0", re.compile(r"subject to the terms of the mozilla public license, v\. 2\.0")),
    ("EPL-2.0", re.compile(r"terms of the eclipse public license v\.? ?2\.0")),
)

_NAMES = {
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "the apache license, version 2.0": "Apache-2.0",
    "the apache software license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "eclipse public license v2.0": "EPL-2.0",
    "eclipse public license - v 2.0": "EPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu affero general public license v3": "AGPL-3.0-only",
}
_KNOWN = frozenset(
    {spdx for spdx, _ in _TEXTS}
    | set(_NAMES.values())
    | {
        f"{gnu}-{n}-or-later"
        for gnu, n in (("GPL", "2.0"), ("GPL", "3.0"), ("LGPL", "2.1"), ("LGPL", "3.0"), ("AGPL", "3.0"))
    }
    | {
        "GPL-2.0",
        "GPL-3.0",
        "LGPL-2.1",
        "LGPL-3.0",
        "AGPL-3.0",
        "BSL-1.0",
        "CC0-1.0",
        "Zlib",
        "CC-BY-4.0",
        "Classpath-exception-2.0",
    }
)


def recognise_text(text: str) -> str | None:
    """
    Return the SPDX expression of the licence text *text*, or None.

    It looks for phrases that only the one licence has; names of holders, years and line breaks do not matter. A file
    with several licences, as one that lists what is bundled, gives all of them joined by AND.
    """
    folded = " ".join(text.lower().split())
    found = {spdx for spdx, phrases in _TEXTS if all(phrase in folded for phrase in phrases)}
    for spdx in list(found):
        found -= _CONTAINS.get(spdx, set())
    return " AND ".join(sorted(found)) or None


def header_licence(text: str) -> str | None:
    """
    Return the licence that a source file names for itself in its first 3,000 characters, or None.

    An ``SPDX-License-Identifier`` line comes first, then the usual notices. The empty text says that the file names a
    licence that cannot be read: then the licence of its folder is not the file's either.

    >>> header_licence("// SPDX-License-Identifier: GPL-3.0-or-later")
    'GPL-3.0-or-later'
    """
    head = text[:HEADER_CHARACTERS]
    if found := _SPDX.search(head):
        expression = re.sub(r"\s*(?:\*/|-->|#\}|\"\"\"|''').*$", "", found.group(1)).strip()
        return expression if _EXPRESSION.fullmatch(expression) else ""
    if "icense" not in head:
        return None
    folded = " ".join(re.sub(r"(?m)^\s*(?:[*#]+|//+|--)", " ", head).lower().split())
    for spdx, notice in _NOTICES:
        if notice.search(folded):
            if "GPL" not in spdx:
                return spdx
            return f"{spdx}-or-later" if "any later version" in folded else f"{spdx}-only"
    return None


def folder_licences(entries: Iterable[Entry], read: Callable[[Entry], bytes]) -> dict[str, str | None]:
    """
    Return folder -> licence for every folder with a licence file or with metadata that names one.

    A licence file comes before metadata. A licence file that nobody recognises gives None, so the files beside and
    below it have an unknown licence even where a parent folder has a known one. Several recognised files
    (``LICENSE-MIT``, ``LICENSE-APACHE``) are joined by AND: all of them are taken to apply.
    """
    files: dict[str, list[Entry]] = {}
    dual: dict[str, list[Entry]] = {}
    metadata: dict[str, list[Entry]] = {}
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        if _FILE.match(name):
            files.setdefault(folder, []).append(entry)
        elif _DUAL_FILE.match(name):
            dual.setdefault(folder, []).append(entry)
        elif name in _METADATA:
            metadata.setdefault(folder, []).append(entry)
    found: dict[str, str | None] = {}
    for folder, several in metadata.items():
        named = [licence for entry in several if (licence := metadata_licence(entry.path, _text(entry, read)))]
        if named:
            found[folder] = named[0]
    for folder, several in (dual | files).items():
        ids = {recognise_text(_text(entry, read)) for entry in several}
        found[folder] = _join(ids)
    return found


def _is_licence(path: str) -> bool:
    return bool(_FILE.match(path.rpartition("/")[2]))


def _join(texts: set[str | None]) -> str | None:
    known = {spdx for text in texts if text for spdx in text.split(" AND ")}
    if {"LGPL-3.0-only", "GPL-3.0-only"} == known:
        known.discard("GPL-3.0-only")  # COPYING beside COPYING.LESSER: the LGPL is stated as additions to the GPL
    return " AND ".join(sorted(known)) if known and None not in texts else None


def nearest_licence(path: str, folders: dict[str, str | None]) -> str | None:
    """Return the licence of *path* itself or of the nearest folder above it that has an entry in *folders*."""
    if path in folders:
        return folders[path]
    for parent in PurePosixPath(path).parents:
        key = "" if str(parent) == "." else str(parent)
        if key in folders:
            return folders[key]
    return None


def metadata_licence(path: str, text: str) -> str | None:
    """Return the licence that a ``pyproject.toml``, ``package.json``, ``pom.xml`` or ``setup.cfg`` names, or None."""
    name = PurePosixPath(path).name
    value: object = None
    try:
        if name == "pyproject.toml":
            project = tomllib.loads(text).get("project", {})
            value = project.get("license") if isinstance(project, dict) else None
            value = value.get("text") if isinstance(value, dict) else value
        elif name == "package.json":
            package = json.loads(text)
            value = package.get("license") if isinstance(package, dict) else None
    except (ValueError, RecursionError):
        return None
    if name == "pom.xml" and (found := re.search(r"<license>\s*.*?<name>([^<]+)</name>", text, re.DOTALL)):
        value = found.group(1)
    if name == "setup.cfg" and (found := re.search(r"(?m)^license\s*=\s*(.+)$", text)):
        value = found.group(1)
    return spdx_name(value) if isinstance(value, str) else None


def spdx_name(value: str) -> str | None:
    """
    Return the SPDX expression that *value* is or names, or None.

    >>> spdx_name("The Apache Software License, Version 2.0"), spdx_name("MIT OR Apache-2.0"), spdx_name("ours")
    ('Apache-2.0', 'MIT OR Apache-2.0', None)
    """
    value = " ".join(value.split())
    if named := _NAMES.get(value.lower()):
        return named
    if not _EXPRESSION.fullmatch(value):
        return None
    ids = [part.strip("()") for part in value.split() if part not in ("AND", "OR", "WITH")]
    return value if all(spdx in _KNOWN or spdx.startswith("LicenseRef-") for spdx in ids) else None


def installed_licences(entries: Iterable[Entry], read: Callable[[Entry], bytes]) -> dict[str, str | None]:
    """
    Return top-level folder or module -> licence for the Python distributions (``NAME.dist-info``) of a folder.

    The licence is METADATA's ``License-Expression``, ``License`` or licence classifier, else that of the licence files
    that came with it; the folders are those of RECORD. A folder that distributions of different licences share has
    none.
    """
    found: dict[str, set[str | None]] = {}
    by_path = {entry.path: entry for entry in entries if ".dist-info/" in entry.path}
    for path, entry in by_path.items():
        folder, _, name = path.rpartition("/")
        if name != "METADATA" or "/" in folder or f"{folder}/RECORD" not in by_path:
            continue
        headers = email.parser.HeaderParser().parsestr(_text(entry, read))
        classifiers = [c.rpartition(" :: ")[2] for c in headers.get_all("Classifier", []) if c.startswith("License ::")]
        values = [headers.get("License-Expression", ""), headers.get("License", ""), *classifiers]
        licence = next((spdx for value in values if value and (spdx := spdx_name(value))), None)
        if licence is None and (
            texts := [e for p, e in by_path.items() if p.startswith(f"{folder}/") and _is_licence(p)]
        ):
            licence = _join({recognise_text(_text(text, read)) for text in texts})
        record = _text(by_path[f"{folder}/RECORD"], read)
        for top in {line.split(",", 1)[0].split("/", 1)[0] for line in record.splitlines()}:
            if top not in ("", "..", folder):
                found.setdefault(top, set()).add(licence)
    return {top: next(iter(ids)) if len(ids) == 1 else None for top, ids in found.items()}


def _text(entry: Entry, read: Callable[[Entry], bytes]) -> str:
    try:
        return read(entry).decode("utf-8", "replace")
    except OSError:
        return ""
