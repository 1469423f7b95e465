"""The benchmark of near-duplicate search runs, names what it cannot run, and judges groups rightly."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the folder of benchmarks, which is no package."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.syspath_prepend(str(ROOT / "peers"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def functions(count: int) -> list[str]:
    """Functions with an exact copy of every tenth and a copy with one changed name of every fifteenth."""
    out = []
    for k in range(count):
        lines = [f"    total_{k} = price_{k % 97} * {j} + tax_{k}(order, {k * j})" for j in range(20)]
        text = "\n".join([f"def compute_{k}(order, price_{k % 97}):", *lines, f"    return total_{k}"])
        if k % 10 == 9:
            text = out[k - 1]
        elif k % 15 == 14:
            text = out[k - 1].replace("return total", "return 2 * total")
        out.append(text)
    return out


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """One run over 300 rows with our own exact search and every peer that is there: figures, and what was printed."""
    folder = tmp_path_factory.mktemp("bench")
    data, out = folder / "data.jsonl", folder / "figures.json"
    data.write_text("".join(json.dumps({"output": text}) + "\n" for text in functions(320)))
    command = [
        sys.executable, str(ROOT / "dedup.py"), "--data", str(data), "--rows", "300", "--runs", "1", "--methods",
        "exact", "--markdown", "--peers", str(folder / "none"), "--out", str(out), "--processes", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


def line_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in found["programs"] if p["name"] == name)


def test_own(compared: tuple[dict[str, Any], str]):
    """The exact search removes every planted copy, and by brute force over all pairs misses none and invents none."""
    found, _ = compared
    own = line_of(found, "governance exact")
    assert own["problem"] == "" and found["rows"] == 300
    assert own["removed"] == 30 + 10  # of the twenty fifteenth rows every second one is a tenth row as well
    assert (own["recall"], own["precision"]) == (1.0, 1.0)
    assert found["pairs"] >= 40
    assert own["seconds"] > 0 and own["processor"] > 0 and own["peak"] > 20_000_000


def test_peers(compared: tuple[dict[str, Any], str]):
    """A peer that is there has a line of figures like ours; one that is not is named with the reason."""
    found, printed = compared
    assert [p["name"] for p in found["programs"]][1:] == ["datasketch", "rensa", "text-dedup", "datatrove"]
    for name, module in (("datasketch", "datasketch"), ("rensa", "rensa"), ("datatrove", "datatrove")):
        peer = line_of(found, name)
        if find_spec(module) is None:
            assert peer["problem"] == "not installed: run --install first"
            assert f"| {name} | not installed: run --install first |" in printed
        else:
            assert peer["problem"] == "" and peer["recall"] > 0.5 and peer["removed"] >= 30


def test_table(compared: tuple[dict[str, Any], str]):
    """The table for the README is made of the figures, with the threshold and what they were measured on."""
    found, printed = compared
    own = line_of(found, "governance exact")
    assert f"300 rows, {found['mb']:.1f} MB of distinct text, Jaccard 0.8; {found['pairs']:,} pairs" in printed
    assert f"| governance exact | {own['seconds']:.2f} |" in printed
    assert "| 40 | 1.0000 | 1.0000 |" in printed


def test_truth(benchmark_module: Any):
    """Brute force gives the pairs that sets of shingles give, short texts and empty ones included."""
    truth = benchmark_module("truth")
    texts = ["a b c d e f g h", "a b c d e f g h i", "a b c d", "a b c d", "", "a b c", "x"]
    left, right = truth.true_pairs(texts, 0.8)
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 1), (2, 3)]  # 4 of 5 shingles: 0.8
    left, right = truth.true_pairs(texts, 0.81)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == [(2, 3)]


def test_judge(benchmark_module: Any):
    """A true pair with both rows kept is missed; a removed row unlike the one that is kept for it is wrong."""
    truth = benchmark_module("truth")
    pairs = (np.array([0, 2]), np.array([1, 3]))
    assert truth.judge([0, 0, 2, 2, 4], pairs) == truth.Quality(1.0, 1.0, 0, 0)
    assert truth.judge([0, 1, 2, 3, 4], pairs) == truth.Quality(0.0, 1.0, 2, 0)
    assert truth.judge([0, 0, 2, 3, 0], pairs) == truth.Quality(0.5, 0.5, 1, 1)


def test_shingles_of_peers(benchmark_module: Any):
    """Peers without shingles of their own get five tokens, or all of a shorter text, and none of an empty one."""
    common = benchmark_module("common")
    assert common.shingles("x = f(a)") == {"x = f ( a", "= f ( a )"}
    assert common.shingles("x") == {"x"} and common.shingles(" \n") == set()
    assert common.joined(6, [(1, 0), (4, 5), (5, 2)]) == [0, 0, 2, 3, 2, 2]


def test_failing_program(benchmark_module: Any, tmp_path: Path):
    """A program that fails, or takes too long, is named with what it said last."""
    programs = benchmark_module("programs")

    def made(code: str) -> Any:
        return programs.Program("odd", lambda source, folder: [sys.executable, "-c", code], lambda *_: ([], ""))

    result = programs.run(made("raise SystemExit('no such thing')"), tmp_path, 1, tmp_path / "a", 60.0)
    assert result.problem == "no such thing"
    result = programs.run(made("import time; time.sleep(60)"), tmp_path, 1, tmp_path / "b", 0.5)
    assert result.problem == "not done after 0.5 s"


def test_install_problem(benchmark_module: Any, tmp_path: Path):
    """An environment that cannot be made is named with the reason, and the peer counts as not there."""
    programs = benchmark_module("programs")
    peer = programs.Peer("odd", "no_such_module_at_all", ())
    problems = programs.install([peer], tmp_path)
    assert "No module named 'no_such_module_at_all'" in problems["odd"]
    assert peer.python(tmp_path) is None


def test_exponent(benchmark_module: Any):
    """The exponent is the slope of time against text in logarithms: 2 where twice the text takes four times as long."""
    dedup = benchmark_module("dedup")
    step = {"name": "governance exact", "problem": "", "peak": 10**6, "removed": 1}
    steps = [
        {**step, "rows": 50_000, "mb": 10.0, "seconds": 1.0},
        {**step, "rows": 100_000, "mb": 20.0, "seconds": 4.0},
        {**step, "rows": 400_000, "mb": 80.0, "seconds": 16.0},
    ]
    found = {"threshold": 0.8, "cores": 2, "memory_limit": "4GiB", "steps": steps}
    lines = dedup.scaling_table(found, markdown=True).splitlines()
    assert [line.split(" | ")[-2:] for line in lines[-3:]] == [["", " |"], ["2.00", "2.00 |"], ["1.00", "1.33 |"]]
