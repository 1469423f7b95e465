"""Which licence asks for more: families of SPDX ids, expressions, and names as package metadata has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.dedup.licences import NO_ASSERTION, Strictness, strictest, strictness

CASES = {
    Strictness.PUBLIC_DOMAIN: ("CC0-1.0", "Unlicense", "0BSD", "public domain", "The Unlicense (Unlicense)"),
    Strictness.PERMISSIVE: (
        "MIT", "mit", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "BSL-1.0", "CC-BY-4.0", "MIT License",
        "Apache License, Version 2.0", "The MIT License (MIT)", "ISC License (ISCL)", "BSD 3-Clause", "Zlib",
        "MIT OR GPL-3.0-only", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception", "GPL-3.0-only OR (MIT AND ISC)",
    ),
    Strictness.WEAK_COPYLEFT: (
        "LGPL-2.1-or-later", "MPL-2.0", "EPL-2.0", "CDDL-1.0", "Mozilla Public License 2.0 (MPL 2.0)",
        "GPL-2.0-only WITH Classpath-exception-2.0", "GNU Lesser General Public License v3 (LGPLv3)", "LGPLv3+",
        "MIT AND LGPL-2.1-only",
    ),
    Strictness.STRONG_COPYLEFT: (
        "GPL-3.0-only", "GPL-2.0+", "GPLv3", "gpl", "CC-BY-SA-4.0", "GNU General Public License v2 or later (GPLv2+)",
        "(MIT OR ISC) AND GPL-2.0-only", "MIT, GPL-2.0", "Dual: GPL/MIT",
    ),
    Strictness.NETWORK_COPYLEFT: ("AGPL-3.0-or-later", "GNU Affero General Public License v3", "EUPL-1.2", "OSL-3.0"),
    Strictness.NOT_FREE: (
        "CC-BY-NC-4.0", "CC BY-NC-SA 4.0", "BUSL-1.1", "SSPL-1.0", "Proprietary", "UNLICENSED", "All rights reserved",
        "Commercial", "LicenseRef-Proprietary", "MIT AND CC-BY-NC-4.0",
    ),
    Strictness.NOT_RECOGNISED: (
        "Acme-1.0", "Acme EULA", "LicenseRef-Foo", "MIT AND LicenseRef-Foo", "MIT, Acme", "x" * 600,
    ),
    Strictness.NONE: (None, "", "  ", "unknown", "NOASSERTION", "NONE", "n/a", "MIT AND NOASSERTION"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in CASES.items() for text in texts])
def test_strictness(kind: Strictness, text: str | None) -> None:
    """Ids, expressions and common names stand where their obligations are."""
    assert strictness(text) is kind


@pytest.mark.parametrize("text", ["(", ")", "()", "(MIT", "MIT)", "MIT AND", "OR MIT", "WITH", "MIT WITH", "((((" * 99])
def test_what_is_no_expression_is_read_as_a_name(text: str) -> None:
    """A broken expression is no error, and nothing in it makes a licence looser than the names in it."""
    assert strictness(text) in (Strictness.PERMISSIVE, Strictness.NOT_RECOGNISED)


@given(st.text(max_size=700))
def test_any_text_has_a_strictness(text: str) -> None:
    """Whatever stands in the column is somewhere in the order."""
    assert strictness(text) in Strictness


@given(st.lists(st.sampled_from([text for texts in CASES.values() for text in texts]), max_size=5), st.randoms())
def test_nothing_is_laundered(others: list[str | None], rng: object) -> None:
    """The inherited licence is at least as strict as each of the copies' and does not depend on their order."""
    found = strictest("MIT", others)
    assert all(strictness(found) >= strictness(each) for each in [*others, "MIT"])
    rng.shuffle(others)  # type: ignore[attr-defined]
    assert strictest("MIT", others) == found


def test_own_licence_stays_among_equals() -> None:
    """A copy with another licence of the same kind changes nothing; one that is not known is written as that."""
    assert strictest("MIT", ["Apache-2.0", "CC0-1.0"]) == "MIT"
    assert strictest("MIT", ["GPL-3.0-only", "GPL-2.0-only"]) == "GPL-2.0-only"
    assert strictest("MIT", [None]) == NO_ASSERTION and strictest(None, ["AGPL-3.0-only"]) is None
