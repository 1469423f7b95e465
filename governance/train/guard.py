"""an approved dataset, somebody's command -> the command, run on read-only bytes of it, and a signed record.

For trainers that this project does not drive: LLaMA-Factory, axolotl, accelerate, a shell script. What such a trainer
reads nobody sees, so the record says *offered*, not *consumed*. The path is new for every digest, so a cache that is
keyed by path or configuration, as these trainers have, cannot bring back what an earlier dataset held.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import SignatureError, UsageError
from governance.files import disk_error, read_json, sync_folder, sync_tree
from governance.gate.keys import load_signing_key
from governance.gate.signing import canonical_json, open_envelope, timestamp
from governance.train.door import describe
from governance.train.offer import hash_files, make_read_only, write_dataset, write_statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.gate.keys import Trust
    from governance.store import Workspace
    from governance.train.door import GatedDataset

OFFER_TYPE = "urn:lora-data-governance:offer:v1"
PLACEHOLDER = "{dataset}"


@dataclass(frozen=True)
class Guarded:
    """How a guarded command ended: its exit code, whether what it was offered stayed as it was, and the record."""

    code: int
    unchanged: bool
    record: Path


def guard_command(
    data: GatedDataset,
    dataset: Path | str,
    command: Sequence[str],
    workspace: Workspace,
    *,
    produced: Path | None = None,
    mask: Callable[[str], str] = str,
    environ: Mapping[str, str] = os.environ,
) -> Guarded:
    """
    Run *command* with ``{dataset}`` replaced by the path of the approved bytes; see what is left of them afterwards.

    Args:
        dataset: as the user named it, see `write_dataset`.
        produced: folder that the command writes its adapter to, empty or not there yet; the record then names the
            digests of its files, which is what an adapter that was trained elsewhere is signed by.
        mask: hides secrets in the command that the record keeps.

    Raises:
        UsageError: no ``{dataset}`` in *command*, a command that cannot be started, or *produced* holds files already.
        SignatureError: what was written for the command is not what was approved.
    """
    check_command(command, produced)
    key = load_signing_key(workspace.root, environ)
    path = offer(data, dataset, workspace)
    before = hash_files(path)
    data.recheck()
    started = dt.datetime.now(dt.UTC)
    record: dict[str, Any] = {
        "what": "offered",
        "data": describe(data),
        "command": mask(shlex.join(command)),
        "files": before,
        "started": timestamp(started),
        "ended": None,
        "exit": None,
        "unchanged": None,
        "produced": None,
    }
    place = _record_path(workspace, started, data.digest)
    write_statement(place, OFFER_TYPE, before, record, key)
    code = _run([part.replace(PLACEHOLDER, str(path)) for part in command])
    record |= {"ended": timestamp(dt.datetime.now(dt.UTC)), "exit": code, "unchanged": _unchanged(path, before)}
    if produced is not None and produced.is_dir():
        record["produced"] = {name.partition("/")[2]: digest for name, digest in hash_files(produced).items()}
    write_statement(place, OFFER_TYPE, before, record, key)
    return Guarded(code, bool(record["unchanged"]), place)


def check_command(command: Sequence[str], produced: Path | None = None) -> None:
    """Raise UsageError where *command* could not be guarded; see `guard_command`."""
    if not any(PLACEHOLDER in part for part in command):
        raise UsageError(
            f"the command does not name {PLACEHOLDER}, so it would read other data; write {PLACEHOLDER} where it takes "
            "the dataset"
        )
    if produced is not None and produced.exists() and any(produced.iterdir()):
        raise UsageError(f"{produced}: holds files already, so nobody could say who made them; name a new folder")
    if not command or shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]}: no such command")


def offer(data: GatedDataset, dataset: Path | str, workspace: Workspace) -> Path:
    """
    Return the path of *data* as read-only files: ``datasets/offered/DIGEST/BYTES/NAME``.

    DIGEST is that of the dataset, BYTES the start of a SHA-256 over names and bytes of the files. What lies there
    already is used if it is as it has to be, and replaced otherwise.
    """
    with workspace.work() as work:
        made = work / "offered"
        made.mkdir()
        whole = write_dataset(data, dataset, made, work)
        files = hash_files(whole)
        name = hashlib.sha256(canonical_json(files)).hexdigest()[:16]
        target = (workspace.datasets / "offered" / data.digest / name).absolute()
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if target.exists() and not _unchanged(target / whole.name, files):
                _discard(target, work / "replaced")
            if not target.exists():
                sync_tree(made)
                made.rename(target)
                sync_folder(target.parent)
            make_read_only(target)
        except OSError as problem:
            raise disk_error(problem, target) from None
    return target / whole.name


def _discard(target: Path, into: Path) -> None:
    """Move what somebody changed out of the way; a folder without the right to write cannot be moved."""
    for base, _, _ in os.walk(target):
        Path(base).chmod(0o700)
    target.rename(into)


def _unchanged(path: Path, files: Mapping[str, str]) -> bool:
    try:
        return hash_files(path) == files
    except (SignatureError, OSError):
        return False


def _run(command: list[str]) -> int:
    """Run *command* on our own terminal; an interrupt is the command's to answer, and its end is waited for."""
    try:
        ended = subprocess.Popen(command)
    except OSError as problem:
        raise UsageError(f"{command[0]}: cannot be started: {problem.strerror}") from None
    while True:
        try:
            code = ended.wait()
            break
        except KeyboardInterrupt:  # the command was interrupted as well
            continue
    return 128 - code if code < 0 else code


def _record_path(workspace: Workspace, started: dt.datetime, digest: str) -> Path:
    folder = workspace.root / "offers"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as problem:
        raise disk_error(problem, folder) from None
    return folder / f"{started:%Y%m%dT%H%M%SZ}-{digest[:8]}-{os.urandom(2).hex()}.dsse.json"


def read_offer(path: Path, trust: Trust) -> dict[str, Any]:
    """
    Return the record in *path*.

    Raises:
        SignatureError: no trusted key signed it, or it is another kind of statement.
    """
    statement, _ = open_envelope(read_json(path), trust.keys, kind=OFFER_TYPE)
    record = statement.get("predicate")
    if not isinstance(record, dict) or record.get("what") != "offered":
        raise SignatureError(f"{path}: is signed but is no record of an offer")
    return record
