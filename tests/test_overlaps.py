"""Overlap from the command line to the verdict: gates, probes, digests, remedies, and what cannot be compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from governance.data import data_folder
from governance.overlap import benchmark, protected
from governance.samples import OVERLAPS

CODE = '''def merge_bookings(bookings, opening, closing):
    """Return the free slots of a day between the bookings of a room."""
    merged, free = [], []
    for begin, end in sorted(bookings, key=lambda booking: booking[0]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    last_end = opening
    for begin, end in merged:
        if begin > last_end:
            free.append((last_end, begin))
        last_end = max(last_end, end)
    if last_end < closing:
        free.append((last_end, closing))
    return free
'''
PROMPT = "Write a function that returns how many marionettes of the Salzburg theatre fit into a trunk of given volume."
PIPELINE = """name: own
packs: [secrets]
overlap:
  indexes: [sources]
  benchmarks: [items.jsonl]
  held_out: [held.jsonl]
gates:
  secrets: {rules: [secrets/*], limit: 0}
  protected: {metric: protected-overlap, limit: 0, remedy: drop}
  items: {metric: benchmark-overlap, limit: 0, remedy: drop}
  held-out: {metric: held-out-overlap, limit: 0, remedy: drop}
"""


@pytest.fixture
def sources(tmp_path: Path, governance: Any, write_jsonl: Callable[..., Path], control: list[Any]) -> Path:
    """A folder with an index, items, a held-out set, a pipeline over all three, and a dataset with one of each."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "rooms.py").write_text(f"import math\n\n\n{CODE}", "utf-8")
    ended = governance("index", tmp_path / "lib", "--out", tmp_path / "sources", "--licence", "GPL-3.0-only")
    assert ended.code == 0, ended.err
    items = [{"task_id": "M/1", "prompt": PROMPT}, {"task_id": "M/2", "prompt": "return x + y"}]
    write_jsonl(items, "items.jsonl")
    write_jsonl(control[:1], "held.jsonl")
    (tmp_path / "own.yaml").write_text(PIPELINE, "utf-8")
    planted = [control[1] | {"output": CODE}, control[2] | {"instruction": f"{PROMPT} Use integers."}]
    write_jsonl([*control, *planted])
    return tmp_path


def check(
    governance: Any, folder: Path, *more: Any, pipeline: str = "own.yaml"
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Check the dataset; return the exit code, the gates by name, and the evidence."""
    ws = folder / "ws"
    named = folder / pipeline if pipeline.endswith("yaml") else pipeline
    arguments = ("--pipeline", named, "--workspace", ws, "--no-record", "--format", "json", *more)
    ended = governance("check", folder / "data.jsonl", *arguments)
    assert ended.code in (0, 1), ended.err
    gates = {g["gate"]: g for g in json.loads(ended.out)}
    run = max((ws / "runs").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    evidence = json.loads((run / "evidence.json").read_text("utf-8"))
    jsonschema.validate(evidence, json.loads((data_folder("reports") / "evidence.schema.json").read_text("utf-8")))
    return ended.code, gates, evidence | {"folder": run}


def test_gates_close(governance: Any, workspace: Path, sources: Path) -> None:
    """Each kind of overlap closes its gate; evidence, table and manifest name sample, source, licence and digests."""
    code, gates, evidence = check(governance, sources)
    assert code == 1
    assert {n: (g["status"], g["failed"]) for n, g in gates.items()} == {
        "secrets": ("PASSED", 0), "protected": ("FAILED", 1), "items": ("FAILED", 1), "held-out": ("FAILED", 1),
    }  # fmt: skip
    table = pq.read_table(evidence["folder"] / "overlaps.parquet")
    assert table.schema.names == OVERLAPS.names
    found = {r["class"]: r for r in table.to_pylist()}
    count = evidence["dataset"]["samples"]
    assert {c: (r["row"], r["field"]) for c, r in found.items()} == {
        "verbatim": (count - 2, "output"), "item": (count - 1, "instruction"), "held-out": (0, ""),
    }  # fmt: skip
    assert found["verbatim"]["source_licence"] == "GPL-3.0-only" and found["verbatim"]["source_line"] == 4
    overlaps = evidence["overlaps"]
    assert overlaps["samples"] == 3 and overlaps["undecidable"] == {"count": 1, "names": ["items.jsonl#M/2/prompt"]}
    manifest = json.loads((evidence["folder"] / "manifest.json").read_text("utf-8"))
    digests = manifest["pipeline"]["settings"]["overlap"]["digests"]
    assert {s["name"]: s["digest"] for s in overlaps["sources"]} == digests and len(digests) == 3
    assert gates["protected"]["worst"][0]["line"] == 1


def test_no_text_in_what_is_written(governance: Any, workspace: Path, sources: Path) -> None:
    """Neither the evidence nor a document nor the table holds text of a sample or of a source."""
    _, _, evidence = check(governance, sources)
    for path in evidence["folder"].rglob("*"):
        if path.suffix in (".json", ".html", ".md", ".sarif", ".xml"):
            assert "marionettes" not in path.read_text("utf-8") and "last_end" not in path.read_text("utf-8")
    assert "marionettes" not in str(pq.read_table(evidence["folder"] / "overlaps.parquet").to_pylist())
    assert "GPL-3.0-only" in (evidence["folder"] / "report.html").read_text("utf-8")
    assert "lib/rooms.py" in (evidence["folder"] / "report.md").read_text("utf-8")


def test_another_source_is_another_pipeline(governance: Any, workspace: Path, sources: Path) -> None:
    """The pipeline's digest changes with the content of an index, and a pinned digest refuses another one."""
    _, _, before = check(governance, sources)
    digest = next(s["digest"] for s in before["overlaps"]["sources"] if s["name"] == "sources")
    pinned = PIPELINE.replace("gates:", f"  digests: {{sources: {digest}}}\ngates:")
    (sources / "pinned.yaml").write_text(pinned, "utf-8")
    assert check(governance, sources, pipeline="pinned.yaml")[2]["pipeline"]["digest"] == before["pipeline"]["digest"]
    (sources / "more.py").write_text("def nothing():\n    return None\n", "utf-8")
    governance("index", sources / "more.py", "--out", sources / "sources")
    assert check(governance, sources)[2]["pipeline"]["digest"] != before["pipeline"]["digest"]
    ended = governance("check", sources / "data.jsonl", "--pipeline", sources / "pinned.yaml", "--workspace", workspace)
    assert ended.code == 2 and "expected " + digest[:16] in ended.err


def test_nothing_to_compare_with(governance: Any, workspace: Path, sources: Path) -> None:
    """A gate on overlap in a pipeline that names no source is an ERROR, and so is one over sources of another kind."""
    gates = "gates:" + PIPELINE.partition("gates:")[2]
    (sources / "bare.yaml").write_text(f"name: own\npacks: [secrets]\n{gates}", "utf-8")
    code, found, evidence = check(governance, sources, pipeline="bare.yaml")
    assert code == 1 and evidence["overlaps"] is None
    assert {n: g["status"] for n, g in found.items()} == {
        "secrets": "PASSED", "protected": "ERROR", "items": "ERROR", "held-out": "ERROR",
    }  # fmt: skip
    assert "nothing to compare with" in found["protected"]["detail"]
    (sources / "empty.jsonl").write_text("", "utf-8")
    governance("index", sources / "items.jsonl", "--kind", "benchmark", "--out", sources / "only-items")
    more = ("--index", sources / "only-items", "--held-out", sources / "empty.jsonl")
    _, found, _ = check(governance, sources, *more, pipeline="bare.yaml")
    assert (found["protected"]["status"], found["items"]["status"], found["held-out"]["status"]) == (
        "ERROR", "FAILED", "ERROR",
    )  # fmt: skip


def test_sources_of_the_command_line(governance: Any, workspace: Path, sources: Path) -> None:
    """Sources named on the command line bring gates with limit 0 to a pipeline that has none of their metric."""
    (sources / "plain.yaml").write_text("name: own\npacks: [secrets]\ngates:\n  s: {rules: [secrets/*], limit: 0}\n")
    assert check(governance, sources, pipeline="plain.yaml")[0] == 0
    more = (
        "--index",
        sources / "sources",
        "--benchmark",
        sources / "items.jsonl",
        "--held-out",
        sources / "held.jsonl",
    )
    code, gates, _ = check(governance, sources, *more, pipeline="plain.yaml")
    assert code == 1
    assert {n for n, g in gates.items() if g["status"] == "FAILED"} == {
        "protected-overlap", "benchmark-overlap", "held-out-overlap",
    }  # fmt: skip
    assert "--index" in gates["protected-overlap"]["command"]


def test_allowed_sources(governance: Any, workspace: Path, sources: Path) -> None:
    """A source that the pipeline allows is listed and counted nowhere."""
    allowed = PIPELINE.replace("gates:", '  allow: ["lib/*"]\ngates:')
    (sources / "own.yaml").write_text(allowed, "utf-8")
    _, gates, evidence = check(governance, sources)
    assert gates["protected"]["status"] == "PASSED" and gates["items"]["status"] == "FAILED"
    assert evidence["overlaps"]["allowed"] == 1 and evidence["overlaps"]["top"][-1]["allowed"] in (True, False)
    assert [o["source"] for o in evidence["overlaps"]["top"] if o["allowed"]] == ["lib/rooms.py"]


@pytest.mark.parametrize(
    ("place", "name", "gate"),
    [(protected, "LEAST_CONTAINED", "protected"), (benchmark, "RUN", "items")],
    ids=["protected", "items"],
)
def test_a_blind_search_is_an_error(
    place: Any, name: str, gate: str, governance: Any, workspace: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that misses what is planted for it leaves its gate an ERROR, whatever it found in the data."""
    monkeypatch.setattr(place, name, 10**9)
    monkeypatch.setattr(benchmark, "CONTAINED", 2.0)
    _, gates, evidence = check(governance, sources)
    assert gates[gate]["status"] == "ERROR" and gates[gate]["value"] is None
    assert f"{gates[gate]['metric']}" in evidence["probes"]["missed"]


def test_clean_drops_them(governance: Any, workspace: Path, sources: Path) -> None:
    """The remedy drops every sample that such a gate counts, with its reason, and the result passes."""
    arguments = ("--pipeline", sources / "own.yaml", "--workspace", workspace, "--no-record")
    ended = governance("clean", sources / "data.jsonl", "--out", sources / "clean.jsonl", *arguments)
    assert ended.code == 0, ended.out + ended.err
    for gate in ("protected", "items", "held-out"):
        assert f"dropped: {gate}" in ended.out
    before, after = ((sources / name).read_text("utf-8").splitlines() for name in ("data.jsonl", "clean.jsonl"))
    assert [json.loads(line) for line in after] == [json.loads(line) for line in before[1:-2]]


def test_prove_closes_them(governance: Any, workspace: Path, sources: Path) -> None:
    """`prove` plants a made-up source per gate; each gate closes, and where every source is allowed none does."""
    (sources / "held.jsonl").write_text('{"instruction": "a", "input": "", "output": "b"}\n', "utf-8")
    ended = governance("prove", sources / "own.yaml", "--format", "json")
    assert ended.code == 0, ended.out + ended.err
    assert {p["gate"]: p["closed"] for p in json.loads(ended.out)}.keys() >= {"protected", "items", "held-out"}
    everything = PIPELINE.replace("gates:", '  allow: ["*"]\ngates:')
    (sources / "own.yaml").write_text(everything, "utf-8")
    ended = governance("prove", sources / "own.yaml", "--format", "json")
    assert ended.code == 1 and {p["gate"] for p in json.loads(ended.out) if p["closed"] == "NO"} >= {
        "protected",
        "items",
    }


def test_overlap_lists(governance: Any, workspace: Path, sources: Path) -> None:
    """`overlap` lists every place with both sides and exits with 0; the table counts per source first."""
    more = (
        "--index",
        sources / "sources",
        "--benchmark",
        sources / "items.jsonl",
        "--held-out",
        sources / "held.jsonl",
    )
    ended = governance("overlap", sources / "data.jsonl", *more, "--workspace", workspace, "--format", "jsonl")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [r["class"] for r in rows] == ["held-out", "verbatim", "item"]
    assert set(rows[0]) == set(OVERLAPS.names) - {"n"}
    ended = governance("overlap", sources / "data.jsonl", *more, "--workspace", workspace)
    assert ended.code == 0 and "GPL-3.0-only" in ended.out and "1 of 2 benchmark items" in ended.out
    assert "marionettes" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nothing to compare with"),
        (("--index", "missing"), "missing"),
        (("--held-out", "missing"), "no such held-out dataset"),
        (("--benchmark", "missing.jsonl"), "no such benchmark"),
        (("--index", "sources", "--least", "49"), "--least 49: expected 50"),
        (("--held-out", "held.jsonl", "--threshold", "0.3"), "--threshold 0.3"),
        (("--held-out", "broken.jsonl"), "1 held-out records cannot be read"),
        (("--index", "cut"), "cut"),
        (("--index", "old"), "format"),
        (("--index", "keyed"), "key"),
    ],
)
def test_what_cannot_be_compared(
    arguments: tuple[str, ...], says: str, governance: Any, workspace: Path, sources: Path
) -> None:
    """A source that is missing, cut short, of another version or keyed is said in one line with exit code 2."""
    shutil.copytree(sources / "sources", sources / "cut")
    part = next((sources / "cut").rglob("verbatim.bin"))
    part.write_bytes(part.read_bytes()[:-3])
    shutil.copytree(sources / "sources", sources / "old")
    manifest = sources / "old" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text("utf-8")) | {"format": 7}), "utf-8")
    (sources / "key").write_bytes(b"0123456789abcdef" * 4)
    (sources / "broken.jsonl").write_text('{"instruction": "a", "output": "b"}\n{"instr\n', "utf-8")
    governance("index", sources / "lib", "--out", sources / "keyed", "--no-text", "--key", sources / "key")
    given = [sources / a if not a.startswith("-") and not a[0].isdigit() else a for a in arguments]
    ended = governance("overlap", sources / "data.jsonl", *given, "--workspace", workspace)
    assert ended.code == 2 and says in ended.err and len(ended.err.splitlines()) == 1, ended.err
    assert "Traceback" not in ended.err


def test_keyed_index(governance: Any, workspace: Path, sources: Path) -> None:
    """With its key an index without text closes the gate as well."""
    key = sources / "key"
    key.write_bytes(b"0123456789abcdef" * 4)
    governance("index", sources / "lib", "--out", sources / "keyed", "--no-text", "--key", key)
    (sources / "plain.yaml").write_text("name: own\npacks: [secrets]\ngates:\n  s: {rules: [secrets/*], limit: 0}\n")
    more = ("--index", sources / "keyed", "--index-key", key)
    code, gates, _ = check(governance, sources, *more, pipeline="plain.yaml")
    assert code == 1 and gates["protected-overlap"]["failed"] == 1


def test_empty_dataset(governance: Any, workspace: Path, sources: Path) -> None:
    """An empty dataset cannot be compared, and checking it does not pass."""
    (sources / "data.jsonl").write_text("", "utf-8")
    more = ("--index", sources / "sources", "--workspace", workspace)
    ended = governance("overlap", sources / "data.jsonl", *more)
    assert ended.code == 2, ended.out
    code, gates, _ = check(governance, sources)
    assert code == 1 and all(gates[g]["status"] == "FAILED" for g in ("protected", "items", "held-out"))


def test_a_policy_names_sources(governance: Any, workspace: Path, sources: Path) -> None:
    """A policy that requires a gate on overlap refuses allowed sources, longer runs, and a source left out."""
    policy = "name: company\nrequired_gates:\n  protected: {metric: protected-overlap, limit: 0}\nsources: ['%s']\n"
    digest = json.loads((sources / "sources" / "manifest.json").read_text("utf-8"))["sha256"]
    (sources / "policy.yaml").write_text(policy % digest, "utf-8")
    _, _, evidence = check(governance, sources, "--policy-file", sources / "policy.yaml")
    assert [r for r in evidence["verdict"]["reasons"] if "company" in r] == []
    (sources / "policy.yaml").write_text(policy % ("0" * 64), "utf-8")
    loose = PIPELINE.replace("gates:", '  allow: ["lib/*"]\n  least: 90\ngates:')
    (sources / "own.yaml").write_text(loose, "utf-8")
    _, _, evidence = check(governance, sources, "--policy-file", sources / "policy.yaml")
    reasons = [r for r in evidence["verdict"]["reasons"] if "company" in r]
    assert len(reasons) == 3
    assert all(any(word in r for r in reasons) for word in ("0000000000000000", "'lib/*' are allowed", "90"))
