"""Benchmark items are found where they stand, whole, mostly or renamed, and nowhere else."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from overlap_samples import functions, items, renamed, words, write

from governance.overlap import benchmark
from governance.overlap.benchmark import Found, find_benchmark_items
from governance.overlap.found import FOUND

ITEMS = functions("textwrap", "difflib", "statistics", "heapq", "fractions", "shlex")
DOCS = functions(
    "tarfile", "zipfile", "argparse", "mailbox", "pdb", "optparse", "smtplib", "ftplib", "imaplib", "turtle"
)


def search(folder: Path, texts: Any, wanted: Any, **more: Any) -> Found:
    return find_benchmark_items(write(folder / "samples.arrow", texts, more.pop("batch", 1000)), items(wanted), **more)


def pairs(found: Found) -> set[tuple[int, int]]:
    """Return the (sample, item) pairs of the hits."""
    return set(zip(found.hits["place"].to_pylist(), found.hits["item"].to_pylist(), strict=True))


def planted(change: Any, step: int = 3) -> tuple[list[str], set[tuple[int, int]]]:
    """Put every third item, changed, into the middle of a function that has nothing to do with it."""
    texts, truth = list(DOCS), set()
    for i in range(0, len(ITEMS), step):
        host = (7 * i) % len(texts)
        while (host, True) in {(h, True) for h, _ in truth}:
            host = (host + 1) % len(texts)
        lines = texts[host].splitlines(keepends=True)
        middle = len(lines) // 2
        texts[host] = "".join([*lines[:middle], change(ITEMS[i]), "\n", *lines[middle:]])
        truth.add((host, i))
    return texts, truth


@pytest.mark.parametrize(
    "change",
    [
        str, lambda t: textwrap.indent(t, "\t\t"), lambda t: "\n\n".join(t.splitlines()),
        lambda t: " ".join(t.split("\n")),
    ],
    ids=["verbatim", "indented", "blank-lines", "one-line"],
)  # fmt: skip
def test_every_planted_item_is_found(change: Any, tmp_path: Path) -> None:
    """Every decidable item that is planted word for word in real code is found, short ones too, and little else is."""
    texts, truth = planted(change)
    found = search(tmp_path, texts, ITEMS)
    undecidable = set(found.undecidable.tolist())
    wanted = {pair for pair in truth if pair[1] not in undecidable}
    assert len(wanted) > 60 and any(len(ITEMS[i].split()) < 13 for _, i in wanted)
    assert wanted <= pairs(found)
    hosts = {host for host, _ in truth}
    assert len({host for host, _ in pairs(found) if host not in hosts}) <= 0.02 * len(wanted)


def test_renamed_items_are_found(tmp_path: Path) -> None:
    """Most planted items are still found after every name in them was changed; their class says so."""
    texts, truth = planted(renamed)
    found = search(tmp_path, texts, ITEMS)
    undecidable = set(found.undecidable.tolist())
    wanted = {(h, i) for h, i in truth if i not in undecidable and words(ITEMS[i]) >= 60}
    assert len(wanted) > 30 and len(wanted & pairs(found)) >= 0.8 * len(wanted)
    classes = set(found.hits["class"].to_pylist())
    assert "item-renamed" in classes


def test_code_without_items_is_left_alone(tmp_path: Path) -> None:
    """Real code by other authors shares idioms with the items and no item."""
    found = search(tmp_path, DOCS, ITEMS)
    assert len(found.hits) <= 2


def test_idioms_are_undecidable(tmp_path: Path) -> None:
    """Items that say nothing are listed and never flagged, in a dataset of any size; so are empty ones."""
    idioms = ["return x + y", "", "def get(self):\n    return self.x\n", "import os\nimport sys\n", "i += 1"]
    distinctive = "def merge_calendar_bookings(vienna, salzburg):\n    return sorted({*vienna, *salzburg})\n"
    for texts in (idioms, [*DOCS, *idioms]):
        found = search(tmp_path, [*texts, distinctive], [*idioms, distinctive])
        assert found.undecidable.tolist() == [0, 1, 2, 3, 4]
        assert pairs(found) == {(len(texts), 5)}


def test_short_items_count_whole(tmp_path: Path) -> None:
    """An item under 13 lexemes is found whole inside a longer text, down to four rare words, and not by a part."""
    short = "zymurgy quincunx gallimaufry defenestrate"
    longer = "Compute the borborygmus of a syzygy modulo floccinaucinihilipilification, twice"
    texts = [f"Please: {short}. Thank you.", "zymurgy quincunx", f"a {longer} b", longer.rpartition(" ")[0]]
    assert pairs(search(tmp_path, texts, [short, longer])) == {(0, 0), (2, 1)}


def test_windows(tmp_path: Path) -> None:
    """An item with a word changed here and there is found; its parts scattered over a long text are not."""
    item = ITEMS[next(i for i, t in enumerate(ITEMS) if 150 < words(t) < 250)]
    parts = item.split(" ")
    edited = " ".join("other" if i in (40, 80) else part for i, part in enumerate(parts))
    size = len(parts) // 8
    pieces = [" ".join(parts[k : k + size // 2]) for k in range(0, len(parts), size)]
    scattered = DOCS[0].join(pieces)
    found = search(tmp_path, [edited, scattered], [item])
    by_window = [h for h in found.hits.to_pylist() if h["score"] >= benchmark.CONTAINED]
    assert [h["place"] for h in by_window] == [0]
    assert 0.8 <= by_window[0]["score"] < 1.0


def test_places(tmp_path: Path) -> None:
    """A hit names field, code points and lines on both sides; what stands there is the item."""
    item = "# Größe\n# 订单\ndef merge_bookings(begin, end):\n    return sorted(zip(begin, end), key=bisect_left)\n"
    text = f"Ünïcode 订单 first\n\n{item}\nbehind"
    found = search(tmp_path, [(("instruction", "do it"), ("output", text))], [item])
    [hit] = found.hits.to_pylist()
    assert text[hit["start"] : hit["end"]] == item.strip()
    assert (hit["field"], hit["line"], hit["end_line"]) == ("output", 3, 6)
    assert (hit["item_line"], hit["item_end_line"], hit["score"]) == (1, 4, 1.0)
    assert found.named(items([item])).schema.equals(FOUND)


def test_prompts_are_searched(tmp_path: Path) -> None:
    """An item in an instruction is training data as well, and the field says where it was."""
    item = "Return the number of vowels in the longest palindrome of a sentence about Salzburg marionettes."
    found = search(tmp_path, [(("instruction", f"Task: {item}"), ("output", "pass"))], [item])
    assert found.hits["field"].to_pylist() == ["instruction"]


def test_seeds_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking only where rare shingles meet finds exactly what looking everywhere finds."""
    texts, _ = planted(lambda t: "\n".join(line for k, line in enumerate(t.splitlines()) if k % 7 != 3))
    few = search(tmp_path, texts, ITEMS)

    def everywhere(view: Any, wanted: Any, threshold: float, block: int) -> None:
        owner = np.searchsorted(view.ends, np.arange(view.ids.size), "right") - 1
        view.post(np.flatnonzero((view.ids >= 0) & wanted[owner]), view.ids, view.keys.keys.size)

    monkeypatch.setattr(benchmark._View, "plant", everywhere)
    every = search(tmp_path, texts, ITEMS)
    assert len(few.hits) > 50 and few.hits.equals(every.hits)


def test_order_batches_and_threads_change_nothing(tmp_path: Path) -> None:
    """The same rows come out for any batch size and number of threads, and the same hits for any order of samples."""
    texts, _ = planted(str, step=9)
    one = search(tmp_path, texts, ITEMS, threads=1)
    for batch, threads in ((1, 2), (17, 3)):
        assert search(tmp_path, texts, ITEMS, batch=batch, threads=threads).hits.equals(one.hits)
    turned = search(tmp_path, texts[::-1], ITEMS)
    assert {(len(texts) - 1 - p, i) for p, i in pairs(turned)} == pairs(one)


def test_copies_do_not_hide_an_item(tmp_path: Path) -> None:
    """An item that stands in the dataset 400 times is no idiom for that: equal texts count once."""
    item = ITEMS[next(i for i, t in enumerate(ITEMS) if words(t) > 60)]
    found = search(tmp_path, [*DOCS, *[item] * 400], [item])
    assert found.undecidable.size == 0 and len(found.hits) == 400


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["x"], ["\0" * 100], ["a" * 1_000_000], ["x " * 200_000], ["订" * 5000], ["same text"] * 10_000],
    ids=["none", "empty", "one", "nul", "one-word", "one-word-often", "cjk", "equal"],
)  # fmt: skip
def test_hostile_datasets(texts: list[str], tmp_path: Path) -> None:
    """Nothing in a dataset breaks the search, and nothing is found in what holds no item."""
    assert len(search(tmp_path, texts, ITEMS[:50]).hits) == 0


def test_hostile_items(tmp_path: Path) -> None:
    """Items of nothing, of one word a thousand times and of binary are answered without a hit in real code."""
    odd = ["", " ", "\0\0", "x " * 1000, "订" * 300, "0, " * 500, "=" * 80]
    assert len(search(tmp_path, DOCS, odd).hits) == 0
    assert pairs(search(tmp_path, ["y"], [])) == set()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(ITEMS) - 1), st.integers(0, len(DOCS) - 1), st.integers(0, 1000), st.booleans())
def test_any_item_anywhere(tmp_path: Path, item: int, host: int, cut: int, tabs: bool) -> None:
    """Whatever item is put wherever into whatever function, it is found there or undecidable."""
    at = cut % (len(DOCS[host]) + 1)
    text = ITEMS[item].replace("    ", "\t") if tabs else ITEMS[item]
    texts = [f"{DOCS[host][:at]}\n{text}\n{DOCS[host][at:]}", *DOCS[:50]]
    found = search(tmp_path, texts, [ITEMS[item]])
    assert (0, 0) in pairs(found) or found.undecidable.tolist() == [0]


def test_the_best_evidence_names_the_item(tmp_path: Path) -> None:
    """A relative of the item that stands there is secondary; an item that stands there whole never is."""
    first = DOCS[next(i for i, t in enumerate(DOCS) if 150 < words(t) < 300)]
    lines = first.splitlines(keepends=True)
    part = "".join(lines[2 : len(lines) // 2])
    relative = part + ITEMS[next(i for i, t in enumerate(ITEMS) if 300 < words(t) < 500)]
    assert words(part) > 40
    found = search(tmp_path, [first, "x = 1", relative], [first, part, relative])
    kinds = {(h["place"], h["item"]): h["class"] for h in found.hits.to_pylist()}
    assert kinds == {
        (0, 0): "item", (0, 1): "item", (0, 2): "item-secondary",
        (2, 0): "item-secondary", (2, 1): "item", (2, 2): "item",
    }  # fmt: skip


def test_equal_evidence_stays() -> None:
    """Of two hits that are equally good neither is secondary; the order of the rows decides nothing."""
    rows = np.zeros((5, 8), np.int64)
    rows[:, 3], rows[:, 5], rows[:, 6] = (40, 40, 31, 31, 31), (10, 10, 12, 60, 12), (40, 40, 31, 31, 60)
    scores, kinds = np.array([0.5, 0.5, 0.5, 0.5, 0.5]), np.array(["item"] * 5)
    for order in (np.arange(5), np.array([3, 2, 4, 1, 0])):
        wanted = np.array([False, False, True, False, False])[order]
        assert (benchmark._secondary(rows[order], scores, kinds) == wanted).all()
    assert not benchmark._secondary(rows[:0], scores[:0], kinds[:0]).any()
