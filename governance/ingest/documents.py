"""a .json file as UTF-8 blocks -> chunks of its records: an array, an object that holds one, or JSON Lines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import orjson

from governance.errors import InputError
from governance.ingest.lines import CHUNK_BYTES, TooLarge, line_chunks
from governance.ingest.parse import RAW_BYTES, Chunk, original
from governance.ingest.records import CHATS, PAIRS, Bad, Reader

PREFIX = 1 << 20  # bytes that decide how the file is read

TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},"]', re.DOTALL)
STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
INK = re.compile(rb"[^ \t\r\n]")
ARRAY = re.compile(rb"\s*:\s*\[")
SECOND = re.compile(rb":\s*\[\s*\{")
OPENING = (b"{", b"[")
CLOSING = (b"}", b"]")
RECORD_KEYS = {*CHATS, "text", *(p[0] for p in PAIRS), *(key for p in PAIRS for key, _ in p[1])}


def json_chunks(
    source: Iterator[bytes], name: str, encoding: str, reader: Reader, limit: int
) -> Iterator[Chunk | TooLarge]:
    """
    Yield the records of one JSON document; a record of more than *limit* bytes is skipped without being held.

    An array is cut at the commas between its elements, so one broken element spoils nothing but itself as long as its
    quotes and brackets are paired. What is left where they are not is one broken record.

    Raises:
        InputError: an object with more than one array of records.
    """
    prefix = b""
    while len(prefix) < PREFIX and (block := next(source, b"")):
        prefix += block
    complete = len(prefix) < PREFIX
    blocks = itertools.chain([prefix], source)
    ink = INK.search(prefix)
    if ink is None and complete:
        return
    start = ink.start() if ink else 0
    if prefix[start : start + 1] == b"[":
        yield from _Elements(encoding, limit, 1).split(blocks, start + 1)
        return
    at = None
    if prefix[start : start + 1] == b"{":
        value = _value(prefix) if complete else None
        if isinstance(value, dict):
            at = _held_array(prefix, value, name, reader)
            if at is None:
                line = 1 + prefix.count(b"\n", 0, start)
                yield Chunk(prefix, line, (len(prefix),), (line,), encoding)
                return
        elif not _is_lines(prefix[start:]):
            at = _array_at(prefix, None)
    if at is None:
        yield from line_chunks(blocks, encoding, limit)
        return
    elements = _Elements(encoding, limit, 2)
    yield from elements.split(blocks, at)
    if SECOND.search(elements.tail):
        raise InputError(f"{name}: holds more than one array of records; expected one, write a file for each")


def _value(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _held_array(prefix: bytes, value: dict[str, Any], name: str, reader: Reader) -> int | None:
    """Where the one array of records in *value* starts; None if *value* is a record itself."""
    try:
        reader.plan(value)
        return None
    except Bad:
        pass
    arrays = [k for k, v in value.items() if isinstance(v, list) and all(isinstance(i, dict) for i in v[:1])]
    full = [k for k in arrays if value[k]] or arrays
    if len(full) > 1:
        raise InputError(f"{name}: holds {len(full)} arrays of records; expected one, write a file for each")
    return _array_at(prefix, full[0]) if full else None


def _is_lines(prefix: bytes) -> bool:
    """Whether the first line is a JSON value, or else (one may be broken) the second is an object."""
    lines = [line for line in prefix.split(b"\n", 3)[:3] if line.strip()]
    if b"\n" not in prefix:
        return False
    return _value(lines[0]) is not None or (len(lines) > 2 and isinstance(_value(lines[1]), dict))


def _array_at(prefix: bytes, key: str | None) -> int | None:
    """Offset after the ``[`` of the array under *key* (None: the first array) in the object that *prefix* starts."""
    depth = 0
    for token in TOKEN.finditer(prefix):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
        elif first in b"]}":
            depth -= 1
            if not depth:
                return None
        elif first == b'"' and depth == 1 and (value := _value(token[0])) is not None:
            opened = ARRAY.match(prefix, token.end())
            if opened and key in (None, value):
                return None if key is None and value in RECORD_KEYS else opened.end()
            if key is None and value in RECORD_KEYS and re.match(rb"\s*:", prefix[token.end() : token.end() + 64]):
                return None
    return None


class _Elements:
    """
    Cuts an array at its commas, block by block.

    *around* counts the brackets that are open around an element. After the array, ``tail`` holds the start of what
    follows it.
    """

    def __init__(self, encoding: str, limit: int, around: int) -> None:
        self.encoding = encoding
        self.limit = limit
        self.around = around
        self.tail = b""
        self._depth = around
        self._buffer = b""
        self._start = 0  # of the element in the buffer
        self._at = 0  # scanned so far
        self._in_string = False
        self._line = 1  # where the element (what is left of it in the buffer) starts
        self._head: tuple[bytes, int] | None = None  # start and line of an element that is skipped
        self._dropped = 0  # bytes of it
        self._found: list[bytes] = []
        self._lines: list[int] = []
        self._size = 0

    def split(self, blocks: Iterator[bytes], start: int) -> Iterator[Chunk | TooLarge]:
        """Yield the elements of the array whose first one starts at *start* of the first block."""
        self._buffer = next(blocks)
        self._line += self._buffer.count(b"\n", 0, start)
        self._start = self._at = start
        while self._depth >= self.around:
            for end in self._ends():
                yield from self._element(end, last=self._depth < self.around)
                if self._size >= CHUNK_BYTES:
                    yield self._chunk()
            if self._depth < self.around:
                break
            self._drop()
            block = next(blocks, b"")
            if not block:
                # Not closed: the file is cut short, or quotes or brackets are not paired.
                yield from self._element(len(self._buffer), last=False)
                break
            self._buffer += block
        yield from self._rest(blocks)

    def _ends(self) -> Iterator[int]:
        """Yield the offset of every comma or bracket that ends an element; stops where the buffer or the array ends."""
        while self._at < len(self._buffer):
            if self._in_string:
                self._at = _string_end(self._buffer, self._at)
                if self._buffer[self._at : self._at + 1] != b'"':
                    return
                self._in_string = False
                self._at += 1
            for token in TOKEN.finditer(self._buffer, self._at):
                self._at = token.end()
                kind = token[0]
                if kind == b'"':  # one that the buffer does not close
                    self._in_string = True
                    break
                if kind in OPENING:
                    self._depth += 1
                elif kind in CLOSING:
                    self._depth -= 1
                    if self._depth < self.around:
                        yield self._at - 1
                        return
                elif kind == b"," and self._depth == self.around:
                    yield self._at - 1
            else:
                self._at = len(self._buffer)

    def _element(self, end: int, *, last: bool) -> Iterator[Chunk | TooLarge]:
        """Take the element that ends at *end*. Before the closing bracket an empty one is none."""
        ink = INK.search(self._buffer, self._start, end)
        if self._head:
            raw, line = self._head
            size = self._dropped + end - self._start
            yield from self._flush()
            yield TooLarge(line, size, self.limit, original(raw, self.encoding))
            self._head, self._dropped = None, 0
        elif ink or not last:
            first = ink.start() if ink else end
            self._found.append(self._buffer[first:end])
            self._lines.append(self._line + self._buffer.count(b"\n", self._start, first))
            self._size += end - first
        self._line += self._buffer.count(b"\n", self._start, end)
        self._start = end + 1

    def _drop(self) -> None:
        """Keep only what the current element needs; of one over the limit its start."""
        if self._head is None and len(self._buffer) - self._start > self.limit:
            self._head = self._buffer[self._start : self._start + RAW_BYTES], self._line
        if self._head:
            self._dropped += self._at - self._start
            self._line += self._buffer.count(b"\n", self._start, self._at)
            self._start = self._at
        self._buffer = self._buffer[self._start :]
        self._at -= self._start
        self._start = 0

    def _chunk(self) -> Chunk:
        ends = tuple(itertools.accumulate(map(len, self._found)))
        chunk = Chunk(b"".join(self._found), 0, ends, tuple(self._lines), self.encoding)
        self._found, self._lines, self._size = [], [], 0
        return chunk

    def _flush(self) -> Iterator[Chunk]:
        if self._found:
            yield self._chunk()

    def _rest(self, blocks: Iterator[bytes]) -> Iterator[Chunk]:
        """After a root array nothing may follow: what does is one broken record."""
        left = self._buffer[self._start :]
        size = 0
        for block in blocks:
            if len(left) < PREFIX:
                left += block
            size += len(block)
        self.tail = left
        if self.around == 1 and (ink := INK.search(left)):
            self._found.append(left[ink.start() :])
            self._lines.append(self._line + left.count(b"\n", 0, ink.start()))
        yield from self._flush()


def _string_end(buffer: bytes, at: int) -> int:
    found = STRING.match(buffer, at)
    return found.end() if found else at
