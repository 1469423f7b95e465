"""What a sample shares with the sources of an index: which evidence, where on both sides, and what does not count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from overlap_samples import functions, renamed, words, write

from governance.overlap.found import name_samples
from governance.overlap.lookup import SourceIndex
from governance.overlap.protected import find_protected, source_names
from governance.overlap.write import IndexWriter, NewSource
from governance.samples import OVERLAPS

SOURCES = functions("tarfile", "argparse", "zipfile")
OTHERS = functions("turtle", "imaplib", "difflib")
LONG = next(t for t in SOURCES if 250 < words(t) < 400)


def index(folder: Path, sources: Sequence[NewSource], key: bytes | None = None) -> SourceIndex:
    with IndexWriter(folder / "index", key=key, paths=key is not None) as writer:
        for source in sources:
            writer.add(source)
    return SourceIndex.open(folder / "index", key)


def source(text: str, path: str = "lib/a.py", licence: str | None = "GPL-3.0-only", **more: Any) -> NewSource:
    given = {"name": "lib", "repository": "https://example.org/lib", "path": path, "licence": licence} | more
    return NewSource((("", text.encode(), "python"),), **given)


def rows(folder: Path, texts: Any, sources: Sequence[NewSource], **more: Any) -> list[dict[str, Any]]:
    opened = index(folder, sources, more.pop("key", None))
    found = find_protected(write(folder / "samples.arrow", texts), opened, name="third-party", **more)
    return found.to_pylist()


def test_a_copied_function_is_found(tmp_path: Path) -> None:
    """A function copied into another one is a verbatim hit with source, licence and the lines and offsets of both."""
    whole = f"import os\n\n{OTHERS[3]}\n{LONG}\n{OTHERS[4]}"
    text = f"# 订单 Größe\n{OTHERS[0]}\n{LONG}\n{OTHERS[1]}"
    [hit] = rows(tmp_path, [OTHERS[2], text], [source(whole), source(OTHERS[9], "lib/b.py", None)])
    assert (hit["place"], hit["class"], hit["index"]) == (1, "verbatim", "third-party")
    assert (hit["source"], hit["source_path"], hit["source_licence"]) == ("lib/lib/a.py", "lib/a.py", "GPL-3.0-only")
    shared = text[hit["start"] : hit["end"]]
    assert LONG.strip() in shared and len(shared) < len(LONG) + 40
    for body, first, last in (
        (text, hit["line"], hit["end_line"]),
        (whole, hit["source_line"], hit["source_end_line"]),
    ):
        assert LONG.strip() in "\n".join(body.splitlines()[first - 1 : last])
    assert hit["lexemes"] >= 250 and 0 < hit["score"] < 1 and hit["df"] == 1


@pytest.mark.parametrize(("size", "expected"), [(50, ["verbatim"]), (49, [])])
def test_the_shortest_run(size: int, expected: list[str], tmp_path: Path) -> None:
    """A run of 50 lexemes is a hit and one of 49 is none."""
    body = [f"word{i}" for i in range(400)]
    text = " ".join([*(f"x{i}" for i in range(200)), *body[100 : 100 + size], *(f"y{i}" for i in range(200))])
    assert [r["class"] for r in rows(tmp_path, [text], [source(" ".join(body))])] == expected


def test_least_is_a_setting(tmp_path: Path) -> None:
    """With a larger *least* shorter runs do not count."""
    text = f"{OTHERS[0]}\n{LONG}"
    assert rows(tmp_path, [text], [source(f"{LONG}\n{OTHERS[5]}")], least=5000) == []


def test_an_output_that_is_mostly_a_source(tmp_path: Path) -> None:
    """An output of which a source covers four fifths by runs too short to count alone is contained; a prompt is not."""
    body = [f"word{i}" for i in range(1000)]
    parts = [body[k : k + 60] for k in range(0, 900, 90)]
    text = " ".join(" ".join([*part, f"other{i}"]) for i, part in enumerate(parts))
    texts = [(("output", text),), (("input", text), ("output", "pass"))]
    [hit] = rows(tmp_path, texts, [source(" ".join(body))], least=200)
    assert (hit["place"], hit["class"], hit["lexemes"]) == (0, "containment", 60)
    assert hit["score"] == pytest.approx(600 / 610)


def test_a_small_source_that_stands_whole(tmp_path: Path) -> None:
    """A source of 25 to 49 lexemes counts where all of it stands, in prompts too, and not where a part does."""
    small = " ".join(f"tiny{i}" for i in range(30))
    around = " ".join(f"x{i}" for i in range(100))
    texts = [
        (("instruction", f"{around} {small} {around}"), ("output", "pass")),
        small.rpartition(" ")[0] + f" {around}",
    ]
    [hit] = rows(tmp_path, texts, [source(small)])
    assert (hit["place"], hit["field"], hit["class"], hit["lexemes"]) == (0, "instruction", "containment", 30)


def test_renamed_copies(tmp_path: Path) -> None:
    """A copy with other names is a renamed hit; the same copy word for word is a verbatim one and no second row."""
    copy = renamed(LONG)
    found = rows(tmp_path, [f"{OTHERS[0]}\n{copy}", f"{OTHERS[1]}\n{LONG}"], [source(LONG)])
    assert [(r["place"], r["class"]) for r in found] == [(0, "renamed"), (1, "verbatim")]
    assert found[0]["lexemes"] >= 50


def test_one_row_per_text_and_source(tmp_path: Path) -> None:
    """Several runs of one source are one row, the longest; several sources are a row each, and df counts them."""
    text = f"{LONG}\nsomething = between\n{SOURCES[20]}"
    other = source(f"{LONG}\n{OTHERS[7]}", "lib/c.py", "MIT")
    found = rows(tmp_path, [text], [source(f"{SOURCES[20]}\n{OTHERS[6]}\n{LONG}"), other])
    assert [(r["source_path"], r["df"]) for r in found] == [("lib/a.py", 2), ("lib/c.py", 2)]


def test_items_are_left_to_the_other_search(tmp_path: Path) -> None:
    """Benchmark items of an index with text are no protected sources; of a keyed one they are items, by runs alone."""
    item = source(LONG, kind="benchmark", item="7", path=None)
    assert rows(tmp_path, [LONG], [item, source(OTHERS[3])]) == []
    keyed = tmp_path / "keyed"
    keyed.mkdir()
    assert [r["class"] for r in rows(keyed, [LONG, renamed(LONG)], [item], key=b"k" * 32)] == ["item", "item-renamed"]


def test_keyed_index(tmp_path: Path) -> None:
    """An index without text finds the same sample and source; lines of the source stay unknown."""
    [hit] = rows(tmp_path, [OTHERS[0], f"{OTHERS[1]}\n{LONG}"], [source(LONG)], key=b"k" * 32)
    assert (hit["place"], hit["class"], hit["source_line"]) == (1, "verbatim", None)


@pytest.mark.parametrize("texts", [[], [""], ["\0" * 500], ["x " * 100_000], ["订" * 3000]])
def test_hostile_texts(texts: list[str], tmp_path: Path) -> None:
    """Nothing in a text breaks the look-up."""
    assert rows(tmp_path, texts, [source(LONG), source("", "empty.py"), source("x y", "two.py")]) == []


def test_names_of_samples_and_sources(tmp_path: Path) -> None:
    """Rows get the identity of their samples, allowed sources are marked and kept, and names pass the mask."""
    opened = index(tmp_path, [source(LONG), source(f"{LONG}\n", "own/b.py", name="own")])
    samples = write(tmp_path / "samples.arrow", [OTHERS[0], LONG], batch=1)
    found = find_protected(samples, opened, name="third-party")
    table = name_samples([found], samples, allow=["own/*"], mask=lambda name: name.replace("example", "x"))
    assert table.schema.equals(OVERLAPS)
    listed = table.to_pylist()
    assert [(r["n"], r["row"], r["source_path"], r["allowed"]) for r in listed] == [
        (1, 1, "lib/a.py", False), (1, 1, "own/b.py", True),
    ]  # fmt: skip
    assert {r["source_repository"] for r in listed} == {"https://x.org/lib"}
    assert all(len(r["sample_id"]) == 64 for r in listed)


def test_source_names(tmp_path: Path) -> None:
    """A source is called by name and path, a record of a dataset by its number too, an item by its id."""
    opened = index(
        tmp_path,
        [source("a b"), source("c d", kind="dataset", path="x.py", row=3), source("e f", kind="benchmark", item="T/1")],
    )
    assert source_names(opened).to_pylist() == ["lib/lib/a.py", "lib/x.py#3", "lib#T/1"]


def test_order_and_batches_change_nothing(tmp_path: Path) -> None:
    """The rows do not depend on batches, and in another order of samples they are the same rows."""
    texts = [f"{OTHERS[i]}\n{SOURCES[i]}" for i in range(0, 60, 3)]
    opened = index(tmp_path, [source(t, f"{i}.py") for i, t in enumerate(SOURCES)])

    def found(order: list[str], batch: int) -> pa.Table:
        return find_protected(write(tmp_path / "s.arrow", order, batch), opened, name="i")

    one = found(texts, 1000)
    assert found(texts, 1).equals(one) and one.num_rows > 5
    turned = found(texts[::-1], 7)
    assert sorted(one["source"].to_pylist()) == sorted(turned["source"].to_pylist())
