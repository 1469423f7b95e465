"""a name -> a folder that is whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance.errors import GovernanceError, UsageError, WorkspaceError
from governance.files import FULL_OR_CLOSED, sync_folder, sync_tree


def check_new(out: Path) -> None:
    """Raise UsageError unless *out* is an empty folder, or not there and can be made."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: is no folder; name a new folder with --out")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out}: is not empty; name a new folder with --out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """
    Yield a folder with a temporary name beside *out*; give it the name *out* once it was filled and flushed to disk.

    Raises:
        UsageError: *out* is not empty.
        WorkspaceError: the disk is full or refuses; nothing is left behind.
    """
    check_new(out)
    out = out.absolute()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        sync_tree(temporary)
        temporary.rename(out)  # an empty folder of that name is replaced; one that was filled meanwhile is not
        sync_folder(out.parent)
    except OSError as problem:
        raise refused(problem, out) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refused(problem: OSError, out: Path) -> Exception:
    """The one line for a disk that is full or refuses; any other error is a bug and stays what it is."""
    if isinstance(problem, GovernanceError) or problem.errno not in FULL_OR_CLOSED:
        return problem
    return WorkspaceError(f"{out}: cannot be written: {problem.strerror or problem}; free space or name another --out")
