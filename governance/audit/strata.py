"""what a model was asked to go on with -> what kind of text that is: boilerplate comes back more often than thought.

One stratum per probe, by the lexemes that an answer goes on with, the first that fits:

    test             the path or the text is that of a test (``test`` in a name, ``assert``, ``@Test``)
    licence-header   mostly comment, and speaks of a licence or a copyright
    comment          mostly comment or docstring
    import           at least half the lines import
    data             at least half the lexemes that are no operator are numbers or strings
    prose            words, not code
    logic            the rest
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from governance.languages.lexer import CJK, COMMENT, NUMBER, OPERATOR, STRING, WORD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from governance.languages.lexer import Lexemes

STRATA = ("test", "licence-header", "comment", "import", "data", "prose", "logic")

_LICENCE = re.compile(r"licen[cs]e|copyright|spdx|许可证|版权", re.I)
_IMPORT = re.compile(r"\s*(?:import\b|from\s+\S+\s+import\b|#\s*include\b|using\s+[\w.]+;|package\s|require\b|use\s)")
_TEST = re.compile(r"\bassert\w*\b|@Test\b|\bdef test_|\bunittest\b|\bpytest\b")
_TEST_PATH = re.compile(r"(?:^|[/_.])tests?(?:[/_.]|$)|Tests?\.\w+$", re.I)


def strata_of(texts: Sequence[str], paths: Sequence[str], lexed: Lexemes) -> NDArray[np.int64]:
    """
    Return the place in STRATA of every text.

    Args:
        texts: what the answers go on with; *paths* the files they come from, or empty.
        lexed: the same texts, with kinds.
    """
    count = len(texts)
    text_of = np.repeat(np.arange(count), np.diff(lexed.text_ends))
    total = np.bincount(text_of, minlength=count)

    def share(kinds: Sequence[int], out_of: NDArray[np.int64]) -> NDArray[np.float64]:
        chosen = np.isin(lexed.kinds, kinds)
        return np.bincount(text_of[chosen], minlength=count) / np.maximum(out_of, 1)

    plain = np.bincount(text_of[lexed.kinds != OPERATOR], minlength=count)
    comment, data = share([COMMENT], total), share([NUMBER, STRING], plain)
    prose = share([WORD, CJK], plain)
    found = np.empty(count, np.int64)
    for i, (text, path) in enumerate(zip(texts, paths, strict=True)):
        if _TEST_PATH.search(path) or _TEST.search(text):
            name = "test"
        elif comment[i] >= 0.5:
            name = "licence-header" if _LICENCE.search(text) else "comment"
        elif _imports(text):
            name = "import"
        elif data[i] >= 0.5:
            name = "data"
        else:
            name = "prose" if prose[i] >= 0.5 else "logic"
        found[i] = STRATA.index(name)
    return found


def _imports(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and 2 * sum(_IMPORT.match(line) is not None for line in lines) >= len(lines)
