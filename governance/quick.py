"""Keeps pandas and scipy from being imported by libraries that only look whether they are there.

pyarrow and numba import them where they are installed and use nothing of them here; that is half a second of a check
of a small file. Only the command line does this, never the library: a notebook that uses pandas must not lose it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

HIDDEN = ("pandas", "scipy")


class _Hidden:
    """A finder that says of some packages that they are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in HIDDEN:
            raise ModuleNotFoundError(f"{name} is hidden from what does not need it", name=name)


def hide() -> None:
    """Hide the packages from here on, unless they are imported already."""
    if not any(name in sys.modules for name in HIDDEN):
        sys.meta_path.insert(0, _Hidden())


def unhide() -> None:
    """Let them be found again; what needs them calls this first."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Hidden)]
