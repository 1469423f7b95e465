"""`governance index` and `governance find`: files, repositories, datasets and benchmarks become sources."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2
import pytest

from governance.errors import InputError, SourceIndexError, UsageError
from governance.index_build import build_index, find_in_file
from governance.overlap.lookup import SourceIndex

CODE = "def total(items):\n" + "".join(f"    value_{n} = items[{n}].price * rate_{n % 7}\n" for n in range(20))


def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "src").mkdir(parents=True)
    (root / ".git-like").mkdir()
    (root / "LICENSE").write_text("Apache License Version 2.0, January 2004")
    (root / "src" / "a.py").write_text(CODE)
    (root / "src" / "b.py").write_text("# SPDX-License-Identifier: GPL-3.0-only\nx = 1\n")
    (root / "src" / "c.txt").write_bytes("订单 一览\r\n".encode("gb18030"))
    (root / "src" / "d.dat").write_bytes(b"\0\1\2")
    (root / "src" / "e.png").write_bytes(b"not read")
    (root / "src" / "f.py").symlink_to("a.py")
    return root


def test_folder(tmp_path: Path) -> None:
    """Every text file is a source with its licence; what is left out is counted by reason."""
    account = build_index([str(folder(tmp_path))], tmp_path / "i", threads=1)
    index = SourceIndex.open(tmp_path / "i")
    rows = {r["path"]: (r["kind"], r["repository"], r["licence"]) for r in index.sources.to_pylist()}
    assert rows == {
        "LICENSE": ("file", "shop", "Apache-2.0"),
        "src/a.py": ("file", "shop", "Apache-2.0"),
        "src/b.py": ("file", "shop", "GPL-3.0-only"),
        "src/c.txt": ("file", "shop", "Apache-2.0"),
    }
    assert account.sources == 4 and dict(account.skipped) == {"binary": 2, "symlink": 1}
    assert index.texts_of(list(rows).index("src/c.txt")) == [("", "订单 一览\n")]


def test_repository_at_a_revision(tmp_path: Path) -> None:
    """A git repository is read at the commit that is named, and its sources know it."""
    root = folder(tmp_path)
    repository = pygit2.init_repository(str(root))
    repository.index.add_all(["LICENSE", "src/a.py"])
    who = pygit2.Signature("a", "a" + "@" + "b.example")
    first = repository.create_commit("HEAD", who, who, "one", repository.index.write_tree(), [])
    (root / "src" / "a.py").write_text("changed = 1\n")
    repository.index.add("src/a.py")
    repository.create_commit("HEAD", who, who, "two", repository.index.write_tree(), [first])
    build_index([f"{root}@{first}"], tmp_path / "i")
    index = SourceIndex.open(tmp_path / "i")
    assert {r["commit"] for r in index.sources.to_pylist()} == {str(first)}
    [whole] = index.find([CODE], views=["verbatim"]).to_pylist()
    assert whole["whole"] and index.sources["path"][whole["source"]].as_py() == "src/a.py"


def test_dataset(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    """Every sample is a source with its file and row, its origin and its licence; each text keeps its field."""
    rows = [
        {
            "instruction": "write it",
            "input": "",
            "output": CODE,
            "repository": "shop",
            "path": "src/a.py",
            "start_line": 7,
            "licence": "MIT",
        },
        {"instruction": "none", "input": "", "output": "pass"},
    ]
    path = write_jsonl([rows[0], {"what": 1}, rows[1]])  # type: ignore[list-item]
    account = build_index([str(path)], tmp_path / "i", licence="LicenseRef-own", name="team data")
    index = SourceIndex.open(tmp_path / "i")
    first, second = index.sources.to_pylist()
    assert account.skipped["quarantined"] == 1
    assert (first["kind"], first["name"], first["file"], first["row"]) == ("dataset", "team data", "data.jsonl", 0)
    assert (first["repository"], first["path"], first["start_line"], first["licence"]) == ("shop", "src/a.py", 7, "MIT")
    assert (second["row"], second["licence"]) == (2, "LicenseRef-own")
    [found] = index.find([CODE], views=["verbatim"]).to_pylist()
    assert (found["field"], found["source"], found["whole"]) == ("output", 0, True)
    assert sorted(p.name for p in (tmp_path / "i").iterdir()) == ["lock", "manifest.json", "segment-000001"]


def test_benchmark(tmp_path: Path) -> None:
    """Every item is a source with its own id; prompt, solutions and tests are its texts, other fields are not."""
    items: list[Any] = [
        {
            "task_id": "Own/0",
            "prompt": "say 1",
            "canonical_solution": "x = 1",
            "test": "assert x",
            "difficulty": "easy",
        },
        {"question": "two", "solutions": json.dumps(["a = 1", "b = 2"]), "input_output": "{}"},
        {"number": 3},
    ]
    path = tmp_path / "own.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(i) for i in items).encode()))
    account = build_index([str(path)], tmp_path / "i", kind="benchmark")
    index = SourceIndex.open(tmp_path / "i")
    assert [(r["kind"], r["item"], r["file"], r["row"]) for r in index.sources.to_pylist()] == [
        ("benchmark", "Own/0", "own.jsonl.gz", 0), ("benchmark", "1", "own.jsonl.gz", 1)
    ]  # fmt: skip
    assert index.texts_of(0) == [("prompt", "say 1"), ("canonical_solution", "x = 1"), ("test", "assert x")]
    assert index.texts_of(1) == [("question", "two"), ("solutions/0", "a = 1"), ("solutions/1", "b = 2")]
    assert account.skipped["no-text"] == 1


@pytest.mark.parametrize("content", [b"{", b'{"prompt": "a"}\n{"prompt', b"\x1f\x8b broken"])
def test_damaged_benchmark(tmp_path: Path, content: bytes) -> None:
    """A benchmark that cannot be read whole is one clear error, and nothing of it is indexed."""
    path = tmp_path / "own.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"own\.jsonl"):
        build_index([str(path)], tmp_path / "i", kind="benchmark")
    with pytest.raises(SourceIndexError):
        SourceIndex.open(tmp_path / "i")


def test_calls_add_up(tmp_path: Path) -> None:
    """A second call adds to the index, whatever the kind, and both stay to be found."""
    root = folder(tmp_path)
    build_index([str(root / "src" / "b.py")], tmp_path / "i")
    account = build_index([str(root / "src" / "a.py")], tmp_path / "i")
    assert (account.sources, account.index["sources"], account.index["segments"]) == (1, 2, 2)
    assert account.index["bytes_per_lexeme_and_view"] > 0
    assert SourceIndex.open(tmp_path / "i").find([CODE]).num_rows > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "books"}, "--kind"),
        ({"text": False}, "needs --key"),
        ({"key": Path("k")}, "--no-text"),
        ({"show_paths": True}, "--no-text"),
        ({"text": False, "key": Path("missing")}, "missing"),
    ],
)
def test_options(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    """Options that do not go together are a usage error, before anything is read or written."""
    with pytest.raises(UsageError, match=said):
        build_index([str(tmp_path)], tmp_path / "i", **settings)
    assert not (tmp_path / "i").exists()


def test_commands(tmp_path: Path, governance: Callable[..., Any]) -> None:
    """`index` and `find` work together, print JSON, and end with 2 and one line on a damaged index."""
    root, out = folder(tmp_path), str(tmp_path / "i")
    ended = governance("index", str(root), "--out", out, "--format", "json")
    [made] = json.loads(ended.out)
    assert ended.code == 0 and made["sources"] == 4 and made["skipped"] == {"binary": 2, "symlink": 1}
    (tmp_path / "q.py").write_text("x = 1\n" + CODE)
    ended = governance("find", str(tmp_path / "q.py"), "--index", out, "--format", "json")
    found = json.loads(ended.out)
    assert {(r["view"], r["path"], r["licence"], r["line"], r["source_line"]) for r in found} == {
        (view, "src/a.py", "Apache-2.0", 2, 1) for view in ("verbatim", "renamed")
    }
    ended = governance("find", str(tmp_path / "q.py"), "--index", out)
    assert "shop/src/a.py:1-21" in ended.out and "Apache-2.0" in ended.out
    (tmp_path / "i" / "segment-000001" / "text.bin").write_bytes(b"x")
    ended = governance("find", str(tmp_path / "q.py"), "--index", out)
    assert ended.code == 2 and ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert "value_" not in ended.err


def test_keyed_commands(tmp_path: Path, governance: Callable[..., Any]) -> None:
    """An index without text is made and asked with a key file, and refused without it."""
    root, out, key = folder(tmp_path), str(tmp_path / "i"), tmp_path / "key"
    key.write_text("0123456789abcdef of both\n")
    assert governance("index", str(root), "--out", out, "--no-text", "--key", str(key)).code == 0
    (tmp_path / "q.py").write_text(CODE)
    ended = governance("find", str(tmp_path / "q.py"), "--index", out, "--key", str(key), "--format", "json")
    found = json.loads(ended.out)
    assert found and not any(r["exact"] or r["path"] for r in found)
    ended = governance("find", str(tmp_path / "q.py"), "--index", out)
    assert ended.code == 2 and "--key" in ended.err
    key.write_text("short")
    assert governance("find", str(tmp_path / "q.py"), "--index", out, "--key", str(key)).code == 2


def test_cost_counts_the_lexemes_of_each_view(tmp_path: Path) -> None:
    """Bytes per lexeme and view are all bytes beyond the text, divided by the lexemes that the views have together."""
    account = build_index([str(folder(tmp_path))], tmp_path / "i")
    segments = SourceIndex.open(tmp_path / "i").manifest["segments"]
    beyond = sum(p["bytes"] for s in segments for name, p in s["parts"].items() if name != "text.bin")
    of = account.index
    assert of["renamed"] < of["verbatim"]
    assert of["bytes_per_lexeme_and_view"] == pytest.approx(beyond / (of["verbatim"] + of["renamed"]))


def test_found_names_are_masked(tmp_path: Path) -> None:
    """What is sensitive in the path of a source is not printed; a text that was looked at everywhere is finished."""
    (tmp_path / "src").mkdir()
    person = "li.wei" + "@" + "mail.corp-shop.cn"
    (tmp_path / "src" / f"{person}.py").write_text(CODE)
    (tmp_path / "asked.py").write_text(CODE)
    build_index([str(tmp_path / "src")], tmp_path / "i")
    rows, finished = find_in_file(tmp_path / "asked.py", tmp_path / "i")
    assert rows and finished and all(r["licence"] is None for r in rows)
    assert not any(person in str(r) for r in rows) and all("x" in r["path"] for r in rows)


def test_unfinished_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text whose hot places were not all looked at, and show nothing, is called unfinished."""
    piece = " ".join(f"part{n}" for n in range(30))
    (tmp_path / "src").mkdir()
    for n in range(300):
        (tmp_path / "src" / f"{n}.py").write_text(f"own{n} {piece} end{n}\n")
    (tmp_path / "asked.py").write_text(f"first {piece} last")
    build_index([str(tmp_path / "src")], tmp_path / "i")
    assert find_in_file(tmp_path / "asked.py", tmp_path / "i", view="verbatim") == ([], True)
    monkeypatch.setattr("governance.overlap.search.BUDGET", 100)
    assert find_in_file(tmp_path / "asked.py", tmp_path / "i", view="verbatim") == ([], False)
