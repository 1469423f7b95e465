"""source text, tree-sitter query -> byte spans of what its `@flag` captures."""

from __future__ import annotations

from typing import Any, cast

from governance.errors import RuleError
from governance.languages import treesitter

CAPTURE = "flag"


def compile_query(language: str, source: str, rule_id: str) -> Any:
    """
    Return the compiled query.

    Raises:
        RuleError: the query is wrong for this grammar, or captures nothing as ``@flag``.
    """
    import tree_sitter

    try:
        query = tree_sitter.Query(treesitter.grammar(cast(treesitter.Language, language)), source)
    except tree_sitter.QueryError as problem:
        raise RuleError(f"{rule_id}: query: {' '.join(str(problem).split())}") from None
    if CAPTURE not in {query.capture_name(i) for i in range(query.capture_count)}:
        raise RuleError(f"{rule_id}: query has no capture @{CAPTURE}; expected one, it is what gets reported")
    return query


def parse(language: str, data: bytes) -> Any:
    """Return the root node of *data*; broken code gives a tree with error nodes, never an exception."""
    return treesitter.parse(cast(treesitter.Language, language), data).root_node


def captured(query: Any, root: Any) -> list[tuple[int, int]]:
    """Return the byte spans of every ``@flag`` capture below *root*, left to right, each once."""
    import tree_sitter

    nodes = tree_sitter.QueryCursor(query).captures(root).get(CAPTURE, [])
    return sorted({(n.start_byte, n.end_byte) for n in nodes})
