"""paths -> a source index: files of folders and repositories, samples of datasets, items of benchmarks."""

from __future__ import annotations

import contextlib
import csv
import functools
import gzip
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import pyarrow as pa

from governance.collect.files import Entry, Source, decode, open_sources
from governance.collect.licences import folder_licences, header_licence, installed_licences, nearest_licence
from governance.errors import InputError, UsageError
from governance.overlap.index import VIEWS
from governance.overlap.keyed import read_key
from governance.overlap.write import IndexWriter, NewSource

KINDS = ("auto", "source", "dataset", "benchmark")
MAX_FILE_BYTES = 32 << 20
DATASETS = (".jsonl", ".ndjson", ".csv", ".parquet", ".arrow", ".json")
COMPRESSED = (".gz", ".zst")
_BINARY = """7z a avif bin bmp bz2 class db dll dylib eot exe gif gz ico jar jpeg jpg lib mo mp3 mp4 npy npz o obj ogg
    otf pack pdf pkl png pyc pyd pyo so sqlite tar tgz tif tiff ttf wasm wav webm webp whl woff woff2 xz zip zst"""
BINARY = frozenset(f".{suffix}" for suffix in _BINARY.split())
IDS = ("task_id", "question_id", "problem_id", "item_id", "id", "name", "title", "slug")
_TEXTS = """prompt question text description instruction input problem content docstring context
    canonical_solution solution solutions reference reference_code code answer output completion response target
    test tests test_list test_cases unit_tests challenge_test_list test_setup_code"""
TEXTS = frozenset(_TEXTS.split())
"""Fields of a benchmark's records that are texts of the item. Where a record has none of them, all its strings are."""


@dataclass
class Indexed:
    """
    The account of one call.

    Attributes:
        skipped: how often each reason left a file out: ``binary``, ``too-large`` (over 32 MiB), ``undecodable``,
            ``unreadable``, ``symlink``, ``submodule``, ``special``; ``vendored`` and ``bookkeeping`` count folders,
            ``quarantined`` records, ``no-text`` items.
        large: names of files left out for their size, the first ten.
    """

    sources: int = 0
    texts: int = 0
    bytes: int = 0
    lexemes: dict[str, int] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    large: list[str] = field(default_factory=list)
    seconds: float = 0.0
    index: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return everything as one row for JSON."""
        rate = self.bytes / 1e6 / self.seconds if self.seconds else 0.0
        own = {name: getattr(self, name) for name in ("sources", "texts", "bytes", "lexemes", "large", "seconds")}
        return {**own, "megabytes_per_second": rate, "skipped": dict(+self.skipped), "index": self.index}


def build_index(
    paths: Sequence[str], out: Path, *, kind: str = "auto", licence: str | None = None, name: str | None = None,
    key: Path | None = None, text: bool = True, show_paths: bool = False, threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Indexed:  # fmt: skip
    """
    Add everything under *paths* to the index *out*, or make it; all of it or nothing.

    Args:
        paths: folders, files, git repositories, ``REPOSITORY@REVISION``, datasets, benchmark files.
        kind: ``source``, ``dataset`` or ``benchmark``; ``auto`` takes a file with the suffix of a dataset for one.
        licence: of what names none itself.
        name: what the sources are called in reports; the folder or file without it.
        key: file with the key of a keyed index; needed without *text*, refused with it.
        show_paths: let a keyed index name repositories and paths.
        progress: called with the bytes read since the last call.

    Raises:
        UsageError: options that do not go together.
        InputError: a path that cannot be read.
        SourceIndexError: the index is damaged, locked, or cannot be written.
    """
    if kind not in KINDS:
        raise UsageError(f"--kind {kind!r}: expected {', '.join(KINDS)}")
    if text and (key or show_paths):
        raise UsageError("--key and --paths belong to a keyed index; add --no-text, or leave them out")
    if not text and key is None:
        raise UsageError("--no-text needs --key FILE: without a key anybody could try texts against the fingerprints")
    account, start = Indexed(), time.perf_counter()
    workers = threads or len(os.sched_getaffinity(0))
    secret = read_key(key) if key else None
    with IndexWriter(out, key=secret, paths=show_paths, threads=workers) as writer:
        for path in paths:
            for source in _sources(Path(path), kind, writer, account, workers):
                size = sum(len(data) for _, data, _ in source.texts)
                writer.add(_named(source, licence, name))
                if progress:
                    progress(size)
    account.sources, account.texts, account.bytes = (writer.added[k] for k in ("sources", "texts", "bytes"))
    account.lexemes = {view: writer.added[view] for view in VIEWS}
    account.seconds = time.perf_counter() - start
    account.index = index_counts(out, writer.manifest)
    return account


def index_counts(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of a whole index, and what a lexeme of a view costs in bytes beyond the stored text."""
    segments = manifest["segments"]
    total = {k: sum(s[k] for s in segments) for k in ("sources", "texts", "bytes", *VIEWS)}
    beyond = sum(p["bytes"] for s in segments for name, p in s["parts"].items() if name != "text.bin")
    lexemes = sum(total[view] for view in VIEWS)  # each view has its own: the renamed one leaves out comments
    return {
        "path": str(folder),
        "keyed": manifest["keyed"],
        "segments": len(segments),
        **total,
        "fingerprints": sum(s["fingerprints"][v] for s in segments for v in VIEWS),
        "bytes_per_lexeme_and_view": beyond / lexemes if lexemes else 0.0,
    }


def _named(source: NewSource, licence: str | None, name: str | None) -> NewSource:
    from dataclasses import replace

    if (licence and not source.licence) or name:
        return replace(source, licence=source.licence or licence, name=name or source.name)
    return source


def _sources(path: Path, kind: str, writer: IndexWriter, account: Indexed, workers: int) -> Iterator[NewSource]:
    if kind == "auto":
        suffixes = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED][-1:]
        kind = "dataset" if path.is_file() and suffixes and suffixes[0] in DATASETS else "source"
    if kind == "dataset":
        yield from _samples(path, writer, account, workers)
    elif kind == "benchmark":
        yield from _items(path, account)
    else:
        for source in open_sources([path]):
            yield from _files(source, account)


def _files(source: Source, account: Indexed) -> Iterator[NewSource]:
    """Yield every text file of a folder, a file or a commit, with the licence of the file or else of its folder."""
    every = source.entries(account.skipped)
    licences = installed_licences(every, source.read) | folder_licences(every, source.read)
    for entry in every:
        text = _read(source, entry, account)
        if text is None:
            continue
        own = header_licence(text)
        yield NewSource(
            texts=(("", text.encode("utf-8", "surrogatepass"), ""),),
            kind="file",
            name=source.repository,
            repository=source.repository,
            commit=source.commit or None,
            path=entry.path,
            licence=(nearest_licence(entry.path, licences) if own is None else own) or None,
        )


def _read(source: Source, entry: Entry, account: Indexed) -> str | None:
    """Return the text of a file, or None with the reason counted."""
    reason, data, text = "", b"", None
    if PurePosixPath(entry.path).suffix.lower() in BINARY:
        reason = "binary"
    elif entry.size > MAX_FILE_BYTES:
        reason = "too-large"
        if len(account.large) < 10:
            account.large.append(entry.path)
    else:
        try:
            data = source.read(entry) if source.commit else _read_file(source, entry)
        except OSError:
            reason = "unreadable"
    if not reason:
        text = decode(data, python=entry.path.endswith(".py"))
        if text is None or "\0" in text:
            reason = "binary" if b"\0" in data else "undecodable"
    if reason:
        account.skipped[reason] += 1
        return None
    return text


def _read_file(source: Source, entry: Entry) -> bytes:
    # O_NOFOLLOW: a file swapped for a link after it was listed must not lead out of the folder.
    with os.fdopen(os.open(Path(source.root, entry.path), os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read(MAX_FILE_BYTES)


def _samples(path: Path, writer: IndexWriter, account: Indexed, workers: int) -> Iterator[NewSource]:
    """Yield every sample of a dataset; its texts in the order of the record, only outputs in the declared language."""
    from governance.ingest import ingest_files

    with writer.work() as work:
        ingested = ingest_files(path, work, processes=workers)
        account.skipped["quarantined"] += ingested.quarantine.num_rows
        with pa.memory_map(str(ingested.samples)) as mapped:
            reader = pa.ipc.open_file(mapped)
            for k in range(reader.num_record_batches):
                yield from _batch_sources(reader.get_batch(k), path.name)


def _batch_sources(batch: pa.RecordBatch, name: str) -> Iterator[NewSource]:
    wanted = ("texts", "file", "row", "repository", "commit", "path", "start_line", "licence", "language")
    columns = [batch.column(c).to_pylist() for c in wanted]
    for texts, file, row, repository, commit, path, line, licence, language in zip(*columns, strict=True):
        yield NewSource(
            texts=tuple(
                (
                    t["field"],
                    t["text"].encode("utf-8", "surrogatepass"),
                    (language or "") if t["role"] == "output" else "",
                )
                for t in texts
                if t["text"]
            ),
            kind="dataset", name=name, repository=repository, commit=commit, path=path, start_line=line, file=file,
            row=row, licence=licence,
        )  # fmt: skip


def _items(path: Path, account: Indexed) -> Iterator[NewSource]:
    """Yield every item of a benchmark file, or of the files of a folder; each text field and list entry is a text."""
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    known = [p for p in found if _bare_suffix(p) in DATASETS]
    if not known:
        raise InputError(f"{path}: holds no benchmark; expected {', '.join(DATASETS)}, also with .gz or .zst")
    for file in known:
        for row, record in enumerate(_records(file)):
            texts = tuple(_item_texts(record)) if isinstance(record, dict) else ()
            if not texts:
                account.skipped["no-text"] += 1
                continue
            own = next((str(record[k]) for k in IDS if isinstance(record.get(k), (str, int))), None)
            licence = record.get("licence") or record.get("license")
            yield NewSource(
                texts=texts,
                kind="benchmark",
                name=path.name,
                file=file.name,
                row=row,
                item=own or str(row),
                licence=licence if isinstance(licence, str) else None,
            )


def _bare_suffix(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _item_texts(record: dict[str, Any]) -> Iterator[tuple[str, bytes, str]]:
    named = [k for k in record if k.lower() in TEXTS]
    for key in named or [k for k in record if k.lower() not in IDS]:
        for field_, text in _strings(key, record[key]):
            if text.strip():
                yield field_, text.encode("utf-8", "surrogatepass"), ""


def _strings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value[:1] in "[{" and value[-1:] in "]}":
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(value)  # lists of solutions that stand as JSON in one field
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _strings(f"{name}/{number}", one) if not isinstance(one, str) else [(f"{name}/{number}", one)]
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _strings(f"{name}/{key}", one)


def _records(path: Path) -> Iterator[Any]:
    suffix = _bare_suffix(path)
    try:
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(path).iter_batches(1000):
                yield from batch.to_pylist()
        elif suffix == ".arrow":
            with pa.memory_map(str(path)) as mapped:
                yield from pa.ipc.open_stream(mapped).read_all().to_pylist()
        elif suffix == ".csv":
            csv.field_size_limit(64 << 20)
            yield from csv.DictReader(io.StringIO(_bytes(path).decode("utf-8-sig", "replace")))
        elif suffix == ".json":
            value = orjson.loads(_bytes(path))
            yield from value if isinstance(value, list) else [value]
        else:
            for number, line in enumerate(_bytes(path).split(b"\n"), 1):
                if line.strip():
                    yield _line(path, number, line)
    except OSError as problem:
        raise InputError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except (pa.ArrowException, orjson.JSONDecodeError, csv.Error, EOFError):
        raise InputError(f"{path}: is damaged, or not what its suffix says; expected {suffix[1:]}") from None


def _line(path: Path, number: int, line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        raise InputError(f"{path}:{number}: is not JSON; a benchmark is indexed whole or not at all") from None


def _bytes(path: Path) -> bytes:
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as file:
            return file.read()
    data = path.read_bytes()
    if path.suffix.lower() == ".zst":
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            return bytes(stream.read())
    return data


def find_in_file(
    file: Path, folder: Path, *, least: int = 50, view: str = "both", language: str = "", key: Path | None = None
) -> tuple[list[dict[str, Any]], bool]:
    """
    Return the runs that the text *file* (``-``: standard input) shares with the index in *folder*, as rows to print,
    and whether all places were looked at; see ``unfinished`` of `SourceIndex.find`.

    What is sensitive in names, paths and the other strings of sources is masked.

    Raises:
        InputError: the file cannot be read or is no text.
        UsageError: an unknown view.
        SourceIndexError: the index is damaged, of another version, or not to be asked without its key.
    """
    import sys

    from governance.languages.detect import language_number, path_number
    from governance.languages.lexer import LANGUAGES
    from governance.overlap.lookup import SourceIndex
    from governance.scan.sensitive import SensitiveText

    if view not in (*VIEWS, "both"):
        raise UsageError(f"--view {view!r}: expected verbatim, renamed or both")
    if language and language_number(language) is None:
        raise UsageError(f"--language {language!r} is unknown; known are {', '.join(LANGUAGES)}")
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as problem:
        raise InputError(f"{file}: cannot be read: {problem.strerror}") from None
    text = decode(data, python=file.suffix == ".py")
    if text is None:
        raise InputError(f"{file}: is no text in UTF-8, UTF-16 or GB18030")
    index = SourceIndex.open(folder, read_key(key) if key else None)
    number = language_number(language) if language else path_number(str(file))
    languages = None if number is None else [LANGUAGES[number]]
    runs = index.find([text], least=least, views=VIEWS if view == "both" else (view,), languages=languages)
    sources = index.sources.take(runs["source"].combine_chunks())
    mask = functools.cache(SensitiveText.of().masked)
    rows = []
    for run, source in zip(runs.to_pylist(), sources.to_pylist(), strict=True):
        shown = {k: v for k, v in run.items() if k != "text"}
        shown |= {k: v for k, v in source.items() if k not in shown}
        rows.append({k: mask(v) if isinstance(v, str) else v for k, v in shown.items()})
    return rows, not (runs.schema.metadata or {}).get(b"unfinished")
