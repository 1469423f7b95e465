"""a dataset (file or folder) -> one Arrow file of samples, the quarantine, and the digests of what was read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from governance.errors import InputError
from governance.ingest.documents import json_chunks
from governance.ingest.lines import TooLarge, line_chunks
from governance.ingest.output import Writer
from governance.ingest.parse import Chunk, Parsed, Parser
from governance.ingest.sources import BINARY, Source, find_sources
from governance.ingest.streams import HashedFile, blocks, encoding_name, transcode
from governance.ingest.tables import arrow_rows, csv_rows, parquet_rows
from governance.ingest.workers import Workers
from governance.samples import PROVENANCE, ROLES

INLINE_BYTES = 8 << 20
"""Below this a dataset is parsed before a worker would have started."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """
    One file that was read.

    Attributes:
        name: relative to the dataset folder, or the file's name.
        sha256: of the bytes as they are on disk, 64 hex digits.
        format: ``jsonl``, ``json``, ``csv`` (with ``.gz`` or ``.zst``), ``parquet``, ``arrow``.
        encoding: ``utf-8``, ``gb18030``, ``utf-16-le`` or ``utf-16-be``; empty for binary formats.
        shape: the shapes found, joined by comma; empty where no record could be read.
        records: all records, those in quarantine included.
    """

    path: Path
    name: str
    sha256: str
    bytes: int
    format: str
    encoding: str
    shape: str
    records: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """
    A dataset that was read.

    Attributes:
        samples: Arrow IPC file of SAMPLES batches of at most 2,000 rows and, unless one sample is larger, 4 MiB.
        count: samples in it.
        records: all records, those in quarantine included.
        digest: SHA-256 over, per sample in order, the raw sample id, the length of the canonical metadata (8 bytes,
            little-endian) and the canonical metadata: the record without its texts, keys sorted. Where records are
            bad it is the SHA-256 over that and the SHA-256 over all `output.bad_identity`.
        dataset: the file or folder that was named; None for a stored dataset.
    """

    samples: Path
    count: int
    records: int
    quarantine: pa.Table
    files: tuple[InputFile, ...]
    digest: str
    dataset: Path | None = None


def ingest_files(
    dataset: Path,
    work: Path,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str = "auto",
    max_row_bytes: int = 64 << 20,
    progress: Callable[[int], None] | None = None,
    processes: int = 2,
    mask: Callable[[str], str] = str,
) -> Ingested:
    """
    Read *dataset* into ``work/samples.arrow`` and ``work/quarantine.arrow``.

    A record that cannot be read is quarantined with its reason and is never an error; the result is the same for any
    number of *processes*.

    Args:
        columns: source column -> ``system``, ``instruction``, ``input``, ``output``, ``text`` or a name of PROVENANCE.
        encoding: ``auto``, ``utf-8``, ``gb18030``, ``utf-16``, ``utf-16-le`` or ``utf-16-be``; of text files.
        progress: called with the bytes read since the last call.
        mask: hides what may not be shown of a file's name.

    Raises:
        InputError: a file that cannot be read at all, a wrong encoding or column map.
    """
    encoding = encoding_name(encoding)
    _check_columns(columns or {})
    sources = find_sources(Path(dataset), mask)
    parser = Parser(columns, max_row_bytes)
    size = sum(_size(s) for s in sources if s.format not in BINARY)
    files = []
    with Writer(Path(work)) as out, Workers(parser, processes if size >= INLINE_BYTES else 0) as workers:
        for source in sources:
            files.append(_ingest(source, parser, workers, out, encoding, progress))
    return Ingested(out.samples, out.count, out.records, out.quarantine, tuple(files), out.digest, Path(dataset))


def _check_columns(columns: Mapping[str, str]) -> None:
    allowed = (*ROLES, "text", *PROVENANCE)
    for source, target in columns.items():
        if target not in allowed:
            raise InputError(f"column map: {source!r} is mapped to {target!r}; expected one of {', '.join(allowed)}")
    if columns and not any(t in (*ROLES, "text") for t in columns.values()):
        raise InputError(f"column map: no column is mapped to a text; expected one of {', '.join((*ROLES, 'text'))}")


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size
    except OSError as problem:
        raise InputError(f"{source.name}: cannot be read: {problem.strerror}") from None


def _ingest(
    source: Source,
    parser: Parser,
    workers: Workers,
    out: Writer,
    encoding: str,
    progress: Callable[[int], None] | None,
) -> InputFile:
    try:
        file = HashedFile(source.path, progress)
    except OSError as problem:
        raise InputError(f"{source.name}: cannot be read: {problem.strerror}") from None
    with file:
        out.start(source.name)
        if source.format in BINARY:
            encoding = ""
            # These are read by path, so they are hashed before: bytes that change meanwhile differ at the end.
            sha256 = file.finish()
            rows = parquet_rows if source.format == "parquet" else arrow_rows
            for batch in rows(source.path, source.name):
                out.add(parser.parse_rows(batch))
        else:
            encoding, data = transcode(blocks(file, source.name, source.compression), encoding, source.name)
            for parsed in _parse(source, parser, workers, data, encoding):
                out.add(parsed)
            sha256 = file.finish()
        return InputFile(
            source.path,
            source.name,
            sha256,
            file.bytes,
            source.kind,
            encoding,
            ", ".join(sorted(out.shapes)),
            out.file_records,
            out.file_quarantined,
        )


def _parse(source: Source, parser: Parser, workers: Workers, data: Iterator[bytes], encoding: str) -> Iterator[Parsed]:
    if source.format == "csv":
        for rows in csv_rows(data, source.name, encoding, parser.max_row_bytes):
            yield parser.parse_rows(rows)
        return
    chunks: Iterable[Chunk | TooLarge]
    if source.format == "json":
        chunks = json_chunks(data, source.name, encoding, parser.reader, parser.max_row_bytes)
    else:
        chunks = line_chunks(data, encoding, parser.max_row_bytes)
    yield from workers.map(chunks)


def files_unchanged(
    files: Iterable[InputFile], dataset: Path | None = None, mask: Callable[[str], str] = str
) -> list[str]:
    """
    Hash *files* again and return the names of those that are gone or whose bytes are not those that were read.

    Of a folder *dataset* the names of files that it now has beside them too, so that a file that was added or renamed
    while the rest was read is not passed over.
    """
    files = list(files)
    changed = [] if dataset is None else _listed_otherwise(dataset, files, mask)
    for file in files:
        digest = hashlib.sha256()
        try:
            with file.path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError:
            changed.append(file.name)
            continue
        if digest.hexdigest() != file.sha256:
            changed.append(file.name)
    return list(dict.fromkeys(changed))


def _listed_otherwise(dataset: Path, files: Sequence[InputFile], mask: Callable[[str], str]) -> list[str]:
    """Names of the files that *dataset* lists now and did not, or did and does not any more."""
    try:
        now = {source.path: source.name for source in find_sources(dataset, mask)}
    except InputError:  # gone, empty, or with a file that cannot be read: no longer what was read
        return [mask(dataset.name)]
    then = {file.path: file.name for file in files}
    other = [*(n for p, n in then.items() if p not in now), *(n for p, n in now.items() if p not in then)]
    return other or ([] if list(now) == list(then) else [mask(dataset.name)])
