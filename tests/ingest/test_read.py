"""Files of every format, in every encoding, whole and damaged."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from governance.errors import InputError, WorkspaceError
from governance.ingest import Ingested, files_unchanged, fill_record, ingest_files, write_records
from governance.ingest import read as read_module
from governance.samples import QUARANTINE, SAMPLES, sample_id

ROWS: list[dict[str, Any]] = [
    {"instruction": "Implement the method add", "input": "class Sum", "output": "def add(a, b):\n    return a + b\n"},
    {"instruction": "创建用户故事", "input": "", "output": '作为用户，我想要搜索, "以便"找到 \U0001f600\r\n'},
    {"instruction": "third", "input": "x,y", "output": ""},
]
SUFFIXES = [".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".csv", ".csv.zst", ".parquet"]


def samples_of(found: Ingested) -> pa.Table:
    with pa.memory_map(str(found.samples)) as source:
        return pa.ipc.open_file(source).read_all()


def records_of(found: Ingested) -> list[dict[str, Any]]:
    return [
        fill_record(row["record"], {t["field"]: t["text"] for t in row["texts"]})
        for row in samples_of(found).to_pylist()
    ]


def lines_of(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def bad_of(found: Ingested) -> list[tuple[int, int, str, bytes]]:
    return [(b["row"], b["line"], b["reason"], b["raw"]) for b in found.quarantine.to_pylist()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_samples(tmp_path: Path, suffix: str) -> None:
    """The same records have the same samples and digest in every format, and come back as they were."""
    path = tmp_path / f"data{suffix}"
    name = path if suffix != ".ndjson" else tmp_path / "data.jsonl"
    write_records(ROWS, name)
    if name != path:
        name.rename(path)
    found = ingest_files(path, tmp_path / "work")
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(lines_of(ROWS))
    assert found.digest == ingest_files(plain, tmp_path / "other").digest
    assert records_of(found) == ROWS
    assert [list(r) for r in records_of(found)] == [list(r) for r in ROWS]
    (file,) = found.files
    assert (file.name, file.records, file.quarantined, file.shape) == (path.name, 3, 0, "alpaca")
    assert (file.sha256, file.bytes) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    assert file.format == {"ndjson": "jsonl"}.get(suffix[1:], suffix[1:])
    assert file.encoding == ("" if suffix == ".parquet" else "utf-8")


def test_samples_follow_the_schema_and_the_identity(tmp_path: Path) -> None:
    """The Arrow file has the shared schema; ids are those of samples.sample_id, the digest that of its definition."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines_of([*ROWS, {"text": "t", "z": 1, "licence": "MIT", "a": {"y": 1, "b": 2}}]))
    found = ingest_files(path, tmp_path / "work")
    table = samples_of(found)
    table.validate(full=True)
    assert table.schema == SAMPLES
    assert found.quarantine.schema == QUARANTINE
    rows = table.to_pylist()
    assert [r["n"] for r in rows] == [r["row"] for r in rows] == [0, 1, 2, 3]
    assert {r["file"] for r in rows} == {"d.jsonl"}
    assert rows[3]["licence"] == "MIT"
    digest = hashlib.sha256()
    for row in rows:
        assert row["sample_id"] == sample_id((t["role"], t["text"]) for t in row["texts"])
        canonical = json.dumps(json.loads(row["record"]), sort_keys=True, separators=(",", ":")).encode()
        digest.update(bytes.fromhex(row["sample_id"]) + struct.pack("<Q", len(canonical)) + canonical)
    assert found.digest == digest.hexdigest()


def test_digest_sees_metadata_and_order_but_not_the_key_order(tmp_path: Path) -> None:
    """A changed licence or another row order is another dataset; another key order is not."""

    def digest(*rows: dict[str, Any]) -> str:
        path = tmp_path / "d.jsonl"
        path.write_bytes(lines_of(list(rows)))
        return ingest_files(path, tmp_path / "work").digest

    a, b = {"text": "a", "licence": "MIT"}, {"text": "b"}
    assert digest(a, b) == digest({"licence": "MIT", "text": "a"}, b)
    assert len({digest(a, b), digest(b, a), digest({**a, "licence": "GPL-3.0"}, b)}) == 3


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_encodings_are_found(tmp_path: Path, codec: str, name: str, suffix: str) -> None:
    """UTF-8, GB18030 and UTF-16 are told apart, with and without byte order mark, and give the same samples."""
    plain = tmp_path / f"plain{suffix}"
    write_records(ROWS, plain)
    path = tmp_path / f"d{suffix}"
    path.write_bytes(plain.read_bytes().decode().encode(codec))
    found = ingest_files(path, tmp_path / "work")
    assert found.files[0].encoding == name
    assert found.digest == ingest_files(plain, tmp_path / "other").digest
    assert ingest_files(path, tmp_path / "work", encoding=codec).digest == found.digest


def test_bad_rows_are_quarantined(tmp_path: Path) -> None:
    """Every kind of bad row has its row, line, reason and bytes; blank lines are lines but no records."""
    good = b'{"text": "a"}'
    lines = [
        (good, None),
        (b"", None),
        (b'{"text": "a"', "broken-json"),
        (b"   ", None),
        (b'{"text": "caf\xe9"}', "undecodable"),
        (b'{"text": "\\ud800"}', "undecodable"),
        (b'{"text": "a\\u0000b"}', "nul"),
        (b'{"text": "a\0b"}', "broken-json"),
        (b"[1]", "wrong-type"),
        (b'{"text": 5}', "wrong-type"),
        (b'{"text": NaN}', "broken-json"),
        (b"{}", "empty-record"),
        (b'{"foo": "a"}', "missing-field"),
        (b'{"text": "' + b"a" * 2000 + b'"}', "too-large"),
        (b"[" * 3000, "broken-json"),
        (good, None),
    ]
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"\r\n".join(line for line, _ in lines))
    found = ingest_files(path, tmp_path / "work", max_row_bytes=1000)
    expected, row = [], 0
    for line, (raw, reason) in enumerate(lines, 1):
        if raw.strip():
            if reason:
                expected.append((row, line, "too-large" if len(raw) > 1000 else reason))
            row += 1
    assert [b[:3] for b in bad_of(found)] == expected
    assert all(raw.rstrip(b"\r") in [r for r, _ in lines] for *_, raw in bad_of(found))
    assert (found.count, found.records, found.files[0].quarantined) == (2, row, len(expected))
    assert samples_of(found)["row"].to_pylist() == [0, row - 1]
    assert found.files[0].encoding == "utf-8"


@pytest.mark.parametrize("codec", ["gb18030", "utf-16-le", "utf-16-be"])
def test_a_damaged_row_spoils_no_other(tmp_path: Path, codec: str) -> None:
    """In GB18030 and UTF-16 too a bad row is quarantined alone, with its bytes as the file has them."""
    good = json.dumps({"text": "用户故事"}, ensure_ascii=False).encode(codec)
    wrong = b"\xff" if codec == "gb18030" else "\ud800".encode(codec, "surrogatepass")
    bad = '{"text": "'.encode(codec) + wrong + '"}'.encode(codec)
    path = tmp_path / "d.jsonl"
    path.write_bytes("\n".encode(codec).join([good, bad, good]))
    found = ingest_files(path, tmp_path / "work", encoding=codec)
    assert bad_of(found) == [(1, 2, "undecodable", bad)]
    assert found.count == 2


@pytest.mark.parametrize("damage", [b"\xff\xfe", "用".encode()[:2], b"caf\xe9", b"\xc3"])
def test_one_damaged_row_does_not_make_a_file_chinese(tmp_path: Path, damage: bytes) -> None:
    """A file of ASCII with one damaged row stays UTF-8."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "%s"}\n{"text": "b"}\n' % damage)
    found = ingest_files(path, tmp_path / "work")
    assert (found.files[0].encoding, found.count) == ("utf-8", 2)
    assert [b[2] for b in bad_of(found)] == ["undecodable"]


def test_empty_files_have_no_records(tmp_path: Path) -> None:
    """An empty file and one of blank lines are read, and hold nothing; the gate judges that."""
    for suffix in (".jsonl", ".json", ".csv"):
        for data in (b"", b"\n\n  \n"):
            path = tmp_path / f"d{suffix}"
            path.write_bytes(data)
            found = ingest_files(path, tmp_path / "work")
            assert (found.count, found.records, found.files[0].shape) == (0, 0, "")
            assert samples_of(found).num_rows == 0


def test_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """A folder is read with its subfolders, sorted; hidden and other files are not data; rows count per file."""
    data = tmp_path / "data"
    for name in ("b.jsonl", "a/z.jsonl", "a.jsonl", ".hidden.jsonl", "README.md", ".git/x.jsonl", "a-b.jsonl"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(lines_of([{"text": name}, {"foo": 1}, {"text": name}]))
    found = ingest_files(data, tmp_path / "work")
    names = ["a-b.jsonl", "a.jsonl", "a/z.jsonl", "b.jsonl"]
    assert [f.name for f in found.files] == names
    table = samples_of(found)
    assert table["file"].to_pylist() == [n for n in names for _ in range(2)]
    assert table["row"].to_pylist() == [0, 2] * 4
    assert table["n"].to_pylist() == list(range(8))
    assert len(table["n"].chunks) == 1
    assert [(b["file"], b["row"], b["line"]) for b in found.quarantine.to_pylist()] == [(n, 1, 2) for n in names]


def unreadable(tmp_path: Path) -> dict[str, Callable[[Path], None]]:
    whole = lines_of(ROWS * 50)
    zst = zstandard.ZstdCompressor().compress(whole)

    def write(data: bytes) -> Callable[[Path], None]:
        return lambda path: path.write_bytes(data) and None

    return {
        "missing.jsonl": lambda path: None,
        "d.txt": write(whole),
        "d": write(whole),
        "d.jsonl.xz": write(whole),
        "d.parquet.gz": write(whole),
        "folder.jsonl": lambda path: path.mkdir(),
        "cut.jsonl.gz": write(gzip.compress(whole)[:-9]),
        "cut2.jsonl.gz": write(gzip.compress(whole)[:100]),
        "plain.jsonl.gz": write(whole),
        "cut.jsonl.zst": write(zst[:-5]),
        "plain.jsonl.zst": write(whole),
        "bad.parquet": write(whole),
        "bad.arrow": write(whole),
        "empty.parquet": write(b""),
        "empty.arrow": write(b""),
        "two.json": write(json.dumps({"a": [{"text": "a"}], "b": [{"text": "a"}]}).encode()),
        "twice.csv": write(b"text,text\na,b\n"),
        "utf32.jsonl": write(whole.decode().encode("utf-32")),
    }


@pytest.mark.parametrize("name", list(unreadable(Path())))
def test_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    """A file that cannot be read at all is an InputError of one line that names the file."""
    path = tmp_path / name
    unreadable(tmp_path)[name](path)
    with pytest.raises(InputError) as caught:
        ingest_files(path, tmp_path / "work")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "return a + b" not in str(caught.value)


def test_other_wrong_arguments(tmp_path: Path) -> None:
    """An unknown encoding and a wrong column map are refused before anything is read."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines_of(ROWS))
    with pytest.raises(InputError, match="encoding 'latin-5'"):
        ingest_files(path, tmp_path / "work", encoding="latin-5")
    with pytest.raises(InputError, match="'a' is mapped to 'colour'"):
        ingest_files(path, tmp_path / "work", columns={"a": "colour"})
    with pytest.raises(InputError, match="no column is mapped to a text"):
        ingest_files(path, tmp_path / "work", columns={"a": "licence"})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    """A file that may not be read is an InputError."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines_of(ROWS))
    path.chmod(0)
    with pytest.raises(InputError, match=r"d\.jsonl: cannot be read"):
        ingest_files(path, tmp_path / "work")


def test_work_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A working folder that is a file is a WorkspaceError."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines_of(ROWS))
    with pytest.raises(WorkspaceError, match="cannot be written"):
        ingest_files(path, path / "work")


def test_full_disk(tmp_path: Path) -> None:
    """When no more can be written, the error says so and what to do."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines_of(ROWS * 5000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(WorkspaceError, match="cannot be written: File too large; free space"):
            ingest_files(path, tmp_path / "work")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    """A name that no table or report can hold is refused, and the message can be printed."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.jsonl")).write_bytes(lines_of(ROWS))
    with pytest.raises(InputError, match="rename the file") as caught:
        ingest_files(folder, tmp_path / "work")
    assert str(caught.value).isascii()


def test_result_does_not_depend_on_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples, quarantine and digest are byte for byte the same inline and with two workers."""
    monkeypatch.setattr(read_module, "INLINE_BYTES", 0)
    monkeypatch.setattr("governance.ingest.lines.CHUNK_BYTES", 20_000)
    monkeypatch.setattr("governance.ingest.streams.BLOCK", 5_000)
    rows = [{"text": f"{i} " * (i % 200), "path": str(i)} if i % 7 else {"foo": i} for i in range(3000)]
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines_of(rows))
    found = [ingest_files(path, tmp_path / f"w{p}", processes=p) for p in (1, 2)]
    assert found[0].digest == found[1].digest
    assert found[0].samples.read_bytes() == found[1].samples.read_bytes()
    assert found[0].quarantine.equals(found[1].quarantine)
    assert records_of(found[0]) == [r for r in rows if "text" in r]
    assert found[0].quarantine["line"].to_pylist() == [i + 1 for i in range(0, 3000, 7)]


def test_changed_files_are_named(tmp_path: Path) -> None:
    """A file that was changed or removed after it was read is named; an untouched one is not."""
    data = tmp_path / "data"
    data.mkdir()
    for name in "abc":
        (data / f"{name}.jsonl").write_bytes(lines_of(ROWS))
    found = ingest_files(data, tmp_path / "work")
    assert files_unchanged(found.files) == []
    (data / "a.jsonl").write_bytes(lines_of(ROWS[:1]))
    (data / "c.jsonl").unlink()
    assert files_unchanged(found.files) == ["a.jsonl", "c.jsonl"]


def test_progress_adds_up_to_the_bytes_of_the_files(tmp_path: Path) -> None:
    """Progress counts every byte on the disk once."""
    for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".parquet"):
        path = tmp_path / f"d{suffix}"
        write_records(ROWS * 100, path)
        seen: list[int] = []
        ingest_files(path, tmp_path / "work", progress=seen.append)
        assert sum(seen) == path.stat().st_size


def saved(folder: Path, rows: list[list[dict[str, Any]]]) -> None:
    """A folder as `datasets.save_to_disk` lays it out."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{len(rows):05d}.arrow" for i in range(len(rows))]
    for name, part in zip(names, rows, strict=True):
        table = pa.Table.from_pylist(part)
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
            out.write_table(table)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names]}))


def test_saved_hugging_face_datasets(tmp_path: Path) -> None:
    """A saved dataset is its Arrow files in order; a saved dict of them its splits in order."""
    saved(tmp_path / "one", [ROWS[:2], ROWS[2:]])
    found = ingest_files(tmp_path / "one", tmp_path / "work")
    assert records_of(found) == ROWS
    assert [f.name for f in found.files] == ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    saved(tmp_path / "two" / "train", [ROWS[:2]])
    saved(tmp_path / "two" / "test", [ROWS[2:]])
    (tmp_path / "two" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    found = ingest_files(tmp_path / "two", tmp_path / "work")
    assert [f.name for f in found.files] == ["train/data-00000-of-00001.arrow", "test/data-00000-of-00001.arrow"]
    assert records_of(found) == ROWS


@pytest.mark.parametrize(
    "state",
    ["{", "[]", '{"_data_files": [{"filename": "../x.arrow"}]}', '{"_data_files": [{"filename": "gone.arrow"}]}'],
)
def test_damaged_saved_dataset(tmp_path: Path, state: str) -> None:
    """A saved dataset with a wrong state, or one that leads out of its folder, is an InputError."""
    saved(tmp_path / "one", [ROWS])
    (tmp_path / "one" / "state.json").write_text(state)
    with pytest.raises(InputError, match=r"state\.json"):
        ingest_files(tmp_path / "one", tmp_path / "work")


def test_arrow_stream_cut_short(tmp_path: Path) -> None:
    """An Arrow stream without its end is refused: rows could be missing."""
    saved(tmp_path / "one", [ROWS])
    path = tmp_path / "one" / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="cut short"):
        ingest_files(tmp_path / "one", tmp_path / "work")


def test_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    """A link that leads round in a circle does not make the walk endless."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_bytes(lines_of(ROWS))
    (tmp_path / "data" / "round").symlink_to(tmp_path / "data")
    assert ingest_files(tmp_path / "data", tmp_path / "work").count == 3
