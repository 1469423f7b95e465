"""Another trainer gets approved bytes at a path of their own, and the record says that they were offered."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.errors import SignatureError, UsageError
from governance.files import read_json
from governance.gate.keys import Trust, load_trust
from governance.store import Workspace
from governance.templates import fill
from governance.train.door import GatedDataset, open_gated
from governance.train.guard import check_command, guard_command, offer, read_offer
from governance.train.offer import hash_files

Record = dict[str, Any]
TOKEN = fill("ghp_{base62*30}{crc32_base62*6}", "a guarded command")


@pytest.fixture
def data(approved: Any) -> GatedDataset:
    """The control dataset, approved and opened."""
    return open_gated(approved.file, approved.place)


@pytest.fixture
def passing(approved: Any) -> Path:
    """The file that is approved."""
    return Path(approved.file)


@pytest.fixture
def workspace(approved: Any) -> Path:
    """The workspace that approves it."""
    return Path(approved.place.root)


def python(code: str, *arguments: str) -> list[str]:
    """A command that runs *code*."""
    return [sys.executable, "-c", code, *arguments]


def lines(path: Path) -> list[list[tuple[str, Any]]]:
    """The records of a file, as ordered pairs."""
    return [json.loads(line, object_pairs_hook=list) for line in path.read_text("utf-8").splitlines()]


def test_the_command_reads_the_approved_records(
    data: GatedDataset, passing: Path, workspace: Path, tmp_path: Path
) -> None:
    """{dataset} is a file of the dataset's own name and format with its records, key order included."""
    out = tmp_path / "seen.json"
    code = f"import sys, pathlib; pathlib.Path({str(out)!r}).write_text(sys.argv[1]); open(sys.argv[1]).read()"
    ended = guard_command(data, passing, python(code, "{dataset}"), Workspace(workspace))
    path = Path(out.read_text())
    assert (ended.code, ended.unchanged) == (0, True)
    assert path.name == passing.name and data.digest in path.parts
    assert lines(path) == lines(passing)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400 and stat.S_IMODE(path.parent.stat().st_mode) == 0o500


def test_the_record_says_offered_and_is_signed(data: GatedDataset, passing: Path, workspace: Path) -> None:
    """The record names dataset, digests, times and exit code, never says consumed, and holds no secret."""
    ended = guard_command(
        data, passing, python("raise SystemExit(7)", "{dataset}", TOKEN), Workspace(workspace), mask=lambda text: "x"
    )
    record = read_offer(ended.record, load_trust(workspace))
    assert ended.code == 7
    assert (record["what"], record["exit"], record["unchanged"]) == ("offered", 7, True)
    assert record["data"]["dataset"] == data.digest and set(record["files"]) == {passing.name}
    assert record["started"] <= record["ended"] and "consumed" not in json.dumps(record)
    assert record["command"] == "x" and TOKEN not in ended.record.read_text("utf-8")
    with pytest.raises(SignatureError, match="not trusted"):
        read_offer(ended.record, Trust())
    envelope = read_json(ended.record)
    envelope["payload"] = envelope["payload"][:40] + "AAAA" + envelope["payload"][44:]
    ended.record.write_text(json.dumps(envelope))
    with pytest.raises(SignatureError, match="does not hold"):
        read_offer(ended.record, load_trust(workspace))


def test_a_command_that_changes_the_data_is_found_out(data: GatedDataset, passing: Path, workspace: Path) -> None:
    """Bytes that the command changed are seen afterwards, and the next offer has the approved ones again."""
    code = "import os, sys; p = sys.argv[1]; os.chmod(p, 0o600); open(p, 'ab').write(b'{}')"
    ended = guard_command(data, passing, python(code, "{dataset}"), Workspace(workspace))
    assert (ended.code, ended.unchanged) == (0, False)
    assert read_offer(ended.record, load_trust(workspace))["unchanged"] is False
    assert lines(offer(data, passing, Workspace(workspace))) == lines(passing)


def test_another_dataset_has_another_path(
    data: GatedDataset, check: Callable[..., Any], passing: Path, workspace: Path, control: list[Record]
) -> None:
    """A file that changed and was approved again is offered elsewhere, so no cache keyed by path can answer for it."""
    place = Workspace(workspace)
    first = offer(data, passing, place)
    assert offer(data, passing, place) == first
    changed = [{**control[0], "output": control[0]["output"] + "\n// reviewed\n"}, *control[1:]]
    passing.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in changed), "utf-8")
    assert check(passing).passed
    assert offer(open_gated(passing, place), passing, place).parent != first.parent


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".parquet", ".csv"])
def test_the_shape_of_the_dataset_stays(
    suffix: str, check: Callable[..., Any], workspace: Path, tmp_path: Path, control: list[Record]
) -> None:
    """A dataset is offered in the format it came in, and what is offered has its digest again."""
    from governance.ingest import write_records

    path = tmp_path / f"train{suffix}"
    plain = [{k: v for k, v in r.items() if isinstance(v, str)} for r in control]
    write_records(plain, path)
    data_ = check(path)
    assert data_.passed, data_.verdict
    found = offer(open_gated(path, Workspace(workspace)), path, Workspace(workspace))
    assert found.name == path.name


def test_a_folder_stays_a_folder(
    check: Callable[..., Any], workspace: Path, tmp_path: Path, control: list[Record]
) -> None:
    """A folder of files is offered as one, and by its digest alone as well."""
    folder = tmp_path / "shop"
    (folder / "more").mkdir(parents=True)
    for name, part in (("a.jsonl", control[:3]), ("more/b.jsonl", control[4:])):
        (folder / name).write_text("".join(json.dumps(r) + "\n" for r in part), "utf-8")
    assert check(folder).passed
    place = Workspace(workspace)
    data = open_gated(folder, place)
    path = offer(data, folder, place)
    assert path.name == "shop" and set(hash_files(path)) == {"shop/a.jsonl", "shop/more/b.jsonl"}
    assert set(hash_files(offer(open_gated(data.digest, place), data.digest, place))) == {
        "data/a.jsonl", "data/more/b.jsonl"
    }  # fmt: skip


def test_what_cannot_be_guarded_is_said_before(tmp_path: Path) -> None:
    """A command without {dataset}, one that is not there, and an adapter folder with files in it are refused."""
    with pytest.raises(UsageError, match=r"does not name \{dataset\}"):
        check_command(["true", "train.jsonl"])
    with pytest.raises(UsageError, match="no such command"):
        check_command(["no-such-trainer", "{dataset}"])
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="already"):
        check_command(["true", "{dataset}"], tmp_path)


def test_guard_passes_the_exit_code_on(governance: Any, passing: Path, workspace: Path) -> None:
    """`governance guard` ends as the command does; behind a closed gate it never starts."""
    trace = workspace / "started"
    command = ["--", *python(f"open({str(trace)!r}, 'w'); raise SystemExit(9)", "{dataset}")]
    other = passing.with_name("other.jsonl")
    other.write_bytes(passing.read_bytes() + passing.read_bytes())
    shut = governance("guard", other, "--workspace", workspace, *command)
    assert shut.code == 1 and "never checked" in shut.err and not trace.exists()
    ended = governance("guard", passing, "--workspace", workspace, *command)
    assert ended.code == 9 and trace.exists() and "offered, signed" in ended.err
    assert governance("guard", passing, "--workspace", workspace, "--", "true").code == 2


def test_purge_takes_what_was_offered(data: GatedDataset, passing: Path, workspace: Path) -> None:
    """Deleting the texts of a dataset deletes its offered files, read-only as they are."""
    place = Workspace(workspace)
    path = offer(data, passing, place)
    place.purge(data.digest[:12])
    assert not path.exists() and not (place.datasets / "offered" / data.digest).exists()


def test_nothing_is_left_open_to_others(data: GatedDataset, passing: Path, workspace: Path) -> None:
    """The offered files lie in the dataset store, which is the owner's alone."""
    path = offer(data, passing, Workspace(workspace))
    assert stat.S_IMODE((workspace / "datasets").stat().st_mode) == 0o700 and workspace in path.parents
