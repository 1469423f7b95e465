"""A dataset becomes a run: exit codes, evidence, equal bytes, policy, and a digest taken again at the end."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from governance.context import Progress
from governance.data import data_folder
from governance.errors import PipelineError, RuleError

PIPELINES = ("code-generation", "default", "test-generation", "user-stories")


def breaches(checked: Any) -> set[str]:
    """The gates that are not open."""
    return set(checked.evidence["breaches"])


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_control_passes(pipeline: str, governance: Any, workspace: Path) -> None:
    """The control of every shipped pipeline passes with exit code 0, and its evidence is valid under the schema."""
    dataset = data_folder("pipelines") / "controls" / f"{pipeline}.jsonl"
    ended = governance("check", dataset, "--pipeline", pipeline, "--workspace", workspace, "--no-record")
    assert ended.code == 0, ended.out + ended.err
    [run] = (workspace / "runs").iterdir()
    evidence = json.loads((run / "evidence.json").read_text("utf-8"))
    schema = json.loads((data_folder("reports") / "evidence.schema.json").read_text("utf-8"))
    jsonschema.validate(evidence, schema)
    assert evidence["verdict"]["status"] == "PASSED" and evidence["verdict"]["reasons"] == []
    assert evidence["probes"]["planted"] == evidence["probes"]["found"] > 50


def test_closed_names_every_breach(governance: Any, workspace: Path, closing: Path) -> None:
    """A closed dataset ends with 1, all breaches at once, each with number, limit, remedy and places."""
    ended = governance("check", closing, "--workspace", workspace, "--no-record", "--format", "json")
    assert ended.code == 1
    gates = {g["gate"]: g for g in json.loads(ended.out)}
    closed = {name for name, g in gates.items() if g["status"] == "FAILED"}
    assert closed == {"quarantine", "personal-data", "text", "licence", "exact-duplicates"}
    assert all(gates[name]["failed"] >= 1 and gates[name]["worst"] and gates[name]["command"] for name in closed)
    [run] = (workspace / "runs").iterdir()
    evidence = json.loads((run / "evidence.json").read_text("utf-8"))
    jsonschema.validate(evidence, json.loads((data_folder("reports") / "evidence.schema.json").read_text("utf-8")))
    assert len(evidence["verdict"]["reasons"]) == len(closed)


def test_counts_agree(check: Callable[..., Any], closing: Path, control: list[Any], faults: list[Any]) -> None:
    """Every record of the input is a sample or quarantined: nothing is lost on the way in."""
    data = check(closing).evidence["dataset"]
    assert data["records"] == len(control) + len(faults) + 1
    assert (data["samples"], data["quarantined"]) == (len(control) + len(faults), 1)


@pytest.mark.parametrize("record", [False, True], ids=["plain", "recorded"])
def test_same_bytes(
    record: bool, check: Callable[..., Any], closing: Path, workspace: Path, compiled: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One process or two, large batches or tiny ones: the run folder has the same bytes under SOURCE_DATE_EPOCH."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = check(closing, record=record)
    other = tmp_path / "other"
    other.mkdir()
    (other / "cache").symlink_to(compiled)
    shutil.copytree(workspace / "keys", other / "keys")
    monkeypatch.setattr("governance.scan.pool.INLINE", 0)
    monkeypatch.setattr("governance.scan.pool.SLICE", 3)
    monkeypatch.setattr("governance.ingest.read.INLINE_BYTES", 0)
    monkeypatch.setattr("governance.ingest.output.BATCH_ROWS", 5)
    second = check(closing, record=record, processes=2, workspace=other)
    assert first.run == second.run
    names = sorted(p.relative_to(first.folder) for p in first.folder.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(second.folder) for p in second.folder.rglob("*") if p.is_file())
    differ = [str(n) for n in names if (first.folder / n).read_bytes() != (second.folder / n).read_bytes()]
    assert differ == []


def test_row_order_keeps_decisions(
    check: Callable[..., Any], write_jsonl: Callable[..., Path], control: list[Any], faults: list[Any]
) -> None:
    """In another row order the same samples are found wanting, gate by gate."""
    records = [*control, *faults]
    one, two = check(write_jsonl(records, "a.jsonl")), check(write_jsonl(records[::-1], "b.jsonl"))
    numbers = [{g["gate"]: (g["checked"], g["failed"]) for g in c.evidence["gates"]} for c in (one, two)]
    assert numbers[0] == numbers[1]
    assert one.evidence["dataset"]["digest"] != two.evidence["dataset"]["digest"]


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet", ".jsonl.gz", ".jsonl.zst"])
def test_every_format_passes(suffix: str, check: Callable[..., Any], control: list[Any], tmp_path: Path) -> None:
    """The same records pass in every format."""
    from governance.ingest import write_records

    path = tmp_path / f"data{suffix}"
    write_records(iter(control), path)
    checked = check(path)
    assert checked.passed, checked.verdict.reasons
    assert checked.evidence["dataset"]["samples"] == len(control)


class _Appends(Progress):
    """A neighbour that writes to the dataset while it is checked."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        with super().stage(name, total) as done:
            if name == "scan":
                neighbour = threading.Thread(target=self._append)
                neighbour.start()
                neighbour.join()
            yield done

    def _append(self) -> None:
        with self.path.open("ab") as file:
            file.write(b"\n")


def test_changed_while_checked(check: Callable[..., Any], passing: Path) -> None:
    """A dataset that changes while it is checked is CLOSED, even by one blank line."""
    checked = check(passing, progress=_Appends(passing))
    assert not checked.passed
    assert any("changed" in reason for reason in checked.verdict.reasons)


def test_deleted_while_checked(check: Callable[..., Any], passing: Path) -> None:
    """A dataset that is gone at the end is CLOSED."""

    class Deletes(_Appends):
        def _append(self) -> None:
            self.path.unlink()

    assert not check(passing, progress=Deletes(passing)).passed


@pytest.mark.parametrize(
    ("gates", "needle"),
    [
        ("review: {metric: near-duplicates, limit: 0}", "review"),
        ("most-repeated: {metric: most-repeated, unit: count, limit: 1}", "limit"),
        ("text: {rules: ['text/*'], limit: 0, severity: [error, warning]}", "severity"),
    ],
    ids=["gate-missing", "limit-looser", "severity-missing"],
)  # fmt: skip
def test_policy_is_a_floor(gates: str, needle: str, check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """A pipeline looser than the policy is CLOSED on good data, with the reason."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"name: company\nrequired_gates:\n  {gates}\n")
    checked = check(passing, policy=policy)
    assert not checked.passed and any(needle in r for r in checked.verdict.reasons), checked.verdict.reasons
    assert checked.evidence["policy"]["name"] == "company"


def test_policy_that_is_met(check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """A pipeline as strict as the policy passes, and the verdict names the policy."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: company\nrequired_gates:\n  exact-duplicates: {limit: 0.5}\nrequired_packs: [secrets]\n")
    assert check(passing, policy=policy).passed


def test_rules_of_the_command_line_replace_nothing(check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """A folder given with --rules cannot put another rule in the place of a built-in one."""
    own = tmp_path / "own" / "secrets"
    own.mkdir(parents=True)
    builtin = data_folder("rules") / "secrets" / "npm-token.yaml"
    shutil.copy(builtin, own)
    shutil.copy(builtin.with_name("_pack.yaml"), own)
    with pytest.raises(RuleError, match="is taken by"):
        check(passing, rules=(tmp_path / "own",))


def test_policy_without_waivers(
    check: Callable[..., Any], write_jsonl: Callable[..., Path], control: list[Any], faults: list[Any], tmp_path: Path
) -> None:
    """Where a policy allows no waivers, a baseline opens nothing."""
    from governance.steps import accept_findings

    dataset = write_jsonl([*control, faults[0]])
    checked = check(dataset)
    baseline, policy = tmp_path / "baseline.jsonl", tmp_path / "policy.yaml"
    accept_findings(
        checked.run, ["pii/*"], baseline, reason="r", owner="o", approver="", expires=_soon(),
        workspace=checked.folder.parent.parent,
    )  # fmt: skip
    policy.write_text("name: company\nallow_waivers: false\n")
    assert check(dataset, baseline=baseline).passed
    assert not check(dataset, baseline=baseline, policy=policy).passed


def _soon() -> str:
    import datetime as dt

    return str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30))


def test_own_sql_gate(check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """A gate of the user's own SQL is judged like any other."""
    pipeline = tmp_path / "p.yaml"
    text = "name: own\npacks: [text]\ngates:\n  short: {sql: '%s', unit: count, limit: 2}\n"
    pipeline.write_text(text % "select count(*), count(*) filter (length(output) < 1) from samples")
    assert check(passing, pipeline=str(pipeline)).passed
    pipeline.write_text(text % "select count(*), count(*) from samples")
    assert breaches(check(passing, pipeline=str(pipeline))) == {"short"}


def test_own_rule_folder(check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """A pipeline's own folder of rules is proved and counted like the built-in ones."""
    pack = tmp_path / "house" / "naming"
    pack.mkdir(parents=True)
    (pack / "no-service.yaml").write_text(
        "id: naming/no-service\nseverity: error\nfield: output\npattern: '(OrderService)'\nmessage: m\nwhy: w\n"
        "flags: [OrderService]\npasses: [Orders]\n"
    )
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "name: own\npacks: [text]\nrule_folders: [house]\ngates:\n  naming: {rules: ['naming/*'], limit: 0}\n"
    )
    checked = check(passing, pipeline=str(pipeline))
    assert breaches(checked) == {"naming"}


def test_disabled_rule_leaves_no_gate_behind(check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """A gate whose every rule is disabled is refused: it could never close."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text("name: own\npacks: [pii]\ndisable: ['pii/*']\ngates:\n  pii: {rules: ['pii/*'], limit: 0}\n")
    with pytest.raises(PipelineError, match="fits no rule"):
        check(passing, pipeline=str(pipeline))


def test_every_pack(check: Callable[..., Any], passing: Path, tmp_path: Path) -> None:
    """``packs: ['*']`` runs every pack, with and without own folders."""
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text("name: own\npacks: ['*']\ngates:\n  rest: {rules: ['rest/*'], limit: 1}\n")
    checked = check(passing, pipeline=str(pipeline))
    assert set(checked.evidence["rules"]["packs"]) >= {"pii", "rest", "secrets", "stories", "text"}


def test_stored_dataset_by_digest(check: Callable[..., Any], passing: Path) -> None:
    """A dataset in the store is checked by its digest and gives the same numbers."""
    first = check(passing)
    second = check(first.evidence["dataset"]["digest"][:12])
    assert second.passed
    assert [g["failed"] for g in first.evidence["gates"]] == [g["failed"] for g in second.evidence["gates"]]
