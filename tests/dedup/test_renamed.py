"""Renamed copies against brute force over the renamed lexemes, and what is none."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest
from dedup_reference import Texts, write

from governance.dedup import cluster, join
from governance.dedup.cluster import cluster_duplicates
from governance.languages.lexer import lex_string
from governance.samples import COPIES

Copies = dict[int, tuple[int, float]]

FUNCTION = """def {f}({a}, {b}):
    \"\"\"{doc}\"\"\"
    {c} = []
    for {d} in {a}.items():
        if {d}.{e} > {number} and {d} not in {b}:
            {c}.append({d}.{e} * {number})
        elif len({c}) == {number}:
            return {c}, {text}
    {b}.{e}({a}, {c}, {text})  # {doc}
    while {c}:
        {d} = {c}.pop()
        if {d} is None or {d} == {a}[{number}]:
            raise ValueError({text} + str({d}))
        {b}[{d}] = {a}.get({d}, {number})
    return {c}, None
"""


def function(seed: int, *, doc: str = "Do it.") -> str:
    """Return one function under names, numbers and strings of *seed*."""
    names = {name: f"{name}{seed}x{(seed * 7919) % 97}" for name in "abcdef"}
    return FUNCTION.format(**names, doc=doc, number=seed, text=repr(f"text {seed}"))


def find(folder: Path, samples: list[Texts], *, memory_limit: int | None = None) -> tuple[Copies, set[int]]:
    """Return {copy: (witness, similarity)} and what the verbatim view removes."""
    path = write(folder / "samples.arrow", samples, 5)
    with duckdb.connect() as con:
        found = cluster_duplicates(path, con, work=folder, renamed=True, memory_limit=memory_limit)
    assert found.copies.schema == COPIES
    rows = found.copies.to_pylist()
    assert [row["n"] for row in rows] == sorted(row["n"] for row in rows)
    assert {row["kind"] for row in rows} <= {"renamed"}
    return {row["n"]: (row["cluster"], row["similarity"]) for row in rows}, set(found.table.column("n").to_pylist())


def grams(text: str) -> tuple[tuple[int, ...], set[tuple[int, ...]]]:
    """Return the renamed lexemes of Python *text* and their distinct 10-grams."""
    lexemes = tuple(v for v in lex_string(text, "python").renamed.tolist() if v)
    return lexemes, {lexemes[k : k + 10] for k in range(max(1, len(lexemes) - 9))}


def expected(texts: list[str], removed: set[int]) -> Copies:
    """Go through the kept samples in the order of preference, by the definition."""
    views = {k: grams(text) for k, text in enumerate(texts) if k not in removed}
    words = {k: lex_string(texts[k]).verbatim.size for k in views}
    ids = {k: sample[0] for k, sample in enumerate(_ids(texts))}
    out: Copies = {}
    kept: list[int] = []
    for k in sorted(views, key=lambda k: (-words[k], ids[k])):
        lexemes, own = views[k]
        best: tuple[Fraction, int] | None = None
        for other in kept:
            there, theirs = views[other]
            value = Fraction(len(own & theirs), len(own | theirs))
            same = lexemes == there
            near = value >= Fraction(9, 10) and min(len(own), len(theirs)) >= 40
            if (same or near) and (best is None or value > best[0]):
                best = (value, other)
        if len(lexemes) < 20:
            continue
        if best:
            out[k] = (best[1], float(best[0]))
        else:
            kept.append(k)
    return out


def _ids(texts: list[str]) -> list[tuple[str]]:
    from governance.samples import sample_id

    return [(sample_id([("output", text)]),) for text in texts]


def edited(seed: int) -> list[str]:
    """Make functions under many names, some with lines dropped, doubled or swapped, and short ones."""
    rng = random.Random(seed)  # noqa: S311
    out = []
    for k in range(60):
        lines = (function(k) + function(k + 100).replace("def", "async def")).splitlines(keepends=True)
        for _ in range(rng.choice((0, 0, 1, 2))):
            at = rng.randrange(len(lines))
            edit = rng.choice("ids")
            if edit == "i":
                lines.insert(at, lines[rng.randrange(len(lines))])
            elif edit == "d":
                del lines[at]
            else:
                lines[at] = lines[rng.randrange(len(lines))]
        out.append("".join(lines[: rng.choice((3, 8, 30, 30, 30))]))
    return out


@pytest.mark.parametrize("hot", [200, 2])
@pytest.mark.parametrize("seed", range(3))
def test_brute_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, hot: int) -> None:
    """
    The same samples are reported with the same witness and similarity as going through them one by one finds.
    """
    monkeypatch.setattr(cluster, "HOT", hot)
    texts = edited(seed)
    samples: list[Texts] = [[("output", text)] for text in texts]
    found, removed = find(tmp_path, samples)
    assert found == expected(texts, removed)
    assert {value for _, value in found.values()} > {1.0}
    monkeypatch.setattr(join, "_SETS", 1 << 20)  # the shingles go to a file
    assert find(tmp_path, samples, memory_limit=64 << 20)[0] == found


def test_other_names(tmp_path: Path) -> None:
    """
    Other names, numbers, strings, comments and docstrings make a renamed copy; it is reported, not removed.
    """
    samples: list[Texts] = [
        [("output", function(1))],
        [("output", function(2, doc="Something else entirely, longer."))],
    ]
    found, removed = find(tmp_path, samples)
    assert (list(found.values()), removed) == ([(1, 1.0)], set())


def test_prompts_do_not_count(tmp_path: Path) -> None:
    """
    An equal prompt makes no renamed copies, and different ones hide none: the outputs alone are compared.
    """
    card = function(7)
    same: list[Texts] = [[("input", card), ("output", f"As a user {k} I want {k * 31} things. " * 9)] for k in range(4)]
    assert find(tmp_path, same)[0] == {}
    other: list[Texts] = [[("instruction", f"prompt {k} " * 40), ("output", function(k))] for k in (1, 2)]
    assert len(find(tmp_path, other)[0]) == 1


def test_prose_has_no_names(tmp_path: Path) -> None:
    """
    In prose nothing folds: stories of one shape with other words are no renamed copies.
    """
    story = "As a {a} I want {b}, so that {c} is possible.\nGiven {a} When {b} Then {c} follows and nothing else.\n"
    samples: list[Texts] = [
        [("output", story.format(a=f"user{k}", b=f"order{k}", c=f"paying{k}") * 3)] for k in range(5)
    ]
    assert find(tmp_path, samples)[0] == {}


def test_short_code(tmp_path: Path) -> None:
    """
    Getters are all alike under other names; fewer than 20 renamed lexemes are not compared.
    """
    samples: list[Texts] = [[("output", f"def get{k}(self):\n    return self.{k}x\n")] for k in range(6)]
    assert find(tmp_path, samples)[0] == {}


def test_removed_samples_are_not_reported(tmp_path: Path) -> None:
    """
    Copies that the verbatim view removes stand in one table only, and no witness is a copy itself.
    """
    samples: list[Texts] = [[("output", function(k))] for k in (1, 2, 3)]
    samples += [[("output", function(1).replace("\n", "\n\n"))], samples[1]]
    found, removed = find(tmp_path, samples)
    assert len(removed) == 2
    assert len(found) == 2
    witnesses = {witness for witness, _ in found.values()}
    assert not (found.keys() | witnesses) & removed
    assert not witnesses & found.keys()
