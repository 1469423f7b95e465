"""a folder -> the parts of a source index, checked and mapped into memory.

    INDEX/
      manifest.json        what is in it, the SHA-256 of every part, and its own
      lock                 held while somebody writes
      segment-000001/      one or more for every `governance index` call; never changed again
        text.bin           the texts of the sources, one after another
        verbatim.bin       fingerprints of the verbatim view, sorted: directory, rest of the hash, place
        renamed.bin        fingerprints of the renamed view
        verbatim.lex       half a byte of the hash of every lexeme, in their order
        renamed.lex
        blocks.bin         where a text can be lexed from: byte, lexemes before it in both views, line
        sources.arrow      a row per source
        texts.arrow        a row per text of a source

Fingerprints and places are 4 bytes each, and there is one directory entry of 4 bytes for four to eight of them, so that
with its half byte a lexeme costs about 0.075 * 9 + 0.5 = 1.2 bytes per view, sources not counted. A place is the number
of a lexeme in its view, counted through the segment. A keyed index has fingerprints, sources and the lengths of texts,
and nothing else.

The manifest is replaced as a whole after the new segments are on disk, so a killed writer leaves the index as it was;
the next one sweeps what it left. The folder is readable by its owner only: it holds text.
"""

from __future__ import annotations

import functools
import hashlib
import json
import mmap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.errors import SourceIndexError
from governance.files import canonical, sha256_file
from governance.languages.lexer import LANGUAGES, lex_texts
from governance.overlap.winnow import K, W

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
VIEWS = ("verbatim", "renamed")
KINDS = ("file", "dataset", "benchmark")
MANIFEST = "manifest.json"

SOURCES = pa.schema(
    [
        ("kind", pa.string()),  # file, dataset, benchmark
        ("name", pa.string()),  # of the index call: the folder, repository or file that was named, or --name
        ("repository", pa.string()),
        ("commit", pa.string()),
        ("path", pa.string()),  # of the file in its repository or folder; of a sample, of the file it came from
        ("start_line", pa.int64()),  # of a sample: where it stands in the file it came from, from 1
        ("file", pa.string()),  # of a sample or item: the dataset's file
        ("row", pa.int64()),  # and the record in it, from 0
        ("item", pa.string()),  # of an item: the benchmark's own id
        ("licence", pa.string()),
    ]
)

TEXTS = pa.schema(
    [
        ("source", pa.int64()),  # row of sources.arrow in the same segment
        ("field", pa.string()),  # of a dataset or benchmark; empty for a file
        ("language", pa.uint8()),  # place in LANGUAGES
        ("start", pa.int64()),  # bytes of text.bin; in a keyed index all 0
        ("end", pa.int64()),
        ("verbatim", pa.int64()),  # lexemes
        ("renamed", pa.int64()),
    ]
)

_LEXED = (
    "def get_total(order: Order, *, rate=0.25e-3) -> int:\n"
    '    """Total in cents; 订单 naïve. """\n'
    "    return a[0x1F] != b'x' and c <<= 3 // 4  # why?\n"
    "/* c */ String s = \"a\\\"b\"; -- sql 'it''s'\n`t ${x}` <tag/> $v @a #!z ?? ... ::\u00a0=>\n"
)


@functools.cache
def lexer_version() -> str:
    """
    Return what identifies how texts are lexed: the SHA-256 of the lexemes of one text in every language, 16 digits.

    An index made by a lexer that reads this text otherwise is of no use: its fingerprints are of other lexemes.
    """
    data = np.frombuffer(_LEXED.encode() * len(LANGUAGES), np.uint8)
    offsets = np.arange(len(LANGUAGES) + 1, dtype=np.int64) * len(_LEXED.encode())
    found = lex_texts(data, offsets, np.arange(len(LANGUAGES), dtype=np.uint8))
    seen = hashlib.sha256(",".join(LANGUAGES).encode())
    for values in (found.verbatim, found.renamed):
        seen.update(np.ascontiguousarray(values, np.uint64).tobytes())
    for places in (found.starts, found.ends, found.text_ends):
        seen.update(np.ascontiguousarray(places, np.int64).tobytes())
    return seen.hexdigest()[:16]


def expected_header(key_check: str | None) -> dict[str, Any]:
    """Return the part of the manifest that all segments of an index agree in, and readers insist on."""
    return {
        "format": FORMAT,
        "k": K,
        "w": W,
        "lexer": lexer_version(),
        "views": list(VIEWS),
        "keyed": key_check is not None,
        "key_check": key_check,
    }


def seal_manifest(manifest: dict[str, Any]) -> bytes:
    """Return *manifest* as bytes, with the SHA-256 of all the rest of it in ``sha256``."""
    body = {k: v for k, v in manifest.items() if k != "sha256"}
    return canonical({**body, "sha256": hashlib.sha256(canonical(body)).hexdigest()})


def read_manifest(folder: Path) -> dict[str, Any]:
    """
    Return the manifest of the index in *folder*.

    Raises:
        SourceIndexError: there is none, it is damaged, or of another format, lexer or k and w.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SourceIndexError(f"{folder}: is no source index: {MANIFEST} is missing; `governance index` makes one") from None  # fmt: skip  # noqa: E501
    except OSError as problem:
        raise SourceIndexError(f"{path}: cannot be read: {problem.strerror}") from None
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise SourceIndexError(f"{path}: is not the manifest of a source index, or damaged; build the index again")
    if manifest["format"] != FORMAT:
        raise SourceIndexError(
            f"{path}: the index has format {manifest['format']!r:.40}, expected {FORMAT}; build it again"
        )
    if data != seal_manifest(manifest):
        raise SourceIndexError(f"{path}: was changed after it was written; build the index again")
    wanted = expected_header(manifest["key_check"])
    for name, value in wanted.items():
        if manifest.get(name) != value:
            raise SourceIndexError(
                f"{path}: the index was made with {name} {manifest.get(name)!r:.40}, this program has {value!r}; "
                "build it again"
            )
    return manifest


@dataclass(frozen=True)
class Fingerprints:
    """The sorted fingerprints of one view of one segment; see `winnow.sort_fingerprints`."""

    bits: int
    directory: NDArray[np.uint32]
    rest: NDArray[np.uint32]
    places: NDArray[np.uint32]


@dataclass(frozen=True)
class Segment:
    """
    One segment, its parts mapped into memory.

    Attributes:
        first: number of its first source in the index.
        first_text: number of its first text in the index.
        data: shape (bytes,), all texts; empty in a keyed index.
        starts, ends: per text: byte range in *data*; in a keyed index, unused.
        view_ends: per view, shape (texts + 1,): lexemes before each text.
        halves: per view, half a byte per lexeme, two in a byte; empty in a keyed index.
        blocks: ascending byte offsets from which lexing gives what lexing the whole text gives.
        block_ends: where each block ends, which is where the next one starts.
        block_lexemes: per view, how many lexemes stand before each block, and before the end.
        block_lines: line of each block in its text, from 1.
    """

    folder: Path
    first: int
    first_text: int
    data: NDArray[np.uint8]
    sources: pa.Table
    source_of: NDArray[np.int64]
    languages: NDArray[np.uint8]
    fields: pa.ChunkedArray
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    view_ends: dict[str, NDArray[np.int64]]
    halves: dict[str, NDArray[np.uint8]]
    blocks: NDArray[np.int64]
    block_ends: NDArray[np.int64]
    block_lexemes: dict[str, NDArray[np.int64]]
    block_lines: NDArray[np.int64]
    fingerprints: dict[str, Fingerprints] = field(repr=False, default_factory=dict)


def check_parts(folder: Path, manifest: dict[str, Any], *, contents: bool, threads: int = 2) -> None:
    """
    Compare every part with the manifest: that it is there and its size; with *contents*, its SHA-256 as well.

    Raises:
        SourceIndexError: the first part that is missing, cut short or changed.
    """
    listed = [
        (folder / segment["name"] / name, part)
        for segment in manifest["segments"]
        for name, part in segment["parts"].items()
    ]
    for path, part in listed:
        try:
            size = path.stat().st_size
        except OSError:
            raise SourceIndexError(f"{path}: is missing; the index is damaged, build it again") from None
        if size != part["bytes"]:
            raise SourceIndexError(f"{path}: has {size} bytes, expected {part['bytes']}; build the index again")
    if not contents:
        return
    with ThreadPoolExecutor(threads) as pool:
        for (path, part), digest in zip(listed, pool.map(_digest, [p for p, _ in listed]), strict=True):
            if digest != part["sha256"]:
                raise SourceIndexError(f"{path}: was changed after it was written; build the index again")


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as problem:
        raise SourceIndexError(f"{path}: cannot be read: {problem.strerror}") from None


def open_segments(folder: Path, manifest: dict[str, Any]) -> list[Segment]:
    """Map all segments of a checked index. Raises SourceIndexError where a part cannot be what it is called."""
    segments: list[Segment] = []
    first = first_text = 0
    for entry in manifest["segments"]:
        path = folder / entry["name"]
        try:
            segment = _open(path, entry, first, first_text)
        except (pa.ArrowException, ValueError, OSError, KeyError, TypeError):
            raise SourceIndexError(f"{path}: a part cannot be read; the index is damaged, build it again") from None
        segments.append(segment)
        first += segment.sources.num_rows
        first_text += segment.starts.size
    return segments


def _open(path: Path, entry: dict[str, Any], first: int, first_text: int) -> Segment:
    sources, texts = _table(path / "sources.arrow", SOURCES), _table(path / "texts.arrow", TEXTS)
    columns = {n: texts[n].to_numpy() for n in ("source", "language", "start", "end", *VIEWS)}
    keyed = "text.bin" not in entry["parts"]
    data = np.empty(0, np.uint8) if keyed else _map(path / "text.bin", np.uint8)
    if not keyed and columns["end"].max(initial=0) > data.size:
        raise ValueError
    view_ends = {v: np.concatenate([[0], np.cumsum(columns[v])]).astype(np.int64) for v in VIEWS}
    blocks = np.zeros((4, 0), np.int64)
    if not keyed:
        blocks = _map(path / "blocks.bin", np.uint32).reshape(4, -1).astype(np.int64)
    fingerprints, halves = {}, {}
    for view in VIEWS:
        halves[view] = np.empty(0, np.uint8) if keyed else _map(path / f"{view}.lex", np.uint8)
        if not keyed and halves[view].size != (view_ends[view][-1] + 1) // 2:
            raise ValueError
        bits, count = entry["bits"][view], entry["fingerprints"][view]
        words = _map(path / f"{view}.bin", np.uint32)
        size = (1 << bits) + 1
        if words.size != size + 2 * count:
            raise ValueError
        fingerprints[view] = Fingerprints(bits, words[:size], words[size : size + count], words[size + count :])
    return Segment(
        folder=path, first=first, first_text=first_text, data=data, sources=sources, source_of=columns["source"],
        languages=columns["language"], fields=texts["field"], starts=columns["start"], ends=columns["end"],
        view_ends=view_ends, halves=halves, blocks=blocks[0], block_ends=np.append(blocks[0, 1:], data.size),
        block_lexemes={v: np.append(blocks[1 + i], view_ends[v][-1]) for i, v in enumerate(VIEWS)},
        block_lines=blocks[3], fingerprints=fingerprints,
    )  # fmt: skip


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    with pa.OSFile(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    if not table.schema.equals(schema):
        raise ValueError
    return table


def _map(path: Path, dtype: type[Any]) -> NDArray[Any]:
    """Map a file read-only. An empty file cannot be mapped, and is an empty array."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return np.empty(0, dtype)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype)
