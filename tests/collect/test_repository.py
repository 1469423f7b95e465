"""Repositories, folders and files -> records."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pygit2
import pytest

from governance.collect import repository as collect
from governance.collect.files import Collected
from governance.collect.repository import Task, collect_repositories, module_name
from governance.errors import InputError, UsageError

KEYS = (
    "instruction", "input", "output", "step", "repository", "commit", "path", "start_line", "end_line", "group",
    "licence", "language",
)  # fmt: skip
AUTHOR = pygit2.Signature("Somebody", "somebody@example.com", 1_700_000_000, 0)
Files = Mapping[str, str | bytes]


def put(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def commit(repository: pygit2.Repository, files: Files, links: Files = {}, modules: Files = {}) -> str:  # noqa: B006
    index = repository.index
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        index.add(pygit2.IndexEntry(name, repository.create_blob(data), pygit2.enums.FileMode.BLOB))
    for name, target in links.items():
        blob = repository.create_blob(str(target).encode())
        index.add(pygit2.IndexEntry(name, blob, pygit2.enums.FileMode.LINK))
    for name, head in modules.items():
        index.add(pygit2.IndexEntry(name, pygit2.Oid(hex=str(head)), pygit2.enums.FileMode.COMMIT))
    index.write()
    parents = [] if repository.head_is_unborn else [repository.head.target]
    return str(repository.create_commit("HEAD", AUTHOR, AUTHOR, "change\n", index.write_tree(), parents))


def records(*paths: Path | str, task: Task = "code", **options: Any) -> tuple[list[dict[str, Any]], Collected]:
    account = Collected()
    found = list(collect_repositories([Path(p) for p in paths], task=task, collected=account, **options))
    assert account.records == len(found)
    assert all(tuple(record) == KEYS for record in found)
    json.dumps(found)
    return found, account


def test_a_commit_is_read_not_the_work_tree(tmp_path: Path) -> None:
    """The text of a sample stands in the commit that it names, whatever lies uncommitted beside it."""
    repository = pygit2.init_repository(str(tmp_path / "shop"), initial_head="main")
    first = commit(repository, {"a.py": "def one(): pass\n"})
    second = commit(repository, {"a.py": "def two(): pass\n"})
    put(tmp_path / "shop", {"a.py": "def uncommitted(): pass\n", "new.py": "def untracked(): pass\n"})
    ((record,), _) = records(tmp_path / "shop")
    assert (record["instruction"], record["repository"], record["commit"]) == (
        "Implement the method two",
        "shop",
        second,
    )
    for revision in (first, first[:10], "HEAD~1", "main^"):
        ((record,), _) = records(f"{tmp_path / 'shop'}@{revision}")
        assert (record["instruction"], record["commit"]) == ("Implement the method one", first)
    ((record,), _) = records(tmp_path / "shop" / ".git")
    assert record["repository"] == "shop"
    with pytest.raises(InputError, match="revision 'no-such' is unknown"):
        records(f"{tmp_path / 'shop'}@no-such")


def test_a_bare_repository(tmp_path: Path) -> None:
    """A bare repository is read like any other; its name loses `.git`."""
    repository = pygit2.init_repository(str(tmp_path / "shop.git"), bare=True, initial_head="main")
    with pytest.raises(InputError, match="without a commit"):
        records(tmp_path / "shop.git")
    head = commit(repository, {"src/a.py": "def one(): pass\n"})
    ((record,), _) = records(tmp_path / "shop.git")
    assert (record["repository"], record["commit"], record["path"]) == ("shop", head, "src/a.py")


def test_nothing_of_a_repository_runs(tmp_path: Path) -> None:
    """Hooks, filters and drivers that a repository configures never run."""
    repository = pygit2.init_repository(str(tmp_path / "evil"), initial_head="main")
    ran = tmp_path / "ran"
    commit(repository, {"a.py": "def one(): pass\n", ".gitattributes": "*.py filter=evil diff=evil\n"})
    for key in ("filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "core.fsmonitor", "core.sshCommand"):
        repository.config[key] = f"touch {ran}"
    hook = tmp_path / "evil" / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    assert len(records(tmp_path / "evil")[0]) == 1
    assert not ran.exists()


def test_links_and_submodules_are_counted(tmp_path: Path) -> None:
    """Links and submodules of a commit are counted and not followed."""
    put(tmp_path, {"outside.py": "def secret(): pass\n"})
    repository = pygit2.init_repository(str(tmp_path / "r"), initial_head="main")
    commit(
        repository,
        {"a.py": "def one(): pass\n", "node_modules/m/b.py": "def two(): pass\n"},
        links={"link.py": "../outside.py"},
        modules={"sub": "1" * 40},
    )
    found, account = records(tmp_path / "r")
    assert [r["path"] for r in found] == ["a.py"]
    assert account.skipped == {"symlink": 1, "submodule": 1, "vendored": 1}


def test_missing_objects_are_counted(tmp_path: Path) -> None:
    """A repository that lacks objects, as a partial clone does, gives what it has and counts the rest."""
    repository = pygit2.init_repository(str(tmp_path / "r"), initial_head="main")
    commit(repository, {"a.py": "def one(): pass\n", "b.py": "def two(): pass\n", "c/d.py": "def three(): pass\n"})
    tree = repository[repository.head.target].tree
    for item in (tree["b.py"], tree["c"]):
        oid = str(item.id)
        (tmp_path / "r" / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    found, account = records(tmp_path / "r")
    assert [r["path"] for r in found] == ["a.py"]
    assert account.skipped == {"unreadable": 2}


def test_an_iterator_closed_early_ends_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops reading early leaves no process behind."""
    put(tmp_path, {f"m{i:03}.py": "def f(): pass\n" for i in range(200)})
    monkeypatch.setattr(collect, "INLINE_BYTES", 0)
    monkeypatch.setattr(collect, "CHUNK_BYTES", 100)
    iterator = collect_repositories([tmp_path], task="code", processes=2)
    next(iterator)
    assert isinstance(iterator, Generator)
    iterator.close()
    assert multiprocessing.active_children() == []


def test_every_encoding_and_line_end(tmp_path: Path) -> None:
    """Text in GB18030 or with CRLF is read right and keeps its line numbers; what cannot be read is counted."""
    repository = pygit2.init_repository(str(tmp_path / "r"), initial_head="main")
    java = "package p;\n\nclass 订单 {\n    // 计算订单的总价\n    int 总价() {\n        return 1;\n    }\n}\n"
    commit(
        repository,
        {
            "A.java": java.replace("\n", "\r\n").encode("gb18030"),
            "b.py": b"\xef\xbb\xbfdef one():\r\n    return 1\r\n",
            "c.py": b"name = '\xe9\xff\xf8'\n",
            "d.py": "def broken(:\n    return\n\ndef fine():\n    return 1\n",
            "e.bin": b"\0",
        },
    )
    found, account = records(tmp_path / "r")
    assert [(r["path"], r["start_line"], r["end_line"], r["group"]) for r in found] == [
        ("A.java", 5, 7, "p.订单"),
        ("b.py", 1, 2, "b"),
        ("d.py", 4, 5, "d"),
    ]
    assert not any("\r" in r["output"] or "\ufeff" in r["output"] for r in found)
    assert "// 计算订单的总价\n" in found[0]["output"]
    assert account.skipped["undecodable"] == 1
    assert account.skipped["syntax-error"] >= 1
    assert account.files == 3


def test_a_plain_folder_has_no_commit(tmp_path: Path) -> None:
    """A folder that is no repository gives its name and no commit, also when it lies inside a repository."""
    repository = pygit2.init_repository(str(tmp_path / "r"), initial_head="main")
    commit(repository, {"a.py": "def one(): pass\n"})
    put(tmp_path / "r", {"tools/b.py": "def two(): pass\n"})
    ((record,), _) = records(tmp_path / "r" / "tools")
    assert (record["repository"], record["commit"], record["path"]) == ("tools", None, "b.py")
    ((record,), _) = records(tmp_path / "r" / "tools" / "b.py")
    assert (record["repository"], record["commit"], record["path"]) == ("tools", None, "b.py")


def test_licences(tmp_path: Path) -> None:
    """The header of a file comes before the licence of its folder; an unknown licence is null."""
    put(
        tmp_path,
        {
            "LICENSE": "Apache License\nVersion 2.0, January 2004",
            "a.py": "def a(): pass\n",
            "b.py": "# SPDX-License-Identifier: GPL-3.0-or-later\ndef b(): pass\n",
            "c.py": "# SPDX-License-Identifier: whatever you like\ndef c(): pass\n",
            "third_party/LICENSE": "ask us",
            "third_party/d.py": "def d(): pass\n",
        },
    )
    assert [r["licence"] for r in records(tmp_path)[0]] == ["Apache-2.0", "GPL-3.0-or-later", None, None]


JAVA = {
    "src/main/java/p/Cart.java": "package p;\nclass Cart { Cart(int n) { } int size() { return 0; } }",
    "src/main/java/q/Cart.java": "package q;\nclass Cart { int other() { return 0; } }",
    "src/main/java/p/CartController.java": "package p;\n@RestController class CartController { void f() { } }",
    "src/test/java/p/CartTest.java": "package p;\nimport x.Y;\n/** Doc. */\nclass CartTest {\n @Test void f() { }\n}\n",
    "src/test/java/p/CartControllerTests.java": "package p;\nclass CartControllerTests { }",
    "src/test/java/r/TestCart.java": "package r;\nclass TestCart { }",
    "src/test/java/q/BrokenTest.java": "package q;\nclass BrokenTest { void ( }",
}


def test_java_pairs(tmp_path: Path) -> None:
    """A test class meets the class of its name in its own package; one without is counted."""
    found, account = records(put(tmp_path, JAVA), task="test")
    controller, cart = found
    assert (cart["instruction"], cart["input"]) == (
        "Write test for follow code",
        "p.Cart(int)\n- methods: size(): int",
    )
    assert cart["output"] == "class CartTest {\n @Test void f() { }\n}"
    assert (cart["step"], cart["group"], cart["start_line"], cart["end_line"]) == (
        "implementation_test",
        "p.Cart",
        4,
        6,
    )
    assert (controller["step"], controller["group"]) == ("implementation_controller_test", "p.CartController")
    assert account.skipped["no-class-under-test"] == 2
    assert account.skipped["not-a-test"] == 3


def test_python_pairs(tmp_path: Path) -> None:
    """A test module meets the module that it imports, where several have the right name."""
    put(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/cart.py": "class Cart:\n    def size(self) -> int: ...\ndef load(path): ...\n",
            "old/__init__.py": "",
            "old/cart.py": "def old(): ...\n",
            "old/stock.py": "def stock(): ...\n",
            "tests/test_cart.py": "# licence\nfrom shop.cart import Cart\n\ndef test_size(): assert Cart().size()\n",
            "tests/stock_test.py": "def test_nothing(): pass\n",
            "tests/test_flow.py": "def test_flow(): pass\n",
        },
    )
    (stock, cart), account = records(tmp_path, task="test")
    assert cart["input"] == "shop.cart()\n- methods: load(path)\nshop.cart.Cart()\n- methods: size(): int"
    assert cart["output"].startswith("from shop.cart import Cart\n")
    assert (cart["group"], cart["start_line"], cart["end_line"]) == ("shop.cart", 2, 4)
    assert stock["group"] == "old.stock"
    assert account.skipped["no-class-under-test"] == 1


def test_stories(tmp_path: Path) -> None:
    """Stories carry their document, lines, language and step."""
    put(tmp_path, {"docs/a.md": "# A\n\n## 用户故事：登录\n作为 用户\n我想 登录\n", "b.feature": "Feature: Search\n"})
    feature, story = records(tmp_path, task="story")[0]
    assert (feature["input"], feature["language"]) == ("Search", "en")
    assert (story["instruction"], story["input"]) == ("create Agile user story for following topic", "登录")
    assert (story["path"], story["start_line"], story["end_line"]) == ("docs/a.md", 3, 5)
    assert (story["language"], story["step"], story["licence"]) == ("zh", "create_agile_user_story", None)


def test_any_number_of_processes_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records, their order and the account do not depend on the number of processes."""
    put(tmp_path, {f"m{i:02}.py": f"def f{i}():\n    return {i}\n" * (1 + i % 3) for i in range(30)})
    put(tmp_path, {"bad.py": b"\0"})
    monkeypatch.setattr(collect, "INLINE_BYTES", 0)
    monkeypatch.setattr(collect, "CHUNK_BYTES", 100)
    seen: list[tuple[int, int]] = []
    alone = records(tmp_path, processes=1)
    both = records(tmp_path, processes=2, progress=lambda done, total: seen.append((done, total)))
    assert alone == both
    assert len(alone[0]) == 60
    assert seen[-1] == (31, 31)


def test_wrong_arguments() -> None:
    """An unknown task or number of processes is refused before anything is read."""
    with pytest.raises(UsageError, match="task 'codes' is unknown; known are code, test, story"):
        list(collect_repositories([], task="codes"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="processes is 0"):
        list(collect_repositories([], task="code", processes=0))


def test_modules_are_named_from_their_packages() -> None:
    """A module's name starts at the outermost folder that is a package."""
    assert module_name("lib/a/b/c.py", {"lib/a/b", "lib/a"}) == "a.b.c"
    assert module_name("scripts/run.py", set()) == "run"
