"""The source index on disk: its size, that it grows safely, and that every damage is one clear error."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from index_reference import make_index
from test_lookup import KEY, real_texts

from governance.errors import GovernanceError, SourceIndexError, UsageError
from governance.files import canonical
from governance.overlap import write
from governance.overlap.index import MANIFEST, VIEWS, read_manifest, seal_manifest
from governance.overlap.lookup import SourceIndex
from governance.overlap.write import IndexWriter, NewSource


def source(number: int, text: str) -> NewSource:
    return NewSource((("", text.encode(), "python"),), path=f"{number}")


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def queries() -> list[str]:
    return [text[n : n + 3000] for text in real_texts() for n in (0, 7000, len(text) // 2)]


def test_size(tmp_path: Path) -> None:
    """Beyond the stored text the index of real code takes at most 1.5 bytes per lexeme and view."""
    index = make_index(tmp_path / "i", real_texts())
    [segment] = index.manifest["segments"]
    beyond = sum(part["bytes"] for name, part in segment["parts"].items() if name != "text.bin")
    assert segment["parts"]["text.bin"]["bytes"] == sum(len(t.encode()) for t in real_texts())
    for view in VIEWS:
        assert 0.05 < segment["fingerprints"][view] / segment[view] < 0.09
        assert segment["parts"][f"{view}.bin"]["bytes"] <= 1.5 * segment[view]
    assert beyond <= 1.5 * (segment["verbatim"] + segment["renamed"])


def test_small_sources_are_cheap(tmp_path: Path) -> None:
    """Ten thousand samples of a hundred lexemes keep below 1.5 bytes per lexeme and view, their places included."""
    with IndexWriter(tmp_path / "i") as writer:
        for n in range(10_000):
            text = " ".join(f"w{n % 97}_{k * n % 1013}" for k in range(100)).encode()
            row = {"repository": f"r{n % 30}", "path": f"src/pack{n % 700}/file{n}.py", "start_line": n % 400}
            writer.add(NewSource((("output", text, "python"),), kind="dataset", file="d.jsonl", row=n, **row))  # type: ignore[arg-type]
    [segment] = read_manifest(tmp_path / "i")["segments"]
    beyond = sum(part["bytes"] for name, part in segment["parts"].items() if name != "text.bin")
    assert beyond <= 1.5 * (segment["verbatim"] + segment["renamed"])


def test_private(tmp_path: Path) -> None:
    """The folder and everything in it can be read by their owner only."""
    index = make_index(tmp_path / "i", ["a b c"])
    for path in (index.folder, *index.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("threads", [1, 3])
def test_same_bytes(tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index has the same bytes for any number of threads and any size of batches."""
    texts = [*real_texts(), "", "x", "a b " * 30]
    make_index(tmp_path / "one", texts)
    monkeypatch.setattr("governance.overlap.write.BATCH_BYTES", 50_000 * threads)
    make_index(tmp_path / "two", texts, threads=threads)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize("key", [None, KEY])
def test_appending_is_building(tmp_path: Path, key: bytes | None) -> None:
    """An index that is added to gives the same runs as one that is built at once."""
    texts = real_texts()
    whole = make_index(tmp_path / "whole", texts, key=key)
    for first in range(0, len(texts), 3):
        with IndexWriter(tmp_path / "parts", key=key) as writer:
            for number, text in enumerate(texts[first : first + 3], first):
                writer.add(source(number, text))
    parts = SourceIndex.open(tmp_path / "parts", key)
    assert len(parts.manifest["segments"]) == 4 and parts.sources.equals(whole.sources)
    found = parts.find(queries())
    assert found.num_rows > 2 * len(texts) and found.equals(whole.find(queries()))


def test_killed_writer_leaves_the_old_index(tmp_path: Path) -> None:
    """A writer that fails, or is killed before its end, changes nothing; the next one sweeps what it left."""
    index = make_index(tmp_path / "i", real_texts()[:2])
    before, old = files(index.folder), index.find(queries())
    with pytest.raises(ZeroDivisionError), IndexWriter(index.folder, segment_bytes=1000) as writer:
        for number, text in enumerate(real_texts()):
            writer.add(source(number, text))
        raise ZeroDivisionError
    assert files(index.folder) == before
    child = os.fork()
    if child == 0:  # killed between the new segments and the manifest
        vars(write)["write_durably"] = lambda *_: os._exit(9)
        with IndexWriter(index.folder, threads=1) as writer:
            writer.add(source(9, real_texts()[2]))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (index.folder / "segment-000002").is_dir()
    assert SourceIndex.open(index.folder).find(queries()).equals(old)
    make_index(index.folder, [])
    assert not (index.folder / "segment-000002").exists()
    assert SourceIndex.open(index.folder).find(queries()).equals(old)


def test_one_writer(tmp_path: Path) -> None:
    """A second writer is refused while one is at work, and readers are not."""
    folder = make_index(tmp_path / "i", ["a b c"]).folder
    with IndexWriter(folder):
        with pytest.raises(SourceIndexError, match="another process writes"), IndexWriter(folder):
            pass
        assert len(SourceIndex.open(folder)) == 1
    with (folder / "lock").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGE: dict[str, Callable[[Path], object]] = {"cut short": cut_short, "changed": flip, "gone": Path.unlink, "empty": lambda p: p.write_bytes(b"")}  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_parts(tmp_path: Path, damage: str) -> None:
    """Every file of an index that is cut short, changed by a bit, emptied or gone is one clear error that names it."""
    whole = make_index(tmp_path / "i", real_texts()[:3], segment_bytes=100_000).folder
    for path in sorted(p for p in whole.rglob("*") if p.is_file() and p.name != "lock"):
        folder = tmp_path / "copy"
        shutil.copytree(whole, folder)
        victim = folder / path.relative_to(whole)
        DAMAGE[damage](victim)
        with pytest.raises(SourceIndexError) as problem:
            SourceIndex.open(folder)
        said = str(problem.value)
        assert str(folder) in said and victim.name in said and "\n" not in said
        shutil.rmtree(folder)


def test_every_byte_of_the_manifest_counts(tmp_path: Path) -> None:
    """No byte of the manifest can be changed unnoticed."""
    folder = make_index(tmp_path / "i", ["a b c"]).folder
    data = (folder / MANIFEST).read_bytes()
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 4
        (folder / MANIFEST).write_bytes(bytes(changed))
        with pytest.raises(SourceIndexError):
            SourceIndex.open(folder)
    (folder / MANIFEST).write_bytes(data)
    assert len(SourceIndex.open(folder)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, expected 1"),
        ({"lexer": "0" * 16}, "lexer '0000000000000000'"),
        ({"k": 20}, "k 20"),
        ({"w": 17}, "w 17"),
        ({"views": ["verbatim"]}, "views"),
    ],
)
def test_other_versions(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """An index of another format, lexer or other parameters is refused, by readers and writers, with what differs."""
    folder = make_index(tmp_path / "i", ["a b c"]).folder
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_bytes(seal_manifest({**manifest, **change}))
    for work in (lambda: SourceIndex.open(folder), lambda: IndexWriter(folder).__enter__()):
        with pytest.raises(SourceIndexError, match="build it again") as problem:
            work()
        assert said in str(problem.value)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": 1}', b"\xff\xfe", b"[" * 100_000, canonical({"format": None})]
)
def test_strange_manifests(tmp_path: Path, content: bytes) -> None:
    """A manifest that is none is one clear error."""
    folder = make_index(tmp_path / "i", ["a b c"]).folder
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(SourceIndexError, match=MANIFEST):
        SourceIndex.open(folder)


def test_no_index(tmp_path: Path) -> None:
    """A folder without an index, a file, and nothing are refused; a folder of other files is never written to."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for path in (tmp_path / "none", tmp_path / "file", tmp_path / "full"):
        with pytest.raises(SourceIndexError):
            SourceIndex.open(path)
    with pytest.raises(UsageError, match="other files"), IndexWriter(tmp_path / "full"):
        pass
    with pytest.raises(GovernanceError, match="cannot be written"), IndexWriter(tmp_path / "file"):
        pass
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_kinds_do_not_mix(tmp_path: Path) -> None:
    """A keyed index takes no texts, one with texts no key, and a keyed one no second key."""
    make_index(tmp_path / "k", ["a b c"], key=KEY)
    make_index(tmp_path / "o", ["a b c"])
    for folder, key, said in (("k", None, "keyed"), ("o", KEY, "not keyed"), ("k", KEY + b"!", "another key")):
        with pytest.raises(UsageError, match=said), IndexWriter(tmp_path / folder, key=key):
            pass


def test_empty_index(tmp_path: Path) -> None:
    """An index of nothing, of an empty text and of a text without lexemes can be made, opened and asked."""
    for name, texts in (("none", []), ("empty", [""]), ("space", [" \n\t", "\u3000"])):
        index = make_index(tmp_path / name, texts)
        assert len(index) == len(texts) and index.find(["x = 1", "", "a " * 60]).num_rows == 0


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\x01" * 500, b"\0" * 5000, "\ud800".encode("utf-8", "surrogatepass") * 99, bytes(range(256)) * 40])  # fmt: skip  # noqa: E501
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no text are indexed as they are, and found."""
    with IndexWriter(tmp_path / "i") as writer:
        writer.add(NewSource((("", data, ""),)))
    index = SourceIndex.open(tmp_path / "i")
    text = data.decode("utf-8", "surrogatepass") if data.startswith(b"\xed") else None
    if text is not None:
        assert any(r["whole"] for r in index.find([text]).to_pylist())
    assert index.texts_of(0)[0][1] == data.decode("utf-8", "replace")


def test_huge_sources_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source whose places would not fit into 32 bits is a wrong argument, and the index stays as it was."""
    monkeypatch.setattr("governance.overlap.write.MAX_TEXT", 1000)
    with pytest.raises(ValueError, match="expected less than 1000"), IndexWriter(tmp_path / "i") as writer:
        writer.add(source(0, "x" * 1000))
    assert not (tmp_path / "i" / MANIFEST).exists()
