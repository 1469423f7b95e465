"""this machine -> what is installed, which engines and extras work, what would reach the network."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

IMPORTED = {
    "duckdb": "duckdb",
    "pyarrow": "pyarrow",
    "numpy": "numpy",
    "numba": "numba",
    "google-re2": "re2",
    "orjson": "orjson",
    "pydantic": "pydantic",
    "PyYAML": "yaml",
    "jinja2": "jinja2",
    "cryptography": "cryptography",
    "pygit2": "pygit2",
    "tree-sitter": "tree_sitter",
    "presidio_anonymizer": "presidio_anonymizer",
    "gherkin-official": "gherkin",
    "zstandard": "zstandard",
}
LOOKED_UP = ("great_expectations", "SQLAlchemy", "duckdb_engine")
REQUIRED = IMPORTED | dict.fromkeys(LOOKED_UP, "")
EXTRAS = {"train": ("torch", "transformers", "peft", "openai"), "spark": ("pyspark", "grpcio")}


def examine() -> list[dict[str, Any]]:
    """
    Return rows ``{check, ok, detail}``; *ok* is yes, no, or optional for an extra that is not there.

    Packages whose import takes seconds are looked up, not imported. Nothing here opens a connection.
    """
    rows = [_row("python", (3, 11) <= sys.version_info[:2] < (3, 15), platform.python_version())]
    rows += [_package(name, module) for name, module in REQUIRED.items()]
    rows += [
        _try("engine: patterns", _patterns),
        _try("engine: kernels", _kernels),
        _try("engine: duckdb", _duckdb),
        _try("grammars", _grammars),
        _try("data folders", _data),
    ]
    for extra, packages in EXTRAS.items():
        missing = [p for p in packages if not _version(p)]
        detail = (
            f"not installed: {', '.join(missing)}" if missing else ", ".join(f"{p} {_version(p)}" for p in packages)
        )
        rows.append({"check": f"extra {extra}", "ok": "optional" if missing else "yes", "detail": detail})
    rows.append(_row("cores", True, str(len(os.sched_getaffinity(0)))))
    rows.append(_row("memory", True, f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"))
    free = shutil.disk_usage(Path.cwd()).free
    rows.append(_row("disk", free > 1 << 30, f"{free / 2**30:.1f} GiB free here"))
    rows.append(_row("network", True, "no command opens a connection; DuckDB extensions and analytics are off"))
    return rows


def _row(check: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"check": check, "ok": "yes" if ok else "no", "detail": detail}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _package(name: str, module: str) -> dict[str, Any]:
    version = _version(name)
    if not version:
        return _row(name, False, "not installed")
    if module:
        try:
            importlib.import_module(module)
        except ImportError as problem:
            return _row(name, False, f"{version}, but cannot be imported: {problem.name or 'see pip check'}")
    return _row(name, True, version)


def _try(check: str, examine_one: Callable[[], str]) -> dict[str, Any]:
    from governance.errors import GovernanceError

    try:
        return _row(check, True, examine_one())
    except (GovernanceError, ImportError, OSError, RuntimeError, ValueError) as problem:
        return _row(check, False, f"{type(problem).__name__}")


def _patterns() -> str:
    """Compile one pattern and find it."""
    import re2

    found = re2.search(r"a(b+)c", "xabbcx")
    if found is None or found.group(1) != "bb":
        raise RuntimeError
    try:
        import hyperscan
    except ImportError:
        return "RE2 only: no Hyperscan wheel for this platform; findings are equal, scanning is slower"
    database = hyperscan.Database()
    database.compile(expressions=[b"ab+c"], ids=[0], flags=[hyperscan.HS_FLAG_SINGLEMATCH])
    hits: list[int] = []
    database.scan(b"xabbcx", match_event_handler=lambda ident, *_: hits.append(ident))
    if hits != [0]:
        raise RuntimeError
    return "Hyperscan, with RE2 for spans"


def _kernels() -> str:
    """Run one compiled kernel of this package."""
    from governance.languages.lexer import character_classes

    if character_classes()[ord("a")] != 1:
        raise RuntimeError
    import numba

    return f"numba {numba.__version__}, {numba.get_num_threads()} threads"


def _duckdb() -> str:
    """Run SQL on a locked connection."""
    from governance.engines.tables import Tables
    from governance.samples import SAMPLES

    with Tables(SAMPLES.empty_table()).connect() as con:
        if con.execute("select count(*) from samples").fetchall() != [(0,)]:
            raise RuntimeError
    return "in-process, no extension needed, external access off"


def _grammars() -> str:
    from governance.languages.treesitter import parse

    if parse("java", b"class A {}").root_node.has_error or parse("python", b"x = 1").root_node.has_error:
        raise RuntimeError
    return "java, python"


def _data() -> str:
    from governance.data import data_folder

    folders = ("rules", "pipelines", "reports")
    return ", ".join(f"{name} ({len(list(data_folder(name).rglob('*.*')))} files)" for name in folders)
