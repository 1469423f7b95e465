"""blocks of UTF-8 bytes -> chunks of whole lines; a line over the limit is skipped without being held."""

from __future__ import annotations

from collections.abc import Iterator

from governance.ingest.parse import RAW_BYTES, Chunk, original
from governance.ingest.records import Bad

CHUNK_BYTES = 4 << 20


class TooLarge(Bad):
    """A record over the limit that was skipped; *raw* is its start."""

    def __init__(self, line: int, size: int, limit: int, raw: bytes) -> None:
        super().__init__("too-large", f"{size} bytes, limit {limit}")
        self.line = line
        self.raw = raw


def line_chunks(source: Iterator[bytes], encoding: str, limit: int) -> Iterator[Chunk | TooLarge]:
    """
    Yield the lines of *source* as chunks of about CHUNK_BYTES, and a TooLarge for every line of more than *limit* bytes
    that reaches over a block. In memory are at most one line of *limit* bytes and two chunks.
    """
    line = 1
    whole: list[bytes] = []  # complete lines
    part: list[bytes] = []  # the start of the line that is still going on
    held = size = 0  # bytes of `whole`; bytes of the line that is going on
    for block in source:
        cut = block.rfind(b"\n") + 1
        if cut:
            first = block.find(b"\n") + 1
            if size > limit:
                yield TooLarge(line, size + first - 1, limit, original(part[0], encoding))
                line, first_kept = line + 1, first
            else:
                whole += part
                held, first_kept = held + size, 0
            whole.append(block[first_kept:cut])
            held += cut - first_kept
            part, size = [], 0
        if held >= CHUNK_BYTES:
            chunk = Chunk(b"".join(whole), line, encoding=encoding)
            line += chunk.data.count(b"\n")
            yield chunk
            whole, held = [], 0
        if cut < len(block):
            part.append(block[cut:])
            size += len(block) - cut
            if size > limit:
                if whole:
                    chunk = Chunk(b"".join(whole), line, encoding=encoding)
                    line += chunk.data.count(b"\n")
                    yield chunk
                    whole, held = [], 0
                part = [b"".join(part)[:RAW_BYTES]]
    if size > limit:
        yield TooLarge(line, size, limit, original(part[0], encoding))
    elif held or size:
        yield Chunk(b"".join((*whole, *part)), line, encoding=encoding)
