"""metrics of overlap -> those whose own planted case the comparison misses.

What is planted is made up of words that stand nowhere else and goes through the same code as the data: an index that is
built and opened, items that are read from it, a held-out set that is compared. Each case has a near miss beside it, so
a comparison that flags everything is caught like one that flags nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pyarrow as pa

from governance.context import Compare, Options, Setup
from governance.samples import SAMPLES, sample_id

ITEM = 40  # words of the planted item
PADDING = 300  # words around a planted run


def missed_probes(metrics: Collection[str], setup: Setup, options: Options, work: Path) -> list[str]:
    """Return those of *metrics* whose probe is missed, or whose near miss is flagged."""
    place = work / "overlap-probe"
    place.mkdir(exist_ok=True)
    cases: dict[str, Callable[[], bool]] = {
        "protected-overlap": lambda: _protected(setup.pipeline.overlap.least, place),
        "benchmark-overlap": lambda: _benchmark(place),
        "held-out-overlap": lambda: _held_out(setup.pipeline.overlap.threshold, options, place),
    }
    return [name for name, found in cases.items() if name in metrics and not found()]


def plant_source(metric: str, place: Path, least: int) -> tuple[Compare, str]:
    """
    Write a made-up source that *metric* compares with into the new folder *place*.

    Returns:
        What to compare with, and a text that no sample may hold then.
    """
    from governance.ingest import write_records
    from governance.overlap.write import IndexWriter, NewSource

    place.mkdir()
    text = " ".join(_words(metric, max(2 * least, 4 * ITEM)))
    if metric == "held-out-overlap":
        write_records(iter([{"instruction": text, "input": "", "output": text}]), place / "planted.jsonl")
        return Compare(held_out=(place / "planted.jsonl",)), text
    kind = "benchmark" if metric == "benchmark-overlap" else "file"
    with IndexWriter(place / "planted", threads=1) as index:
        index.add(NewSource((("", text.encode(), "text"),), kind=kind, name="planted", path="planted"))
    return Compare(indexes=(place / "planted",)), text


def _words(seed: str, count: int) -> list[str]:
    return ["w" + hashlib.sha256(f"{seed} {i}".encode()).hexdigest()[:9] for i in range(count)]


def _write(path: Path, texts: Sequence[str]) -> Path:
    rows = [
        {
            "n": n, "file": "probe", "row": n, "sample_id": sample_id([("output", text)]), "shape": "text",
            "texts": [{"field": "text", "role": "output", "text": text}], "record": "{}",
        }
        for n, text in enumerate(texts)
    ]  # fmt: skip
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=SAMPLES))
    return path


def _around(text: str, seed: str) -> str:
    before, after = _words(f"before {seed}", PADDING), _words(f"after {seed}", PADDING)
    return "  ".join([*before, text, *after])


def _protected(least: int, place: Path) -> bool:
    """A source is found by a run of exactly *least* lexemes and not by one that is a lexeme shorter."""
    from governance.overlap.lookup import SourceIndex
    from governance.overlap.protected import find_protected
    from governance.overlap.write import IndexWriter, NewSource

    words = _words("source", 4 * least)
    folder = place / f"protected-{least}"
    with IndexWriter(folder, threads=1) as index:
        index.add(NewSource((("", " ".join(words).encode(), "text"),), name="probe", path="probe"))
    texts = [_around("\n".join(words[least : least + size]), str(size)) for size in (least, least - 1)]
    samples = _write(place / "protected.arrow", texts)
    found = find_protected(samples, SourceIndex.open(folder), name="probe", least=least)
    return set(zip(found["place"].to_pylist(), found["lexemes"].to_pylist(), strict=True)) == {(0, least)}


def _benchmark(place: Path) -> bool:
    """An item is found whole and with a word changed, and not by a quarter of its words."""
    from governance.overlap.benchmark import find_benchmark_items
    from governance.overlap.item_texts import read_items
    from governance.overlap.lookup import SourceIndex
    from governance.overlap.write import IndexWriter, NewSource

    words = _words("item", ITEM)
    folder = place / "items"
    with IndexWriter(folder, threads=1) as index:
        item = NewSource((("prompt", " ".join(words).encode(), "text"),), kind="benchmark", name="probe", item="1")
        index.add(item)
    edited = [*words[: ITEM - 6], *_words("other", 1), *words[ITEM - 5 :]]
    texts = [_around(" ".join(part), str(i)) for i, part in enumerate((words, edited, words[: ITEM // 4]))]
    samples = _write(place / "items.arrow", texts)
    found = find_benchmark_items(samples, read_items([("probe", SourceIndex.open(folder))]), threads=1)
    return bool(found.hits["place"].to_pylist() == [0, 1])


def _held_out(threshold: float, options: Options, place: Path) -> bool:
    """Of the pairs that prove the search for near-duplicates, the near one is found and the other is not."""
    from governance.dedup.probe import probe_pair
    from governance.overlaps import held_out_rows

    path = place / "pair.arrow"
    probe_pair(path, threshold)
    with pa.memory_map(str(path)) as source:
        rows = pa.ipc.open_file(source).read_all()
        texts = [row[0]["text"] for row in rows["texts"].to_pylist()]
    held, samples = _write(place / "held.arrow", texts[:1]), _write(place / "samples.arrow", texts[1:])
    found = held_out_rows(samples, held, "probe", threshold, options, place)
    return bool(found["place"].to_pylist() == [0])
