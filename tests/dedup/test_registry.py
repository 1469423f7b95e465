"""A registry answers what comparing with the registered dataset itself would, without its text."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import LeanMinHash
from dedup_reference import Texts, planted, write

from governance.dedup import join, sets
from governance.dedup.across import find_across, read_contents
from governance.dedup.lean import from_lean
from governance.dedup.methods import Method
from governance.dedup.registry import REGISTERED, Registry, find_registered
from governance.dedup.signatures import write_signatures
from governance.errors import RegistryError
from governance.files import sha256_file
from governance.samples import SAMPLES

ONE, TWO = "1" * 64, "2" * 64


def register(registry: Registry, digest: str, samples: Sequence[Texts], folder: Path, mask: Any = str) -> Path:
    folder.mkdir(exist_ok=True)
    path = write(folder / f"{digest[:4]}.arrow", samples, 9)
    with registry.locked(exclusive=True):
        registry.add(digest, read_contents(path, threads=2), path, mask)
    return path


def look(
    registry: Registry,
    path: Path,
    own: str = "",
    threshold: float = 0.8,
    work: Path | None = None,
    method: Method = "exact",
) -> pa.Table:
    with duckdb.connect() as con, registry.locked(exclusive=False):
        contents = read_contents(path, threads=2, work=work)
        return find_registered(contents, registry, con, own=own, threshold=threshold, work=work, method=method)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Registry, Path]:
    """A registry with one dataset, and the Arrow file of that."""
    registry = Registry(tmp_path / "registry", create=True)
    return registry, register(registry, ONE, planted(1)[:60], tmp_path)


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 1.0])
def test_as_if_the_text_were_there(
    tmp_path: Path, made: tuple[Registry, Path], threshold: float, in_file: bool
) -> None:
    """
    The rows are those of `find_across` with the dataset itself, at every threshold, shared prompts included.
    """
    registry, stored = made
    new = write(tmp_path / "new.arrow", planted(1)[60:] + planted(2)[:20])
    with duckdb.connect() as con:
        expected = find_across(new, stored, con, threshold=threshold, work=tmp_path).drop_columns(["other"])
    found = look(registry, new, threshold=threshold, work=tmp_path if in_file else None)
    assert found.schema == REGISTERED
    assert expected.num_rows
    assert set(found["dataset"].to_pylist()) == {ONE}
    assert found.drop_columns(["dataset"]).to_pylist() == expected.to_pylist()


def test_every_registered_dataset(tmp_path: Path, made: tuple[Registry, Path]) -> None:
    """
    A sample that stands in two registered datasets has a row for each; the dataset's own entry is left out.
    """
    registry, _ = made
    samples = planted(1)[:10]
    path = register(registry, TWO, samples, tmp_path)
    rows = look(registry, path).to_pylist()
    full = {(row["n"], row["dataset"]) for row in rows}
    assert full >= {(n, digest) for n in range(10) for digest in (ONE, TWO) if samples[n][2][1].strip()}
    assert [(row["n"], row["dataset"]) for row in rows] == sorted((row["n"], row["dataset"]) for row in rows)
    assert {row["dataset"] for row in look(registry, path, own=TWO).to_pylist()} == {ONE}


def test_twice(tmp_path: Path, made: tuple[Registry, Path]) -> None:
    """
    Registering a dataset again changes nothing.
    """
    registry, stored = made
    before = {p: sha256_file(p) for p in sorted(registry.folder.rglob("*")) if p.is_file()}
    assert registry.add(ONE, read_contents(stored, threads=1), stored, str) is False
    assert {p: sha256_file(p) for p in sorted(registry.folder.rglob("*")) if p.is_file()} == before


def test_no_text(tmp_path: Path) -> None:
    """
    No word of a text stands in any file or decoded column; a licence that is a sentence and what is sensitive in the
    name of a repository do not either.
    """
    secret = [[("instruction", "PlantedPrompt asks"), ("output", "PlantedAnswer tells PlantedAnswer a b c d e f")]]
    path = write(tmp_path / "in.arrow", secret)
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    for name, value in (("licence", "Planted: ask the owner"), ("repository", "https://PlantedToken@host/x")):
        table = table.set_column(SAMPLES.get_field_index(name), name, pa.array([value]))
    with pa.OSFile(str(tmp_path / "named.arrow"), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(table)
    registry = Registry(tmp_path / "registry", create=True)
    named = tmp_path / "named.arrow"
    registry.add(ONE, read_contents(named, threads=1), named, lambda value: value.replace("PlantedToken", "x"))
    entry = registry.folder / ONE
    shown = "".join(p.read_bytes().decode("latin-1") for p in entry.iterdir())
    shown += "".join(str(pq.read_table(p).to_pylist()) for p in entry.glob("*.parquet"))
    assert "Planted" not in shown
    assert pq.read_table(entry / "samples.parquet")["repository"].to_pylist() == ["https://x@host/x"]
    assert (entry.stat().st_mode & 0o777, registry.folder.stat().st_mode & 0o777) == (0o700, 0o700)


def test_stored_signatures(tmp_path: Path, made: tuple[Registry, Path]) -> None:
    """
    The stored signatures are those that `datasketch` reads and `write_signatures` writes, one per sample.
    """
    registry, stored = made
    write_signatures(stored, tmp_path / "signatures")
    expected, _ = from_lean((tmp_path / "signatures").read_bytes())
    found = registry.signatures(ONE)
    assert found.shape == (60, 128)
    assert (found == expected).all()
    size = 13 + 4 * 128
    record = (registry.folder / ONE / "signatures.bin").read_bytes()[7 * size : 8 * size]
    assert LeanMinHash.deserialize(bytearray(record), "<").hashvalues.tolist() == expected[7].tolist()


def test_by_signatures(tmp_path: Path, made: tuple[Registry, Path]) -> None:
    """
    Looked for by the stored signatures, what is found is verified: all rows are rows of the exact method, and most are.
    """
    registry, _ = made
    new = write(tmp_path / "new.arrow", planted(1)[60:] + planted(2)[:20])
    exact = {(r["n"], r["kind"]): r["similarity"] for r in look(registry, new).to_pylist()}
    found = {(r["n"], r["kind"]): r["similarity"] for r in look(registry, new, method="minhash").to_pylist()}
    assert found.keys() <= exact.keys()
    assert all(value <= exact[key] for key, value in found.items())
    assert len(found) > 0.9 * len(exact)
    assert {kind for _, kind in found} >= {"near"}


@pytest.mark.parametrize("in_file", [False, True])
def test_sets_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool) -> None:
    """
    With many entries the sets of the new dataset are made once, and for each entry only those of the samples whose
    prompts that entry shares; the rows are those of `find_across` with every one of them.
    """
    registry, work = Registry(tmp_path / "registry", create=True), tmp_path if in_file else None
    stored = {f"{k:064x}": planted(k // 2)[k % 2 :: 2] for k in range(2, 8)}
    paths = {digest: register(registry, digest, samples, tmp_path / digest[-1]) for digest, samples in stored.items()}
    new = write(tmp_path / "new.arrow", planted(1)[:40] + planted(2)[:20] + planted(9), 7)
    made: list[int] = []
    plain = sets._build

    def count(piece: Any, taken: Any) -> Any:
        made.append(int(taken.sum()) if piece.keep else 0)
        return plain(piece, taken)

    monkeypatch.setattr(sets, "_build", count)
    monkeypatch.setattr("governance.dedup.texts._PIECE", 2000)
    found = look(registry, new, work=work)
    assert sum(made) < 3 * 171  # texts of the new dataset, against 6 * 171 made anew
    for digest, path in paths.items():
        with duckdb.connect() as con:
            expected = find_across(new, path, con, work=tmp_path).drop_columns(["other"]).to_pylist()
        rows = [{k: v for k, v in r.items() if k != "dataset"} for r in found.to_pylist() if r["dataset"] == digest]
        assert rows == expected


def test_no_registry(tmp_path: Path) -> None:
    """
    A folder that is none is refused, and one that holds something else is never made into one.
    """
    with pytest.raises(RegistryError, match="is no registry; --register makes one"):
        Registry(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(RegistryError, match="is no registry and not empty"):
        Registry(tmp_path / "other", create=True)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("manifest.json", lambda b: b.replace(b"entry/2", b"entry/9"), "registry-entry/9.*expected.*register"),
        ("manifest.json", lambda b: b[:20], "manifest.json: missing or not JSON"),
        ("manifest.json", lambda b: b"[]", "manifest.json: missing or not JSON"),
        ("manifest.json", lambda b: b.replace(b'"lexer": "', b'"lexer": "0'), "another version of the lexer"),
        ("shingles.bin", lambda b: b[:-8], "shingles.bin: changed or cut short"),
        ("shingles.bin", lambda b: b"\1" + b[1:], "shingles.bin: changed or cut short"),
        ("samples.parquet", lambda b: b[: len(b) // 2], "samples.parquet: changed or cut short"),
        ("signatures.bin", lambda b: b[:-1], "signatures.bin: changed or cut short"),
        ("texts.parquet", lambda b: b"", "texts.parquet: changed or cut short"),
    ],
)
def test_damaged(made: tuple[Registry, Path], file: str, change: Any, said: str) -> None:
    """
    An entry of another version, changed or cut short is an error that names it.
    """
    registry, stored = made
    path = registry.folder / ONE / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RegistryError, match=f"(?s){ONE}.*{said}"):
        look(registry, stored)


def test_missing_file(made: tuple[Registry, Path]) -> None:
    """
    A file that is gone is named.
    """
    registry, stored = made
    (registry.folder / ONE / "texts.parquet").unlink()
    with pytest.raises(RegistryError, match=r"texts\.parquet: cannot be read"):
        look(registry, stored)


@pytest.mark.parametrize("file", ["texts.parquet", "samples.parquet"])
def test_files_of_two_entries(tmp_path: Path, made: tuple[Registry, Path], file: str) -> None:
    """
    Files of another entry, with digests made to fit, are refused: their numbers do not belong together.
    """
    registry, stored = made
    register(registry, TWO, planted(3)[:31], tmp_path)
    entry = registry.folder / ONE
    (entry / file).write_bytes((registry.folder / TWO / file).read_bytes())
    manifest = json.loads((entry / "manifest.json").read_text())
    manifest["files"][file] = sha256_file(entry / file)
    (entry / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RegistryError, match="do not belong together"):
        look(registry, stored)


def test_other_registry_version(made: tuple[Registry, Path]) -> None:
    """
    A registry of another form is refused.
    """
    registry, _ = made
    (registry.folder / "registry.json").write_text('{"schema": "governance/registry/2"}')
    with pytest.raises(RegistryError, match=r"governance/registry/2.*expected 'governance/registry/1'"):
        Registry(registry.folder)


def test_locked(made: tuple[Registry, Path]) -> None:
    """
    While another command writes, it is locked; readers share; a lock file that nobody holds blocks nobody.
    """
    registry, stored = made
    handle = os.open(registry.folder / ".lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_SH)
    assert look(registry, stored).num_rows
    with pytest.raises(RegistryError, match="is locked by another command"), registry.locked(exclusive=True):
        pass
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(RegistryError, match="is locked by another command"):
        look(registry, stored)
    os.close(handle)
    assert (registry.folder / ".lock").exists()
    with registry.locked(exclusive=True):
        pass


def test_killed_while_writing(tmp_path: Path, made: tuple[Registry, Path]) -> None:
    """
    A process that dies while it registers leaves no entry and no lock; the next one clears up and registers.
    """
    registry, stored = made
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom governance.dedup import registry\n"
        "from governance.dedup.across import read_contents\n"
        "registry.sync_tree = lambda place: os._exit(9)\n"
        "made = registry.Registry(Path(sys.argv[1]))\npath = Path(sys.argv[2])\n"
        "with made.locked(exclusive=True):\n"
        "    made.add('2' * 64, read_contents(path, threads=1), path, str)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(registry.folder), str(stored)], check=False)
    assert ended.returncode == 9
    assert any(registry.folder.glob(".tmp-*"))
    assert registry.entries() == [ONE]
    register(registry, TWO, planted(2)[:20], tmp_path)
    assert registry.entries() == [ONE, TWO]
    assert not any(registry.folder.glob(".tmp-*"))


def test_nothing(tmp_path: Path) -> None:
    """
    A dataset without samples can be registered and looked up.
    """
    registry = Registry(tmp_path / "registry", create=True)
    path = register(registry, ONE, [], tmp_path)
    assert look(registry, path).num_rows == 0
    assert look(registry, write(tmp_path / "some.arrow", planted(1)[:5])).num_rows == 0


def test_small_memory(tmp_path: Path, made: tuple[Registry, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The order of the file and its batches decide nothing about who is found.
    """
    registry, _ = made
    samples = planted(1)[40:]
    expected = sorted(
        (r["sample_id"], r["similarity"]) for r in look(registry, write(tmp_path / "a", samples)).to_pylist()
    )
    monkeypatch.setattr(join, "_COUNT", 100)
    other = look(registry, write(tmp_path / "b", samples[::-1], 3), work=tmp_path)
    assert sorted((r["sample_id"], r["similarity"]) for r in other.to_pylist()) == expected
