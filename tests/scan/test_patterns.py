"""The pattern database: both engines agree, the cache is safe, bad patterns are refused."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_batches import KEY, a_rule

from governance.errors import RuleError
from governance.rules import load_rules
from governance.scan import patterns
from governance.scan.patterns import (
    HyperscanPatterns,
    Re2Patterns,
    compile_database,
    expressions,
    load_patterns,
    scannable,
)
from governance.scan.prove import probe_batch
from governance.scan.scanner import Scanner

hyperscan = pytest.importorskip("hyperscan")
RULES = scannable(load_rules())


def slots(engine: patterns.PatternSet, text: str) -> set[int]:
    """The slots that *engine* reports for *text*."""
    found: set[int] = set()
    engine.scan(text.encode(), lambda slot, *_: found.add(slot))
    return found


def test_both_engines_give_equal_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings over the examples of every shipped rule are the same with Hyperscan and with RE2."""
    batch = probe_batch(RULES)
    with_hyperscan = Scanner(RULES, KEY).scan(batch)
    monkeypatch.setenv("GOVERNANCE_ENGINE", "re2")
    assert compile_database(RULES) == b""
    with_re2 = Scanner(RULES, KEY).scan(batch)
    assert with_hyperscan.findings.num_rows > len(RULES)
    assert [b.to_pylist() for b in with_hyperscan] == [b.to_pylist() for b in with_re2]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="aA1 .\n\r\t\v\u00e9\u212a\u017f用：１kKsS_-/", max_size=30))
def test_hyperscan_misses_nothing(text: str) -> None:
    """What RE2 matches Hyperscan reports: anchors, word boundaries, case folding, classes."""
    bodies = (
        r"(?i)k+s", r"\bk\b", r"(?m)^\s*a$", r"a\s*\z", r"\w\W\w", r"[^a]1", r"(?i)[^k]s", r"\pL1", r"(?s)a.k", r"a$",
        r"^1",
    )  # fmt: skip
    exact, fast = both_engines(bodies)
    assert slots(exact, text) <= slots(fast, text)


@functools.cache
def both_engines(bodies: tuple[str, ...]) -> tuple[patterns.PatternSet, patterns.PatternSet]:
    """RE2 and Hyperscan over the same patterns."""
    rules = [a_rule(f"t/r{i:02}", body) for i, body in enumerate(bodies)]
    return Re2Patterns(expressions(rules)), HyperscanPatterns(compile_database(rules))


def test_empty_match_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that matches the empty text is refused by both engines in the same words."""
    rules = [a_rule("t/ok", "b"), a_rule("t/empty", "a*")]
    said = []
    for engine in ("", "re2"):
        monkeypatch.setenv("GOVERNANCE_ENGINE", engine)
        with pytest.raises(RuleError) as problem:
            load_patterns(rules)
        said.append(str(problem.value))
    assert said[0] == said[1]
    assert said[0].startswith("t/empty: ")


def test_refused_pattern_names_its_rule() -> None:
    """A pattern that Hyperscan refuses outright names its rule and the reason."""
    with pytest.raises(RuleError, match=r"^t/bad: pattern: Hyperscan refuses it: "):
        compile_database([a_rule("t/good", "a"), a_rule("t/bad", r"(?:a|$)[^b]")])


def test_keywords_are_literals() -> None:
    """Keywords are taken literally, in any case, signs included."""
    rule = a_rule("t/check", "unclosed_fence", kind="check", keywords=("`.`", "a+b", "用户"))
    engine = load_patterns([rule])
    assert [0 in slots(engine, t) for t in ("`.`", "A+B", "的用户", "`x`", "aab")] == [True, True, True, False, False]


def test_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time the database comes from the cache; another rule, or another processor, has its own file."""
    rules = [a_rule("t/a", "abc")]
    first = compile_database(rules, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(patterns, "_compile_hyperscan", lambda wanted: pytest.fail("compiled again"))
        assert compile_database(rules, tmp_path) == first
    compile_database([a_rule("t/a", "abd")], tmp_path)
    monkeypatch.setattr(patterns, "_processor", lambda: "another")
    compile_database(rules, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"x" * 5000])
def test_damaged_cache_is_made_again(tmp_path: Path, damage: bytes) -> None:
    """A damaged cache file is ignored and replaced."""
    rules = [a_rule("t/a", "abc")]
    good = compile_database(rules, tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage)
    assert slots(HyperscanPatterns(compile_database(rules, tmp_path)), "abc") == {0}
    assert file.read_bytes()[:32] == content[:32] or len(file.read_bytes()) >= len(good)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def test_cache_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A cache that cannot be written costs time only."""
    (tmp_path / "file").write_text("")
    assert compile_database([a_rule("t/a", "abc")], tmp_path / "file" / "cache")
