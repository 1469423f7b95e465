"""sources -> a new segment or more of a source index, in the order they come; all of them or none."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.errors import SourceIndexError, UsageError
from governance.files import sync_folder, sync_tree, write_durably
from governance.languages.detect import language_ids
from governance.languages.lexer import lex_texts
from governance.overlap.blocks import find_blocks
from governance.overlap.index import (
    MANIFEST,
    SOURCES,
    TEXTS,
    VIEWS,
    check_parts,
    expected_header,
    read_manifest,
    seal_manifest,
)
from governance.overlap.keyed import key_check, keyed_hashes
from governance.overlap.winnow import directory_bits, sort_fingerprints, view_lexemes, winnow

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_BYTES = 4 << 20  # of text that one thread lexes at a time
SEGMENT_BYTES = 512 << 20  # of text; its fingerprints are sorted in memory (about 1 GB with both views)
MAX_TEXT = 1 << 30  # bytes; a place has 32 bits
_EMPTY = {"sources": 0, "texts": 0, "bytes": 0, "verbatim": 0, "renamed": 0}


@dataclass(frozen=True, slots=True)
class NewSource:
    """
    One source; the fields are the columns of `SOURCES`, but for ``texts``: (field, UTF-8 bytes, language) of each.

    A language that is empty is told from the path, or else guessed.
    """

    texts: tuple[tuple[str, bytes, str], ...]
    kind: str = "file"
    name: str | None = None
    repository: str | None = None
    commit: str | None = None
    path: str | None = None
    start_line: int | None = None
    file: str | None = None
    row: int | None = None
    item: str | None = None
    licence: str | None = None


@dataclass
class _Batch:
    """A lexed batch: places count from its own first lexeme; rows of blocks as in blocks.bin, from its own start."""

    data: bytes
    sources: pa.RecordBatch
    texts: pa.RecordBatch
    blocks: NDArray[np.int64]
    hashes: dict[str, NDArray[np.uint64]]
    places: dict[str, NDArray[np.uint32]]
    halves: dict[str, NDArray[np.uint8]]  # one per lexeme
    lexemes: dict[str, int]


class _Stream:
    """A file that is written piece by piece, and its SHA-256."""

    def __init__(self, path: Path) -> None:
        self.file = _create(path)
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.size += len(data)

    def close(self) -> dict[str, Any]:
        """Close the file and describe it as the manifest does."""
        self.file.close()
        return {"bytes": self.size, "sha256": self.digest.hexdigest()}


class _Halves(_Stream):
    """A stream of half bytes, two in a byte, the first one low."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._odd = np.empty(0, np.uint8)

    def add(self, halves: NDArray[np.uint8]) -> None:
        both = np.concatenate([self._odd, halves])
        even = both.size & ~1
        self.write((both[:even:2] | (both[1:even:2] << 4)).data)
        self._odd = both[even:]

    def close(self) -> dict[str, Any]:
        self.write(self._odd.tobytes())
        return super().close()


@dataclass
class _Open:
    """The segment that is being filled."""

    name: str
    folder: Path
    text: _Stream | None
    halves: dict[str, _Halves]
    counts: dict[str, int] = field(default_factory=lambda: dict(_EMPTY))
    sources: list[pa.RecordBatch] = field(default_factory=list)
    texts: list[pa.RecordBatch] = field(default_factory=list)
    blocks: list[NDArray[np.int64]] = field(default_factory=list)
    hashes: dict[str, list[NDArray[np.uint64]]] = field(default_factory=lambda: {v: [] for v in VIEWS})
    places: dict[str, list[NDArray[np.uint32]]] = field(default_factory=lambda: {v: [] for v in VIEWS})


class IndexWriter:
    """
    Adds sources to the index in *folder*, or makes it; a context manager, and only its quiet end keeps anything.

    Args:
        key: makes a keyed index: fingerprints under HMAC, no text.
        paths: whether a keyed index names repositories, commits, paths, rows and items.
        threads: that lex and winnow; the result does not depend on it.
        segment_bytes: text per segment.

    Raises:
        SourceIndexError: another process writes, the index is damaged or of another version, or cannot be written.
        UsageError: *folder* holds something else, or an index of the other kind or under another key.
    """

    def __init__(
        self, folder: Path, *, key: bytes | None = None, paths: bool = False, threads: int = 2,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.key = key
        self.paths = paths
        self.segment_bytes = segment_bytes
        self.added = dict(_EMPTY)
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads)
        self._waiting: deque[Future[_Batch]] = deque()
        self._batch: list[NewSource] = []
        self._size = 0
        self._segment: _Open | None = None
        self._new: list[dict[str, Any]] = []
        self._lock = -1
        self.manifest: dict[str, Any] = {}

    def __enter__(self) -> IndexWriter:
        with _writable(self.folder):
            made = not self.folder.exists()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            strange = [p.name for p in self.folder.iterdir() if not _ours(p.name)]
            if not made and not (self.folder / MANIFEST).exists() and strange:
                raise UsageError(f"{self.folder}: is a folder with other files and no source index; name a new folder")
            self.folder.chmod(0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._lock)
                raise SourceIndexError(f"{self.folder}: another process writes to this index; try again later") from None  # fmt: skip  # noqa: E501
        try:
            self.manifest = self._known()
            self._sweep()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def _known(self) -> dict[str, Any]:
        check = key_check(self.key) if self.key is not None else None
        if not (self.folder / MANIFEST).exists():
            return {**expected_header(check), "segments": []}
        manifest = read_manifest(self.folder)
        if manifest["keyed"] != (self.key is not None):
            kind, other = ("keyed", "with --no-text and --key") if manifest["keyed"] else ("not keyed", "without --key")
            raise UsageError(f"{self.folder}: the index is {kind}; add to it {other}, or name a new folder")
        if manifest["key_check"] != check:
            raise UsageError(f"{self.folder}: the index was made with another key; give that one, or name a new folder")
        check_parts(self.folder, manifest, contents=False)
        return manifest

    def _sweep(self) -> None:
        known = {segment["name"] for segment in self.manifest["segments"]}
        for path in self.folder.iterdir():
            if path.is_dir() and path.name.startswith("segment-") and path.name not in known:
                shutil.rmtree(path)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with _writable(self.folder):
                    self._commit()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            if self._segment is not None:
                for stream in (self._segment.text, *self._segment.halves.values()):
                    if stream is not None:
                        stream.file.close()
            with contextlib.suppress(OSError):  # a disk that refuses refuses this as well; the next writer sweeps
                self._sweep()
            os.close(self._lock)

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """A private folder for the files of the caller; gone afterwards, or swept by the next writer."""
        path = self.folder / "segment-work"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def add(self, source: NewSource) -> None:
        """Take one source. Raises ValueError for an unknown kind or a text of 1 GiB or more."""
        size = sum(len(data) for _, data, _ in source.texts)
        if size >= MAX_TEXT:
            raise ValueError(f"a source of {size} bytes, expected less than {MAX_TEXT}")
        self._batch.append(source)
        self._size += size + 64
        if self._size >= BATCH_BYTES:
            self._submit()

    def _submit(self) -> None:
        batch, self._batch, self._size = self._batch, [], 0
        self._waiting.append(self._pool.submit(_lex_batch, batch, self.key, self.paths))
        while len(self._waiting) > self._threads + 1:
            self._take(self._waiting.popleft().result())

    def _take(self, batch: _Batch) -> None:
        with _writable(self.folder):
            if self._segment is not None and self._segment.counts["bytes"] + len(batch.data) > self.segment_bytes:
                self._finish()
            if self._segment is None:
                self._segment = self._start()
            segment, counts = self._segment, self._segment.counts
            for view in VIEWS:
                segment.hashes[view].append(batch.hashes[view])
                segment.places[view].append(batch.places[view] + np.uint32(counts[view]))
                if view in segment.halves:
                    segment.halves[view].add(batch.halves[view])
            before = [[counts["bytes"]], [counts["verbatim"]], [counts["renamed"]], [0]]
            segment.blocks.append(batch.blocks + np.array(before, np.int64))
            segment.sources.append(batch.sources)
            segment.texts.append(_moved(batch.texts, counts["sources"], counts["bytes"] if segment.text else 0))
            if segment.text is not None:
                segment.text.write(batch.data)
            numbers = (batch.sources.num_rows, batch.texts.num_rows, len(batch.data), *batch.lexemes.values())
            for name, number in zip(_EMPTY, numbers, strict=True):
                counts[name] += number
                self.added[name] += number

    def _start(self) -> _Open:
        taken = [int(s["name"].rpartition("-")[2]) for s in (*self.manifest["segments"], *self._new)]
        name = f"segment-{max(taken, default=0) + 1:06d}"
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if self.key is not None:
            return _Open(name, folder, None, {})
        return _Open(name, folder, _Stream(folder / "text.bin"), {v: _Halves(folder / f"{v}.lex") for v in VIEWS})

    def _finish(self) -> None:
        """Sort the fingerprints of the open segment, write its other parts, and describe it."""
        segment = self._segment
        if segment is None:
            return
        parts: dict[str, dict[str, Any]] = {}
        if segment.text is not None:
            parts["text.bin"] = segment.text.close()
            parts |= {f"{view}.lex": stream.close() for view, stream in segment.halves.items()}
            blocks = np.concatenate(segment.blocks, axis=1).astype(np.uint32)
            parts["blocks.bin"] = _write(segment.folder / "blocks.bin", [blocks.reshape(-1)])
        bits, fingerprints = {}, {}
        for view in VIEWS:
            hashes, places = np.concatenate(segment.hashes.pop(view)), np.concatenate(segment.places.pop(view))
            bits[view], fingerprints[view] = directory_bits(hashes.size), hashes.size
            directory = np.zeros((1 << bits[view]) + 1, np.uint32)
            rest, sorted_places = np.empty(hashes.size, np.uint32), np.empty(hashes.size, np.uint32)
            sort_fingerprints(hashes, places, bits[view], directory, rest, sorted_places)
            parts[f"{view}.bin"] = _write(segment.folder / f"{view}.bin", (directory, rest, sorted_places))
        parts["sources.arrow"] = _write_table(segment.folder / "sources.arrow", segment.sources, SOURCES)
        parts["texts.arrow"] = _write_table(segment.folder / "texts.arrow", segment.texts, TEXTS)
        sync_tree(segment.folder)
        self._new.append(
            {"name": segment.name, **segment.counts, "bits": bits, "fingerprints": fingerprints, "parts": parts}
        )
        self._segment = None

    def _commit(self) -> None:
        if self._batch:
            self._submit()
        while self._waiting:
            self._take(self._waiting.popleft().result())
        self._finish()
        self.manifest = {**self.manifest, "segments": [*self.manifest["segments"], *self._new]}
        sync_folder(self.folder)
        write_durably(self.folder / MANIFEST, seal_manifest(self.manifest))
        (self.folder / MANIFEST).chmod(0o600)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise SourceIndexError(f"{folder}: cannot be written: {problem.strerror or problem}") from None


def _ours(name: str) -> bool:
    return name in (MANIFEST, "lock") or name.startswith(("segment-", f".{MANIFEST}."))


def _create(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write(path: Path, arrays: Sequence[NDArray[Any]]) -> dict[str, Any]:
    stream = _Stream(path)
    with stream.file:
        for array in arrays:
            stream.write(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
        return stream.close()


def _write_table(path: Path, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> dict[str, Any]:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_batches(batches, schema).combine_chunks()  # how texts were batched does not show
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table, max_chunksize=1 << 20)
    return _write(path, [np.frombuffer(sink.getvalue(), np.uint8)])


def _moved(texts: pa.RecordBatch, source: int, start: int) -> pa.RecordBatch:
    """Number the sources, and place the texts, of a batch as they are in the segment."""
    by = {"source": source, "start": start, "end": start}
    columns = [
        pa.array(texts.column(name).to_numpy() + by[name]) if name in by else texts.column(name) for name in TEXTS.names
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TEXTS)


def _lex_batch(batch: Sequence[NewSource], key: bytes | None, paths: bool) -> _Batch:
    """Lex and winnow the texts of *batch*."""
    texts = [text for source in batch for _, text, _ in source.texts]
    per_source = np.array([len(source.texts) for source in batch], np.int64)
    of = np.repeat(np.arange(len(batch), dtype=np.int64), per_source)
    data = b"".join(texts)
    flat = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in texts])]).astype(np.int64)
    declared = [language for source in batch for _, _, language in source.texts]
    languages = language_ids(declared, [batch[i].path or "" for i in of.tolist()], flat, offsets)
    lexed = lex_texts(flat, offsets, languages)
    hashes, places, halves, counts, totals = {}, {}, {}, {}, {}
    numbers = np.arange(lexed.verbatim.size, dtype=np.int64)
    for number, view in enumerate(VIEWS):
        values, _, ends = view_lexemes(getattr(lexed, view), numbers, lexed.text_ends)
        found, at = np.empty(values.size, np.uint64), np.empty(values.size, np.uint32)
        used = winnow(values, numbers[: values.size], ends, 0, found, at)
        hashes[view] = found[:used].copy() if key is None else keyed_hashes(found[:used].copy(), number, key)
        places[view] = at[:used].copy()
        halves[view] = (values & np.uint64(15)).astype(np.uint8)
        counts[view], totals[view] = np.diff(ends), values.size
    fields = [field for source in batch for field, _, _ in source.texts]
    kept = np.zeros_like(offsets) if key is not None else offsets
    columns = [of, fields, languages, kept[:-1], kept[1:], counts["verbatim"], counts["renamed"]]
    table = pa.RecordBatch.from_arrays([pa.array(c, f.type) for c, f in zip(columns, TEXTS, strict=True)], schema=TEXTS)
    return _Batch(
        data=b"" if key is not None else data,
        sources=_source_rows(batch, shown=key is None or paths),
        texts=table,
        blocks=find_blocks(lexed, flat, offsets, languages) if key is None else np.empty((4, 0), np.int64),
        hashes=hashes, places=places, halves=halves, lexemes=totals,
    )  # fmt: skip


def _source_rows(batch: Sequence[NewSource], *, shown: bool) -> pa.RecordBatch:
    always = ("kind", "licence")
    columns = [
        pa.array([getattr(s, f.name) if shown or f.name in always else None for s in batch], f.type) for f in SOURCES
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SOURCES)
