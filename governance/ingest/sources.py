"""a dataset path -> its files in order, each with name, format and compression."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from governance.errors import InputError

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
COMPRESSIONS = {".gz": "gz", ".zst": "zst"}
OTHER_COMPRESSIONS = (".bz2", ".xz", ".lz4", ".zip", ".7z", ".br")
BINARY = ("parquet", "arrow")
SPLIT = "split.json"  # the account that `governance split` writes beside the parts: no text, so no part of a dataset
EXPECTED = ".jsonl, .json or .csv (also with .gz or .zst), .parquet, or a folder of them"


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a dataset, with the name that is shown. *format*: ``jsonl json csv parquet arrow``."""

    path: Path
    name: str
    format: str
    compression: str = ""

    @property
    def kind(self) -> str:
        """Format and compression: ``jsonl``, ``jsonl.gz``."""
        return f"{self.format}.{self.compression}" if self.compression else self.format


def find_sources(dataset: Path, mask: Callable[[str], str] = str) -> list[Source]:
    """
    Return the files of *dataset*, a file or a folder, by name; those of a saved Hugging Face dataset in its own order.

    Hidden files and files with another suffix are not part of a dataset. Names and messages have passed *mask*: a key
    or a person's name in a file name must not reach a table or a log. Names that are then alike get a number.

    Raises:
        InputError: nothing there, no data in the folder, or a suffix that says data in a form that is not read.
    """
    try:
        found = _found(dataset)
    except InputError as problem:
        raise InputError(mask(str(problem))) from None
    names: set[str] = set()
    out = []
    for source in found:
        shown = masked = mask(source.name)
        number = 1
        while shown in names:
            number += 1
            shown = f"{masked}~{number}"
        names.add(shown)
        out.append(replace(source, name=shown))
    return out


def _found(dataset: Path) -> list[Source]:
    try:
        if dataset.is_dir():
            found = _folder(dataset, "")
        elif dataset.exists():
            found = [_file(dataset, dataset.name)]
        else:
            raise InputError(f"{dataset}: there is no such file or folder")
    except OSError as problem:
        raise InputError(f"{dataset}: cannot be read: {problem.strerror or 'unknown error'}") from None
    for source in found:
        if not source.name.isprintable():
            # Names go into tables, reports and terminals.
            raise InputError(f"{source.name!a}: the file name is not printable UTF-8; rename the file")
    if not found:
        raise InputError(f"{dataset}: the folder holds no data; expected {EXPECTED}")
    return found


def _file(path: Path, name: str) -> Source:
    if not path.is_file():
        raise InputError(f"{name}: is no regular file; expected {EXPECTED}")
    source = _known(path, name)
    if source is None:
        raise InputError(f"{name}: the suffix {path.suffix!r} is not known; expected {EXPECTED}")
    return source


def _known(path: Path, name: str) -> Source | None:
    suffixes = [s.lower() for s in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    if last in FORMATS:
        return Source(path, name, FORMATS[last])
    inner = FORMATS.get(suffixes[-2]) if len(suffixes) > 1 else None
    if inner and last in COMPRESSIONS and inner not in BINARY:
        return Source(path, name, inner, COMPRESSIONS[last])
    if inner and last in (*OTHER_COMPRESSIONS, *COMPRESSIONS):
        # Leaving it out would drop rows in silence.
        raise InputError(f"{name}: {last} is not read here; expected {EXPECTED}")
    return None


def _folder(folder: Path, prefix: str) -> list[Source]:
    entries = {e.name: e for e in os.scandir(folder) if not e.name.startswith(".")}
    if "dataset_dict.json" in entries:
        splits = _field(folder / "dataset_dict.json", prefix, "splits")
        return [s for split in splits for s in _split(folder, prefix, split)]
    if "state.json" in entries and "dataset_info.json" in entries:
        return _saved(folder, prefix)
    out: list[Source] = []
    for name in entries:
        path = folder / name
        if name == SPLIT and _is_account(path):
            continue
        if path.is_dir():
            # A link to a folder could lead round in a circle.
            out += [] if path.is_symlink() else _folder(path, f"{prefix}{name}/")
        elif path.is_file() or path.is_symlink():
            source = _known(path, prefix + name)
            out += [source] if source else []
    return sorted(out, key=lambda s: s.name) if not prefix else out


def _is_account(path: Path) -> bool:
    """Say whether *path* is what a split says of itself; a dataset of that name is read like any other."""
    if not path.is_file() or path.stat().st_size > 16 << 20:
        return False
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and str(value.get("schema", "")).startswith("governance/split/")


def _split(folder: Path, prefix: str, split: object) -> list[Source]:
    path = folder / _plain(split, f"{prefix}dataset_dict.json")
    if not path.is_dir():
        raise InputError(
            f"{prefix}dataset_dict.json: the folder of split {path.name!r} is missing; save the dataset again"
        )
    return _saved(path, f"{prefix}{path.name}/")


def _saved(folder: Path, prefix: str) -> list[Source]:
    """The Arrow files of one saved split, in the order of its state.json."""
    state = f"{prefix}state.json"
    names = []
    for item in _field(folder / "state.json", prefix, "_data_files"):
        names.append(_plain(item.get("filename") if isinstance(item, dict) else item, state))
    out = [Source(folder / name, prefix + name, "arrow") for name in names]
    for source in out:
        if not source.path.is_file():
            raise InputError(f"{source.name}: is named by {state} and missing; save the dataset again")
    return out


def _plain(name: object, where: str) -> str:
    """A file name must stay in its folder: state.json is data from elsewhere."""
    if not isinstance(name, str) or not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise InputError(f"{where}: names a file outside its folder; expected plain names, save the dataset again")
    return name


def _field(path: Path, prefix: str, key: str) -> list[object]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputError(f"{prefix}{path.name}: is not JSON; save the dataset again") from None
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise InputError(f"{prefix}{path.name}: has no list {key!r}; save the dataset again")
    return found
