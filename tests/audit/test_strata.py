"""What kind of text a model was asked for."""

from __future__ import annotations

import pytest

from governance.audit.measure import lex
from governance.audit.strata import STRATA, strata_of

CASES = [
    ("test", "python", "", "def test_total():\n    assert total(3) == 9\n"),
    ("test", "java", "src/test/java/CartTest.java", "int total = cart.total();\nreturn total;\n"),
    (
        "licence-header",
        "java",
        "",
        "/*\n * Licensed under the Apache License, Version 2.0\n * you may not use this\n */\n",
    ),
    ("comment", "python", "", '"""Return the total of all lines of an order, in cents, taxes included."""\n'),
    ("import", "python", "", "import os\nfrom pathlib import Path\nimport re\n"),
    ("import", "java", "", "import java.util.List;\nimport java.util.Map;\n"),
    ("data", "python", "", 'RATES = [0.19, 0.07, 0.2, 0.21, 0.25, "DE", "AT", "FR", "NL"]\n'),
    ("prose", "text", "", "As a customer I want to see my orders, so that I know what comes."),
    ("logic", "python", "", "for line in order.lines:\n    total = total + line.price * line.count\nreturn total\n"),
    ("logic", "python", "src/attestation.py", "return latest(request) + contest\n"),
]


@pytest.mark.parametrize(("stratum", "language", "path", "text"), CASES)
def test_stratum(stratum: str, language: str, path: str, text: str) -> None:
    """Each text has its stratum, by the first rule that fits."""
    assert STRATA[strata_of([text], [path], lex([text], [language]).lexed)[0]] == stratum


def test_texts_do_not_disturb_each_other() -> None:
    """Many texts at once have the strata that each has alone; an empty one is logic."""
    texts, languages = [c[3] for c in CASES] + [""], [c[1] for c in CASES] + [""]
    paths = [c[2] for c in CASES] + [""]
    found = strata_of(texts, paths, lex(texts, languages).lexed)
    assert [STRATA[k] for k in found] == [c[0] for c in CASES] + ["logic"]
