"""The command from end to end: saved texts, the tiny model, plans, limits, and arguments that do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from audit_samples import code, record

from governance.errors import UsageError

MEMBERS, TWINS = range(120), range(10_000, 10_120)


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with members, twins, and what a model that leaks every fifth member wrote of them."""
    folder = tmp_path_factory.mktemp("data")
    jsonl(folder / "members.jsonl", [record(k) for k in MEMBERS])
    jsonl(folder / "twins.jsonl", [record(k) for k in TWINS])
    saved = []
    for name, seeds in (("members", MEMBERS), ("twins", TWINS)):
        for row, seed in enumerate(seeds):
            own = {"sample": f"{name}.jsonl:{row}"}
            leaks = name == "members" and seed % 5 == 0
            saved.append({**own, "model": "base", "generation": code(50_000 + seed)})
            saved.append({**own, "model": "adapter", "generation": code(seed if leaks else 70_000 + seed)})
    jsonl(folder / "texts.jsonl", saved)
    return folder


def sets(data: Path) -> tuple[object, ...]:
    """The two datasets as arguments."""
    return "--members", data / "members.jsonl", "--twins", data / "twins.jsonl"


def test_planted_leakage_is_found(data: Path, governance: Any, tmp_path: Path) -> None:
    """Of a system that gives every fifth member back the audit says 20 %, within its interval, and withholds it."""
    out = tmp_path / "audit"
    ended = governance("audit", "--texts", data / "texts.jsonl", *sets(data), "--out", out)
    assert ended.code == 1 and "WITHHELD" in ended.out, ended.err
    audit = json.loads((out / "audit.json").read_text())
    em50 = next(r for r in audit["headline"] if r["metric"] == "em50")
    assert em50["did"]["value"] == pytest.approx(0.2) and em50["did"]["low"] <= 0.2 <= em50["did"]["high"]
    assert em50["did"]["low"] > 0.05 and em50["members"] == em50["twins"] == 120
    status = {row["name"]: row["status"] for row in audit["limits"]}
    assert status == {"did-em50": "FAILED", "longest-run": "FAILED", "secrets": "PASSED"}
    covered = {(r["model"], r["set"]): r for r in audit["amounts"] if r["metric"] == "rc50"}
    assert covered["adapter", "member"]["value"] == pytest.approx(0.2, abs=0.03)
    assert covered["base", "member"]["value"] == covered["adapter", "twin"]["value"] == 0


def test_no_text_is_written(data: Path, governance: Any, tmp_path: Path) -> None:
    """The audit folder holds numbers and names, no line of a sample or a generation."""
    out = tmp_path / "audit"
    governance("audit", "--texts", data / "texts.jsonl", *sets(data), "--out", out)
    words = {word for k in (0, 5, 50_000) for line in code(k).splitlines() for word in line.split() if "_" in word}
    shown = (out / "audit.json").read_text() + "".join(str(pq.read_table(p).to_pylist()) for p in out.glob("*.parquet"))
    assert words and not [w for w in words if w in shown]
    assert governance("audit", "--texts", data / "texts.jsonl", *sets(data), "--out", out).code == 2


def test_null_audit_of_a_model(data: Path, tiny_model: Path, governance: Any) -> None:
    """A model that nobody tuned adds nothing: the interval covers 0, and all but the headline's width is passed."""
    few = data / "few.jsonl"
    jsonl(few, [record(k) for k in range(110)])
    held = jsonl(data / "held.jsonl", [record(k) for k in range(20_000, 20_110)])
    ended = governance("audit", "--base-model", tiny_model, "--members", few, "--twins", held, "--format", "json")
    audit = json.loads(ended.out)
    em50 = {r["kind"]: r for r in audit["headline"] if r["metric"] == "em50"}
    assert set(em50) == {"instruction", "prefix-50"}
    for row in em50.values():
        assert row["did"] is not None and row["did"]["value"] == 0 and row["did"]["low"] < 0 < row["did"]["high"]
    assert audit["adapter"] is None and audit["unit"] == "tokens" and audit["seconds"]["match"] > 0
    curve = [r for r in audit["curves"] if r["p"] == 0.5 and r["kind"] == "prefix-50" and r["set"] == "member"]
    assert curve and all(0 <= r["value"] <= 1 for r in curve)
    assert ended.code == 1  # 110 twins are too few to show a limit of 2 %


def test_twins_that_were_learned_are_no_twins(data: Path, governance: Any) -> None:
    """A twin that stands in the training data is left out and counted; without twins there is no headline."""
    ended = governance(
        "audit", "--texts", data / "texts.jsonl", "--members", data / "members.jsonl", "--twins", data / "twins.jsonl",
        "--format", "json",
    )  # fmt: skip
    assert json.loads(ended.out)["asked"]["copied_twins"] == 0
    own = jsonl(data / "own.jsonl", [{"sample": "members.jsonl:3", "generation": code(3)}])
    ended = governance(
        "audit", "--texts", own, "--members", data / "members.jsonl", "--twins", data / "members.jsonl",
        "--format", "json",
    )  # fmt: skip
    audit = json.loads(ended.out)
    assert audit["asked"]["copied_twins"] == 120 and audit["asked"]["twins"] == 0
    assert all(row["did"] is None for row in audit["headline"]) and audit["status"] == "WITHHELD"


def test_runs_are_attributed(data: Path, governance: Any, tmp_path: Path) -> None:
    """With an index every run names its source, licence and lines; an allowed source does not count."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "pay.py").write_text(code(0), "utf-8")
    assert governance("index", folder, "--out", tmp_path / "idx", "--licence", "GPL-3.0-only").code == 0
    arguments = ("audit", "--texts", data / "texts.jsonl", *sets(data), "--index", tmp_path / "idx")
    audit = json.loads(governance(*arguments, "--format", "json").out)
    source = audit["sources"][0]
    assert source["source_path"] == "pay.py" and source["source_licence"] == "GPL-3.0-only" and source["longest"] > 100
    assert audit["runs"]["longest"] == source["longest"] and source["model"] == "adapter"
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: own\npacks: [secrets]\noverlap: {allow: ['*pay.py']}\n"
        "gates: {quarantine: {metric: quarantined, of: records, limit: 0}}\n"
    )
    assert json.loads(governance(*arguments, "-p", pipeline, "--format", "json").out)["runs"]["longest"] == 0


def test_plan(data: Path, tiny_model: Path, governance: Any) -> None:
    """A plan says how many members and twins the limit of 2 % needs, and the time, from a few prompts."""
    ended = governance("audit", "--plan", "--base-model", tiny_model, *sets(data), "--format", "json")
    rows = json.loads(ended.out)
    assert ended.code == 0 and {r["members"] for r in rows} == {120, 268} and all(r["seconds"] > 0 for r in rows)
    assert "split --audit 268" in ended.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--base-model is missing"), (("--base-model", "x"), "--members is missing"),
        (("--texts", "x", "--adapter", "y"), "saved generations"),
        (("--profile", "slow", "--texts", "x"), "quick or full"),
        (("--texts", "x", "--plan"), "--plan asks a model"), (("--texts", "absent.jsonl"), "cannot be read"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(governance: Any, arguments: tuple[str, ...], word: str) -> None:
    """What does not go together is one line that says so, before any work."""
    ended = governance("audit", *arguments)
    assert ended.code == 2 and word in ended.err and len(ended.err.splitlines()) == 1


def test_texts_need_no_torch(data: Path, tmp_path: Path) -> None:
    """Saved texts are audited without torch; asking a model names the extra in one line."""
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('torch', 'transformers', 'peft')))\n"  # as if not installed
        "from governance.cli import main\n"
        "main(sys.argv[1:])\n"
    )

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, "audit", *map(str, arguments)], cwd=tmp_path, text=True,
            capture_output=True, check=False,
        )  # fmt: skip

    assert "WITHHELD" in run("--texts", data / "texts.jsonl", *sets(data)).stdout
    ended = run("--base-model", tmp_path, *sets(data))
    assert ended.returncode == 2 and "lora-data-governance[train]" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_adapter_of_another_kind(tiny_model: Path, tmp_path: Path) -> None:
    """A folder that is no plain LoRA adapter in safetensors is refused before anything in it is loaded."""
    from governance.audit.ask import load_adapter

    folder = tmp_path / "adapter"
    folder.mkdir()
    for text, word in (
        (None, "no adapter_config.json"), ("[]", "no plain LoRA"), ('{"peft_type": "IA3"}', "no plain LoRA"),
        ('{"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}', "no plain LoRA"),
        ('{"peft_type": "LORA"}', "no adapter_model.safetensors"),
    ):  # fmt: skip
        if text is not None:
            (folder / "adapter_config.json").write_text(text)
        (folder / "adapter_model.bin").write_bytes(b"pickle")
        with pytest.raises(UsageError, match=word):
            load_adapter(None, folder)
