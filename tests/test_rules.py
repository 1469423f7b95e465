"""Rule files: what loads, what is refused, and that every shipped rule keeps its own examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.errors import RuleError
from governance.rules import Rule, load_rules, packs_folder
from governance.scan.prove import Problem, prove_rules

GOOD = "id: own/word\nseverity: error\npattern: 'bad\\d'\nmessage: m\nwhy: w\nflags: [bad1]\npasses: [bad]\n"
RULES = load_rules()


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    """What does not hold among the examples of the shipped rules."""
    return prove_rules(RULES)


@pytest.mark.parametrize("rule", [r for r in RULES if r.kind != "sql"], ids=lambda r: r.rule_id)
def test_examples(rule: Rule, problems: list[Problem]) -> None:
    """Every rule flags its `flags` texts and leaves its `passes` texts alone."""
    assert [p.message for p in problems if p.rule_id == rule.rule_id] == []


def own(folder: Path, text: str, name: str = "word") -> Path:
    """Write one rule file of the pack ``own`` and return the folder of packs."""
    (folder / "own").mkdir()
    (folder / "own" / f"{name}.yaml").write_text(text)
    return folder


def test_own_folder(tmp_path: Path) -> None:
    """A user's own folder is treated exactly like the built-in one."""
    (rule,) = load_rules(folders=[own(tmp_path, GOOD)], builtin=False)
    assert (rule.rule_id, rule.pack, rule.kind) == ("own/word", "own", "pattern")
    assert prove_rules([rule]) == []


def test_failing_examples(tmp_path: Path) -> None:
    """Examples that do not hold are named with rule, list, index and span."""
    text = GOOD.replace("[bad1]", "[bad1, good]").replace("[bad]", "[is bad2]")
    rules = load_rules(folders=[own(tmp_path, text)], builtin=False)
    assert [p.message for p in prove_rules(rules)] == [
        "own/word: flags[1] is not flagged: 'good'",
        "own/word: passes[0] is flagged at 3:7: 'is bad2'",
    ]


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (("bad\\d", "bad(?=x)"), "word", "look-around and back-references are not linear"),
        (("bad\\d", "bad("), "word", "pattern: does not compile as RE2"),
        (("", ""), "other", "id is 'own/word', expected 'own/other'"),
        (("message: m", "message: m\nmessage: n"), "word", "key 'message' is given twice"),
        (("severity: error", "severity: bad"), "word", "severity"),
        (("why: w", "wy: w"), "word", "unknown key; did you mean 'why'"),
        (("flags: [bad1]", "flags: []"), "word", "flags"),
    ],
)
def test_wrong_rule_files(tmp_path: Path, change: tuple[str, str], name: str, message: str) -> None:
    """A wrong rule file is an error that names the file and what is wrong with it."""
    with pytest.raises(RuleError) as problem:
        load_rules(folders=[own(tmp_path, GOOD.replace(*change), name)], builtin=False)
    assert message in str(problem.value)
    assert f"{name}.yaml" in str(problem.value)


def test_cached_rules_are_the_rules_of_the_files(tmp_path: Path) -> None:
    """What the cache gives equals what the files say; a changed file is read again, and a damaged cache is ignored."""
    folder, cache = tmp_path / "rules" / "own", tmp_path / "cache"
    folder.mkdir(parents=True)
    text = packs_folder().joinpath("secrets", "age-secret-key.yaml").read_text("utf-8")
    rule = folder / "key.yaml"
    rule.write_text(text.replace("id: secrets/age-secret-key", "id: own/key"), "utf-8")
    read = load_rules(None, [folder.parent])
    for _ in range(2):
        assert load_rules(None, [folder.parent], cache=cache) == read
    stored = sorted(cache.iterdir())
    assert len(stored) == 2 and cache.stat().st_mode & 0o077 == 0
    for path in stored:
        path.write_bytes(path.read_bytes().replace(b"own/key", b"own/kez").replace(b"error", b"errox"))
    assert load_rules(None, [folder.parent], cache=cache) == read
    rule.write_text(rule.read_text("utf-8").replace("own/key", "own/other"), "utf-8")
    with pytest.raises(RuleError, match="expected 'own/key'"):
        load_rules(None, [folder.parent], cache=cache)
