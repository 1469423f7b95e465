"""What a dataset digest covers: samples, bad records and their places; and which files a folder holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.errors import InputError
from governance.ingest import Ingested, files_unchanged, ingest_files, ingest_stored, stored_bad
from governance.store import Workspace

GOOD = b'{"text": "alpha"}\n'
OTHER = b'{"text": "beta"}\n'
BAD, WORSE = b'{"text": \n', b'{"text": 7}\n'

Read = Callable[..., Ingested]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_bytes(data: bytes, **settings: int) -> Ingested:
        path = tmp_path / "d.jsonl"
        path.write_bytes(data)
        return ingest_files(path, tmp_path / "work", **settings)

    return read_bytes


def test_without_bad_records_only_samples_count(read: Read) -> None:
    """A dataset of samples alone keeps the digest that its samples define; blank lines change nothing."""
    found = read(GOOD + OTHER)
    plain = hashlib.sha256()
    for row in pa.ipc.open_file(pa.memory_map(str(found.samples))).read_all().to_pylist():
        plain.update(bytes.fromhex(row["sample_id"]) + (13).to_bytes(8, "little") + b'{"text":null}')
    assert found.digest == plain.hexdigest() == read(GOOD + b"\n\n" + OTHER).digest


def test_bad_records_and_their_places_count(read: Read) -> None:
    """Another bad record, one more, one less, or the same one at another place gives another digest."""
    datasets = (GOOD + OTHER, GOOD + BAD + OTHER, GOOD + WORSE + OTHER, BAD + GOOD + OTHER, GOOD + BAD + BAD + OTHER)
    assert len({read(data).digest for data in datasets}) == len(datasets)


def test_bad_records_swapped_for_others_of_equal_number(read: Read) -> None:
    """Two bad records that change places are another dataset."""
    assert read(GOOD + BAD + WORSE).digest != read(GOOD + WORSE + BAD).digest


def test_size_of_a_record_over_the_limit_counts(read: Read) -> None:
    """Of a record over the limit the start and the size are in the digest."""
    long, longer = (b'{"text": "' + b"a" * n + b'"}\n' for n in (200_000, 200_001))
    assert read(GOOD + long, max_row_bytes=70_000).digest != read(GOOD + longer, max_row_bytes=70_000).digest


def test_files_of_a_folder_are_one_dataset(tmp_path: Path) -> None:
    """A bad record counts at its place in the dataset, so the same records in one file or in two are the same."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "a.jsonl").write_bytes(GOOD + BAD + OTHER + WORSE)
    (two / "a.jsonl").write_bytes(GOOD + BAD)
    (two / "b.jsonl").write_bytes(OTHER + WORSE)
    assert ingest_files(one, tmp_path / "w1").digest == ingest_files(two, tmp_path / "w2").digest


def stored(tmp_path: Path, found: Ingested) -> Path:
    workspace = Workspace(tmp_path / "ws")
    workspace.save_dataset(found.digest, found.samples, {}, bad=stored_bad(found))
    return tmp_path / "ws" / "datasets" / found.digest / "samples.parquet"


def test_stored_dataset_keeps_its_bad_records(read: Read, tmp_path: Path) -> None:
    """Read from the store by its digest, a dataset has the same bad records, without their bytes, and that digest."""
    found = read(GOOD + BAD + OTHER + WORSE)
    (tmp_path / "again").mkdir()
    again = ingest_stored(stored(tmp_path, found), found.digest, tmp_path / "again")
    assert (again.digest, again.count, again.records) == (found.digest, 2, 4)
    names = ["file", "row", "line", "reason", "detail"]
    assert again.quarantine.select(names).to_pylist() == found.quarantine.select(names).to_pylist()
    assert again.quarantine["raw"].to_pylist() == [None, None]
    assert stored_bad(again).num_rows == 0


@pytest.mark.parametrize("change", ["gone", "fewer", "other", "garbage"])
def test_tampered_quarantine_of_a_stored_dataset_is_refused(read: Read, tmp_path: Path, change: str) -> None:
    """Bad records that are taken away, changed or damaged in the store do not fit its digest."""
    found = read(GOOD + BAD + OTHER + WORSE)
    samples = stored(tmp_path, found)
    bad = samples.with_name("quarantine.parquet")
    table = pq.read_table(bad)
    bad.unlink()
    if change == "fewer":
        pq.write_table(table.slice(0, 1), bad)
    elif change == "other":
        identity = pa.array([bytes(40)] * 2, pa.binary(40))
        pq.write_table(table.set_column(table.num_columns - 1, "identity", identity), bad)
    elif change == "garbage":
        bad.write_bytes(b"PAR1")
    (tmp_path / "again").mkdir()
    with pytest.raises(InputError, match="check the original dataset again"):
        ingest_stored(samples, found.digest, tmp_path / "again")


def test_bytes_of_bad_records_are_kept_once(read: Read, tmp_path: Path) -> None:
    """The bytes of bad records stand in the workspace's quarantine alone; a stored dataset adds no empty copies."""
    found = read(GOOD + BAD)
    samples = stored(tmp_path, found)
    assert b"raw" not in samples.with_name("quarantine.parquet").read_bytes()
    workspace = Workspace(tmp_path / "ws")
    workspace.save_quarantine(found.digest, found.quarantine)
    (tmp_path / "again").mkdir()
    workspace.save_quarantine(found.digest, ingest_stored(samples, found.digest, tmp_path / "again").quarantine)
    [kept] = (tmp_path / "ws" / "datasets" / "quarantine").glob("*.parquet")
    assert pq.read_table(kept)["raw"].to_pylist() == [BAD.strip(b"\n")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for name in ("a.jsonl", "b.jsonl", "sub/c.jsonl"):
        (data / name).write_bytes(GOOD)
    return data


def changed(found: Ingested) -> list[str]:
    return files_unchanged(found.files, found.dataset)


def test_an_untouched_folder_is_unchanged(folder: Path, tmp_path: Path) -> None:
    """Hidden files and files of other kinds are no part of a dataset, so they may come and go."""
    found = ingest_files(folder, tmp_path / "work")
    (folder / "notes.txt").write_bytes(b"x")
    (folder / ".d.jsonl").write_bytes(GOOD)
    assert changed(found) == []


def test_added_files_are_named(folder: Path, tmp_path: Path) -> None:
    """A file that comes into a folder, or below it, while it is checked is named."""
    found = ingest_files(folder, tmp_path / "work")
    (folder / "sub" / "d.jsonl").write_bytes(GOOD)
    (folder / "e.csv").write_bytes(b"text\nx\n")
    assert changed(found) == ["e.csv", "sub/d.jsonl"]


def test_renamed_files_are_named_by_both_names(folder: Path, tmp_path: Path) -> None:
    """A file that is renamed meanwhile is named as gone and as new, once each."""
    found = ingest_files(folder, tmp_path / "work")
    (folder / "b.jsonl").rename(folder / "z.jsonl")
    assert changed(found) == ["b.jsonl", "z.jsonl"]


def test_a_folder_that_can_no_longer_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    """Data in a form that is not read, added meanwhile, is a change as well; names pass the mask."""
    found = ingest_files(folder, tmp_path / "work")
    (folder / "more.jsonl.xz").write_bytes(b"x")
    assert files_unchanged(found.files, found.dataset, lambda name: name.replace("data", "xxxx")) == ["xxxx"]
