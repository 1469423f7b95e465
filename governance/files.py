"""paths, bytes -> files that are whole or not there; digests of files; the one line for a disk that refuses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from governance.errors import WorkspaceError

FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def disk_error(problem: OSError, path: Path) -> Exception:
    """The one line for a disk that is full or refuses; any other error is a bug and stays what it is."""
    if problem.errno not in FULL_OR_CLOSED:
        return problem
    return WorkspaceError(
        f"{path.parent}: cannot be written: {problem.strerror or problem}; free space or name another --workspace"
    )


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, indented by one, and a last newline: equal values are equal bytes."""
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write *value* as canonical JSON."""
    path.write_bytes(canonical(value))


def read_json(path: Path) -> Any:
    """Read a JSON file of the workspace. Raises WorkspaceError when it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise WorkspaceError(f"{path}: missing or not JSON; the run is damaged") from None


def write_durably(path: Path, data: bytes) -> None:
    """Write *data* under a temporary name, flush it to disk, rename: the file is whole or as before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def read_cached(path: Path) -> bytes | None:
    """Return what `write_cached` wrote; None where it is not there or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, data = content[:32], content[32:]
    return data if data and hashlib.sha256(data).digest() == digest else None


def write_cached(path: Path, data: bytes) -> None:
    """Write whole or not at all. A cache only saves time, so a folder that cannot be written costs nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(data).digest() + data)
        Path(file.name).replace(path)
    except OSError:
        return


def sync_file(path: Path) -> None:
    """fsync a file."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_folder(path: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below *folder*, and itself."""
    for base, _, files in os.walk(folder):
        for name in files:
            sync_file(Path(base) / name)
        sync_folder(Path(base))
