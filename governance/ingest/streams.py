"""a file -> its bytes as UTF-8: hashed as they are read, decompressed, transcoded."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from governance.errors import InputError

BLOCK = 4 << 20  # bytes read at once
PREFIX = 256 << 10  # bytes that the encoding is guessed from
ZSTD_BLOCK = 8 << 10
"""Compressed bytes given to zstd at once: an RLE block makes 128 KiB of 4 bytes, so this bounds what comes out."""

ENCODINGS = {
    "utf-8": "utf-8",
    "ascii": "utf-8",
    "utf-8-sig": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
}
GB_BOM = b"\x84\x31\x95\x33"


class HashedFile(io.RawIOBase):
    """A file opened to be read once: hashes and counts what passes."""

    def __init__(self, path: Path, progress: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._hash = hashlib.sha256()
        self._progress = progress
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer) or 0
        self._hash.update(memoryview(buffer)[:count])
        self.bytes += count
        if self._progress and count:
            self._progress(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def finish(self) -> str:
        """Read what is left and return the SHA-256 of the whole file."""
        buffer = memoryview(bytearray(1 << 20))
        while self.readinto(buffer):
            pass
        return self._hash.hexdigest()


def encoding_name(encoding: str) -> str:
    """
    Return the one name that this package has for *encoding*.

    Raises:
        InputError: unknown or not supported.
    """
    if encoding == "auto":
        return encoding
    try:
        return ENCODINGS[codecs.lookup(encoding).name]
    except (LookupError, ValueError):
        known = "auto, utf-8, gb18030, utf-16, utf-16-le, utf-16-be"
        raise InputError(f"encoding {encoding!r} is not known here; expected one of {known}") from None


def blocks(file: HashedFile, name: str, compression: str) -> Iterator[bytes]:
    """
    Yield the decompressed bytes of *file*.

    Raises:
        InputError: the file is not what its suffix says, or is cut short.
    """
    try:
        if compression == "gz":
            yield from _gunzip(file)
        elif compression == "zst":
            yield from _unzstd(file)
        else:
            while block := file.read(BLOCK):
                yield block
    except EOFError:
        raise InputError(f"{name}: the {compression} data are cut short; copy the file again") from None
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError):
        raise InputError(
            f"{name}: not valid {compression} data; expected what the suffix says, write it again"
        ) from None
    except OSError as problem:
        raise InputError(f"{name}: cannot be read: {problem.strerror or 'unknown error'}") from None


def _gunzip(file: HashedFile) -> Iterator[bytes]:
    buffered = io.BufferedReader(file, 1 << 20)
    try:
        with gzip.GzipFile(fileobj=buffered) as stream:
            while block := stream.read1(BLOCK):
                yield block
    finally:
        buffered.detach()  # or the buffer closes the file when it goes


def _unzstd(file: HashedFile) -> Iterator[bytes]:
    """Frame by frame, because zstandard's own reader takes a cut frame for the end of the file."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    started = False
    while data := file.read(ZSTD_BLOCK):
        while data:
            started = True
            if out := frame.decompress(data):
                yield out
            data = b""
            if frame.eof:
                data = frame.unused_data
                frame = zstandard.ZstdDecompressor().decompressobj()
                started = False
    if started:
        raise EOFError


def transcode(source: Iterator[bytes], encoding: str, name: str) -> tuple[str, Iterator[bytes]]:
    """
    Return the encoding (guessed where it is ``auto``) and the blocks of *source* as UTF-8, byte order mark stripped.

    A byte that the encoding does not allow comes out as a byte that UTF-8 does not allow, so it spoils its own record
    and no other.

    Raises:
        InputError: UTF-32.
    """
    prefix = b""
    while len(prefix) < PREFIX and (block := next(source, b"")):
        prefix += block
    if prefix.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise InputError(f"{name}: UTF-32 is not supported; save the file as UTF-8")
    if encoding == "auto":
        encoding = guess(prefix)
    elif encoding == "utf-16":
        big = prefix.startswith(codecs.BOM_UTF16_BE) or (prefix[:1] == b"\0" and prefix[1:2] != b"\0")
        encoding = "utf-16-be" if big else "utf-16-le"
    marks = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    rest = _chain(prefix.removeprefix(marks.get(encoding, GB_BOM)), source)
    return encoding, rest if encoding == "utf-8" else _recode(rest, encoding)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _recode(source: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    wide = encoding != "gb18030"
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if wide else "surrogateescape")
    for block in source:
        if text := decoder.decode(block):
            yield text.encode("utf-8", "surrogatepass")
    left = decoder.getstate()[0]
    if left:
        # Half a code unit at the end of the file: nothing can be made of it but a bad record.
        yield b"".join(chr(0xDC00 + byte).encode("utf-8", "surrogatepass") for byte in left)


def guess(prefix: bytes) -> str:
    """
    Return the encoding of a file that starts with *prefix*.

    A byte order mark decides; then zeros in every second of the first bytes (all formats start with an ASCII
    character); then whether the text is UTF-8. GB18030 is chosen only if the prefix has at least two places that are
    not UTF-8, more than it has characters of UTF-8 that are not ASCII, its lines are GB18030, and most of its pairs
    are those of GB 2312. So neither one damaged record nor Latin-1 makes a file Chinese.

    >>> guess("{}".encode("utf-16-le")), guess("用户故事".encode("gb18030")), guess(b"caf\\xe9 {}")
    ('utf-16-le', 'gb18030', 'utf-8')
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (GB_BOM, "gb18030"),
    ):
        if prefix.startswith(mark):
            return name
    head = prefix[:4]
    if len(head) >= 2 and len(head) % 2 == 0 and not any(head[1::2]) and all(0 < b < 128 for b in head[::2]):
        return "utf-16-le"
    if len(head) >= 2 and len(head) % 2 == 0 and not any(head[::2]) and all(0 < b < 128 for b in head[1::2]):
        return "utf-16-be"
    return "gb18030" if _is_gb18030(prefix[:PREFIX]) else "utf-8"


def _is_gb18030(data: bytes) -> bool:
    if data.isascii():
        return False
    read = data.decode("utf-8", "replace")
    damaged = read.count("\ufffd")
    if damaged < 2 or damaged <= len(re.findall(r"[^\x00-\x7f\ufffd]", read)):
        return False
    bad = good = 0
    for line in data.split(b"\n"):
        if not line.isascii():
            try:
                codecs.getincrementaldecoder("gb18030")().decode(line)  # which lets the last character be cut
                good += 1
            except UnicodeDecodeError:
                bad += 1
    high = len(re.findall(rb"[\xa1-\xf7][\xa1-\xfe]", data))
    low = len(re.findall(rb"[\x81-\xfe][\x40-\x7e]", data))
    return good > bad and high > low
