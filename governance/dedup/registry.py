"""a dataset, the datasets a company registered before -> which samples stand in one of those, without their text.

    REGISTRY/
      registry.json            name and version of the form
      .lock                    held (flock) while a command uses the registry; one that nobody holds blocks nobody
      <dataset digest>/        never changed again; written under a temporary name, flushed, renamed
        manifest.json          version, numbers, SHA-256 of the other files
        samples.parquet        file, row, sample_id, licence, repository; 128 bits over the lexemes of all texts
        texts.parquet          per text of one of each exact copy: prompt or output, lexemes, key, distinct shingles
        shingles.bin           the shingles of every text, ascending, as 64-bit numbers, lowest byte first
        signatures.bin         per sample a `datasketch.LeanMinHash` record, 128 permutations, seed 1, lowest byte first

An entry holds what `across` needs of a dataset and no text, so a match is exactly what comparing the two datasets
gives. It is no secret code, though: who guesses five lexemes in a row can see whether they stand there. The folders
are for their owner alone (mode 0700); keep them where the datasets themselves might be kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from governance.dedup.across import Contents, match_contents
from governance.dedup.arrays import arrow, distinct, numbers
from governance.dedup.grams import VERBATIM, shingle_texts
from governance.dedup.join import PARTITION
from governance.dedup.lean import from_lean, to_lean
from governance.dedup.methods import Method
from governance.dedup.minhash import PERMUTATIONS
from governance.dedup.sets import Shingled, group_pieces
from governance.dedup.shingles import build_sets
from governance.dedup.spool import Spool
from governance.dedup.texts import WHO, places_of
from governance.errors import InputError, RegistryError
from governance.files import sha256_file, sync_folder, sync_tree, write_durably, write_json
from governance.languages.lexer import lex_string
from governance.samples import SAMPLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

FORM = "governance/registry/1"
ENTRY = "governance/registry-entry/2"
FILES = ("samples.parquet", "texts.parquet", "shingles.bin", "signatures.bin")

REGISTERED = pa.schema(
    [
        ("n", pa.int64()),  # the sample of the dataset
        ("file", pa.string()),
        ("row", pa.int64()),
        ("sample_id", pa.string()),
        ("dataset", pa.string()),  # digest of the registered dataset that it was found in, and where there
        ("other_file", pa.string()),
        ("other_row", pa.int64()),
        ("other_sample_id", pa.string()),
        ("similarity", pa.float64()),
        ("kind", pa.string()),  # exact, lexemes, near
    ]
)

_SAMPLES = pa.schema(
    [
        *((name, WHO.field(name).type) for name in ("file", "row", "sample_id")),
        ("licence", pa.string()),
        ("repository", pa.string()),
        ("key_a", pa.uint64()),
        ("key_b", pa.uint64()),
        ("texts", pa.int32()),
    ]
)
_TEXTS = pa.schema(
    [("prompt", pa.bool_()), ("lexemes", pa.int32()), ("key", pa.uint64()), ("shingles", pa.int64())]
)  # fmt: skip
_LICENCE = re.compile(r"[A-Za-z0-9.+() -]{1,64}")
_PIECE = 1 << 20  # shingles handled at a time
_PROBE = "int 订单Id2 = 3.5e-9; // a -> b\n"


class Registry:
    """
    A registry folder.

    Args:
        create: make the folder if it is missing.

    Raises:
        RegistryError: it is missing, no registry, of another version, or cannot be made.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        named = folder / "registry.json"
        if not named.exists():
            if not create:
                raise RegistryError(f"{folder}: is no registry; --register makes one, and adds the dataset to it")
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise RegistryError(f"{folder}: is no registry and not empty; name a new folder")
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_durably(named, json.dumps({"schema": FORM}).encode() + b"\n")
            except OSError as problem:
                raise RegistryError(f"{folder}: cannot be written: {problem.strerror}") from None
        found = _read_json(named).get("schema")
        if found != FORM:
            raise RegistryError(
                f"{named}: schema is {str(found)[:80]!r}, expected {FORM!r}; use the version that made it"
            )

    @contextlib.contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """
        Keep other commands from writing, with *exclusive* also from reading.

        Raises:
            RegistryError: another command holds it.
        """
        try:
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            if exclusive:
                raise RegistryError(f"{self.folder}: cannot be written: {problem.strerror}") from None
            yield  # entries never change, so who may only read needs no lock
            return
        try:
            try:
                fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except OSError:
                raise RegistryError(
                    f"{self.folder}: is locked by another command; run again when that has ended"
                ) from None
            if exclusive:
                for left in self.folder.glob(".tmp-*"):
                    shutil.rmtree(left)
            yield
        finally:
            os.close(handle)

    def entries(self) -> list[str]:
        """Return the digests of the registered datasets, ascending."""
        return sorted(p.name for p in self.folder.iterdir() if re.fullmatch(r"[0-9a-f]{64}", p.name))

    def read(self, digest: str) -> Contents:
        """
        Return what is stored of the dataset *digest*; the shingles stay in their file.

        Raises:
            RegistryError: the entry is of another version or lexer, changed, or cut short.
        """
        entry = self.folder / digest
        manifest = _read_json(entry / "manifest.json")
        if manifest.get("schema") != ENTRY:
            raise RegistryError(
                f"{entry}: schema is {str(manifest.get('schema'))[:80]!r}, expected {ENTRY!r}; "
                "register the dataset again"
            )
        if manifest.get("lexer") != lexer_probe():
            raise RegistryError(f"{entry}: was made by another version of the lexer; register the dataset again")
        for name in FILES:
            try:
                same = sha256_file(entry / name) == manifest.get("files", {}).get(name)
            except OSError as problem:
                raise RegistryError(f"{entry / name}: cannot be read: {problem.strerror}") from None
            if not same:
                raise RegistryError(
                    f"{entry / name}: changed or cut short since it was written; register the dataset again"
                )
        return _load(entry)

    def signatures(self, digest: str) -> NDArray[np.uint32]:
        """
        Return the stored signatures of the dataset *digest*, shape (samples, 128).

        Raises:
            RegistryError: the file is missing, or holds something else.
        """
        path = self.folder / digest / "signatures.bin"
        try:
            data = path.read_bytes()
            return from_lean(data, "<")[0] if data else np.empty((0, PERMUTATIONS[0]), np.uint32)
        except (OSError, InputError):
            raise RegistryError(f"{path}: holds no signatures; register the dataset again") from None

    def add(self, digest: str, contents: Contents, samples: Path, mask: Callable[[str], str]) -> bool:
        """
        Store what is needed of a dataset; False if it is registered already.

        Args:
            samples: the Arrow IPC file that *contents* were read from, for licence and repository.
            mask: hides what is sensitive in the name of a repository. A licence that does not look like the name of
                one is left out.
        """
        if (self.folder / digest).exists():
            return False
        place = self.folder / f".tmp-{digest}"
        try:
            place.mkdir(mode=0o700)
            _store(place, contents, samples, mask)
            made = {name: sha256_file(place / name) for name in FILES[:3]}
            own = sign_contents(contents)
            (place / FILES[3]).write_bytes(to_lean(own, byteorder="<") if own.size else b"")
            made[FILES[3]] = sha256_file(place / FILES[3])
            rows = {"samples": contents.places.first.size, "shingles": (place / FILES[2]).stat().st_size // 8}
            write_json(
                place / "manifest.json",
                {"schema": ENTRY, "dataset": digest, "lexer": lexer_probe(), "files": made, **rows},
            )
            sync_tree(place)
            place.rename(self.folder / digest)
            sync_folder(self.folder)
        except OSError as problem:
            raise RegistryError(f"{self.folder}: cannot be written: {problem.strerror}") from None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return True


def find_registered(
    contents: Contents,
    registry: Registry,
    con: DuckDBPyConnection,
    *,
    own: str = "",
    threshold: float = 0.8,
    threads: int = 2,
    work: Path | None = None,
    partition: int = PARTITION,
    method: Method = "exact",
) -> pa.Table:
    """
    Return one row per sample and registered dataset that it has a duplicate in.

    Args:
        own: digest of the dataset itself, which is not compared with its own entry.
        work: folder for the sets; default: they stand in memory.
        method: ``minhash`` looks for near-duplicates by the stored signatures, and verifies what it finds.

    Returns:
        Schema `REGISTERED`, ordered by ``n``, then by dataset.
    """
    tables = []
    for piece in contents.pieces:
        piece.keep = True  # compared with every entry, made into sets once
    own_signatures = sign_contents(contents, threads=threads) if method == "minhash" else None
    for digest in registry.entries():
        if digest == own:
            continue
        there, signatures = registry.read(digest), None
        if own_signatures is not None:
            signatures = own_signatures, registry.signatures(digest)
        found = match_contents(
            contents, there, con, threshold=threshold, threads=threads, work=work, partition=partition,
            signatures=signatures,
        )  # fmt: skip
        at = found.column_names.index("other")
        name = pa.repeat(pa.scalar(digest), found.num_rows)
        tables.append(found.set_column(at, "dataset", name).cast(REGISTERED))
    if not tables:
        return pa.Table.from_batches([], REGISTERED)
    return pa.concat_tables(tables).sort_by([("n", "ascending"), ("dataset", "ascending")])


def sign_contents(contents: Contents, *, threads: int = 2) -> NDArray[np.uint32]:
    """Return the signatures of the samples of *contents*, shape (n, 128), those of `signatures.write_signatures`."""
    from governance.dedup.signatures import sign_groups

    places = contents.places
    wanted = places.first == np.arange(places.first.size)
    with ThreadPoolExecutor(threads) as pool:
        groups = group_pieces(contents.pieces, wanted, places, pool, threads, None, last_use=False)
    return sign_groups(groups)[groups.group]


def lexer_probe() -> str:
    """Return the shingles of a fixed text, as hex digits: another lexer or another hash gives others."""
    lexemes = lex_string(_PROBE, "java").verbatim.copy()
    ends, texts = np.array([0, lexemes.size], np.int64), np.array([0, 1], np.int64)
    keys, sample_keys = np.zeros(1, np.uint64), np.zeros((1, 2), np.uint64)
    shingle_texts(
        lexemes, ends, np.zeros(1, np.uint8), texts, VERBATIM, np.zeros(VERBATIM, np.uint64), np.zeros(2, np.int64),
        np.zeros(1, np.int32), keys, sample_keys,
    )  # fmt: skip
    return "".join(f"{value:016x}" for value in (*sample_keys[0].tolist(), *keys.tolist(), *lexemes[:2].tolist()))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise RegistryError(f"{path}: missing or not JSON; the entry is damaged, register the dataset again")
    return value


def _store(place: Path, contents: Contents, samples: Path, mask: Callable[[str], str]) -> None:
    sizes = [np.empty(0, np.int64)]
    with (place / "shingles.bin").open("wb") as out:
        for piece in contents.pieces:
            values, per_text = _distinct(piece)
            out.write(values.astype("<u8", copy=False).data)
            sizes.append(per_text)
    parts = contents.pieces
    none: list[NDArray[Any]] = [np.empty(0, np.int64)]
    prompt = np.concatenate([np.empty(0, np.bool_), *(p.prompts for p in parts)])
    columns = [
        pa.array(prompt),
        arrow(np.concatenate([*none, *(p.lexemes for p in parts)]).astype(np.int32)),
        arrow(np.concatenate([np.empty(0, np.uint64), *(p.text_keys for p in parts)])),
        arrow(np.concatenate(sizes)),
    ]
    pq.write_table(pa.table(columns, schema=_TEXTS), place / "texts.parquet", compression="zstd")
    keys = np.concatenate([np.empty((0, 2), np.uint64), *(p.sample_keys for p in parts)])
    counts = np.concatenate([*none, *(np.diff(p.text_ends) for p in parts)]).astype(np.int32)
    licence, repository = _origin(samples, mask)
    who = contents.places.table
    columns = [
        *(who.column(name) for name in ("file", "row", "sample_id")),
        licence,
        repository,
        *(arrow(keys[:, k]) for k in range(2)),
        arrow(counts),
    ]
    pq.write_table(pa.table(columns, schema=_SAMPLES), place / "samples.parquet", compression="zstd")


def _distinct(piece: Shingled) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the sets of the texts of a piece, one after another, and their sizes."""
    texts = piece.starts.size - 1
    sizes, room = np.zeros(texts, np.int64), np.diff(piece.starts)
    raw = piece.shingles()
    if room.max(initial=0) > _PIECE:  # one large text; hashing would take five times its room
        sets = [
            distinct(np.maximum(raw[a:b], np.uint64(1))) for a, b in zip(piece.starts, piece.starts[1:], strict=False)
        ]
        return np.concatenate(sets), np.array([s.size for s in sets], np.int64)
    out, table = np.empty(raw.size, np.uint64), np.zeros(5 * int(room.max(initial=0)) + 16, np.uint64)
    ends = np.arange(texts + 1)
    used = build_sets(raw, piece.starts, ends, np.ones(texts, np.bool_), table, out, sizes)
    return out[:used], sizes


def _origin(samples: Path, mask: Callable[[str], str]) -> tuple[pa.Array, pa.Array]:
    """Return the columns licence and repository, without what is no name of a licence and what is sensitive."""
    names = ("licence", "repository")
    fields = [SAMPLES.names.index(name) for name in names]
    with pa.OSFile(str(samples)) as source:
        reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=sorted(fields)))
        rows = [reader.get_batch(k).select(names).to_pydict() for k in range(reader.num_record_batches)]
    licences = [v if v and _LICENCE.fullmatch(v) else None for row in rows for v in row["licence"]]
    shown: dict[str | None, str | None] = {None: None}
    repositories = [v for row in rows for v in row["repository"]]
    for value in set(repositories) - {None}:
        shown[value] = mask(value)
    return pa.array(licences, pa.string()), pa.array([shown[v] for v in repositories], pa.string())


def _load(entry: Path) -> Contents:
    try:
        samples = pq.read_table(entry / "samples.parquet", memory_map=False).cast(_SAMPLES)
        texts = pq.read_table(entry / "texts.parquet", memory_map=False).cast(_TEXTS)
    except (OSError, pa.ArrowException, ValueError, KeyError) as problem:
        raise RegistryError(f"{entry}: cannot be read ({type(problem).__name__}); register the dataset again") from None
    n = arrow(np.arange(samples.num_rows))
    columns = [pa.chunked_array([n]), *(samples.column(name) for name in WHO.names[1:])]
    places = places_of(pa.Table.from_arrays(columns, schema=WHO))
    counts, sizes = numbers(samples.column("texts")), numbers(texts.column("shingles"))
    size = (entry / "shingles.bin").stat().st_size
    if (counts < 0).any() or (sizes < 0).any() or counts.sum() != texts.num_rows or 8 * int(sizes.sum()) != size:
        raise RegistryError(f"{entry}: its files do not belong together; register the dataset again")
    store = Spool.open(entry / "shingles.bin")
    text_ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    keys = np.column_stack([numbers(samples.column("key_a")), numbers(samples.column("key_b"))])
    prompts = texts.column("prompt").to_numpy()
    lexemes, text_keys = numbers(texts.column("lexemes")), numbers(texts.column("key"))
    pieces, first = [], 0
    before = ends[text_ends]
    while first < samples.num_rows:
        last = max(first + 1, int(np.searchsorted(before, before[first] + _PIECE, "right")) - 1)
        span = slice(int(text_ends[first]), int(text_ends[last]))
        pieces.append(
            Shingled(
                first=first,
                last=last,
                text_ends=text_ends[first : last + 1] - span.start,
                prompts=prompts[span],
                raw=None,
                starts=ends[span.start : span.stop + 1] - ends[span.start],
                lexemes=lexemes[span],
                text_keys=text_keys[span],
                sample_keys=np.ascontiguousarray(keys[first:last]),
                store=store,
                at=int(ends[span.start]),
            )
        )
        first = last
    return Contents(places, pieces)
