"""Licences of files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.collect.files import Entry
from governance.collect.licences import (
    folder_licences,
    header_licence,
    installed_licences,
    metadata_licence,
    nearest_licence,
    recognise_text,
    spdx_name,
)

MIT = """MIT License
Copyright (c) 2026 Somebody
Permission is hereby granted, free of charge, to any person
obtaining a copy of this software ... The above copyright notice and this permission notice shall be included"""
LESSER = "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n... version 3 of the GNU General Public License"
GPL = "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"
BSD = "Redistribution and use in source and binary forms, ... this list of conditions and the following\ndisclaimer."


def folders(files: dict[str, str]) -> dict[str, str | None]:
    return folder_licences([Entry(name, 1) for name in files], lambda entry: files[entry.path].encode())


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        (MIT, "MIT"),
        (GPL, "GPL-3.0-only"),
        (LESSER, "LGPL-3.0-only"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE Version 3, 19 November 2007", "AGPL-3.0-only"),
        (BSD, "BSD-2-Clause"),
        (BSD + " may not be used to endorse or promote products derived from this software", "BSD-3-Clause"),
        ("Mozilla Public License Version 2.0\n====", "MPL-2.0"),
        ("Eclipse Public License - v 2.0", "EPL-2.0"),
        ("PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "PSF-2.0"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        (f"{BSD}\nBundled:\n{MIT}\n{GPL}", "BSD-2-Clause AND GPL-3.0-only AND MIT"),
        ("You may look at these files on some days.", None),
        ("", None),
    ],
)
def test_texts(text: str, spdx: str | None) -> None:
    """A licence is known by its own words; what nobody knows has no licence."""
    assert recognise_text(text) == spdx


def test_apache_text() -> None:
    """The Apache licence of the example is recognised, although it names other kinds of works and licences."""
    text = (Path(__file__).parents[2] / "examples" / "shop" / "LICENSE").read_text("utf-8")
    assert recognise_text(text) == "Apache-2.0"


@pytest.mark.parametrize(
    ("header", "spdx"),
    [
        ("/* SPDX-License-Identifier: MIT */\nclass A {}", "MIT"),
        ("# SPDX-License-Identifier: Apache-2.0 OR MIT\n", "Apache-2.0 OR MIT"),
        ("<!-- SPDX-License-Identifier: (GPL-2.0-only WITH Classpath-exception-2.0) -->",
         "(GPL-2.0-only WITH Classpath-exception-2.0)"),
        ("# SPDX-License-Identifier: ask the lawyers, please", ""),
        (" * Licensed under the Apache\n * License, Version 2.0 (the License);", "Apache-2.0"),
        ("# terms of the GNU General Public License as published by\n# the Free Software Foundation, either version 3"
         " of the License, or\n# (at your option) any later version.", "GPL-3.0-or-later"),
        ("// under the GNU Lesser General Public License version 2.1 as published", "LGPL-2.1-only"),
        ("x = 1\n" * 1000 + "# SPDX-License-Identifier: MIT", None),
    ],
)  # fmt: skip
def test_headers(header: str, spdx: str | None) -> None:
    """The header of a file names its licence, by SPDX line or by the usual notice."""
    assert header_licence(header) == spdx


def test_the_nearest_folder_decides() -> None:
    """An unknown licence in a folder hides the known one above it; metadata counts where there is no licence file."""
    found = folders(
        {
            "LICENSE": MIT,
            "pyproject.toml": '[project]\nlicense = "Apache-2.0"',
            "third_party/LICENCE.txt": "ask us",
            "web/package.json": '{"license": "ISC"}',
            "web/src/package.json": "{}",
            "dual/LICENSE-MIT": MIT,
            "dual/LICENSE-BSD": BSD,
            "lesser/COPYING": GPL,
            "lesser/COPYING.LESSER": LESSER,
        }
    )
    assert nearest_licence("a/b/c.py", found) == "MIT"
    assert nearest_licence("third_party/x/y.py", found) is None
    assert nearest_licence("web/src/a.py", found) == "ISC"
    assert nearest_licence("dual/a.py", found) == "BSD-2-Clause AND MIT"
    assert nearest_licence("lesser/a.py", found) == "LGPL-3.0-only"
    assert nearest_licence("a.py", {}) is None


@pytest.mark.parametrize(
    ("path", "text", "spdx"),
    [
        ("pyproject.toml", '[project]\nlicense = {text = "MIT License"}', "MIT"),
        ("pyproject.toml", "[project", None),
        ("package.json", '{"license": "UNLICENSED"}', None),
        ("package.json", "[]", None),
        (
            "pom.xml",
            "<licenses><license>\n<name>The Apache License, Version 2.0</name></license></licenses>",
            "Apache-2.0",
        ),
        ("setup.cfg", "[metadata]\nlicense = BSD-3-Clause\n", "BSD-3-Clause"),
    ],
)
def test_metadata(path: str, text: str, spdx: str | None) -> None:
    """Project metadata names a licence in SPDX words or a well-known name; broken metadata names none."""
    assert metadata_licence(path, text) == spdx


def test_names_that_are_no_expression() -> None:
    """A free word in a licence field is not a licence."""
    assert spdx_name("Proprietary") is None
    assert spdx_name("LicenseRef-Acme") == "LicenseRef-Acme"


def test_installed_distributions() -> None:
    """In site-packages every top-level folder has the licence of its distribution, and none where two disagree."""
    files = {
        "a-1.dist-info/METADATA": "Name: a\nLicense-Expression: MIT\n\nText",
        "a-1.dist-info/RECORD": "a/__init__.py,,\nshared/x.py,,\n../../bin/a,,\n",
        "b-1.dist-info/METADATA": "Name: b\nClassifier: License :: OSI Approved :: Apache Software License\n",
        "b-1.dist-info/RECORD": "b/__init__.py,,\nshared/y.py,,\n",
        "c-1.dist-info/METADATA": "Name: c\nLicense: BSD\n",
        "c-1.dist-info/RECORD": "c.py,,\nc-1.dist-info/METADATA,,\n",
        "c-1.dist-info/licenses/LICENSE": BSD,
    }
    found = installed_licences([Entry(name, 1) for name in files], lambda entry: files[entry.path].encode())
    assert nearest_licence("a/deep/x.py", found) == "MIT"
    assert nearest_licence("b/x.py", found) == "Apache-2.0"
    assert nearest_licence("shared/x.py", found) is None
    assert nearest_licence("c.py", found) == "BSD-2-Clause"
    assert set(found) == {"a", "b", "c.py", "shared"}
