"""Where `rules/`, `pipelines/` and `reports/` are: inside the installed wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

from governance.errors import GovernanceError


def data_folder(name: str) -> Path:
    """
    Return the folder *name* (``rules``, ``pipelines`` or ``reports``) that belongs to this package.

    Raises:
        GovernanceError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_data" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise GovernanceError(f"{package}: the folder {name!r} is missing; install the package again")
