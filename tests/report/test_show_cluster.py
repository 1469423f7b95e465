"""The members of a cluster, and two of them side by side, at a terminal and without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from made_run import HOSTILE, digest, finding

from governance.errors import UsageError
from governance.report.cluster import choose_members, show_cluster
from governance.report.show import columns
from governance.report.spans import Spans
from governance.report.tables import FINDINGS_ACCEPTED
from governance.samples import DUPLICATES, Text
from governance.scan.sensitive import SensitiveText

OLD = "def pay(order):\n    password = 'horse'\n    return order.total\n"
NEW = "def pay(order):\n    password = 'battery'\n    return order.total + order.tax\n"
SENSITIVE = frozenset({"secrets/password-assignment"})


def copy(n: int, similarity: float, cluster: int = 7, **more: Any) -> dict[str, Any]:
    return {
        "n": n, "file": "a.jsonl", "row": n, "sample_id": digest(str(n)), "cluster": cluster, "kept_file": "a.jsonl",
        "kept_row": cluster, "kept_sample_id": digest("k"), "similarity": similarity,
        "kind": "exact" if similarity == 1 else "near",
    } | more  # fmt: skip


DUPLICATE_ROWS = [copy(8, 1.0), copy(9, 0.81), copy(11, 0.9), copy(12, 0.81), copy(31, 1.0, cluster=30)]


def duplicates(rows: list[dict[str, Any]] | None = None) -> pa.Table:
    return pa.Table.from_pylist(DUPLICATE_ROWS if rows is None else rows, schema=DUPLICATES)


def shown(
    members: tuple[int, int] = (7, 9),
    texts: dict[int, str] | None = None,
    scanner: SensitiveText | None = None,
    provenance: dict[int, dict[str, Any]] | None = None,
    mask: bool = True,
    **how: Any,
) -> str:
    held = texts or {7: OLD, 9: NEW}
    rows = [
        finding(n, "secrets/password-assignment", text.index("'") + 1, text.index("'", text.index("'") + 1))
        for n, text in held.items()
        if "'" in text and mask
    ]
    spans = Spans(None, SENSITIVE, pa.Table.from_pylist(rows, schema=FINDINGS_ACCEPTED), scanner=scanner)
    read: Callable[[int], list[Text]] = lambda n: [  # noqa: E731
        Text("instruction", "instruction", "Write pay"),
        Text("output", "output", held[n]),
    ]
    lines = show_cluster(duplicates(), 7, members, spans, read, provenance or {}, **how)
    return "\n".join(lines)


def test_whole():
    """Without a terminal: members, heads, equal fields, and the lines that differ with marks under the words."""
    licence = {7: {"licence": "MIT", "repository": "shop", "path": "pay.py", "start_line": 3, "end_line": 5}}
    assert shown(provenance=licence, width=100).splitlines() == [
        "cluster 7: 5 samples, 4 of them removable",
        ">        7  a.jsonl#7  kept  shop/pay.py:3-5  MIT",
        "         8  a.jsonl#8  exact",
        ">        9  a.jsonl#9  near  0.810",
        "        11  a.jsonl#11  near  0.900",
        "        12  a.jsonl#12  near  0.810",
        "",
        "      7  a.jsonl#7  kept  shop/pay.py:3-5  MIT   |       9  a.jsonl#9  near  0.810",
        "",
        "instruction: equal as shown",
        "    1 Write pay                                        1 Write pay",
        "",
        "output",
        "    1 def pay(order):                                  1 def pay(order):",
        "    2     password = '<secrets/password-assignme       2     password = '<secrets/password-assignme",
        "      nt>'                                               nt>'",
        "    3     return order.total                     |     3     return order.total + order.tax",
        "                                                                               ^^^^^^^^^^^^",
        "    4                                                  4",
    ]


def test_least_similar():
    """Without a choice the kept sample stands against its least similar copy, the first of several."""
    assert choose_members(duplicates(), 7, None) == (7, 9)
    assert choose_members(duplicates(), 7, [11]) == (7, 11)
    assert choose_members(duplicates(), 7, [12, 8]) == (12, 8)


@pytest.mark.parametrize(
    ("cluster", "wanted", "says"),
    [
        (1, None, "cluster 1 is not in this run; the largest are 7, 30"),
        (7, [31], "31 is no member of cluster 7"),
        (7, [7, 7], "expected two different members"),
        (7, [7], "expected two different members"),
        (7, [7, 8, 9], "expected two different members"),
        (7, [], "expected two different members"),
    ],
)
def test_wrong_choice(cluster: int, wanted: list[int] | None, says: str):
    """A cluster that is not there, and members that are none of it, are named with what would do."""
    with pytest.raises(UsageError, match=says):
        choose_members(duplicates(), cluster, wanted)


def test_no_secret():
    """Neither of two secrets is shown, nor that they differ; with nothing masked both are."""
    text = shown()
    assert "horse" not in text and "battery" not in text
    open_text = shown(mask=False)
    assert "horse" in open_text and "battery" in open_text


def test_second_look():
    """A secret that the run did not look for is masked in text, path and licence by the second look."""
    mail = "jo.doe" + "@" + "mailhost.de"
    text = shown(
        texts={7: f"# ask {mail}", 9: "# ask nobody"},
        provenance={7: {"licence": f"ask {mail}", "repository": mail, "path": "a.py"}},
        scanner=SensitiveText.of(),
    )
    assert "jo.doe" not in text and "mailhost" not in text
    assert "<pii/" in text


def test_width():
    """No line is wider than the terminal, also with Chinese characters, tabs and words that do not end."""
    texts = {7: "订单" * 80 + "\n\tx = 1\n" + "y" * 500, 9: "订货" * 80 + "\n\tx = 2\n" + "y" * 501}
    for width in (60, 80, 121, 200):
        assert max(columns(line) for line in shown(texts=texts, width=width).splitlines()[7:]) <= width
    narrow = shown(texts=texts, width=10).splitlines()[7:]
    assert max(columns(line) for line in narrow) <= 60


def test_paint():
    """With colours what differs is painted, and no marks stand below."""
    text = shown(paint=lambda part, style: f"[{style}:{part}]")
    assert "[new: + order.tax]" in text
    assert "^" not in text


def test_control_characters():
    """No escape, control or reordering character of a sample, a place or a licence reaches the terminal."""
    hostile = HOSTILE.encode("utf-8", "replace").decode()
    text = shown(
        texts={7: f"a\r\n{HOSTILE}\x00", 9: f"b\n{HOSTILE[::-1]}"},
        provenance={7: {"licence": hostile, "path": hostile, "repository": None}},
        mask=False,
    )
    assert all(c == "\n" or c.isprintable() for c in text)


def test_limit():
    """More members than the limit are counted; the two that are compared are listed in any case."""
    text = shown(members=(7, 12), texts={7: OLD, 12: NEW}, limit=1)
    assert ">       12  a.jsonl#12" in text
    assert "        11" not in text and "and 2 more" in text


def test_missing_field():
    """A text that only one of the two has stands alone on its side."""
    spans = Spans(None, frozenset(), pa.Table.from_pylist([], schema=FINDINGS_ACCEPTED))
    texts = {7: [Text("input", "input", "card"), Text("output", "output", "x")], 9: [Text("output", "output", "x")]}
    text = "\n".join(show_cluster(duplicates(), 7, (7, 9), spans, texts.__getitem__, {}, width=80))
    assert "input\n    1 card" in text and "output: equal as shown" in text


def test_renamed():
    """Renamed copies are members like the others, and counted apart, for cleaning leaves them unless it is told."""
    rows = duplicates([copy(8, 1.0), copy(9, 0.9, kind="renamed")])
    spans = Spans(None, frozenset(), pa.Table.from_pylist([], schema=FINDINGS_ACCEPTED))
    lines = list(show_cluster(rows, 7, (7, 9), spans, lambda n: [Text("output", "output", f"x{n}")], {}))
    assert lines[0] == "cluster 7: 3 samples, 1 of them removable, 1 renamed"
    assert lines[3] == ">        9  a.jsonl#9  renamed  0.900"
