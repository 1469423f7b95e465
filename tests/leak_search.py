"""secrets, files -> the places where a secret, a piece of it, or a disguise of it can be read.

Nothing is grepped as it lies: Parquet, Arrow and DuckDB are read column by column, JSON, HTML and XML as parsed
values, archives opened, base64 inside JSON decoded, terminal control codes taken out. Every view is searched for

- every 6-character window of every secret. Inside a run of 24 hexadecimal digits or 40 base64 characters (ids,
  digests, signatures) chance alone would hit, so there a window counts from 12 characters on. A window that the
  same commands also print over a dataset without secrets is common text and is left out by the caller.
- the forms of FORMS, whole, and in windows long enough that no chance hit is to be expected.

A hit names the plant and the form, never the secret: a failing test must not leak either.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import html
import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

WINDOW = 6  # characters of a secret that nobody may read
IN_A_RUN = 12  # characters of one that count inside a run of hexadecimal or base64 characters


def _base64_windows(data: bytes, encode: Callable[[bytes], bytes]) -> list[str]:
    """The base64 of *data* wherever it stands in a longer text: at each of three alignments, without unsure ends."""
    out = []
    for lead in range(3):
        text = encode(b"\0" * lead + data).decode().rstrip("=")
        out.append(text[(4 * lead + 2) // 3 : len(text) - 1])
    return out


def _digests(data: bytes) -> list[str]:
    found = []
    for name in ("md5", "sha1", "sha256"):
        digest = hashlib.new(name, data, usedforsecurity=False).digest()
        found += [digest.hex(), digest.hex().upper(), base64.b64encode(digest).decode().rstrip("=")]
    return found


FORMS: dict[str, tuple[int, Callable[[str], list[str]]]] = {
    "base64": (12, lambda s: _base64_windows(s.encode(), base64.b64encode)),
    "base64url": (12, lambda s: _base64_windows(s.encode(), base64.urlsafe_b64encode)),
    "base32": (16, lambda s: [base64.b32encode(s.encode()).decode().rstrip("=")[:-1]]),
    "hex": (24, lambda s: [s.encode().hex(), s.encode().hex().upper()]),
    "percent": (18, lambda s: ["".join(f"%{b:02X}" for b in s.encode()), "".join(f"%{b:02x}" for b in s.encode())]),
    "percent-mixed": (12, lambda s: [quote(s, safe="")]),
    "unicode-escape": (36, lambda s: ["".join(f"\\u{ord(c):04x}" for c in s), "".join(f"\\u{ord(c):04X}" for c in s)]),
    "byte-escape": (24, lambda s: ["".join(f"\\x{b:02x}" for b in s.encode())]),
    "json": (12, lambda s: [json.dumps(s)[1:-1]]),
    "html": (12, lambda s: [html.escape(s)]),
    "html-decimal": (30, lambda s: ["".join(f"&#{ord(c)};" for c in s)]),
    "html-hex": (36, lambda s: ["".join(f"&#x{ord(c):x};" for c in s)]),
    "reversed": (10, lambda s: [s[::-1]]),
    "other-case": (10, lambda s: [s.swapcase(), s.lower(), s.upper()]),
    "utf-16": (20, lambda s: [s.encode("utf-16-le").decode("latin-1"), s.encode("utf-16-be").decode("latin-1")]),
    "digest": (32, lambda s: [d for part in (s, f"{s}\n") for d in _digests(part.encode())]),
}
"""Name -> (length of a window, the ways in which a text is written in that form). A shorter form is searched whole."""


class Hit(NamedTuple):
    """A secret that can be read: where, which plant, in which form."""

    where: str
    plant: str
    form: str


class Needles:
    """All that is searched for: bytes -> (plant, form)."""

    def __init__(self, secrets: Mapping[str, str], more: Mapping[bytes, tuple[str, str]] | None = None) -> None:
        """
        Args:
            secrets: name of the plant -> what is secret in it, at least six characters.
            more: needle -> (plant, form).
        """
        self.by_needle: dict[bytes, tuple[str, str]] = dict(more or {})
        for plant, secret in secrets.items():
            for k in range(len(secret) - WINDOW + 1):
                self.by_needle.setdefault(secret[k : k + WINDOW].encode(), (plant, "window"))
            for window in _windows(secret, IN_A_RUN):
                self.by_needle.setdefault(window.encode(), (plant, "plain"))
            for form, (size, write) in FORMS.items():
                for text in write(secret):
                    for window in _windows(text, size):
                        if len(window) >= WINDOW and (form != "other-case" or _telling(window)):
                            self.by_needle.setdefault(window.encode("latin-1", "replace"), (plant, form))
        self._by_key: dict[int, list[bytes]] = defaultdict(list)
        for needle in self.by_needle:
            self._by_key[int.from_bytes(needle[:WINDOW], "little")].append(needle)
        self._keys = np.array(sorted(self._by_key), np.uint64)
        self._may_be = np.zeros(1 << 24, np.bool_)  # by hash: nearly all places are done with after one look here
        self._may_be[_hash(self._keys)] = True

    def find(self, data: bytes) -> Iterator[tuple[bytes, str, str]]:
        """Yield (needle, plant, form) of every needle in *data*."""
        for first in range(0, len(data), 1 << 22):
            part = np.frombuffer(data[first : first + (1 << 22) + WINDOW], np.uint8)
            if len(part) < WINDOW:
                continue
            count = len(part) - WINDOW + 1
            keys = np.zeros(count, np.uint64)
            for k in range(WINDOW):
                keys |= part[k : k + count].astype(np.uint64) << np.uint64(8 * k)
            likely = np.flatnonzero(self._may_be[_hash(keys)])
            place = np.minimum(np.searchsorted(self._keys, keys[likely]), len(self._keys) - 1)
            for at in likely[self._keys[place] == keys[likely]].tolist():
                for needle in self._by_key[int(keys[at])]:
                    plant, form = self.by_needle[needle]
                    start = first + at
                    if data.startswith(needle, start) and not (form == "window" and _in_run(data, start)):
                        yield needle, plant, form


def _hash(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return (keys * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)


def _windows(text: str, size: int) -> list[str]:
    return [text] if len(text) <= size else [text[k : k + size] for k in range(0, len(text) - size + 1)]


def _telling(window: str) -> bool:
    """A number has no case; it is a window of its own."""
    return sum(c.isalpha() for c in window) >= 4


_RUNS = (
    (re.compile(rb"[0-9A-Fa-f]*\Z"), re.compile(rb"[0-9A-Fa-f]*"), 24),
    (
        re.compile(rb"[0-9A-Za-z+/=_-]*\Z"),
        re.compile(rb"[0-9A-Za-z+/=_-]*"),
        40,
    ),
)


def _in_run(data: bytes, at: int) -> bool:
    """True inside an id, a digest or a signature, where six characters agree by chance."""
    for before, after, least in _RUNS:
        left, right = before.search(data[max(0, at - 100) : at]), after.match(data[at : at + 100])
        if left and right and len(left.group()) + len(right.group()) >= least and len(right.group()) >= WINDOW:
            return True
    return False


def search(
    views: Iterable[tuple[str, bytes]], secrets: Mapping[str, str], control: Callable[[], Iterable[tuple[str, bytes]]]
) -> set[Hit]:
    """
    Return every place in *views*, as `views_of` makes them, where one of *secrets* can be read.

    A window of six characters that *control* has as well, what the same commands wrote over a dataset without secrets,
    is common text. The control is looked at only where there are such windows, and only for them.
    """
    needles = Needles(secrets)
    found = {(where, *hit) for where, data in views for hit in needles.find(data)}
    windows = {needle: ("", "window") for _, needle, _, form in found if form == "window"}
    common: set[bytes] = set()
    if windows:
        few = Needles({}, windows)
        common = {needle for _, data in control() for needle, _, _ in few.find(data)}
    return {Hit(where, plant, form) for where, needle, plant, form in found if needle not in common}


def files_below(*roots: Path, without: Iterable[Path] = ()) -> list[Path]:
    """Return every file below *roots*, but for those below *without*."""
    skip = [p.resolve() for p in without]
    found = [f for root in roots for f in ([root] if root.is_file() else sorted(root.rglob("*"))) if f.is_file()]
    return [f for f in found if not any(f.resolve().is_relative_to(s) for s in skip)]


def once(files: Iterable[Path], scratch: Path, base: Path, known: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield the views of *files*, equal ones once and those of *known* files never; paths are told from *base* on."""
    seen = {hashlib.sha256(path.read_bytes()).digest() for path in known}
    for path in files:
        yield "a path", path.relative_to(base).as_posix().encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        yield path.name, path.read_bytes()
        for where, data in views_of(path, scratch):
            digest = hashlib.sha256(data).digest()
            if digest not in seen:
                seen.add(digest)
                yield where, data


def views_of(path: Path, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (where, bytes) of everything that can be read from the file *path*."""
    data = path.read_bytes()
    if path.suffix in (".duckdb", ".db", ".wal"):
        yield path.name, data
        if path.suffix != ".wal":
            yield from _database(path, scratch)
        return
    yield from views_of_bytes(path.name, data)


def views_of_bytes(name: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield *data* as it is and in every way in which somebody would open it, told by its first bytes."""
    yield name, data
    if depth > 6:
        return
    if data.startswith(b"PAR1"):
        yield from _table(f"{name} (parquet)", pq.read_table(io.BytesIO(data)))
    elif data.startswith(b"ARROW1"):
        yield from _table(f"{name} (arrow)", pa.ipc.open_file(io.BytesIO(data)).read_all())
    elif data.startswith(b"\x1f\x8b"):
        yield from views_of_bytes(f"{name} (gunzip)", gzip.decompress(data), depth + 1)
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        yield from views_of_bytes(f"{name} (unzstd)", zstandard.ZstdDecompressor().decompressobj().decompress(data))
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from views_of_bytes(f"{name}/{member}", archive.read(member), depth + 1)
    else:
        yield from _text(name, data, depth)


def _text(name: str, data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8", "replace")
    if "\x1b" in text:
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r", "", text)
    yield f"{name} (text)", text.encode()
    # a table or a terminal breaks a long word over lines; rejoined it is one again
    yield f"{name} (rejoined)", re.sub(r"[\s│|]*\n[\s│|]*", "", text).encode()
    if "&" in text or "<" in text:
        bare = re.sub(r"<[^>]*>", "", text)
        yield f"{name} (unescaped)", html.unescape(html.unescape(text)).encode()
        yield f"{name} (without tags)", html.unescape(html.unescape(bare)).encode()
    if text.lstrip().startswith("<?xml"):
        root = ET.fromstring(text)  # noqa: S314  # our own output
        parts = [v for e in root.iter() for v in (e.text, e.tail, *e.attrib.values()) if v]
        yield f"{name} (xml)", "\n".join(parts).encode()
    for number, value in _json(text):
        yield from _values(f"{name} (json {number})", value, depth)


def _json(text: str) -> Iterator[tuple[int, Any]]:
    """The JSON value of *text*, or of each of its lines."""
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        yield 0, json.loads(text)
        return
    except ValueError:
        pass
    for number, line in enumerate(text.splitlines(), 1):
        try:
            yield number, json.loads(line)
        except ValueError:
            continue


def _values(name: str, value: Any, depth: int) -> Iterator[tuple[str, bytes]]:
    """Every key and value below *value*; what is base64 is opened in its turn."""
    strings = list(_strings(value))
    yield name, "\n".join(strings).encode("utf-8", "surrogatepass")
    for text in strings:
        if len(text) >= 64 and re.fullmatch(r"[0-9A-Za-z+/=_-]+", text):
            try:
                inner = base64.b64decode(text.replace("-", "+").replace("_", "/") + "==", validate=False)
            except binascii.Error:
                continue
            yield from views_of_bytes(f"{name} (base64)", inner, depth + 1)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif value is not None:
        yield str(value)


def _table(name: str, table: pa.Table) -> Iterator[tuple[str, bytes]]:
    yield f"{name} metadata", str({**(table.schema.metadata or {})}).encode()
    for column in table.column_names:
        values = "\n".join(_strings(table[column].to_pylist()))
        yield f"{name} column {column}", f"{column}\n{values}".encode("utf-8", "surrogatepass")


def _database(path: Path, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Every column of every table, from a copy: opening a database may write to it."""
    copy = scratch / f"copy-{path.name}"
    shutil.copy(path, copy)
    with duckdb.connect(str(copy)) as con:
        for schema, table in con.sql("select schema_name, table_name from duckdb_tables()").fetchall():
            yield from _table(f"{path.name} {table}", con.sql(f'select * from "{schema}"."{table}"').to_arrow_table())
        for kind in ("views", "types", "settings", "logs"):
            rows = con.sql(f"select * from duckdb_{kind}()").fetchall() if kind != "settings" else []
            yield f"{path.name} {kind}", "\n".join(_strings(rows)).encode()
    copy.unlink()
