"""Keeps what is installed but not used from being imported by libraries that merely look for it.

pyarrow and numba import pandas and scipy where they are installed and use nothing of them here; that is half a second
of a check of a small file, so both are *hidden*. Great Expectations needs them, but imports the whole of scipy.stats
and altair for expectations and drawings that are never asked for here; that is a third of its import, so these two
are *postponed* until something looks into them. pyarrow.compute parses a hundred docstrings to write as many others,
which no command reads, so it is left *undocumented*. Only the command line and the processes it starts do this, never
the library: a notebook that uses pandas must not lose it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

HIDDEN = ("pandas", "scipy")
POSTPONED = ("altair", "scipy.stats")
DOCSTRINGS = "pyarrow.vendored.docscrape"


class _Hidden:
    """A finder that says of some packages that they are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in HIDDEN:
            raise ModuleNotFoundError(f"{name} is hidden from what does not need it", name=name)


class _Late(ModuleType):
    """
    A module that is found but not run; it runs when the first of its names is asked for.

    `importlib.util.LazyLoader` would do, but in its modules already a second ``import`` of the same name asks.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(name)
        spec = self.__spec__
        assert spec is not None and isinstance(spec.loader, _LateLoader)
        spec.loader = self.__loader__ = spec.loader.real
        self.__class__ = ModuleType  # type: ignore[assignment]  # from here on as any other, also while it runs
        spec.loader.exec_module(self)
        return getattr(self, name)


class _LateLoader(Loader):
    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Late


class _Postponed:
    """A finder that finds some packages as modules that run later."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in POSTPONED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LateLoader(spec.loader)
        return spec


def hide() -> None:
    """Hide the packages from here on, unless they are imported already."""
    if not any(name in sys.modules for name in HIDDEN):
        sys.meta_path.insert(0, _Hidden())


def unhide() -> None:
    """Let them be found again; what needs them calls this first."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Hidden)]


class _Plain(Loader):
    """Runs a module of a few lines in the place of the installed one."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["NumpyDocString"] = lambda _text: {"Parameters": ()}


class _Undocumented:
    """A finder that gives pyarrow a parser of docstrings that finds nothing in them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, _Plain()) if name == DOCSTRINGS else None


def undocument() -> None:
    """Spare pyarrow the documentation of its functions; what is imported already keeps its own."""
    if not any(isinstance(finder, _Undocumented) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Undocumented())


def postpone() -> None:
    """Import the packages of POSTPONED only when they are used; what is imported already stays so."""
    if not any(isinstance(finder, _Postponed) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Postponed())
