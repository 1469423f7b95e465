"""What a user can get wrong: one clear line on stderr, the right exit code, nothing lost, nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PIPELINE = "name: own\npacks: [text]\ngates:\n  text: {rules: ['text/*'], limit: 0}\n"
RULE = """id: house/no-foo
severity: error
field: output
pattern: '(foo)'
message: m
why: w
flags: [a foo]
passes: [a bar]
"""
SQL_RULE = """id: house/own
severity: error
field: sample
sql: |
  SQL
message: m
why: w
flags: [[{output: a}]]
passes: [[]]
"""


def leftovers(workspace: Path) -> list[str]:
    """Everything in a workspace that a finished command must not leave."""
    found = [p for p in workspace.rglob("*") if p.name.startswith((".tmp-", "work-", ".index-")) or ".tmp" in p.name]
    return [str(p.relative_to(workspace)) for p in found if "cache" not in p.parts]


def assert_wrong(ended: Any, needle: str, code: int = 2) -> None:
    """One line on stderr that says *needle*, nothing on stdout, and the exit code."""
    assert ended.code == code, ended.out + ended.err
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and needle in lines[0], ended.err


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Write a pipeline file."""

    def write(text: str) -> Path:
        path = tmp_path / "own.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder with one rule and return the folder."""

    def write(text: str, name: str = "no-foo") -> Path:
        folder = tmp_path / "rules"
        (folder / "house").mkdir(parents=True, exist_ok=True)
        (folder / "house" / f"{name}.yaml").write_text(text, "utf-8")
        return folder

    return write


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\n \n\t\r\n\n", b"\xef\xbb\xbf"], ids=["empty", "line", "blank", "bom"]
)
def test_nothing_in_the_file(content: bytes, governance: Any, workspace: Path, tmp_path: Path) -> None:
    """An empty file, or one of blank lines, is a dataset without samples: CLOSED, with a run that says so."""
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    ended = governance("check", path, "--workspace", workspace, "--no-record")
    assert ended.code == 1 and ended.err == "" and "the dataset has no sample" in ended.out
    [run] = (workspace / "runs").iterdir()
    assert json.loads((run / "evidence.json").read_text())["dataset"]["records"] == 0
    assert leftovers(workspace) == []


def test_only_bad_records(governance: Any, workspace: Path, tmp_path: Path) -> None:
    """A file in which nothing is a record is CLOSED; every line is quarantined with its bytes, none is lost."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{\n[1]\n"x"\n{"a": 1}\n')
    ended = governance("check", path, "--workspace", workspace, "--no-record")
    assert ended.code == 1 and "4 quarantined" in ended.out
    digest = governance("quarantine", "list", "--workspace", workspace, "--format", "json")
    rows = json.loads(digest.out)
    assert [r["line"] for r in rows] == [1, 2, 3, 4] and all(r["reason"] for r in rows)
    back = governance("quarantine", "restore", rows[0]["dataset"], "-o", tmp_path / "b.jsonl", "--workspace", workspace)
    assert back.code == 0 and (tmp_path / "b.jsonl").read_bytes() == path.read_bytes()


def test_folder_without_data(governance: Any, workspace: Path, tmp_path: Path) -> None:
    """A folder without data is refused, with the formats that are read."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("x")
    assert_wrong(governance("check", tmp_path / "folder", "--workspace", workspace), "holds no data")
    assert leftovers(workspace) == [] and list((workspace / "runs").iterdir()) == []


def test_missing_path(governance: Any, workspace: Path) -> None:
    """A path that is not there is refused."""
    assert_wrong(governance("check", "nowhere.jsonl", "--workspace", workspace), "no such file or folder")


def test_unknown_suffix(governance: Any, workspace: Path, tmp_path: Path) -> None:
    """A suffix that is not data is refused."""
    (tmp_path / "a.docx").write_bytes(b"PK")
    assert_wrong(governance("check", tmp_path / "a.docx", "--workspace", workspace), "suffix '.docx'")


def test_gzip_cut_short(governance: Any, workspace: Path, passing: Path, tmp_path: Path) -> None:
    """A gzip file that ends too early is refused: half a dataset is not the dataset."""
    packed = gzip.compress(passing.read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) * 2 // 3])
    assert_wrong(governance("check", tmp_path / "cut.jsonl.gz", "--workspace", workspace), "cut.jsonl.gz")
    assert list((workspace / "runs").iterdir()) == [] and leftovers(workspace) == []


@pytest.mark.parametrize("at", ["ws", "ws/runs", "ws/datasets"])
def test_workspace_that_is_a_file(at: str, governance: Any, passing: Path, tmp_path: Path) -> None:
    """A workspace that cannot be made is refused, with what to do."""
    path = tmp_path / at
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    ended = governance("check", passing, "--workspace", tmp_path / "ws")
    assert_wrong(ended, "cannot be written")
    assert "--workspace" in ended.err


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        (PIPELINE.replace("rules: ['text/*']", "metric: nearness"), "yaml:4: gates.text: metric 'nearness' is unknown"),
        (PIPELINE.replace("limit: 0", "limit: 0, limt: 1"), "did you mean 'limit'?"),
        (PIPELINE.replace("[text]", "[texts]"), "pack 'texts' is unknown"),
        (PIPELINE.replace("text/*", "text/nothing-*"), "'text/nothing-*' fits no rule"),
        (PIPELINE.replace("limit: 0", "limit: .nan"), "own.yaml:4: gates.text.limit: must be a finite number"),
        (PIPELINE.replace("limit: 0", "limit: .inf"), "finite"),
        (PIPELINE.replace("limit: 0", "limit: -1"), "at least 0"),
        (PIPELINE.replace("limit: 0", "limit: 40"), "a rate is at most 1"),
        (PIPELINE.replace("limit: 0", "limit: many"), "own.yaml:4: gates.text.limit"),
        (PIPELINE.replace(", limit: 0", ""), "own.yaml:4: gates.text.limit: is missing"),
        (PIPELINE + "gates: {}\n", "own.yaml:5: not valid YAML: key 'gates' is given twice (first in line 3)"),
        (PIPELINE.replace("[text]", "[text"), "not valid YAML"),
        ("- a\n- b\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("name: own\npacks: [text]\ngates: {}\n", "gates"),
        (PIPELINE + "params: {text/nothing: {a: 1}}\n", "'text/nothing' is no rule"),
        (PIPELINE + "dedup: {threshold: 0.1}\n", "dedup.threshold"),
        (PIPELINE + "rule_folders: [gone]\n", "not a folder"),
        (PIPELINE + "columns: {question: instructions}\n", "'instructions'"),
        (PIPELINE + "expectations: [{type: expect_nothing}]\n", "expect_nothing"),
        (PIPELINE.replace("own\n", "own\n!!python/object:os.system x: y\n"), "not valid YAML"),
    ],
)  # fmt: skip
def test_wrong_pipeline(
    text: str, needle: str, governance: Any, workspace: Path, passing: Path, own: Callable[[str], Path]
) -> None:
    """A wrong pipeline file is refused in one line that names file, line and key."""
    ended = governance("check", passing, "--pipeline", own(text), "--workspace", workspace, "--no-record")
    assert_wrong(ended, needle)
    assert list((workspace / "runs").iterdir()) == []


def test_unknown_pipeline(governance: Any, workspace: Path, passing: Path) -> None:
    """An unknown pipeline is refused with the known ones."""
    assert_wrong(governance("check", passing, "-p", "nothing", "--workspace", workspace), "user-stories")
    assert_wrong(governance("check", passing, "-p", "gone.yaml", "--workspace", workspace), "no such pipeline file")


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        (RULE.replace("(foo)", "(foo"), "does not compile"),
        (RULE.replace("(foo)", "(?<=a)foo"), "look-around"),
        (RULE.replace("no-foo\n", "no-bar\n"), "a rule is named after its file"),
        (RULE.replace("severity: error", "severity: bad"), "severity"),
        (RULE.replace("flags: [a foo]\n", ""), "flags"),
        (RULE + "patern: x\n", "did you mean 'pattern'?"),
        (RULE.replace("pattern: '(foo)'", "check: no_such_check"), "no_such_check"),
        (RULE.replace("pattern: '(foo)'\n", ""), "one of"),
        (RULE.replace("(foo)", "x*"), "empty"),
    ],
    ids=["regex", "look-around", "id", "severity", "no-flags", "typo", "check", "no-kind", "matches-nothing"],
)  # fmt: skip
def test_wrong_rule(text: str, needle: str, governance: Any, pack: Callable[..., Path]) -> None:
    """A wrong rule file ends `rules test` with 2 and one line."""
    ended = governance("rules", "test", pack(text))
    assert ended.code == 2 and needle in ended.err, ended.err
    assert "Traceback" not in ended.err


def test_wrong_rule_in_check(governance: Any, workspace: Path, passing: Path, pack: Callable[..., Path]) -> None:
    """A rule that does not compile ends a check before anything is written."""
    folder = pack(RULE.replace("(foo)", "(foo"))
    assert_wrong(governance("check", passing, "--rules", folder, "--workspace", workspace), "does not compile")
    assert list((workspace / "runs").iterdir()) == []


@pytest.mark.parametrize(("old", "new", "needle"), [("a foo", "a fo", "flags[0]"), ("a bar", "a foo too", "passes[0]")])
def test_failing_examples(old: str, new: str, needle: str, governance: Any, pack: Callable[..., Path]) -> None:
    """A rule that fails its own examples ends `rules test` with 2 and names the example."""
    ended = governance("rules", "test", pack(RULE.replace(old, new)))
    assert ended.code == 2 and needle in ended.err and "house/no-foo" in ended.err


def test_failing_flags_close_a_gate(
    check: Callable[..., Any], passing: Path, pack: Callable[..., Path], tmp_path: Path
) -> None:
    """A rule that misses its own probe closes the gate that uses it: it would find nothing in the data either."""
    pack(RULE.replace("a foo", "a fo"))
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: own\npacks: [text]\nrule_folders: [rules]\ngates:\n  house: {rules: ['house/*'], limit: 1}\n"
    )
    checked = check(passing, pipeline=str(pipeline))
    assert not checked.passed and checked.evidence["gates"][0]["status"] == "ERROR"


READERS = (
    "select 0 as n from read_csv('{path}')",
    "select 0 as n from read_text('{path}')",
    "select 0 as n from '{path}'",
    "select 0 as n from glob('{folder}/*')",
)
WRITERS = (
    "copy (select 0 as n) to '{out}'",
    "attach '{out}' as other",
    "export database '{out}'",
    "install httpfs",
    "set enable_external_access = true",
    "select 0 as n; copy (select 1) to '{out}'",
    "delete from findings",
    "drop table findings",
    "create table mine as select 1",
    "with d as (delete from findings returning 1) select 0 as n from d",
)


@pytest.mark.parametrize("sql", READERS + WRITERS)
def test_sql_rule_reaches_nothing(
    sql: str, governance: Any, workspace: Path, passing: Path, pack: Callable[..., Path], tmp_path: Path
) -> None:
    """A user's SQL rule that reads or writes a file, or changes a table, ends with 2 and no file appears."""
    out = tmp_path / "out" / "stolen"
    out.parent.mkdir()
    text = SQL_RULE.replace("SQL", sql.format(path=passing, folder=tmp_path, out=out))
    for arguments in (("rules", "test", pack(text, "own")), ("check", passing, "--rules", pack(text, "own"))):
        place = ("--workspace", workspace) if arguments[0] == "check" else ()
        ended = governance(*arguments, *place)
        assert ended.code == 2 and "house/own" in ended.err and "Traceback" not in ended.err, ended.err
    assert list(out.parent.iterdir()) == [] and list((workspace / "runs").iterdir()) == []


@pytest.mark.parametrize("sql", [READERS[0], *WRITERS])
def test_sql_gate_reaches_nothing(
    sql: str, governance: Any, workspace: Path, passing: Path, own: Callable[[str], Path], tmp_path: Path
) -> None:
    """A gate's own SQL that reads or writes a file, or changes a table, ends with 2 and no file appears."""
    out = tmp_path / "out" / "stolen"
    out.parent.mkdir()
    shown = json.dumps(sql.format(path=passing, folder=tmp_path, out=out).replace("0 as n", "1, 0"))
    pipeline = own(f"name: own\npacks: [text]\ngates:\n  mine: {{sql: {shown}, limit: 0}}\n")
    ended = governance("check", passing, "--pipeline", pipeline, "--workspace", workspace, "--no-record")
    assert_wrong(ended, "mine")
    assert list(out.parent.iterdir()) == []


def test_sql_never_quotes_a_sample(
    governance: Any, workspace: Path, passing: Path, pack: Callable[..., Path], own: Callable[[str], Path]
) -> None:
    """SQL that fails on a value does not put that value into the message."""
    text = SQL_RULE.replace("SQL", "select n from samples where cast(output as int) > 0")
    ended = governance("check", passing, "--rules", pack(text, "own"), "--workspace", workspace)
    assert ended.code == 2 and "OrderController" not in ended.err + ended.out
    pipeline = own(
        "name: own\npacks: [text]\ngates:\n  mine: {sql: 'select sum(output::int), 0 from samples', limit: 0}\n"
    )
    ended = governance("check", passing, "--pipeline", pipeline, "--workspace", workspace, "--no-record")
    assert ended.code == 1 and "OrderController" not in ended.err + ended.out
    [run] = (workspace / "runs").iterdir()
    assert json.loads((run / "evidence.json").read_text())["gates"][0]["status"] == "ERROR"


@pytest.mark.parametrize(
    ("text", "needle"),
    [("name: p\nrequired_gates: {secrets: {limit: 0}}\n", "does not say what it counts"), ("nme: p\n", "nme")],
)
def test_wrong_policy(text: str, needle: str, governance: Any, workspace: Path, passing: Path, tmp_path: Path) -> None:
    """A wrong policy file is refused."""
    (tmp_path / "policy.yaml").write_text(text)
    ended = governance("check", passing, "--policy-file", tmp_path / "policy.yaml", "--workspace", workspace)
    assert ended.code == 2 and needle in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",), ("nothing",), ("check", "{data}", "--nothing"), ("check", "{data}", "--format", "xml"),
        ("check", "{data}", "--memory-limit", "lots"), ("check", "{data}", "--column", "a"),
        ("check", "{data}", "--column", "a=b"), ("check", "{data}", "--encoding", "ebcdic"),
        ("check", "{data}", "--baseline", "gone.jsonl"), ("check", "{data}", "--signing-key", "gone.pem"),
        ("check", "{data}", "--fingerprint-key", "gone.key"), ("check", "{data}", "--policy-file", "gone.yaml"),
        ("check", "{data}", "--processes", "-1"), ("dedup", "{data}", "--threshold", "2"),
        ("scan", "{data}", "--pack", "nothing"), ("scan", "{data}", "--format", "xml"),
        ("collect", "gone", "--task", "code", "--out", "o.jsonl"), ("collect", ".", "--task", "x", "--out", "o.jsonl"),
        ("clean", "{data}"), ("clean", "{data}", "--out", "{data}"), ("clean", "{data}", "--out", "x.docx"),
        ("scrub", "{data}", "--out", "gone/x.jsonl"), ("show", "nothing"), ("report", "nothing"),
        ("verify", "nothing"), ("rules", "show", "nothing/at-all"), ("rules", "test", "gone"),
        ("rules", "list", "--pack", "nothing"), ("keys", "trust", "gone.pub", "--name", "x"),
        ("config", "gone.yaml"), ("quarantine", "restore", "deadbeef", "--out", "x.jsonl"),
        ("accept", "nothing", "rest/*", "--reason", "r", "--owner", "o", "--expires", "2026-12-31"),
        ("prove", "nothing"), ("purge", "deadbeefdeadbeef", "--yes"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_arguments(arguments: tuple[str, ...], governance: Any, workspace: Path, passing: Path) -> None:
    """A wrong argument ends with 2, says something, and leaves no run and no file."""
    from governance.errors import GovernanceError

    before = passing.read_bytes()
    place = () if arguments[0] in ("rules", "config", "nothing", "collect", "prove") else ("--workspace", workspace)
    ended = governance(*(a.format(data=passing) for a in arguments), *place)
    assert ended.code == GovernanceError.exit_code and ended.err.strip(), (ended.code, ended.out, ended.err)
    assert ended.out == "" and "Traceback" not in ended.err
    assert passing.read_bytes() == before
    runs = workspace / "runs"
    assert not runs.exists() or list(runs.iterdir()) == []
    assert not list(passing.parent.glob("*.docx")) and leftovers(passing.parent) == []


def test_two_processes_on_one_workspace(workspace: Path, closing: Path, passing: Path) -> None:
    """Two commands that start together on one new workspace both finish, each with its own whole run."""
    command = [sys.executable, "-m", "governance", "check", "--workspace", str(workspace), "--no-record"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    started = [
        subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        for path in (closing, closing, passing)
    ]
    ended = [(p.communicate(timeout=120), p.returncode) for p in started]
    assert [code for _, code in ended] == [1, 1, 0], ended
    assert [err for (_, err), _ in ended] == [b"", b"", b""]
    assert len(list((workspace / "runs").iterdir())) == 3 and leftovers(workspace) == []


def _small_files() -> None:
    """Let a write fail at 64 KiB, as on a full disk, in place of ending the process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


LIMIT = 64 << 10


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "{data}", "--no-record"), ("check", "{data}"), ("clean", "{data}", "--out", "{out}", "--no-record"),
        ("scrub", "{data}", "--out", "{out}"), ("dedup", "{data}"), ("init", "{data}", "--out", "{out}.yaml"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_full_disk(
    arguments: tuple[str, ...], workspace: Path, write_jsonl: Callable[..., Path], control: list[Any], tmp_path: Path
) -> None:
    """A disk that is full ends with 2 and one line; no run, no dataset and no output is left half-written."""
    data = write_jsonl([{**r, "input": f"{r['input']} {k}" * 5} for k in range(40) for r in control])
    assert data.stat().st_size > 4 * LIMIT
    out = tmp_path / "out.jsonl"
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "governance"),
            *(a.format(data=data, out=out) for a in arguments),
            *("--workspace", str(workspace)),
        ],
        capture_output=True, check=False, text=True, preexec_fn=_small_files, timeout=120, cwd=tmp_path,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.splitlines()) == 1 and ended.stderr.startswith("error: "), ended.stderr
    assert list((workspace / "runs").iterdir()) == [] and leftovers(workspace) == [] and leftovers(tmp_path) == []
    assert not out.exists() and not [p for p in (workspace / "datasets").iterdir() if len(p.name) == 64]


def test_damaged_index_and_trust(governance: Any, workspace: Path, passing: Path) -> None:
    """A damaged index is made again in silence; a damaged trust file is an error, never an empty list."""
    assert governance("check", passing, "--workspace", workspace, "--no-record").code == 0
    (workspace / "index.duckdb").write_bytes(b"no database")
    ended = governance("runs", "--workspace", workspace, "--format", "json")
    assert ended.code == 0 and len(json.loads(ended.out)) == 1
    (workspace / "keys" / "trust.json").write_text("{")
    assert_wrong(governance("keys", "list", "--workspace", workspace), "is damaged")


def test_wrong_clock_variable(governance: Any, workspace: Path, passing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH that is no number is refused."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    assert_wrong(governance("check", passing, "--workspace", workspace), "SOURCE_DATE_EPOCH")
