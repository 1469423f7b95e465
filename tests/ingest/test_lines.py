"""Lines from blocks of any size."""

from __future__ import annotations

import pytest

from governance.ingest import lines
from governance.ingest.lines import TooLarge, line_chunks
from governance.ingest.parse import Chunk

DATA = b"one\n\ntwo two two two\nthree\n\nfour" + b"!" * 40 + b"\nfive"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
@pytest.mark.parametrize("target", [1, 10, 1000])
def test_lines_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch, size: int, target: int) -> None:
    """Every line comes once, whole, with its number, for any size of blocks and chunks."""
    monkeypatch.setattr(lines, "CHUNK_BYTES", target)
    found = []
    for chunk in line_chunks(iter(cut(DATA, size)), "utf-8", 1000):
        assert isinstance(chunk, Chunk)
        body = chunk.data.removesuffix(b"\n").split(b"\n")
        found += list(enumerate(body, chunk.line))
    assert found == list(enumerate(DATA.split(b"\n"), 1))


@pytest.mark.parametrize("size", [1, 3, 7, 10])
def test_long_lines_are_skipped(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A line over the limit is told with its line, size and start, and the lines around it are not lost."""
    monkeypatch.setattr(lines, "RAW_BYTES", 5)
    found: dict[int, bytes] = {}
    skipped = []
    for chunk in line_chunks(iter(cut(DATA, size)), "utf-8", 12):
        if isinstance(chunk, TooLarge):
            skipped.append((chunk.line, chunk.detail, chunk.raw))
        else:
            found |= dict(enumerate(chunk.data.removesuffix(b"\n").split(b"\n"), chunk.line))
    for line in [n for n, text in found.items() if len(text) > 12]:  # within one block: the parser's to judge
        text = found.pop(line)
        skipped.insert(line // 6, (line, f"{len(text)} bytes, limit 12", text[:5]))
    assert skipped == [(3, "15 bytes, limit 12", b"two t"), (6, "44 bytes, limit 12", b"four!")]
    assert found == {1: b"one", 2: b"", 4: b"three", 5: b"", 7: b"five"}


def test_endless_line_is_not_held() -> None:
    """Of a line that does not end only a start is kept, however long it is."""
    sizes = []

    def endless() -> object:
        for _ in range(400):
            yield b"x" * 100_000

    for chunk in line_chunks(endless(), "utf-8", 1_000_000):  # type: ignore[arg-type]
        assert isinstance(chunk, TooLarge)
        sizes.append((chunk.detail, len(chunk.raw)))
    assert sizes == [("40000000 bytes, limit 1000000", lines.RAW_BYTES)]
