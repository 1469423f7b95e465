"""approved samples -> the dataset's own files again, written from memory and proved to be the approved dataset."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from governance.errors import InputError, SignatureError
from governance.files import canonical, disk_error, sha256_file, write_durably
from governance.gate.signing import STATEMENT_TYPE, sign
from governance.ingest import SamplesDigest, ingest_files, whole_digest, write_records
from governance.ingest.sources import FORMATS
from governance.train.door import iter_records

if TYPE_CHECKING:
    from governance.train.door import GatedDataset

MAX_ROW = 1 << 40  # bytes; what was approved is read back whole
PLAIN = "data.jsonl"
"""The file of a dataset whose own shape cannot be written again."""


def write_dataset(data: GatedDataset, dataset: Path | str, folder: Path, work: Path) -> Path:
    """
    Write *data* into the empty *folder*, in the shape that *dataset* had, and return the file or folder to read.

    The same format, columns and key order as far as they can be had; else JSON Lines. What was written is read back,
    and its digest has to be the approved one, so a stored file that was tampered with beside its texts is found too.

    Args:
        dataset: as it was named; only whether it is a folder, and the types of Parquet files, are looked at.
        work: folder for what is read back.

    Raises:
        SignatureError: what was written is not the approved dataset.
        WorkspaceError: the disk refuses.
    """
    source = Path(dataset)
    columns = {str(k): str(v) for k, v in data.checked.evidence["dataset"]["columns"].items()}
    with contextlib.suppress(InputError):
        whole = _write_as_it_was(data, source, folder)
        if _digest_of(whole, columns, data.bad, work / "again") == data.digest:
            return whole
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    stem = source.name.split(".")[0] if source.exists() and source.is_file() else ""
    whole = folder / (f"{stem}.jsonl" if stem else PLAIN)
    write_records((record for _, record in iter_records(data.samples)), whole)
    if _digest_of(whole, columns, data.bad, work / "plain") != data.digest:
        raise SignatureError(f"the records of dataset {data.digest[:16]} are not those of its texts; check it again")
    return whole


def _write_as_it_was(data: GatedDataset, source: Path, folder: Path) -> Path:
    names = data.samples["file"].unique().to_pylist()
    many = source.is_dir() or len(names) > 1
    root = folder / _safe(source.name if source.is_dir() else "data") if many else folder
    taken: set[Path] = set()
    root.mkdir(exist_ok=True)
    for name, rows in itertools.groupby(iter_records(data.samples), key=lambda row: row[0]):
        path = root / _written_name(name)
        if path in taken:  # two names that are one here
            raise InputError(f"{path.name}: is written twice")
        taken.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_records((record for _, record in rows), path, parquet_schema=_schema(source, name))
    return root if many else next(iter(taken), folder / PLAIN)


def _written_name(name: str) -> Path:
    """A path below the folder, with a suffix that can be written."""
    parts = [_safe(part) for part in name.split("/") if part not in ("", ".", "..")] or ["data"]
    path = Path(*parts)
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".zst")]
    kind = FORMATS.get(suffixes[-1], "") if suffixes else ""
    return path if kind in ("jsonl", "json", "csv", "parquet") else path.with_name(f"{path.name}.jsonl")


def _safe(name: str) -> str:
    """A name of a file that nothing hides, and that a shell or a trainer's option takes for a name."""
    return name.lstrip(".-") or "data"


def _schema(source: Path, name: str) -> pa.Schema | None:
    """The types of the original Parquet file, where it is still there; they decide no value, which is proved after."""
    path = source / name if source.is_dir() else source
    if path.suffix != ".parquet" or not path.is_file():
        return None
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return None


def _digest_of(written: Path, columns: dict[str, str], bad: bytes, work: Path) -> str:
    """The digest of a dataset's files, if *bad* records were part of it; none may be bad in what was written."""
    digest, left = read_digest(written, columns, bad, work)
    return digest if not left else ""


def read_digest(written: Path, columns: dict[str, str], bad: bytes, work: Path) -> tuple[str, int]:
    """Return the digest of the files *written* together with the digest of *bad* records, and how many are bad here."""
    work.mkdir(parents=True, exist_ok=True)
    ingested = ingest_files(written, work, columns=columns, max_row_bytes=MAX_ROW)
    seen = SamplesDigest()
    with pa.memory_map(str(ingested.samples)) as source, pa.ipc.open_file(source) as reader:
        for k in range(reader.num_record_batches):
            seen.update(reader.get_batch(k))
    return whole_digest(seen.digest(), bad), ingested.quarantine.num_rows


def hash_files(root: Path) -> dict[str, str]:
    """
    Return the SHA-256 of every file at or below *root*, by its path relative to the folder of *root*, in order.

    Raises:
        SignatureError: something that is neither file nor folder, such as a link.
    """
    paths = [root, *sorted(root.rglob("*"))] if root.is_dir() else [root]
    found = {}
    for path in paths:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise SignatureError(f"{path}: is a link or no file; it was put there by somebody else")
        if path.is_file():
            found[path.relative_to(root.parent).as_posix()] = sha256_file(path)
    return found


def write_statement(path: Path, kind: str, files: Mapping[str, str], predicate: Mapping[str, Any], key: Any) -> None:
    """
    Write what *predicate* says of *files* (name -> SHA-256) to *path*: an in-toto statement in a DSSE envelope.

    Args:
        kind: type of the predicate, a URI.
        key: Ed25519 private key that signs it.

    Raises:
        WorkspaceError: the disk refuses.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()],
        "predicateType": kind,
        "predicate": dict(predicate),
    }
    try:
        write_durably(path, canonical(sign(statement, key)))
    except OSError as problem:
        raise disk_error(problem, path) from None


def make_read_only(root: Path) -> None:
    """Take the right to write from everything at or below *root*: files 0400, folders 0500."""
    for path in _deepest_first(root):
        path.chmod(0o500 if path.is_dir() else 0o400)


def _deepest_first(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(root.rglob("*"), reverse=True)
    yield root
