"""what models wrote, a source index -> the runs it shares with a source: which, under what licence, in what lines."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.audit.matching import stands_in
from governance.languages.lexer import lex_string
from governance.overlap.lookup import SourceIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 50  # lexemes; an index finds all runs of as many

ATTRIBUTED = pa.schema(
    [
        ("written", pa.int64()),  # row of the table of measures
        ("model", pa.string()),
        ("lexemes", pa.int64()),
        ("df", pa.int64()),  # sources that hold the run
        ("source_repository", pa.string()),
        ("source_path", pa.string()),
        ("source_licence", pa.string()),
        ("source_line", pa.int64()),
        ("source_end_line", pa.int64()),
        ("line", pa.int64()),  # of the generation, from 1
        ("end_line", pa.int64()),
        ("index", pa.string()),
        ("allowed", pa.bool_()),  # the pipeline allows the source
    ]
)


def attribute(
    index: SourceIndex,
    name: str,
    answers: Sequence[str],
    prompts: Sequence[str],
    models: Sequence[str],
    languages: Sequence[str],
    *,
    allow: Sequence[str] = (),
) -> tuple[pa.Table, str]:
    """
    Return schema ATTRIBUTED: every verbatim run of at least 50 lexemes that an answer shares with a source.

    And, as JSON, the numbers of the answers that could not be looked up to the end; see `SourceIndex.find`.

    A run that stands in the answer's own prompt is left out: the model was shown it.

    Args:
        prompts, models, languages: of each answer.
        allow: patterns of a source's repository or path, as in the pipeline's ``overlap.allow``.
    """
    runs = index.find(list(answers), least=LEAST, views=("verbatim",), languages=list(languages))
    rows = []
    lexed: dict[int, tuple[NDArray[np.uint64], NDArray[np.uint64]]] = {}
    for run in runs.to_pylist():
        k = run["text"]
        if k not in lexed:
            lexed[k] = lex_string(answers[k]).verbatim, lex_string(prompts[k]).verbatim
        own, shown = lexed[k]
        if stands_in(own[run["first"] : run["first"] + run["lexemes"]], shown):
            continue
        source = index.sources.slice(run["source"], 1).to_pylist()[0]
        names = [source["repository"] or "", source["path"] or source["file"] or "", source["name"] or ""]
        rows.append(
            {
                "written": k, "model": models[k], "lexemes": run["lexemes"], "df": run["df"],
                "source_repository": source["repository"] or source["name"], "source_path": names[1],
                "source_licence": source["licence"], "source_line": _line(source, run, "source_line"),
                "source_end_line": _line(source, run, "source_end_line"), "line": run["line"],
                "end_line": run["end_line"], "index": name,
                "allowed": any(fnmatchcase(text, pattern) for text in names for pattern in allow),
            }
        )  # fmt: skip
    table = pa.table([pa.array([r[f.name] for r in rows], f.type) for f in ATTRIBUTED], schema=ATTRIBUTED)
    return table, (runs.schema.metadata or {}).get(b"unfinished", b"[]").decode()


def _line(source: dict[str, Any], run: dict[str, Any], name: str) -> int | None:
    """The line in the file that the source came from, where it knows."""
    line = run[name]
    return None if line is None else line + (source["start_line"] or 1) - 1
