"""The pages under docs/ and the files made from the code agree with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import doc_files
import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from governance.data import data_folder
from governance.gate.judge import STATUSES
from governance.gate.policy import check_policy
from governance.rules import FIELDS, KINDS, load_rules, rule_models
from governance.samples import DUPLICATES, FINDINGS, PROVENANCE, QUARANTINE, ROUTES, STORIES
from governance.settings import METRICS, GateSpec, Pipeline, Policy, Remedy, load_pipeline, load_policy
from governance.steps import check_config, prove_rule_folder

DOCS = doc_files.ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *doc_files.ROOT.glob("*.md"), *(doc_files.ROOT / "examples").glob("*.md")])
SHIPPED = sorted(data_folder("pipelines").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The JSON Schema as it is shipped."""
    loaded: dict[str, Any] = json.loads(doc_files.SCHEMA.read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("made", [doc_files.COMMANDS, doc_files.SCHEMA], ids=lambda p: p.name)
def test_made_files_are_current(made: Path) -> None:
    """docs/commands.md and the JSON Schema are what the code says; `python tests/doc_files.py` writes them again."""
    make = doc_files.commands_page if made == doc_files.COMMANDS else doc_files.pipeline_schema
    assert made.read_text("utf-8") == make()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_schema_accepts_shipped_pipelines(path: Path, schema: dict[str, Any]) -> None:
    """Every shipped pipeline names the schema in its first line and satisfies it."""
    text = path.read_text("utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={doc_files.SCHEMA.name}\n")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize(
    "change",
    [
        {"limits": 0},
        {"limit": "none"},
        {"limit": None},
        {"metric": "sekrets"},
        {"rules": ["secrets/*"]},
        {"remedy": "delete"},
        {"of": "rows"},
    ],
    ids=str,
)
def test_schema_refuses_what_the_loader_refuses(change: dict[str, Any], schema: dict[str, Any]) -> None:
    """A wrong key, type, metric or remedy, and two sources of a count, are marked in the editor too."""
    gate = {"metric": "quarantined", "limit": 0} | change
    pipeline = {"name": "own", "packs": ["text"], "gates": {"g": gate}}
    with pytest.raises(ValueError):
        Pipeline.model_validate(pipeline)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pipeline, schema)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(doc_files.ROOT).as_posix())
def test_links(page: Path) -> None:
    """Every link to a file of the repository leads to one."""
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", [DOCS / "rules.md", DOCS / "pipelines.md", DOCS / "splits.md"], ids=lambda p: p.name)
def test_shown_files_and_commands(page: Path, tmp_path: Path) -> None:
    """Every file that the page shows can be used as it stands, and every command ends as the page says."""
    shown = doc_files.files(page)
    assert shown
    for name, text in shown.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
        check_config(tmp_path / name)
    if (tmp_path / "rules").exists():
        assert prove_rule_folder(tmp_path / "rules") == (len(shown), [])
    doc_files.make_dataset(tmp_path)
    (tmp_path / "policy.example.yaml").write_text((DOCS / "policy.example.yaml").read_text("utf-8"), "utf-8")
    todo = [c for block in doc_files.blocks(page, "sh") for c in doc_files.commands(block)]
    assert todo
    assert [wrong for c in todo if (wrong := doc_files.complaint(c, doc_files.run(c, tmp_path)))] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_example_policy(path: Path) -> None:
    """Every shipped pipeline keeps the example policy, and one that is looser does not."""
    policy, pipeline = load_policy(DOCS / "policy.example.yaml"), load_pipeline(str(path))
    assert check_policy(policy, pipeline, "0" * 64, pipeline.packs) == []
    looser = pipeline.model_copy(
        update={"gates": pipeline.gates | {"secrets": pipeline.gates["secrets"].model_copy(update={"limit": 1.0})}}
    )
    assert check_policy(policy, looser, "0" * 64, pipeline.packs) != []


def named(page: str, words: Any) -> list[str]:
    """Return the *words* that the page does not name as code."""
    text = (DOCS / page).read_text("utf-8")
    codes = set(re.findall(r"[\w*/.-]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    return [w for w in words if w not in codes]


def test_rules_page_is_complete() -> None:
    """docs/rules.md names every key of a rule file, every field and kind, and every column that SQL sees."""
    keys = {f.alias or name for name, f in rule_models()[1].model_fields.items()} - {
        "id",
        "message",
        "why",
        "references",
    }
    columns = {c for t in (FINDINGS, DUPLICATES, STORIES, ROUTES, QUARANTINE) for c in t.names} - {"raw"}
    assert named("rules.md", sorted(keys | columns | {*FIELDS, *KINDS, *PROVENANCE})) == []


def test_pipelines_page_is_complete() -> None:
    """docs/pipelines.md names every key of a gate and a policy, every metric with its meaning, remedy and status."""
    keys = {*GateSpec.model_fields, *Policy.model_fields} - {"title", "title_zh", "name"}
    assert named("pipelines.md", sorted(keys | METRICS.keys() | {*get_args(Remedy), *PROVENANCE})) == []
    text = (DOCS / "pipelines.md").read_text("utf-8")
    assert [m for m, meaning in METRICS.items() if f"| `{m}` | {meaning} |" not in text] == []
    assert [s for s in STATUSES if f"| {s} |" not in text] == []
    shown = doc_files.files(DOCS / "pipelines.md")["governance-bank.yaml"]
    assert [k for k in Pipeline.model_fields if f"\n{k}:" not in shown and k not in ("title_zh", "instruction")] == [
        "rule_folders",
        "replace",
    ]
    assert "replace" in (DOCS / "rules.md").read_text("utf-8")
    assert "rule_folders" in (DOCS / "rules.md").read_text("utf-8")


def test_pictures_stand_alone() -> None:
    """The picture loads nothing from elsewhere and is readable in a dark page too."""
    text = (DOCS / "loop.svg").read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(?!#)[^\"')]+", text) == []


def test_packs_are_named() -> None:
    """The README has a row for every pack."""
    text = (doc_files.ROOT / "README.md").read_text("utf-8")
    assert [p for p in sorted({r.pack for r in load_rules()}) if f"| `{p}` |" not in text] == []
