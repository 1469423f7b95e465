"""Where renamed copies are removed too, every removed sample has a witness that stays, by brute force."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy as np
import pytest
from dedup_reference import Reference, Texts, write
from test_renamed import edited, function, grams

from governance.dedup import cluster, join, together
from governance.dedup.cluster import Duplicates, cluster_duplicates


def find(folder: Path, texts: list[str], *, at_once: bool = True, memory_limit: int | None = None) -> Duplicates:
    samples: list[Texts] = [[("output", text)] for text in texts]
    path = write(folder / "samples.arrow", samples, 5)
    with duckdb.connect() as con:
        return cluster_duplicates(
            path, con, work=folder, renamed=True, together=at_once, memory_limit=memory_limit, threshold=0.7
        )


def chained(seed: int) -> list[str]:
    """Make functions, the same under other names, and near copies of both that are near nothing else."""
    rng = random.Random(seed)  # noqa: S311
    out = edited(seed)[:20]
    for text in list(out):
        for _ in range(rng.choice((0, 1, 2))):
            words = text.split(" ")
            for _ in range(rng.choice((0, 1, 2, 4))):
                words.insert(rng.randrange(len(words) + 1), rng.choice(("if", "x1", "return", "7", "None", "y_2")))
            out.append(" ".join(words))
    out += rng.choices(out, k=6)  # equal ones
    out += [text.replace(" = ", "  = ") for text in rng.choices(out, k=6)]  # and with other white space
    rng.shuffle(out)
    return out


def related(texts: list[str]) -> tuple[dict[tuple[int, int], Fraction], dict[tuple[int, int], Fraction]]:
    """Return all pairs of texts that are near each other, and all that are renamed copies, by the definitions."""
    reference = Reference([[("output", text)] for text in texts])
    views = [grams(text) for text in texts]
    near, renamed = {}, {}
    for a in range(len(texts)):
        for b in range(len(texts)):
            one, other = reference.content[a], reference.content[b]
            value = Fraction(1) if one == other else reference.similarity(one, other)
            if value >= Fraction(7, 10):
                near[a, b] = value
            (lexemes, own), (there, theirs) = views[a], views[b]
            value = Fraction(len(own & theirs), len(own | theirs))
            if min(len(lexemes), len(there)) >= 20 and (
                lexemes == there or (value >= Fraction(9, 10) and min(len(own), len(theirs)) >= 40)
            ):
                renamed[a, b] = value
    return near, renamed


def check(texts: list[str], found: Duplicates) -> None:
    near, renamed = related(texts)
    rows = found.table.to_pylist() + found.copies.to_pylist()
    removed = {row["n"] for row in rows}
    assert len(removed) == len(rows)
    for row in rows:
        assert row["cluster"] not in removed
        pair = (row["n"], row["cluster"])
        assert row["similarity"] == float((renamed if row["kind"] == "renamed" else near)[pair])
    kept = set(range(len(texts))) - removed
    assert not [pair for pair in near if pair[0] != pair[1] and set(pair) <= kept]
    assert not [pair for pair in renamed if pair[0] != pair[1] and set(pair) <= kept]


@pytest.mark.parametrize("hot", [200, 2])
@pytest.mark.parametrize("seed", range(6))
def test_brute_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, hot: int) -> None:
    """
    Every removed sample names one that is kept and of which it is a copy, and no two kept ones are copies.
    """
    monkeypatch.setattr(cluster, "HOT", hot)
    texts = chained(seed)
    found = find(tmp_path, texts)
    assert {row["kind"] for row in found.table.to_pylist()} >= {"exact", "near"}
    assert found.copies.num_rows
    check(texts, found)
    monkeypatch.setattr(join, "_SETS", 1 << 20)  # the shingles go to a file
    assert find(tmp_path, texts, memory_limit=64 << 20) == found


def test_one_after_the_other_is_not_enough(tmp_path: Path) -> None:
    """
    Decided one after the other, some near copy names a witness that is then removed; decided together, none does.
    """
    wrong = 0
    for seed in range(6):
        found = find(tmp_path, chained(seed), at_once=False)
        removed = set(found.copies.column("n").to_pylist())
        wrong += bool(removed & set(found.table.column("cluster").to_pylist()))
    assert wrong


def test_any_order(tmp_path: Path) -> None:
    """
    The order of the rows changes no decision.
    """
    texts = sorted(set(chained(1)))
    seen = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(texts))
        found = find(tmp_path, [texts[k] for k in order])
        rows = found.table.to_pylist() + found.copies.to_pylist()
        seen.append({(r["sample_id"], r["kept_sample_id"], r["similarity"], r["kind"]) for r in rows})
    assert seen[0] == seen[1] == seen[2]


def test_white_space_that_matters(tmp_path: Path) -> None:
    """
    Of texts with equal lexemes, where a line break ends a comment in one only, none is removed as a renamed copy.
    """
    one, two = function(1), function(2)
    joined = two.replace("# Do it.\n", "# Do it. ")
    assert joined != two
    found = find(tmp_path, [one + "\n" + function(3), two, joined])
    assert {row["kind"] for row in found.table.to_pylist()} == {"lexemes"}
    assert found.copies.num_rows == 0


def test_out_of_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Stopped after one turn, fewer are removed, and every witness is still kept.
    """
    monkeypatch.setattr(together, "TURNS", 1)
    for seed in range(4):
        texts = chained(seed)
        found = find(tmp_path, texts)
        rows = found.table.to_pylist() + found.copies.to_pylist()
        assert not {row["n"] for row in rows} & {row["cluster"] for row in rows}
