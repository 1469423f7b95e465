"""Look-ups in a source index: every planted run, nothing that is not there, and the right places on both sides."""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_reference import brute_runs, found_runs, lexemes, make_index

from governance.errors import SourceIndexError
from governance.languages.lexer import KINDS, lex_string, lex_texts
from governance.overlap.blocks import BLOCK
from governance.overlap.lookup import RUNS, SourceIndex, coverage
from governance.overlap.winnow import K, W
from governance.overlap.write import IndexWriter, NewSource

MODULES = "argparse ast csv _pydecimal difflib pathlib shutil tarfile textwrap zipfile".split()  # noqa: SIM905


@functools.cache
def real_texts() -> tuple[str, ...]:
    """Modules of the standard library of the running Python, as real code."""
    folder = Path(re.__file__).parent.parent
    names = [folder / f"{name}.py" for name in MODULES]
    return tuple(p.read_text("utf-8") for p in names if p.exists())


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> SourceIndex:
    """An index over real modules, in several segments."""
    return make_index(tmp_path_factory.mktemp("real") / "index", real_texts(), segment_bytes=200_000)


def seeded(seed: object) -> random.Random:
    """Choices that are the same in every run."""
    return random.Random(str(seed))  # noqa: S311


def cut(text: str, count: int, chance: random.Random, view: str = "verbatim") -> str:
    """A stretch of exactly *count* lexemes of *text*, that is not inside a string or comment at its start."""
    found = lexemes(text, "verbatim", "python")
    plain = [i for i, row in enumerate(lexemes_or_zero(text)) if row]
    usable = [i for i in plain if i + count < len(found)]
    first = chance.choice(usable)
    data = text.encode()
    return data[found[first][1] : found[first + count - 1][2]].decode()


@functools.cache
def lexemes_or_zero(text: str) -> tuple[int, ...]:
    return tuple(lex_string(text, "python").renamed.tolist())


def other_code(chance: random.Random, lines: int) -> str:
    """Code that no source has."""
    return "".join(
        f"zq_{chance.randrange(10**9)} = wv_{chance.randrange(10**9)}.ux_{chance.randrange(10**9)}[{chance.random()}]\n"
        for _ in range(lines)
    )


@pytest.mark.parametrize("length", [50, 51, 64, 200, 1000])
def test_planted_runs(real: SourceIndex, length: int) -> None:
    """Every planted run of 50 lexemes or more is found verbatim, whole and at its place, whatever is around it."""
    chance = seeded(length)
    for number, text in enumerate(real_texts()):
        planted = cut(text, length, chance)
        before = other_code(chance, 3)
        query = before + planted + "\n" + other_code(chance, 3)
        start = len(before.encode())
        hits = [r for r in real.find([query], views=["verbatim"]).to_pylist() if r["source"] == number]
        assert any(r["start"] <= start and r["end"] >= start + len(planted.encode()) for r in hits), (number, length)
        for r in hits:
            own = lexemes(text.encode()[r["source_start"] : r["source_end"]].decode(), "verbatim", "python")
            other = lexemes(query.encode()[r["start"] : r["end"]].decode(), "verbatim", "python")
            assert [h for h, *_ in own] == [h for h, *_ in other] and len(own) == r["lexemes"] >= 50


def rename(text: str) -> str:
    """*text* with another name for every identifier and other white space between lines; all else stays."""
    found, data, parts, last = lex_string(text, "python"), text.encode(), [], 0
    for kind, start, end in zip(found.kinds.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True):
        if KINDS[kind] == "identifier":
            parts += [data[last:start], b"n%d_" % (sum(data[start:end]) % 89) + b"x" * (end - start)]
            last = end
    return b"".join([*parts, data[last:]]).decode().replace("\n\n", "\n  \n\n")


@pytest.mark.parametrize("number", range(5))
def test_renamed_copies(real: SourceIndex, number: int) -> None:
    """After every name is changed, a whole module is still found in the renamed view, and none of its code verbatim."""
    copy = rename(real_texts()[number])
    found = real.find([copy], languages=["python"], limit=1000)
    [whole] = [r for r in found.to_pylist() if r["source"] == number and r["whole"]]
    assert whole["view"] == "renamed" and whole["lexemes"] == len(lexemes(copy, "renamed", "python"))
    lexed = lex_string(copy, "python")
    names = lexed.starts[lexed.kinds == KINDS.index("identifier")]
    for r in found.to_pylist():  # comments and docstrings keep their words
        assert r["view"] == "renamed" or not ((names >= r["start"]) & (names < r["end"])).any()


@pytest.mark.parametrize("view", ["verbatim", "renamed"])
def test_runs_against_brute_force(real: SourceIndex, view: str) -> None:
    """Of mixed real code the maximal runs with every source are exactly those of comparing all places with all."""
    chance = seeded(view)
    texts = real_texts()
    for _ in range(4):
        parts = [cut(chance.choice(texts), chance.choice([30, 60, 150]), chance) for _ in range(6)]
        query = "\n".join(part + "\n" + other_code(chance, 1) for part in parts)
        found = real.find([query], views=[view], languages=["python"])
        for number, text in enumerate(texts):
            assert found_runs(found, view, number) == brute_runs(query, text, view, 50), number


small = st.lists(st.sampled_from([*"abcdefgh", "(", ")", "=", "1", "'x'", "\n", "# c\n", "if"]), max_size=160)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(small, min_size=1, max_size=4), small, st.integers(0, 3), st.integers(0, 60), st.integers(50, 140))
def test_any_small_texts(
    tmp_path_factory: pytest.TempPathFactory, sources: list[list[str]], query: list[str], which: int, at: int, size: int
) -> None:
    """Whatever the texts are, the runs of both views are those of comparing all places with all."""
    texts = [" ".join(s) for s in sources]
    planted = sources[which % len(sources)][at : at + size]
    text = " ".join([*query[:40], *planted, *query[40:]])
    index = make_index(tmp_path_factory.mktemp("small") / "i", texts)
    found = index.find([text], languages=["python"])
    for number, source in enumerate(texts):
        for view in ("verbatim", "renamed"):
            mine = [r for r in found.to_pylist() if (r["view"], r["source"]) == (view, number)]
            got = [(r["start"], r["end"], 0, 0) for r in mine if r["lexemes"] >= 50]
            expected = brute_runs(text, source, view, 50)
            assert covered(got) == covered(expected), (view, number)


def covered(runs: list[tuple[int, int, int, int]]) -> set[int]:
    return {place for start, end, *_ in runs for place in range(start, end)}


def test_places(tmp_path: Path) -> None:
    """Bytes, code points and lines are right on both sides, with Chinese text and line ends before the run."""
    run = " ".join(f"word{n} =" for n in range(30))
    source, query = f"订单\n\n  naïve {run}\nend", f"前 言\nx\n {run} 后"
    index = make_index(tmp_path / "i", [source])
    [found] = index.find([query], views=["verbatim"]).to_pylist()
    data, other = query.encode(), source.encode()
    assert data[found["start"] : found["end"]].decode() == run == query[found["char_start"] : found["char_end"]]
    assert other[found["source_start"] : found["source_end"]].decode() == run
    assert (found["line"], found["end_line"], found["source_line"], found["source_end_line"]) == (3, 3, 3, 3)
    assert (found["first"], found["lexemes"], found["df"], found["whole"], found["exact"]) == (3, 60, 1, False, True)


def test_many_texts_at_once(real: SourceIndex) -> None:
    """A batch gives for each text what it gives alone, in order, empty texts and nulls included."""
    chance = seeded(5)
    texts = ["", *(cut(t, 120, chance) for t in real_texts()), None, "x", "  \n"]
    batch = real.find(pa.array(texts), languages=["python"] * len(texts))
    assert batch.schema.equals(RUNS)
    for number, text in enumerate(texts):
        alone = real.find([text or ""], languages=["python"]).drop(["text"])
        mine = batch.filter(pa.compute.equal(batch["text"], number)).drop(["text"])
        assert mine.to_pylist() == alone.to_pylist()


def test_unseen_code_has_no_runs(real: SourceIndex) -> None:
    """Code that no source has gives nothing."""
    assert real.find([other_code(seeded(1), 400)]).num_rows == 0


def test_df_counts_sources(tmp_path: Path) -> None:
    """df is the number of sources that hold all of the run, however often each does."""
    run = " ".join(f"common{n}" for n in range(80))
    own = " ".join(f"own{n}" for n in range(80))
    index = make_index(tmp_path / "i", [f"{run}\n{own}\n{run}", run, f"a b {run}", "nothing here", run[:700]])
    found = index.find([run]).to_pylist()
    assert {(r["source"], r["whole"], r["df"]) for r in found} == {
        (0, False, 3), (1, True, 3), (2, False, 3), (4, True, 4)
    }  # fmt: skip
    assert not any(r["more"] for r in found)
    assert {(r["source"], r["df"]) for r in index.find([f"{run} {own}"]).to_pylist()} >= {(0, 1), (1, 3), (2, 3)}


def test_hot_run_is_seen(tmp_path: Path) -> None:
    """A header that a thousand sources share is found, with no more sources than asked for, and the result says so."""
    header = " ".join(f"licence{n}" for n in range(70))
    index = make_index(tmp_path / "i", [f"{header}\nown{n} = {n}\n" for n in range(1000)])
    found = index.find([f"x = 1\n{header}\ny = 2"], limit=30).to_pylist()
    assert {r["lexemes"] for r in found} == {70} and all(r["more"] and r["df"] >= 1000 for r in found)
    assert len({r["source"] for r in found}) == 30


def test_hot_header_with_own_body(tmp_path: Path) -> None:
    """A copy of one of a thousand files that share a header is one run with that file, and no other source holds it."""
    header = " ".join(f"licence{n}" for n in range(70))
    texts = [f"{header}\n" + " ".join(f"own{n}_{k}" for k in range(80)) for n in range(1000)]
    index = make_index(tmp_path / "i", texts)
    found = index.find([texts[333]], views=["verbatim"]).to_pylist()
    [whole] = [r for r in found if r["whole"]]
    assert (whole["source"], whole["df"], whole["more"]) == (333, 1, False)


def test_hot_grams_do_not_hide_the_only_run(tmp_path: Path) -> None:
    """Of five hundred sources with 45 lexemes of a run, the one that has all 120 of it is found, wherever it stands."""
    run = [f"part{n}" for n in range(120)]
    pieces = [" ".join(run[k : k + 45]) for k in range(0, 120, 15)]
    sources = [piece + f" stop{n}" for n in range(300) for piece in pieces]
    sources.insert(1700, "before " + " ".join(run) + " after")
    index = make_index(tmp_path / "i", sources)
    found = index.find([" ".join(run)], views=["verbatim"]).to_pylist()
    assert (1700, 120) in {(r["source"], r["lexemes"]) for r in found}


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("view", ["verbatim", "renamed"])
@pytest.mark.parametrize("seed", range(3))
def test_sources_passed_over_are_shown_by_others(tmp_path: Path, seed: int, view: str, limit: int) -> None:
    """Every stretch of 50 lexemes of a source that is not named, but for two at either end, lies in runs of as many
    named sources as were asked for; and named sources have exactly the runs of comparing all places with all."""
    chance = seeded((seed, limit))
    base = [f"return word{n}" if n % 3 else f"( {n} ," for n in range(160)]
    texts = []
    for n in range(40):
        first, size = chance.randrange(130), chance.choice([30, 60, 90, 160])
        texts.append(f"own{n} = {n}\n" + " ".join(base[first : first + size]) + f" end{n} " + "( x ) " * (n % 3))
    query = " ".join(base)
    index = make_index(tmp_path / "i", texts)
    found = index.find([query], views=[view], languages=["python"], limit=limit)
    named = set(found["source"].to_pylist())
    starts = [row[1] for row in lexemes(query, view, "python")]
    spans = [(r["first"], r["first"] + r["lexemes"], r["source"]) for r in found.to_pylist()]
    assert named and len(named) < 40
    for number, text in enumerate(texts):
        expected = brute_runs(query, text, view, 50)
        if number in named:
            assert found_runs(found, view, number) == expected
            continue
        for run in expected:
            first = starts.index(run[0])
            last = first + sum(run[0] <= s < run[1] for s in starts)
            middle = range(first + 2, last - 52 + 1) or range(first, last - 50 + 1)
            enough = [len({s for a, b, s in spans if a <= w and w + 50 <= b}) >= limit for w in middle]
            assert all(enough) if last - first >= 54 else any(enough), (number, first, last)


@pytest.mark.parametrize("limit", [1, 10])
def test_one_rare_source_in_hot_text(tmp_path: Path, limit: int) -> None:
    """Of a text that six hundred sources hold but for one function, the only source of that function is named."""
    hot = " ".join(f"common{n}" for n in range(150))
    rare = " ".join(f"rare{n}" for n in range(60))
    texts = [f"{hot} own{n}" for n in range(600)]
    texts.insert(417, f"x {rare} y")
    found = make_index(tmp_path / "i", texts).find([f"{hot}\n{rare}\n"], views=["verbatim"], limit=limit).to_pylist()
    [only] = [r for r in found if r["source"] == 417]
    assert (only["lexemes"], only["df"], only["more"]) == (60, 1, False)
    others = [r for r in found if r["source"] != 417]
    assert len(others) == limit and all(r["lexemes"] == 150 and r["more"] and r["df"] >= 600 for r in others)


def test_repetition_is_bounded(tmp_path: Path) -> None:
    """One lexeme a hundred thousand times, on both sides, is covered by few runs and takes no time."""
    index = make_index(tmp_path / "i", ["a " * 100_000, "b " * 100_000])
    found = index.find(["a " * 100_000], views=["verbatim"])
    assert found.num_rows < 10 and coverage(found).to_pylist() == [
        {"text": 0, "view": "verbatim", "source": 0, "lexemes": 100_000}
    ]


def test_short_sources(tmp_path: Path) -> None:
    """A source under 25 lexemes is found by an equal text, and inside a longer one where that is asked for."""
    short, other = "return sorted ( items , key = len )", "yield from self . walk ( tree )"
    index = make_index(tmp_path / "i", [short, other])
    assert [r["source"] for r in index.find([short.replace(" ", "  ")], views=["verbatim"]).to_pylist()] == [0]
    text = "x = 1\n" * 20 + other + "\n" + "y = 2\n" * 20
    assert index.find([text], views=["verbatim"]).num_rows == 0
    [found] = index.find([text], views=["verbatim"], short=5).to_pylist()
    assert found["whole"] and found["source"] == 1 and text.encode()[found["start"] : found["end"]].decode() == other
    assert index.find([text], views=["verbatim"], short=12).num_rows == 0


def test_medium_sources(tmp_path: Path) -> None:
    """A source of 25 to 49 lexemes is found wherever it stands whole, though it is shorter than asked for."""
    for length in range(K, K + W - 1):
        source = " ".join(f"m{length}_{n}" for n in range(length))
        index = make_index(tmp_path / str(length), [source])
        [found] = index.find([f"before {source} after"], views=["verbatim"]).to_pylist()
        assert found["whole"] and found["lexemes"] == length


def long_python(size: int) -> str:
    """Code with strings, docstrings and comments over many lines, longer than several blocks."""
    chance = seeded(size)
    parts = []
    for n in range(size // 300):
        body = " ".join(chance.choice(["alpha", "beta", "if x:", "# not one", "'''", '"', "end"]) for _ in range(12))
        safe = body.replace("'''", "").replace('"', "")
        parts.append(f'def f{n}(a, b={n}):\n    """{safe}\n\n    {safe}\n    """\n    return a * g{n % 7}("{safe}")\n')
    return "\n".join(parts)


@pytest.mark.parametrize("view", ["verbatim", "renamed"])
def test_blocks_lex_alike(tmp_path: Path, view: str) -> None:
    """Lexed block by block, a long text has the lexemes it has as a whole."""
    text = long_python(100 * BLOCK)
    index = make_index(tmp_path / "i", [text, "'''" + "never closed\n" * 9000, "x" * 100_000, "(" * 80_000])
    [segment] = index._segments
    blocks = segment.blocks.astype(np.int64)
    inside = blocks[(blocks > segment.starts[0]) & (blocks < segment.ends[0])]
    assert inside.size >= 60 and np.diff(inside).max() < 4 * BLOCK
    for number in range(4):
        start, end = int(segment.starts[number]), int(segment.ends[number])
        edges = np.concatenate([[start], blocks[(blocks > start) & (blocks < end)], [end]])
        language = segment.languages[number : number + 1]
        whole = lex_texts(segment.data[start:end], np.array([0, end - start]), language)
        pieces = lex_texts(segment.data[start:end], edges - start, np.repeat(language, edges.size - 1))
        assert np.array_equal(getattr(whole, view), getattr(pieces, view))
        assert np.array_equal(whole.starts, pieces.starts)


def test_runs_over_blocks(tmp_path: Path) -> None:
    """A run over many blocks, and over lines of white space, is one run with the right places and lines."""
    text = long_python(30 * BLOCK).replace("return", "return" + " " * 300)
    cut_at = text.index("def ", 1000)
    index = make_index(tmp_path / "i", [text, text[cut_at:]])
    for view in ("verbatim", "renamed"):
        whole, *rest = index.find([text], languages=["python"], views=[view]).to_pylist()
        assert whole["whole"] and whole["lexemes"] == len(lexemes(text, view, "python"))
        assert (whole["source_line"], whole["source_end_line"]) == (whole["line"], whole["end_line"])
        if view == "renamed":  # all functions are alike in it, so one run explains all of its grams
            assert whole["more"]
            continue
        assert rest[0]["line"] - rest[0]["source_line"] == text[:cut_at].count("\n") and rest[0]["df"] == 2


def test_text_without_white_space(tmp_path: Path) -> None:
    """Minified code without a space in 200,000 characters is found from any place in it."""
    chance = seeded(3)
    text = "".join(f"f{chance.randrange(10**6)}({chance.randrange(100)});" for _ in range(18_000))
    index = make_index(tmp_path / "i", [text], language="javascript")
    for at in (0, 1000, 120_000):
        piece = text[text.index(";", at) + 1 :][:3000]
        [found] = index.find([piece[: piece.rindex(";") + 1]], views=["verbatim"]).to_pylist()
        assert found["source_start"] == text.index(piece) and found["lexemes"] > 700


def test_order_does_not_matter(tmp_path: Path) -> None:
    """An index of the same sources in another order gives the same runs with the same sources."""
    texts, chance = list(real_texts()), seeded(9)
    shuffled = texts[:]
    chance.shuffle(shuffled)
    a, b = make_index(tmp_path / "a", texts), make_index(tmp_path / "b", shuffled)
    query = "\n".join(cut(t, 90, chance) for t in texts)
    found = []
    for index, order in ((a, texts), (b, shuffled)):
        rows = index.find([query]).to_pylist()
        found.append(sorted((sorted({**r, "source": order[r["source"]][:60]}.items())) for r in rows))
    assert found[0] == found[1] and len(found[0]) > len(texts)


def test_coverage() -> None:
    """Coverage counts a lexeme once per source and view, however many runs hold it."""
    rows = [(0, "verbatim", 4, 10, 60), (0, "verbatim", 4, 50, 60), (0, "verbatim", 4, 200, 50), (0, "renamed", 4, 0, 70), (1, "verbatim", 2, 0, 50)]  # fmt: skip  # noqa: E501
    names = ("text", "view", "source", "first", "lexemes")
    columns = [RUNS.empty_table().schema.field(n) for n in names]
    table = pa.table([pa.array(c) for c in zip(*rows, strict=True)], schema=pa.schema(columns))
    assert [tuple(r.values()) for r in coverage(table).to_pylist()] == [
        (0, "renamed", 4, 70), (0, "verbatim", 4, 150), (1, "verbatim", 2, 50)
    ]  # fmt: skip
    assert coverage(table.slice(0, 0)).num_rows == 0


KEY = b"a key of the two departments"


def test_keyed_index_finds_runs(tmp_path: Path) -> None:
    """With its key an index without text finds every planted run, and says no more than its fingerprints show."""
    texts = real_texts()
    keyed = make_index(tmp_path / "k", texts, key=KEY)
    open_ = make_index(tmp_path / "o", texts)
    chance = seeded(2)
    for number, text in enumerate(texts):
        query = other_code(chance, 4) + cut(text, 300, chance) + "\n" + other_code(chance, 4)
        rows = [r for r in keyed.find([query], views=["verbatim"]).to_pylist() if r["source"] == number]
        [exact] = [r for r in open_.find([query], views=["verbatim"]).to_pylist() if r["source"] == number and r["lexemes"] > 200]  # fmt: skip  # noqa: E501
        assert not any(r["exact"] for r in rows) and all(r["source_start"] is None for r in rows)
        best = max(rows, key=lambda r: r["lexemes"])
        assert exact["first"] <= best["first"] and best["lexemes"] <= exact["lexemes"] <= best["lexemes"] + 2 * (W - 1)


def test_keyed_index_needs_its_key(tmp_path: Path) -> None:
    """Without the key, or with another one, nothing can be asked; and its texts are nowhere."""
    text = real_texts()[0]
    index = make_index(tmp_path / "k", [text], key=KEY)
    for key in (None, b"another key of them"):
        with pytest.raises(SourceIndexError, match="key"):
            SourceIndex.open(tmp_path / "k", key)
    with pytest.raises(SourceIndexError, match="no text"):
        index.texts_of(0)
    stored = b"".join(p.read_bytes() for p in (tmp_path / "k").rglob("*") if p.is_file())
    assert b"argparse" not in stored and b"def " not in stored
    assert index.sources["path"].to_pylist() == [None]


def test_keyed_index_may_name_paths(tmp_path: Path) -> None:
    """Paths stand in a keyed index where its maker says so."""
    assert make_index(tmp_path / "k", ["a b c"], key=KEY, paths=True).sources["path"].to_pylist() == ["0"]


def test_texts_of(tmp_path: Path) -> None:
    """The stored texts of a source come back by field, with the lexemes they have."""
    with IndexWriter(tmp_path / "i", segment_bytes=10) as writer:
        for item in range(3):
            texts = (("prompt", f"say {item} 中".encode(), ""), ("tests", b"", ""), ("solution", b"x = 1", "python"))
            writer.add(NewSource(texts, kind="benchmark", item=f"task/{item}"))
        writer.add(NewSource((), item="nothing"))
    index = SourceIndex.open(tmp_path / "i")
    assert index.texts_of(2) == [("prompt", "say 2 中"), ("tests", ""), ("solution", "x = 1")]
    assert index.texts_of(3) == [] and len(index) == 4
    assert index.lexemes_of().tolist() == [6, 6, 6, 0]
