"""How often rows stand in a dataset, and what removing the copies costs."""

from __future__ import annotations

from typing import Any

import pytest

from governance.engines.tables import Tables
from governance.gate.copies import Search, copy_facts, shown_name
from governance.samples import DUPLICATES, SAMPLES, sample_id, table


def tables(rows: list[tuple[str, str | None, str | None]], removed: dict[int, int]) -> Tables:
    """Samples of (text, step, repository), and which ordinal each removed ordinal is a copy of."""
    ids = [sample_id([("output", text)]) for text, _, _ in rows]
    samples = [
        {
            "n": n, "file": "a.jsonl", "row": n + 10, "sample_id": ids[n], "shape": "text", "step": step,
            "repository": repository, "texts": [{"field": "output", "role": "output", "text": text}],
        }
        for n, (text, step, repository) in enumerate(rows)
    ]  # fmt: skip
    copies = [
        {
            "n": n, "file": "a.jsonl", "row": n + 10, "sample_id": ids[n], "cluster": kept, "kept_file": "a.jsonl",
            "kept_row": kept + 10, "kept_sample_id": ids[kept], "similarity": 1.0,
            "kind": "exact" if ids[n] == ids[kept] else "near",
        }
        for n, kept in removed.items()
    ]  # fmt: skip
    return Tables(table(SAMPLES, samples), duplicates=table(DUPLICATES, copies))


def facts(made: Tables, search: Search | None = None) -> dict[str, Any]:
    with made.connect(threads=1) as con:
        return copy_facts(con, made.samples, search, lambda name: name.replace("secret", "x" * 6))


TEXTS = [("a b c", "code", "shop"), ("a b c", "code", "shop"), ("a b d", "story", "shop"), ("x", None, None)]


def test_copies():
    """A row counts the samples of its cluster, itself included; beside it those with the same texts alone."""
    found = facts(tables(TEXTS, {1: 0, 2: 0}))
    assert found["copies"] == {
        "all": {"1": 1, "2": 0, "3": 3, "more": 0},
        "exact": {"1": 2, "2": 2, "3": 0, "more": 0},
    }


@pytest.mark.parametrize(
    ("size", "key", "low"), [(2, "2", 2), (3, "3", 3), (4, "more", 4), (10, "more", 4), (11, "more", 11), (100, "more", 11), (101, "more", 101)]  # noqa: E501
)  # fmt: skip
def test_classes(size: int, key: str, low: int):
    """A cluster at either end of a class is counted there, with every sample of it."""
    found = facts(tables([("same", None, None)] * size, dict.fromkeys(range(1, size), 0)))
    assert {k: v for k, v in found["copies"]["all"].items() if v} == {key: size}
    assert [(s["from"], s["clusters"], s["samples"]) for s in found["sizes"] if s["clusters"]] == [(low, 1, size)]
    assert found["largest_clusters"] == [{"cluster": 0, "size": size, "file": "a.jsonl", "row": 10}]


def test_largest():
    """Ten clusters are named, the largest first, then those whose kept sample stands first."""
    rows = [("a", None, None)] * 30
    removed = {12 + k: k for k in range(12)} | {24 + k: 5 for k in range(6)}
    named = facts(tables(rows, removed))["largest_clusters"]
    assert [c["cluster"] for c in named] == [5, 0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert named[0]["size"] == 8


def test_removal():
    """What removal costs adds up over steps and over repositories, and rows without either have a line."""
    cost = facts(tables(TEXTS, {1: 0, 2: 0}))["removal"]
    whole = {k: cost[k] for k in ("rows", "rows_removed", "words", "words_removed")}
    assert whole == {"rows": 4, "rows_removed": 2, "words": 10, "words_removed": 6}
    assert {g["name"]: (g["rows"], g["rows_removed"], g["words_removed"]) for g in cost["steps"]} == {
        "code": (2, 1, 3),
        "story": (1, 1, 3),
        None: (1, 0, 0),
    }
    for groups in (cost["steps"], cost["repositories"]):
        assert {k: sum(g[k] for g in groups) for k in whole} == whole


def test_many_groups():
    """Twenty repositories are named, those that lose most; the rest is one line, and nothing is lost."""
    rows = [("a", None, f"r{k:03}") for k in range(300)]
    groups = facts(tables(rows, {299: 0}))["removal"]["repositories"]
    assert [g["name"] for g in groups][:3] == ["r299", "r000", "r001"]
    assert len(groups) == 21
    assert groups[-1] == {
        "name": None, "rows": 280, "rows_removed": 0, "words": 280, "words_removed": 0, "groups": 280,
    }  # fmt: skip


def test_names():
    """The name of a repository is masked, and one that does not read like a name is not shown at all."""
    rows = [("a", "code", "shop/secret"), ("b", "def f():\n  return 1", "r" * 81)]
    cost = facts(tables(rows, {}))["removal"]
    assert sorted(str(g["name"]) for g in cost["repositories"]) == ["(not a name)", "shop/xxxxxx"]
    assert sorted(str(g["name"]) for g in cost["steps"]) == ["(not a name)", "code"]
    assert shown_name("", str) is None


def test_search():
    """How the search was done stands in the facts as it was, and null where none was done."""
    made = tables([], {})
    assert facts(made)["search"] is None
    search = facts(made, Search("minhash", 0.8, 10, 2, 128, 9, 13, 0.4, 0.5, 2000))["search"]
    assert search["bands"] == 9 and search["expected_recall"] == 0.4 and search["measured_on"] == 2000


def test_empty():
    """A dataset without samples has every number, all of them 0."""
    found = facts(tables([], {}))
    assert found["copies"]["all"] == {"1": 0, "2": 0, "3": 0, "more": 0}
    assert found["largest_clusters"] == [] and found["removal"]["rows"] == 0 and found["removal"]["steps"] == []
