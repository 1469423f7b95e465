"""What is shown beside the texts, names of files and the places of a report, is looked at once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.errors import InputError
from governance.ingest.sources import find_sources
from governance.rules import load_rules
from governance.scan.sensitive import SensitiveText


@pytest.fixture(scope="module")
def sensitive() -> SensitiveText:
    """The built-in packs."""
    return SensitiveText.of()


def _token() -> str:
    rule = next(r for r in load_rules(["secrets"]) if r.rule_id == "secrets/github-token-classic")
    return str(rule.flags[0]).split('"')[1]


@pytest.mark.parametrize("name", ["{}.jsonl", "export_{}_v2.jsonl", "a/{}/part-0.csv", "x-{}.jsonl.gz"])
def test_a_key_in_a_name_is_masked(sensitive: SensitiveText, name: str) -> None:
    """A key is replaced by x wherever it stands in a name, and the rest of the name stays."""
    token = _token()
    assert sensitive.masked(name.format(token)) == name.format("x" * len(token))


@pytest.mark.parametrize("name", ["data/2024_01_05_export.jsonl", "model_v1_train_2.jsonl", "a.b-c_d/用户故事.csv"])
def test_an_ordinary_name_stays(sensitive: SensitiveText, name: str) -> None:
    """Dates, versions, folders and Chinese in a name are left as they are."""
    assert sensitive.masked(name) == name


def test_an_address_before_a_suffix_is_masked(sensitive: SensitiveText) -> None:
    """The suffix of a file does not save an e-mail address from being seen."""
    assert sensitive.masked("li.na@kqzwvxy.com.jsonl") == "xxxxxxxxxxxxxxxxx.jsonl"


def test_names_that_become_alike_are_numbered(sensitive: SensitiveText, tmp_path: Path) -> None:
    """Two files whose names differ in what is masked keep names of their own, so a place stays a place."""
    for person in ("li.na", "bo.xu"):
        (tmp_path / f"{person}@kqzwvxy.com.jsonl").write_text("")
    found = [s.name for s in find_sources(tmp_path, sensitive.masked)]
    assert found == ["xxxxxxxxxxxxxxxxx.jsonl", "xxxxxxxxxxxxxxxxx.jsonl~2"]


def test_a_message_about_a_file_is_masked(sensitive: SensitiveText, tmp_path: Path) -> None:
    """The error for a dataset that is not there does not repeat the key in its name."""
    token = _token()
    with pytest.raises(InputError) as caught:
        find_sources(tmp_path / f"{token}.jsonl", sensitive.masked)
    assert (token in str(caught.value), "x" * len(token) in str(caught.value)) == (False, True)


def test_only_the_neighbourhood_is_looked_at(sensitive: SensitiveText) -> None:
    """Offsets are code points of the whole text, and what is far away costs nothing."""
    token = _token()
    text = "用" * 10_000 + f' "{token}" ' + "户" * 10_000
    at = text.index(token)
    assert [(a, b) for a, b, _ in sensitive.spans(text, at - 20, at - 10)] == [(at, at + len(token))]
    assert sensitive.spans(text, 0, 10) == []


def test_wide_letters_hide_nothing(sensitive: SensitiveText) -> None:
    """A number in full-width digits is found where it stands."""
    spans = sensitive.spans("电话：１３８１２３４５６７８")
    assert [(a, b) for a, b, _ in spans] == [(3, 14)]


def test_packs_that_a_pipeline_leaves_out_are_used_all_the_same() -> None:
    """A run that looks for no secret still shows none."""
    blind = SensitiveText.of(load_rules(["rest", "text"]))
    token = _token()
    assert blind.masked(token) == "x" * len(token)
