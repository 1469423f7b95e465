"""a training that stops -> the checkpoint that it may go on from, or the reason why it may not.

Checkpoints stand beside the adapter that is being made, in ``.NAME.checkpoints``: they hold the optimiser's state as
torch writes it, which is a pickle, and none of that belongs into an adapter. The folder says which training it belongs
to, and only that training goes on. A checkpoint counts once it is sealed: the digests of its files, authenticated with
the workspace's own key, written last. So one that was cut off, whose disk was full, or that somebody put there is none.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import shutil
from pathlib import Path
from typing import Any

from governance.errors import UsageError
from governance.files import canonical, disk_error, sha256_file, sync_tree, write_durably

IDENTITY, SEAL, LOCK = "training.json", "seal.json", "lock"
PREFIX = "checkpoint-"


class Checkpoints:
    """
    The checkpoints of one training, locked while this object is open.

    Attributes:
        folder: where they are; made if need be.
    """

    def __init__(self, out: Path, identity: dict[str, Any], key: bytes) -> None:
        """
        Open the checkpoints of the adapter folder *out*.

        Args:
            identity: all that decides the result, as JSON; only an equal training goes on.
            key: of the workspace; seals are authenticated with it.

        Raises:
            UsageError: the folder holds another training, or another process trains there now.
            WorkspaceError: the disk refuses.
        """
        self.folder = out.absolute().with_name(f".{out.absolute().name}.checkpoints")
        self._identity = canonical(identity)
        self._key = key
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise disk_error(problem, self.folder) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise UsageError(f"{out}: another process trains there now; wait for it, or name another --out") from None
        try:
            self._claim(out, identity)
        except BaseException:
            self.close()
            raise

    def _claim(self, out: Path, identity: dict[str, Any]) -> None:
        """Take the folder for this training, or say what the one that it belongs to had otherwise."""
        try:
            own = (self.folder / IDENTITY).read_bytes()
        except FileNotFoundError:
            try:
                write_durably(self.folder / IDENTITY, self._identity)
            except OSError as problem:
                raise disk_error(problem, self.folder) from None
            return
        if own == self._identity:
            return
        raise UsageError(
            f"{self.folder}: holds checkpoints of another training ({_difference(own, identity)}); remove that folder, "
            f"or name another --out than {out}"
        )

    def last(self) -> Path | None:
        """Return the newest whole checkpoint; what is not whole is removed."""
        whole: list[tuple[int, Path]] = []
        for path in self.folder.glob(f"{PREFIX}*"):
            step = path.name.removeprefix(PREFIX)
            if step.isdigit() and not path.is_symlink() and self._is_whole(path):
                whole.append((int(step), path))
            else:
                _remove(path)
        return max(whole)[1] if whole else None

    def seal(self, step: int) -> None:
        """
        Flush the checkpoint of *step* to disk and mark it as whole.

        Raises:
            WorkspaceError: the disk refuses.
        """
        path = self.folder / f"{PREFIX}{step}"
        try:
            sync_tree(path)
            write_durably(path / SEAL, canonical({"seal": self._digest(path)}))
        except OSError as problem:
            raise disk_error(problem, path) from None

    def _is_whole(self, path: Path) -> bool:
        try:
            found = json.loads((path / SEAL).read_bytes())["seal"]
            return isinstance(found, str) and hmac.compare_digest(found, self._digest(path))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _digest(self, path: Path) -> str:
        """HMAC-SHA-256 over the training and the names and digests of the checkpoint's files."""
        mac = hmac.new(self._key, self._identity, hashlib.sha256)
        mac.update(path.name.encode())
        for file in sorted(p for p in path.rglob("*") if not p.is_dir() and p.name != SEAL):
            mac.update(f"\0{file.relative_to(path).as_posix()}\0{sha256_file(file)}".encode())
        return mac.hexdigest()

    def remove(self) -> None:
        """Delete the folder; the adapter is whole."""
        _remove(self.folder)
        self.close()

    def close(self) -> None:
        """Let others have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _difference(own: bytes, wanted: dict[str, Any]) -> str:
    """The first thing in which two trainings differ, in words."""
    try:
        found = json.loads(own)
        if not isinstance(found, dict):
            raise ValueError
    except ValueError:
        return f"its {IDENTITY} is damaged"
    for name, value in _flat(wanted).items():
        before = _flat(found).get(name)
        if before != value:
            return f"{name} was {str(before)[:16]}, is {str(value)[:16]}"
    return "written by another version"


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, inner in value.items():
        out |= _flat(inner) if isinstance(inner, dict) else {name: inner}
    return out


def _remove(path: Path) -> None:
    """Delete a folder or link; what cannot be deleted stays and counts for nothing."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
