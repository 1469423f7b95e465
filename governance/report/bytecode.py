"""templates -> their compiled form, kept where Python keeps that of the package.

Compiling the two templates takes longer than rendering them. The cache is code, so it lies beside the package and never
in the workspace: who can write there can change the package as well, while a workspace may come from anywhere.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import sys
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

import governance

_DAMAGED = (
    OSError, EOFError, ValueError, TypeError, pickle.UnpicklingError, AttributeError, ImportError, LookupError,
)  # fmt: skip
"""What Jinja's reader of a checksum (pickled) and of code (marshalled) raises where a file is cut short."""


class TemplateCache(jinja2.BytecodeCache):
    """
    One file per template in ``__pycache__``; Jinja looks at its own version and at a checksum of the template.

    Nothing is written where Python itself would write none, and a folder that cannot be written is no error.
    """

    def _path(self, bucket: Bucket) -> Path:
        folder = Path(importlib.util.cache_from_source(__file__)).parent
        return folder / f"template-{governance.__version__}-{bucket.key}.jinja"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill *bucket* if the template was compiled before; a damaged file counts as none."""
        with contextlib.suppress(*_DAMAGED), self._path(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled: whole or not at all, for processes that do so at once."""
        if sys.dont_write_bytecode:
            return
        path = self._path(bucket)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(exist_ok=True)
            temporary.write_bytes(bucket.bytecode_to_string())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
