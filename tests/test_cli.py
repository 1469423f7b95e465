"""Every command from end to end without a network: exit codes, and nothing but the answer on stdout."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.cli import column_map, size
from governance.data import data_folder
from governance.errors import UsageError

OF_SOCKETS = ("connect", "connect_ex", "sendto", "sendmsg")
OF_MODULE = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection")
BLOCKED = """
import os
import socket

def _refuse(*_args, **_kwargs):
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write("asked\\n")
    raise OSError("no network in this test")

for _name in OF_SOCKETS:
    setattr(socket.socket, _name, _refuse)
for _name in OF_MODULE:
    setattr(socket, _name, _refuse)
""".replace("OF_SOCKETS", repr(OF_SOCKETS)).replace("OF_MODULE", repr(OF_MODULE))


@pytest.fixture
def blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the sockets of this process and of its children refuse to connect; returns the log of those that tried."""
    import socket

    site, log = tmp_path / "site", tmp_path / "asked.log"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BLOCKED)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("NETWORK_LOG", str(log))
    for owner, names in ((socket.socket, OF_SOCKETS), (socket, OF_MODULE)):
        for name in names:
            monkeypatch.setattr(owner, name, getattr(owner, name))  # so that what BLOCKED replaces comes back
    exec(BLOCKED, {})  # noqa: S102  # our own text
    return log


@pytest.fixture
def offline(tmp_path: Path, blocked: Path, governance: Any) -> Callable[..., Any]:
    """Run a command without a network: in this process, or in one of its own where its start is the point."""

    def run(*arguments: object, code: int = 0, apart: bool = False) -> str:
        if apart:
            ended = subprocess.run(
                [sys.executable, "-m", "governance", *map(str, arguments)],
                capture_output=True, check=False, text=True, timeout=180, cwd=tmp_path,
            )  # fmt: skip
            found = (ended.returncode, ended.stdout, ended.stderr)
        else:
            own = governance(*arguments)
            found = (own.code, own.out, own.err)
        assert found[0] == code, (arguments, *found)
        assert not blocked.exists(), f"{arguments[0]} tried to reach the network"
        return found[1]

    return run


def test_sockets_are_really_blocked(blocked: Path) -> None:
    """The block of these tests works: this process and its children are refused and recorded."""
    import socket

    with pytest.raises(OSError, match="no network in this test"):
        socket.create_connection(("127.0.0.1", 9))
    script = "import socket\ntry:\n    socket.socket().connect(('127.0.0.1', 9))\nexcept OSError as e:\n    print(e)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert ended.stdout == "no network in this test\n" and blocked.read_text() == "asked\nasked\n"


def test_every_command_works_without_a_network(
    offline: Callable[..., Any], workspace: Path, closing: Path, passing: Path, tmp_path: Path
) -> None:
    """From collecting to purging, every command does its work while sockets refuse to connect."""
    place = ("--workspace", workspace)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "a.py").write_text(
        '"""A."""\n\n\nclass A:\n    """A."""\n\n    def twice(self, x):\n        return 2 * x\n'
    )
    offline("collect", "repo", "--task", "code", "--out", "collected.jsonl")
    assert (tmp_path / "collected.jsonl").exists()
    run = json.loads(offline("check", passing, *place, "--format", "json", apart=True))[0]["run"]
    assert (workspace / "runs" / run / "gx" / "index.html").exists()
    offline("verify", run, *place)
    closed = json.loads(offline("check", closing, *place, "--no-record", "--format", "json", code=1))[0]["run"]
    offline("verify", closed, *place, code=1)
    assert "pii/email" in offline("show", closed, *place)
    for name in ("html", "md", "json", "sarif", "junit"):
        assert offline("report", closed, "--format", name, *place)
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
    offline(
        "accept", closed, "pii/*", "--reason", "r", "--owner", "o", "--expires", day, "--baseline", "b.jsonl", *place
    )
    offline("config", "b.jsonl", data_folder("pipelines") / "default.yaml")
    assert len(json.loads(offline("runs", *place, "--format", "json"))) == 2
    offline("clean", closing, "--plan", *place)
    offline("clean", closing, "--out", "clean.jsonl", "--pipeline", "code-generation", "--no-record", *place)
    dataset = json.loads(offline("quarantine", "list", *place, "--format", "json"))[0]["dataset"]
    offline("quarantine", "restore", dataset, "--out", "back.jsonl", *place)
    assert json.loads(offline("scan", closing, "--pack", "pii", "--format", "json", *place))
    assert json.loads(offline("dedup", closing, "--format", "json", *place))
    offline("scrub", passing, "--out", "scrubbed.jsonl", *place)
    offline("init", passing, "--out", "own.yaml", *place)
    offline("rules", "list")
    offline("rules", "show", "rest/crud-name")
    offline("rules", "test")
    offline("keys", "make", *place)
    offline("keys", "list", *place)
    offline("doctor", apart=True)
    offline("purge", "--yes", *place)


def test_prove_works_without_a_network(offline: Callable[..., Any]) -> None:
    """`prove` shows every gate closing while sockets refuse to connect."""
    rows = json.loads(offline("prove", "test-generation", "--format", "json", apart=True))
    assert len(rows) > 10 and all(r["closed"] == "yes" for r in rows)


CONTROLLER = """package com.acme.blog;

@RestController
@RequestMapping("/blog")
public class BlogController {

    @%s
    public Post create(@RequestBody Post post) {
        return posts.save(post);
    }
}
"""


def test_fault_of_the_origin(governance: Any, workspace: Path, write_jsonl: Callable[..., Path]) -> None:
    """POST /blog/createPost inside a sample is flagged by rest/crud-name at its span and line; POST /posts is not."""
    bad = CONTROLLER % 'RequestMapping(value = "/createPost", method = RequestMethod.POST)'
    record = {"instruction": "Implement the method create", "input": "", "output": bad}
    data = write_jsonl([record])
    ended = governance("scan", data, "--pack", "rest", "--format", "json", "--workspace", workspace)
    found = [f for f in json.loads(ended.out) if f["rule"] == "rest/crud-name"]
    assert ended.code == 0 and len(found) == 1
    assert bad[found[0]["start"] : found[0]["end"]] in ("create", "createPost", "/createPost")
    assert (found[0]["line"], found[0]["field"], found[0]["row"], found[0]["file"]) == (7, "output", 0, "data.jsonl")
    assert set(found[0]) >= {"sample_id", "severity", "message", "fingerprint"}
    good = {**record, "output": CONTROLLER % 'PostMapping("/posts")'}
    ended = governance("scan", write_jsonl([good]), "--pack", "rest", "--format", "json", "--workspace", workspace)
    assert [f for f in json.loads(ended.out) if f["rule"] == "rest/crud-name"] == []


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_stdout_is_the_answer(format_: str, governance: Any, workspace: Path, closing: Path) -> None:
    """With --format json or jsonl, nothing but JSON stands on stdout and nothing on stderr."""
    place = ("--workspace", workspace, "--format", format_)
    commands: list[tuple[tuple[object, ...], int]] = [
        (("check", closing, "--no-record", *place), 1), (("scan", closing, *place), 0),
        (("dedup", closing, *place), 0), (("clean", closing, "--plan", *place), 0), (("runs", *place), 0),
        (("quarantine", "list", *place), 0), (("keys", "list", *place), 0), (("rules", "list", "--format", format_), 0),
        (("clean", closing, "--out", "o.jsonl", "--no-record", *place), 1),
    ]  # fmt: skip
    for command, code in commands:
        ended = governance(*command)
        assert ended.code == code and ended.err == "", (command, ended.err)
        rows = json.loads(ended.out) if format_ == "json" else [json.loads(line) for line in ended.out.splitlines()]
        assert isinstance(rows, list) and rows and all(isinstance(r, dict) for r in rows), command


def baseline_day() -> str:
    """A day on which an entry still counts."""
    return str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30))


def test_accepting_findings(
    governance: Any,
    workspace: Path,
    write_jsonl: Callable[..., Path],
    control: list[Any],
    faults: list[Any],
    tmp_path: Path,
) -> None:
    """Accepting findings opens their gate, for moved lines too; a new finding or another key closes it."""
    place = ("--workspace", workspace, "--no-record")
    mail = faults[0]
    data = write_jsonl([*control, mail])
    assert governance("check", data, *place).code == 1
    accepted = governance(
        "accept", "latest", "pii/*", "--reason", "published", "--owner", "ann", "--approver", "ben",
        "--expires", baseline_day(), "--baseline", "base.jsonl", "--workspace", workspace,
    )  # fmt: skip
    assert accepted.code == 0 and "1 accepted" in accepted.out
    line = json.loads((tmp_path / "base.jsonl").read_text())
    assert line["owner"] == "ann" and line["reason"] == "published" and "@" not in json.dumps(line)
    base = ("--baseline", tmp_path / "base.jsonl")
    assert governance("check", data, *place, *base).code == 0
    assert governance("verify", "--workspace", workspace).code == 0
    moved = {**mail, "output": "\n\n// moved down\n    " + mail["output"]}
    assert governance("check", write_jsonl([moved, *control[::-1]]), *place, *base).code == 0
    other = {**mail, "output": mail["output"].replace("anna", "bert")}
    ended = governance("check", write_jsonl([*control, mail, other]), *place, *base)
    assert ended.code == 1 and "personal-data is 1 in" in ended.out
    key = tmp_path / "other.key"
    key.write_text("another key of the team, long enough")
    assert governance("check", data, *place, *base, "--fingerprint-key", key).code == 1


def test_expired_baseline(
    governance: Any, workspace: Path, write_jsonl: Callable[..., Path], control: list[Any], faults: list[Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    """An entry counts until the day on which it ends, and no longer."""
    place = ("--workspace", workspace, "--no-record")
    data, base = write_jsonl([*control, faults[0]]), tmp_path / "b.jsonl"
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    assert governance("check", data, *place).code == 1
    arguments = ("accept", "latest", "pii/*", "--reason", "r", "--owner", "o", "--baseline", base)
    assert governance(*arguments, "--expires", tomorrow, "--workspace", workspace).code == 0
    assert governance("check", data, *place, "--baseline", base).code == 0
    base.write_text(base.read_text().replace(str(tomorrow), str(tomorrow - dt.timedelta(days=1))))
    assert governance("check", data, *place, "--baseline", base).code == 1


def test_gate_that_may_not_be_waived(
    governance: Any,
    workspace: Path,
    write_jsonl: Callable[..., Path],
    control: list[Any],
    faults: list[Any],
    tmp_path: Path,
) -> None:
    """Findings of a gate with ``waivable: false`` are not accepted, and a baseline that names them opens nothing."""
    pipeline = tmp_path / "p.yaml"
    text = "name: own\npacks: [pii]\ngates:\n  pii: {rules: ['pii/*'], unit: count, limit: 0%s}\n"
    pipeline.write_text(text % "")
    data = write_jsonl([*control, faults[0]])
    place = ("--workspace", workspace, "--no-record", "--pipeline", pipeline)
    arguments = ("accept", "latest", "pii/*", "--reason", "r", "--owner", "o", "--expires", baseline_day())
    assert governance("check", data, *place).code == 1
    assert governance(*arguments, "--baseline", "b.jsonl", "--workspace", workspace).code == 0
    pipeline.write_text(text % ", waivable: false")
    assert governance("check", data, *place, "--baseline", tmp_path / "b.jsonl").code == 1
    refused = governance(*arguments, "--baseline", "c.jsonl", "--workspace", workspace)
    assert refused.code == 2 and "may not be waived" in refused.err and not (tmp_path / "c.jsonl").exists()


def test_bug_ends_with_3(governance: Any, monkeypatch: pytest.MonkeyPatch, workspace: Path, passing: Path) -> None:
    """What nobody expected ends with 3, a traceback without its message, and never with the 1 of a closed gate."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(" of a ".join(("text", "sample")))

    monkeypatch.setattr("governance.pipeline.check_dataset", broken)
    ended = governance("check", passing, "--workspace", workspace)
    assert ended.code == 3 and "RuntimeError" in ended.err and "text of a sample" not in ended.err + ended.out


def test_reader_that_stops(workspace: Path, closing: Path, tmp_path: Path) -> None:
    """A pipe that is closed early ends a command without a traceback."""
    many = tmp_path / "many.jsonl"
    many.write_bytes(closing.read_bytes() * 300)
    command = f"{sys.executable} -m governance scan {many} --format jsonl --workspace {workspace} | head -1"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, check=False, text=True, timeout=120)
    assert json.loads(ended.stdout) and ended.stderr == ""


def test_help_groups_the_commands(governance: Any) -> None:
    """`--help` groups the commands: prepare, check, look, set up."""
    ended = governance("--help")
    assert ended.code == 0 and all(name in ended.out for name in ("Prepare", "Check", "Look", "Set up"))


def test_module_and_script_are_the_same() -> None:
    """`python -m governance` and the installed `governance` are one program."""
    script = shutil.which("governance", path=str(Path(sys.executable).parent))
    assert script is not None
    one = subprocess.run([script, "rules", "list", "--format", "json"], capture_output=True, check=False, timeout=60)
    two = subprocess.run(
        [sys.executable, "-m", "governance", "rules", "list", "--format", "json"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert one.returncode == 0 and one.stdout == two.stdout


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "5 apples", "nan", "inf", "1e999", "GB"])
def test_sizes_that_are_none(text: str) -> None:
    """What is no size is refused."""
    with pytest.raises(UsageError):
        size(text)


def test_sizes_and_columns() -> None:
    """Sizes are decimal or binary; a column map has a name and a role on each side."""
    assert [size(t) for t in ("1", "2k", "1.5GB", "4GiB", " 64 MiB ")] == [1, 2000, 1_500_000_000, 4 << 30, 64 << 20]
    assert column_map(["question=instruction", "a=b=c"]) == {"question": "instruction", "a": "b=c"}
    with pytest.raises(UsageError):
        column_map(["question="])
