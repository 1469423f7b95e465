"""The workspace: immutable runs, stored datasets, an index that can be lost, working folders that are swept."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.engines.tables import Tables
from governance.errors import GovernanceError, SignatureError, WorkspaceError
from governance.files import canonical, sha256_file, write_durably
from governance.samples import QUARANTINE, SAMPLES, sample_id, table
from governance.steps import verify_run
from governance.store import Workspace


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory, compiled: Path, control: list[Any]) -> Any:
    """One PASSED run that the tests of this module look at and do not change."""
    from governance.context import Options
    from governance.pipeline import check_dataset

    place = tmp_path_factory.mktemp("passed")
    (place / "ws").mkdir()
    (place / "ws" / "cache").symlink_to(compiled)
    data = place / "data.jsonl"
    data.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in control), "utf-8")
    return check_dataset(data, Options(workspace=place / "ws", record=False, processes=1))


@pytest.fixture
def run(passed: Any, tmp_path: Path) -> Path:
    """A copy of the workspace with its run, free to be changed; returns the run's folder."""
    import shutil

    shutil.copytree(passed.folder.parent.parent, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "runs" / str(passed.run)


def verify(run: Path) -> list[str]:
    """Verify *run* in its own workspace."""
    return verify_run(run.name, run.parent.parent, None)


def test_whole_run_verifies(run: Path, passed: Any) -> None:
    """A PASSED run verifies: every file, the signature, the evidence; the signer is said to be the local key."""
    lines = verify(run)
    assert "PASSED" in lines[0] and passed.evidence["dataset"]["digest"] in lines[0]
    assert "the key of this workspace" in lines[1]


def test_manifest_lists_every_file(run: Path) -> None:
    """The manifest names every other file of the run with its SHA-256, the tools, the settings and the rules."""
    manifest = json.loads((run / "manifest.json").read_text())
    present = {p.relative_to(run).as_posix(): sha256_file(p) for p in run.rglob("*") if p.is_file()}
    del present["manifest.json"], present["verdict.dsse.json"]  # the verdict signs the manifest
    assert manifest["files"] == present and len(present) >= 10
    assert manifest["pipeline"]["settings"]["name"] == "default" and manifest["tools"]["duckdb"]
    assert any(rule.startswith("secrets/") for rule in manifest["rules"]["ids"])


def test_any_changed_byte_is_named(run: Path) -> None:
    """One changed byte in any file of a run is found, and the file is named."""
    for path in sorted(p for p in run.rglob("*") if p.is_file() and p.name != "manifest.json"):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(GovernanceError, match=path.name):
            verify(run)
        path.write_bytes(before)
    verify(run)


def test_added_and_missing_files_are_named(run: Path) -> None:
    """A file that was added to a run, or taken from it, is named."""
    (run / "more.txt").write_text("x")
    with pytest.raises(SignatureError, match=r"more\.txt: is missing or was added"):
        verify(run)
    (run / "more.txt").unlink()
    (run / "report.md").unlink()
    with pytest.raises(SignatureError, match=r"report\.md: is missing or was added"):
        verify(run)


def remade(run: Path) -> None:
    """Write the manifest anew over changed files, as somebody who knows how would."""
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"] = {n: sha256_file(run / n) for n in manifest["files"]}
    (run / "manifest.json").write_bytes(canonical(manifest))


def test_replaced_evidence_is_not_what_was_signed(run: Path) -> None:
    """Evidence that was replaced, manifest and all, is not what was signed."""
    evidence = json.loads((run / "evidence.json").read_text())
    evidence["gates"][0]["failed"] = 7
    (run / "evidence.json").write_text(json.dumps(evidence))
    remade(run)
    with pytest.raises(SignatureError, match="is not the manifest that was signed"):
        verify(run)


def test_edited_verdict_does_not_hold(run: Path) -> None:
    """A verdict whose statement was edited has no valid signature."""
    import base64

    path = run / "verdict.dsse.json"
    envelope = json.loads(path.read_text())
    statement = base64.b64decode(envelope["payload"]).replace(b"PASSED", b"FAILED")
    envelope["payload"] = base64.b64encode(statement).decode()
    path.write_bytes(canonical(envelope))
    remade(run)
    with pytest.raises(SignatureError, match="signature"):
        verify(run)


def test_untrusted_signer_does_not_hold(run: Path) -> None:
    """A run signed by a key that nobody trusts here does not verify."""
    (run.parent.parent / "keys" / "trust.json").unlink()
    with pytest.raises(SignatureError):
        verify(run)


def test_expired_verdict_does_not_hold(
    check: Callable[..., Any], passing: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict holds for 30 days and not a day longer."""
    import time

    for days, holds in ((29, True), (31, False)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(time.time()) - days * 86_400))
        checked = check(passing)
        if holds:
            verify(workspace / "runs" / checked.run)
        else:
            with pytest.raises(SignatureError, match="expired"):
                verify(workspace / "runs" / checked.run)


def test_closed_run_does_not_verify(governance: Any, workspace: Path, closing: Path) -> None:
    """A CLOSED run is whole and does not verify: exit code 1 and the reason."""
    assert governance("check", closing, "--workspace", workspace, "--no-record").code == 1
    ended = governance("verify", "--workspace", workspace)
    assert ended.code == 1 and "CLOSED" in ended.err and ended.out == ""


def test_runs_hold_no_text(run: Path, control: list[Any]) -> None:
    """No file of a run holds a text of a sample; the dataset store does, with mode 0700."""
    needle = "orderService.find(orderId)"
    assert any(needle in r["output"] for r in control)
    for path in (p for p in run.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data = "\n".join(str(c) for c in pq.read_table(path).to_pylist()).encode()
        assert needle.encode() not in data, path.name
    store = run.parent.parent / "datasets"
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    [samples] = store.glob("*/samples.parquet")
    assert needle in str(pq.read_table(samples)["texts"].to_pylist())
    assert (store.parent / ".gitignore").read_text() == "*\n"


def test_index_can_be_lost(run: Path) -> None:
    """Deleting or damaging index.duckdb loses nothing: the list of runs is the same afterwards."""
    workspace = Workspace(run.parent.parent)
    before = workspace.list_runs()
    assert [r["run"] for r in before] == [run.name] and before[0]["status"] == "PASSED"
    index = workspace.root / "index.duckdb"
    index.unlink()
    assert workspace.list_runs() == before
    index.write_bytes(b"\0" * 5000)
    assert workspace.list_runs() == before


def test_index_follows_the_folders(run: Path) -> None:
    """A run that is gone is gone from the list, and a damaged one does not hide the others."""
    import shutil

    workspace = Workspace(run.parent.parent)
    shutil.copytree(run, run.with_name("20200101T000000Z-00000000-0000"))
    (run.parent / "20200101T000000Z-00000000-0000" / "evidence.json").write_text("{")
    assert run.name in [r["run"] for r in workspace.list_runs()]
    shutil.rmtree(run)
    assert run.name not in [r["run"] for r in workspace.list_runs()]


def test_names_of_runs(run: Path) -> None:
    """A run is named by its id, an unambiguous start of it, ``latest`` or its folder; anything else is refused."""
    workspace = Workspace(run.parent.parent)
    for name in (run.name, run.name[:20], "latest", str(run)):
        assert workspace.run_folder(name).resolve() == run.resolve()
    for name in ("", "2099", ".", "..", "../runs"):
        with pytest.raises(WorkspaceError):
            workspace.run_folder(name)


def test_taken_run_ids_get_a_number(tmp_path: Path) -> None:
    """Two runs of one second have two folders, and the first stays as it was."""
    workspace = Workspace(tmp_path / "ws")
    for content in ("one", "two"):
        with workspace.new_run("r") as (name, folder):
            (folder / "file").write_text(content)
    assert [(workspace.runs / n / "file").read_text() for n in ("r", "r-2")] == ["one", "two"]
    assert name == "r-2"


def test_failed_run_leaves_nothing(tmp_path: Path) -> None:
    """A run that fails while it is written leaves no folder and frees its id."""
    workspace = Workspace(tmp_path / "ws")
    with pytest.raises(KeyboardInterrupt), workspace.new_run("r") as (_, folder):
        (folder / "file").write_text("half")
        raise KeyboardInterrupt
    assert list(workspace.runs.iterdir()) == [] and list((workspace.root / ".locks").iterdir()) == []


def test_sweep_spares_the_living(tmp_path: Path) -> None:
    """Opening a workspace removes what dead processes left and nothing that a living one is using."""
    root = tmp_path / "ws"
    workspace = Workspace(root)
    script = (
        "import sys; from pathlib import Path; from governance.store import Workspace\n"
        "with Workspace(Path(sys.argv[1])).work() as work, Workspace(Path(sys.argv[1])).new_run('r') as (_, folder):\n"
        "    print(work, folder, flush=True); sys.stdin.read(1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folders = [Path(p) for p in process.stdout.readline().split()]
        Workspace(root)
        assert len(folders) == 2 and all(f.is_dir() for f in folders)
        process.kill()
    Workspace(root)
    assert not any(f.exists() for f in folders) and list(workspace.runs.iterdir()) == []


def samples(*texts: str) -> pa.Table:
    """A table of samples with one output each."""
    rows = [
        {
            "n": n, "file": "d.jsonl", "row": n, "sample_id": sample_id([("output", t)]), "shape": "text",
            "texts": [{"field": "text", "role": "output", "text": t}], "record": '{"text":null}',
        }
        for n, t in enumerate(texts)
    ]  # fmt: skip
    return table(SAMPLES, rows)


def test_dataset_is_stored_once(tmp_path: Path) -> None:
    """A dataset lies under its digest, is written once, and gives its texts by ordinal."""
    workspace = Workspace(tmp_path / "ws")
    source = tmp_path / "samples.arrow"
    with pa.OSFile(str(source), "wb") as sink, pa.ipc.new_file(sink, SAMPLES) as writer:
        writer.write_table(samples("a", "b", "c"))
    digest = "ab" * 32
    workspace.save_dataset(digest, source, {"samples": 3})
    written = (workspace.datasets / digest / "samples.parquet").stat().st_mtime_ns
    workspace.save_dataset(digest, source, {"samples": 3})
    assert (workspace.datasets / digest / "samples.parquet").stat().st_mtime_ns == written
    assert {n: t[0].text for n, t in workspace.texts(digest, [2, 0, 0, 9]).items()} == {0: "a", 2: "c"}
    assert workspace.dataset_file("abababab") == workspace.datasets / digest / "samples.parquet"
    assert workspace.dataset_file("abab") is None and workspace.dataset_file("../../etc") is None


def test_purge_deletes_texts_and_keeps_evidence(run: Path, passed: Any) -> None:
    """Purging deletes the texts; the run stays whole and verifies, and what needs the texts says that they are gone."""
    from governance.steps import show_run

    workspace = Workspace(run.parent.parent)
    digest = passed.evidence["dataset"]["digest"]
    with pytest.raises(WorkspaceError, match="nothing was deleted"):
        workspace.purge("00000000")
    with pytest.raises(WorkspaceError, match="nothing was deleted"):
        workspace.purge(digest[:4])
    assert workspace.has_dataset(digest)
    assert workspace.purge(digest[:12]) == [digest]
    verify(run)
    with pytest.raises(WorkspaceError, match="purged"):
        list(show_run("latest", workspace.root, rule=None, cluster=None, limit=5, reveal=False))


def test_quarantine_keeps_every_version(tmp_path: Path) -> None:
    """Other bad records of the same dataset do not replace those kept before; the same ones are kept once."""
    workspace = Workspace(tmp_path / "ws")
    place = {"file": "d.jsonl", "line": 1, "reason": "broken-json", "detail": ""}
    one = table(QUARANTINE, [{**place, "row": 0, "raw": b"{"}])
    two = table(QUARANTINE, [{**place, "row": 1, "raw": b"["}])
    for bad in (one, two, one):
        workspace.save_quarantine("cd" * 32, bad)
    files = sorted((workspace.datasets / "quarantine").iterdir())
    assert len(files) == 2
    assert sorted(b for f in files for b in pq.read_table(f)["raw"].to_pylist()) == [b"[", b"{"]


def test_tables_answer_sql() -> None:
    """The working database shows samples by role and by text, and the tables of the steps."""
    con = Tables(samples("abc", "")).connect()
    assert con.execute("select n, output, length(input) from samples order by n").fetchall() == [
        (0, "abc", 0),
        (1, "", 0),
    ]
    assert con.execute("select count(*) from texts where text = 'abc'").fetchall() == [(1,)]
    for name in ("findings", "stories", "routes", "duplicates", "quarantine"):
        assert con.execute(f"select count(*) from {name}").fetchall() == [(0,)]
    assert "raw" not in [c[0] for c in con.execute("describe quarantine").fetchall()]


def test_canonical_json() -> None:
    """Equal values are equal bytes, and what JSON cannot say is refused."""
    assert canonical({"b": 1, "a": "é"}) == canonical({"a": "é", "b": 1}) == b'{\n "a": "\xc3\xa9",\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


def test_durable_write_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the old content and no temporary file."""
    path = tmp_path / "file"
    write_durably(path, b"old")
    monkeypatch.setattr("governance.files.sync_file", _refuse)
    with pytest.raises(OSError, match="full"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def _refuse(_: Path) -> None:
    raise OSError(28, "full")


def test_run_is_written_once(check: Callable[..., Any], passing: Path) -> None:
    """Checking the same file again makes a new run and leaves the bytes of the first alone."""
    first = check(passing)
    before = {p: p.read_bytes() for p in first.folder.rglob("*") if p.is_file()}
    second = check(passing)
    assert first.run != second.run
    assert before == {p: p.read_bytes() for p in first.folder.rglob("*") if p.is_file()}
