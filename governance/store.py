"""the workspace: immutable run folders, content-addressed datasets, the index over both.

    .governance/
      .gitignore            "*"
      runs/<run id>/        evidence, never changed again; no text of a sample
      datasets/<digest>/    samples.parquet and manifest.json: the only place that holds text, mode 0700
      datasets/quarantine/  bad records with their bytes
      datasets/offered/     approved datasets as read-only files, for other trainers (`governance guard`)
      datasets/.work/       working files of running commands; swept at start
      keys/                 signing keys, trust.json, the fingerprint key
      index.duckdb          an index over runs/; deleting it loses nothing

A folder is written under a temporary name, flushed to disk and renamed, so that killing the process at any moment
leaves either none or a whole one. A lock file per working folder says whether its process still lives.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.engines.tables import OFFLINE
from governance.errors import WorkspaceError
from governance.files import (
    disk_error,
    read_json,
    sha256_file,
    sync_file,
    sync_folder,
    sync_tree,
    write_durably,
    write_json,
)
from governance.samples import ORIGINS, PROVENANCE, SAMPLES, Text

LOSSES = pa.schema(
    [
        ("step", pa.string()),
        ("repository", pa.string()),
        ("records_in", pa.int64()),
        ("records_kept", pa.int64()),
        ("words_in", pa.int64()),
        ("words_kept", pa.int64()),
    ]
)
"""What cleaning lost, per step and repository."""


class Workspace:
    """
    A folder (default ``.governance``) that holds runs, datasets and keys.

    Args:
        make: make what is missing and sweep what killed processes left. Without, nothing is made or changed: for
            commands that only look, at a workspace that may not be there, or not be theirs.

    Raises:
        WorkspaceError: the folder cannot be made or written.
    """

    def __init__(self, root: Path, *, make: bool = True) -> None:
        self.root = root
        self.runs = root / "runs"
        self.datasets = root / "datasets"
        self.keys = root / "keys"
        self._locks: dict[Path, int] = {}
        if not make:
            return
        try:
            for folder in (self.runs, self.datasets / ".work", self.datasets / "quarantine", root / ".locks"):
                folder.mkdir(parents=True, exist_ok=True)
            for private in (self.datasets, self.datasets / "quarantine", self.datasets / ".work"):
                private.chmod(0o700)
            ignore = root / ".gitignore"
            if not ignore.exists():
                write_durably(ignore, b"*\n")
        except OSError as problem:
            raise WorkspaceError(
                f"{root}: workspace cannot be written: {problem.strerror}; name another with --workspace"
            ) from None
        self._sweep()

    def _sweep(self) -> None:
        """Remove what killed processes left: a folder whose lock nobody holds."""
        for base in (self.datasets / ".work", self.runs, self.datasets, self.datasets / "quarantine"):
            for path in base.iterdir():
                if not path.name.startswith(("work-", ".tmp-")):
                    continue
                lock = self._try_lock(path.name)
                if lock is not None:
                    _remove(path)
                    self._unlock(path.name, lock)

    def _try_lock(self, name: str) -> int | None:
        handle = os.open(self.root / ".locks" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    def _unlock(self, name: str, handle: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.root / ".locks" / name).unlink()
        os.close(handle)

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """A private folder for the files of one command; gone afterwards, whatever happens."""
        name = f"work-{os.getpid()}-{os.urandom(4).hex()}"
        lock = self._try_lock(name)
        path = self.datasets / ".work" / name
        try:
            path.mkdir(mode=0o700)
            yield path
        except OSError as problem:
            raise disk_error(problem, path) from None
        finally:
            _remove(path)
            if lock is not None:
                self._unlock(name, lock)

    @contextlib.contextmanager
    def new_run(self, wanted: str) -> Iterator[tuple[str, Path]]:
        """
        Yield (run id, temporary folder); on success the folder becomes ``runs/<run id>``, on failure it is gone.

        A run id that is taken gets ``-2``, ``-3`` ... so two processes may finish in the same second.
        """
        for k in range(1, 10_000):
            run = wanted if k == 1 else f"{wanted}-{k}"
            if (self.runs / run).exists():
                continue
            lock = self._try_lock(f".tmp-{run}")
            if lock is None:
                continue
            if (self.runs / run).exists():
                self._unlock(f".tmp-{run}", lock)
                continue
            break
        else:
            raise WorkspaceError(f"{self.runs}: no free run id for {wanted}")
        folder = self.runs / f".tmp-{run}"
        try:
            _remove(folder)
            folder.mkdir()
            yield run, folder
            sync_tree(folder)
            folder.rename(self.runs / run)
            sync_folder(self.runs)
        except OSError as problem:
            raise disk_error(problem, folder) from None
        finally:
            _remove(folder)
            self._unlock(f".tmp-{run}", lock)

    def run_folder(self, run: str) -> Path:
        """
        Return the folder of a run: its id, an unambiguous start of it, ``latest``, or a path.

        Raises:
            WorkspaceError: there is no such run.
        """
        path = Path(run)
        if (path / "manifest.json").is_file():
            return path
        names = [p.name for p in _entries(self.runs)]
        if run == "latest" and names:
            return self.runs / max(names, key=lambda n: ((self.runs / n).stat().st_mtime_ns, n))
        found = [n for n in names if n == run] or [n for n in names if run and n.startswith(run)]
        if len(found) == 1:
            return self.runs / found[0]
        what = f"fits {len(found)} runs" if found else "is not a run here"
        raise WorkspaceError(f"{self.runs}: {run!r} {what}; `governance runs` lists them")

    def dataset_file(self, name: str) -> Path | None:
        """Return the stored samples of the dataset whose digest starts with *name* (at least eight hex digits)."""
        if len(name) < 8 or set(name) - set("0123456789abcdef"):
            return None
        found = sorted(self.datasets.glob(f"{name}*/samples.parquet"))
        if len(found) > 1:
            raise WorkspaceError(f"{self.datasets}: {name!r} fits {len(found)} datasets; give more digits")
        return found[0] if found else None

    def has_dataset(self, digest: str) -> bool:
        """True if the texts of the dataset are still in the store."""
        folder = self.datasets / digest
        return (folder / "manifest.json").is_file() and (folder / "samples.parquet").is_file()

    def losses(self, digest: str) -> pa.Table | None:
        """Return what cleaning lost on the way to this dataset (`ledger.Ledger.groups`); None if it was not cleaned."""
        path = self.datasets / digest / "manifest.json"
        rows = read_json(path).get("losses") if path.is_file() else None
        return None if rows is None else pa.Table.from_pylist(rows, schema=LOSSES)

    def origins(self, digest: str) -> pa.Table | None:
        """Return where the copies came from that cleaning removed on the way to this dataset (ORIGINS), if it did."""
        path = self.datasets / digest / "origins.parquet"
        return pq.read_table(path).cast(ORIGINS) if path.is_file() else None

    def save_origins(self, digest: str, origins: pa.Table | None) -> None:
        """
        Keep *origins* with the stored dataset *digest*.

        Two datasets may be the same after cleaning; then the copies of both are kept.
        """
        folder = self.datasets / digest
        if origins is None or not origins.num_rows or not folder.is_dir():
            return
        earlier = self.origins(digest)
        if earlier is not None:
            known = {tuple(row.values()) for row in earlier.to_pylist()}
            new = [row for row in origins.to_pylist() if tuple(row.values()) not in known]
            if not new:
                return
            origins = pa.concat_tables([earlier, pa.Table.from_pylist(new, schema=ORIGINS)]).sort_by("n")
        sink = pa.BufferOutputStream()
        pq.write_table(origins, sink, compression="zstd")
        write_durably(folder / "origins.parquet", sink.getvalue().to_pybytes())

    def save_dataset(
        self, digest: str, samples: Path, manifest: Mapping[str, Any], *, bad: pa.Table | None = None
    ) -> None:
        """
        Write the samples of the Arrow file *samples* under their digest; nothing to do if they are there.

        *bad* says which bad records the digest covers (`ingest.stored_bad`); their bytes go to `save_quarantine`.
        """
        if self.has_dataset(digest):
            return
        name = f".tmp-{digest}-{os.getpid()}"
        lock = self._try_lock(name)
        folder = self.datasets / name
        try:
            _remove(folder)
            folder.mkdir(mode=0o700)
            _write_parquet(samples, folder / "samples.parquet")
            if bad is not None and bad.num_rows:
                pq.write_table(bad, folder / "quarantine.parquet", compression="zstd")
            write_json(folder / "manifest.json", {"digest": digest, **manifest})
            sync_tree(folder)
            _remove_if(self.datasets / digest, not self.has_dataset(digest))  # what an interrupted purge left
            try:
                folder.rename(self.datasets / digest)
            except OSError as problem:  # another process was first; its bytes are the same
                if problem.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            sync_folder(self.datasets)
        except OSError as problem:
            raise disk_error(problem, folder) from None
        finally:
            _remove(folder)
            if lock is not None:
                self._unlock(name, lock)

    def save_quarantine(self, digest: str, quarantine: pa.Table) -> None:
        """
        Write bad and dropped records, bytes included, beside those of the dataset; they are text, so they live here.

        The name says which bytes, so that another clean, or other bad records beside the same samples, lose nothing.
        Records without bytes (null) are those of a stored dataset: their bytes are here already.
        """
        quarantine = quarantine.filter(pc.is_valid(quarantine["raw"]))
        if not quarantine.num_rows:
            return
        folder = self.datasets / "quarantine"
        name = f".tmp-{digest[:16]}-{os.getpid()}-{os.urandom(4).hex()}"
        lock = self._try_lock(name)
        temporary = folder / name
        try:
            pq.write_table(quarantine, temporary, compression="zstd")
            sync_file(temporary)
            temporary.rename(folder / f"{digest[:16]}-{sha256_file(temporary)[:16]}.parquet")
            sync_folder(folder)
        except OSError as problem:
            raise disk_error(problem, temporary) from None
        finally:
            temporary.unlink(missing_ok=True)
            if lock is not None:
                self._unlock(name, lock)

    def texts(self, digest: str, ordinals: Iterable[int]) -> dict[int, list[Text]]:
        """
        Return the texts of some samples of a stored dataset, by ordinal.

        Raises:
            WorkspaceError: the dataset was purged.
        """
        wanted = sorted(set(ordinals))
        path = self.datasets / digest / "samples.parquet"
        if not path.is_file():
            raise WorkspaceError(
                f"{self.datasets}: the texts of dataset {digest[:12]} are not here (purged, or another workspace)"
            )
        if not wanted:
            return {}
        found = _rows_of(path, ["n", "texts"], wanted)
        rows = zip(found["n"].to_pylist(), found["texts"].to_pylist(), strict=True)
        return {n: [Text(t["field"], t["role"], t["text"]) for t in texts] for n, texts in rows}

    def provenance(self, digest: str, ordinals: Iterable[int]) -> dict[int, dict[str, Any]]:
        """
        Return where some samples of a stored dataset came from: the columns of `samples.PROVENANCE`, by ordinal.

        Raises:
            WorkspaceError: the dataset was purged.
        """
        self.texts(digest, [])  # says so where it was purged
        path = self.datasets / digest / "samples.parquet"
        found = _rows_of(path, ["n", *PROVENANCE], sorted(set(ordinals)))
        return {row["n"]: row for row in found.to_pylist()}

    def list_runs(self) -> list[dict[str, Any]]:
        """
        Return every run, newest first, from the index, which is rebuilt when it is missing, stale or broken.

        Where the workspace cannot be written it is read from the runs themselves.
        """
        names = [p.name for p in self._whole_runs()]
        rows = self._read_index()
        if rows is None or sorted(r["run"] for r in rows) != names:
            if names and os.access(self.datasets / ".work", os.W_OK):
                with contextlib.suppress(WorkspaceError):
                    self.rebuild_index()
            rows = self._read_index()
            if rows is None or sorted(r["run"] for r in rows) != names:
                rows = [_index_row(p) for p in self._whole_runs()]
        return sorted(rows, key=lambda r: (r["created"], r["run"]), reverse=True)

    def _whole_runs(self) -> list[Path]:
        return [p for p in _entries(self.runs) if (p / "manifest.json").is_file()]

    def _read_index(self) -> list[dict[str, Any]] | None:
        path = self.root / "index.duckdb"
        if not path.exists():
            return None
        try:
            with duckdb.connect(str(path), read_only=True, config=OFFLINE) as con:
                found: list[dict[str, Any]] = con.sql("select * from runs").to_arrow_table().to_pylist()
                return found
        except duckdb.Error:
            return None

    def rebuild_index(self) -> int:
        """Make ``index.duckdb`` again from the run folders; returns the number of runs."""
        rows = [_index_row(p) for p in self._whole_runs()]
        names = ("run", "created", "dataset", "digest", "pipeline", "status", "samples", "breaches")
        schema = pa.schema([(n, pa.int64() if n == "samples" else pa.string()) for n in names])
        runs = pa.Table.from_pylist(rows, schema=schema)
        with self.work() as work:
            made = work / "index.duckdb"
            try:
                with duckdb.connect(str(made), config=OFFLINE) as con:
                    con.register("found", runs)
                    con.execute("create table runs as select * from found")
            except duckdb.Error as problem:
                raise WorkspaceError(f"{self.root}: the index cannot be written: {type(problem).__name__}") from None
            made.replace(self.root / "index.duckdb")
            (self.root / "index.duckdb.wal").unlink(missing_ok=True)
        return len(rows)

    def purge(self, digest: str | None = None) -> list[str]:
        """
        Delete the texts of one dataset (at least eight digits of its digest) or of all, quarantined records too.

        Evidence stays. Returns the digests.

        Raises:
            WorkspaceError: no or several datasets have this digest, or a text cannot be deleted.
        """
        stored = [p.name for p in _entries(self.datasets) if p.name not in ("quarantine", "offered")]
        gone = [name for name in stored if digest is None or (len(digest) >= 8 and name.startswith(digest))]
        if digest is not None and len(gone) != 1:
            raise WorkspaceError(f"{self.datasets}: {digest!r} fits {len(gone)} datasets; nothing was deleted")
        try:
            for name in gone:  # renamed first: killed on the way it is swept, never half there
                doomed = self.datasets / f".tmp-purged-{name}-{os.getpid()}"
                (self.datasets / name).rename(doomed)
                shutil.rmtree(doomed)
            for path in (self.datasets / "quarantine").glob("*.parquet"):
                if digest is None or path.name.startswith(gone[0][:16]):
                    path.unlink()
            for path in _entries(self.datasets / "offered"):
                if digest is None or path.name == gone[0]:
                    _unlock_folders(path)
                    shutil.rmtree(path)
        except OSError as problem:
            raise WorkspaceError(f"{self.datasets}: texts cannot be deleted: {problem.strerror}") from None
        return gone


def _entries(folder: Path) -> list[Path]:
    """Return what is in *folder* and not hidden, by name; nothing where there is no such folder."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []


def _index_row(run: Path) -> dict[str, Any]:
    """One run for the index; a damaged one is listed as that and hides no other."""
    try:
        e = read_json(run / "evidence.json")
        return {
            "run": run.name, "created": e["created"], "dataset": e["dataset"]["name"],
            "digest": e["dataset"]["digest"], "pipeline": e["pipeline"]["name"], "status": e["verdict"]["status"],
            "samples": e["dataset"]["samples"], "breaches": ", ".join(e["breaches"]),
        }  # fmt: skip
    except (WorkspaceError, KeyError, TypeError):
        names = ("created", "dataset", "digest", "pipeline", "breaches")
        return {"run": run.name, "status": "DAMAGED", "samples": None, **dict.fromkeys(names, "")}


def _rows_of(path: Path, columns: list[str], wanted: Sequence[int]) -> pa.Table:
    """
    Return *columns* of the samples *wanted* (ascending ordinals), one row group in memory at a time.

    A filter of `pq.read_table` would decode the whole file before it looks: a few texts for a report must not take as
    much memory as the dataset.
    """
    parts = []
    with pq.ParquetFile(path) as file:
        place = file.schema_arrow.names.index("n")
        for k in range(file.num_row_groups):
            range_of = file.metadata.row_group(k).column(place).statistics
            first = bisect.bisect_left(wanted, range_of.min)
            here = wanted[first : bisect.bisect_right(wanted, range_of.max)]
            if here:
                group = file.read_row_group(k, columns=columns, use_threads=False)
                # copied out, or the few rows would keep the whole group
                parts.append(group.filter(pc.is_in(group["n"], pa.array(here, pa.int64()))))
        return pa.concat_tables([file.schema_arrow.empty_table().select(columns), *parts])


def _write_parquet(samples: Path, out: Path) -> None:
    """Arrow file -> Parquet, with a fixed codec and row groups, so that equal datasets are equal bytes."""
    dictionary = [c for c in SAMPLES.names if c not in ("n", "row", "sample_id", "texts")]
    with (
        pa.memory_map(str(samples)) as source,
        pa.ipc.open_file(source) as reader,
        pq.ParquetWriter(
            out,
            SAMPLES,
            compression="zstd",
            compression_level=1,
            use_dictionary=dictionary,
            write_statistics=["n", "row"],
        ) as writer,
    ):
        for i in range(reader.num_record_batches):
            writer.write_batch(reader.get_batch(i))


def _unlock_folders(path: Path) -> None:
    """Let what is in read-only folders be deleted."""
    for base, _, _ in os.walk(path):
        Path(base).chmod(0o700)


def _remove_if(path: Path, condition: bool) -> None:
    if condition:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
