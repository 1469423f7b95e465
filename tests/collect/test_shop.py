"""The example repository: the same commit every time, collected whole, and nothing in it looks live."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from governance.collect.files import Collected
from governance.collect.repository import Task, collect_repositories
from governance.dedup.cluster import cluster_duplicates
from governance.rules import load_rules
from governance.samples import PROVENANCE, SAMPLES, sample_id
from governance.scan.scanner import Scanner

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def shop_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shop_example", EXAMPLES / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop(shop_module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("example") / "shop"
    shop_module.make_shop(out)
    return out


def collect(shop: Path, task: Task) -> tuple[list[dict[str, Any]], Collected]:
    account = Collected()
    return list(collect_repositories([shop], task=task, collected=account)), account


def test_the_commit_is_always_the_same(shop_module: ModuleType, tmp_path: Path) -> None:
    """The shop is the same commit wherever and whenever it is written."""
    assert shop_module.make_shop(tmp_path / "a") == shop_module.make_shop(tmp_path / "b")
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        shop_module.make_shop(tmp_path / "a")


def test_the_command(tmp_path: Path) -> None:
    """`python examples/shop.py OUT` prints folder and commit, and refuses a folder that is in use."""
    command = [sys.executable, str(EXAMPLES / "shop.py"), str(tmp_path / "out")]
    first = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=EXAMPLES.parent, env={"PYTHONPATH": "."}
    )
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r".*out [0-9a-f]{40}\n", first.stdout)
    second = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=EXAMPLES.parent, env={"PYTHONPATH": "."}
    )
    assert second.returncode == 2
    assert "not an empty folder" in second.stderr


def test_code(shop: Path) -> None:
    """The shop has some forty methods of Java and fifteen functions of Python, in every step, with their licences."""
    found, account = collect(shop, "code")
    own = [r for r in found if r["step"] != "implementation_test"]
    languages = Counter(r["language"] for r in own)
    assert languages["java"] >= 40
    assert languages["python"] >= 15
    assert {r["step"] for r in own} == {
        "implementation_method",
        "implementation_spring_controller",
        "implementation_spring_service",
    }
    assert {r["licence"] for r in own} == {"Apache-2.0", "GPL-3.0-or-later", None}
    assert {r["path"] for r in own if r["licence"] is None} == {"third_party/tax/LegacyTax.java"}
    assert len({r["commit"] for r in found}) == 1
    assert not account.skipped.keys() & {"syntax-error", "undecodable", "binary"}


def test_copies(shop: Path) -> None:
    """A copied file gives equal samples, an edited copy and a pasted method give unequal ones."""
    found, _ = collect(shop, "code")
    texts = Counter((r["instruction"], r["input"], r["output"]) for r in found)
    assert sum(n - 1 for n in texts.values()) == 3
    assert len({r["group"] for r in found if r["instruction"] == "Implement the method slug"}) == 3
    assert (
        len({r["output"] for r in found if r["instruction"] == "Implement the method net" and "Totals" in r["path"]})
        == 2
    )


def test_tests(shop: Path) -> None:
    """Every test of the shop meets what it tests, but for the one that is planted without."""
    found, account = collect(shop, "test")
    assert Counter(r["step"] for r in found) == {"implementation_test": 7, "implementation_controller_test": 3}
    assert account.skipped["no-class-under-test"] == 1


def test_stories(shop: Path) -> None:
    """The shop has twelve stories in two languages; one is told twice."""
    found, _ = collect(shop, "story")
    assert Counter(r["language"] for r in found) == {"en": 6, "zh": 6}
    assert Counter(r["output"] for r in found).most_common(1)[0][1] == 2


def test_every_file_of_the_table_is_there() -> None:
    """The table of planted mistakes names files that the shop has, and every one with a template stands in it."""
    text = (EXAMPLES / "README.md").read_text("utf-8")
    named = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    assert len(named) >= 15
    assert all((EXAMPLES / "shop" / name).is_file() for name in named)
    planted = {
        path.relative_to(EXAMPLES / "shop").as_posix()
        for path in (EXAMPLES / "shop").rglob("*")
        if path.is_file() and re.search(r"\{[a-z0-9_]+\*\d+\}", path.read_text("utf-8"))
    }
    assert planted <= named


def test_every_planted_mistake_is_found(shop: Path) -> None:
    """Every row of the table that names a rule is true, and what the table calls clean has no error."""
    text = (EXAMPLES / "README.md").read_text("utf-8")
    planted = set(re.findall(r"^\| `([^`]+)` \|.*\| `([a-z]+/[a-z0-9-]+)` \|$", text, re.MULTILINE))
    assert len(planted) >= 25
    scanner = Scanner(load_rules(), b"a key for the tests of the examples")
    tasks: tuple[Task, ...] = ("code", "test", "story")
    samples = [record for task in tasks for record in collect(shop, task)[0]]
    findings = scanner.scan(as_batch(samples)).findings
    found = {
        (samples[n]["path"], rule)
        for n, rule in zip(*(findings.column(c).to_pylist() for c in ("n", "rule")), strict=True)
    }
    assert planted <= found
    clean = {"order/OrderController.java", "product/ProductController.java", "stock.py", "search.feature"}
    errors = {r.rule_id for r in load_rules() if r.severity == "error"}
    spoilt = {path for path, rule in found if rule in errors and path.endswith(tuple(clean))}
    assert not spoilt


def test_planted_duplicates_are_found(shop: Path, tmp_path: Path) -> None:
    """Every row of the table that names a gate of duplicates is true: a sample of that file has its copy."""
    text = (EXAMPLES / "README.md").read_text("utf-8")
    planted = set(re.findall(r"^\| `([^`]+)` \|.*\| \*(exact|near)-duplicates\* \|$", text, re.MULTILINE))
    assert len(planted) == 4
    found: set[tuple[str, str]] = set()
    tasks: tuple[Task, ...] = ("code", "story")
    for task in tasks:
        samples, _ = collect(shop, task)
        file = tmp_path / f"{task}.arrow"
        with pa.ipc.new_file(str(file), SAMPLES) as writer:
            writer.write_batch(as_batch(samples))
        with duckdb.connect() as connection:
            table = cluster_duplicates(file, connection, work=tmp_path).table
        for n, kept, kind in zip(*(table.column(c).to_pylist() for c in ("n", "kept_row", "kind")), strict=True):
            found |= {(samples[n]["path"], kind), (samples[kept]["path"], kind)}
    assert planted <= found


def as_batch(records: list[dict[str, Any]]) -> pa.RecordBatch:
    rows = []
    for n, record in enumerate(records):
        texts = [{"field": f, "role": f, "text": record[f]} for f in ("instruction", "input", "output")]
        row = {"n": n, "file": "shop", "row": n, "shape": "alpaca", "record": "{}", "texts": texts}
        row["sample_id"] = sample_id((text["role"], text["text"]) for text in texts)
        rows.append(row | {name: record[name] for name in PROVENANCE})
    return pa.RecordBatch.from_pylist(rows, schema=SAMPLES)


def test_every_template_is_filled(shop: Path) -> None:
    """The written shop has no template left."""
    files = [p for p in shop.rglob("*") if p.is_file() and ".git" not in p.parts]
    assert len(files) > 40
    assert not any(re.search(r"\{[a-z0-9_]+\*\d+\}", p.read_text("utf-8")) for p in files)
