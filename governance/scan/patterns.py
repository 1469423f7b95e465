"""rules -> one compiled pattern database that says, for a text, which rules may have something in it."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from governance.errors import RuleError
from governance.files import read_cached, write_cached
from governance.rules import Rule
from governance.samples import ROLES
from governance.scan import routes, stories
from governance.scan.views import COMMON_WIDE, character_class, narrow_table

TEXT_FIELDS = (*ROLES, "any", "prompt")
"""Fields of rules that read texts themselves, not something extracted from them."""

TRIGGERS = ("routes", "stories", "common-wide", "wide")
"""What else the one pass looks for; slot ``len(scannable(rules)) + index``."""

OnHit = Callable[..., None]
Scan = Callable[[Any, OnHit], None]
"""(UTF-8 bytes, callback) -> None; the callback gets the slot of every expression found as its first argument."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One pattern, whose it is, and its slot: ordinal of the rule in ``scannable``, or of a trigger after them."""

    slot: int
    pattern: str
    owner: str


class PatternSet(Protocol):
    """What both engines offer. ``scan`` may report a slot whose rule then finds nothing, never miss one."""

    @property
    def scan(self) -> Scan:
        """Report the slots of what stands in a text."""


def scannable(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules that read samples, in the order that gives them their slots."""
    return sorted((r for r in rules if r.kind != "sql"), key=lambda r: r.rule_id)


def expressions(rules: Sequence[Rule]) -> list[Expression]:
    """Return the pattern of every rule that reads texts, the keywords of every rule that has some, and the triggers."""
    out = []
    rules = scannable(rules)
    for slot, rule in enumerate(rules):
        if rule.kind == "pattern" and (rule.field in TEXT_FIELDS or rule.field == "sample"):
            out.append(Expression(slot, rule.body, rule.rule_id))
        elif rule.kind in ("query", "check") and rule.keywords:
            words = "|".join(_escape(k) for k in rule.keywords)
            out.append(Expression(slot, f"(?i)(?:{words})", rule.rule_id))
    wide = set(narrow_table())
    common = {ord(c) for c in COMMON_WIDE}
    patterns = (routes.TRIGGER, stories.TRIGGER, character_class(common), character_class(wide - common))
    for i, (name, pattern) in enumerate(zip(TRIGGERS, patterns, strict=True)):
        out.append(Expression(len(rules) + i, pattern, f"trigger {name}"))
    return out


def _escape(word: str) -> str:
    """Escape *word* for both engines: every sign of ASCII gets a backslash."""
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() and c not in " _" else c for c in word)


def compile_re2(pattern: str, max_mem: int = 8 << 20) -> Any:
    """Return *pattern* as an RE2 object over UTF-8 bytes. Raises ``re2.error``."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = max_mem
    return re2.compile(pattern.encode(), options=options)


def compile_rule(rule: Rule) -> Any:
    """Return the pattern of *rule* as an RE2 object. Raises RuleError where RE2 refuses it."""
    import re2

    try:
        return compile_re2(rule.body)
    except re2.error as problem:
        raise RuleError(f"{rule.rule_id}: pattern: does not compile as RE2: {problem}") from None


def has_hyperscan() -> bool:
    """True if the Hyperscan wheel can be imported and ``GOVERNANCE_ENGINE`` does not ask for ``re2``."""
    if os.environ.get("GOVERNANCE_ENGINE", "") == "re2":
        return False
    try:
        import hyperscan  # noqa: F401
    except ImportError:
        return False
    return True


def compile_database(rules: Sequence[Rule], cache: Path | None = None) -> bytes:
    """
    Compile the patterns of *rules* and the triggers into one serialised Hyperscan database.

    Empty where Hyperscan is not there: RE2 then compiles its own in each process, which takes milliseconds.
    *cache* is a folder that keeps the result under the digest of the patterns, the library and the processor;
    a damaged file in it is made again.

    Raises:
        RuleError: a pattern that Hyperscan refuses, or that matches the empty text.
    """
    if not has_hyperscan():
        return b""
    wanted = expressions(rules)
    path = cache / f"{_cache_key(wanted)}.hsdb" if cache else None
    if path is not None and (found := read_cached(path)):
        return found
    data = _compile_hyperscan(wanted)
    if path is not None:
        write_cached(path, data)
    return data


def load_patterns(rules: Sequence[Rule], database: bytes | None = None) -> PatternSet:
    """Return the pattern set of *rules*; *database* is what ``compile_database`` gave for the same rules."""
    if database is None:
        database = compile_database(rules)
    return HyperscanPatterns(database) if database else Re2Patterns(expressions(rules))


class HyperscanPatterns:
    """All expressions in one pass. Hyperscan says which match, not where: positions cost it several times as much."""

    def __init__(self, database: bytes) -> None:
        import hyperscan

        self._database = hyperscan.loadb(database, hyperscan.HS_MODE_BLOCK)
        self._database.scratch = hyperscan.Scratch(self._database)  # without it every scan fails
        self.scan: Scan = self._database.scan


class Re2Patterns:
    """
    The fallback: sixteen expressions at a time as one alternation, then one by one where that matches.

    ``re2.Set`` would need one pass, but reports nothing at all, without an error, when its automaton outgrows its
    memory; a plain search falls back to the slower exact method.
    """

    GROUP = 16  # expressions
    MEMORY = 64 << 20  # bytes per automaton

    def __init__(self, wanted: Sequence[Expression]) -> None:
        self._groups = []
        for i in range(0, len(wanted), self.GROUP):
            group = wanted[i : i + self.GROUP]
            singles = [(e.slot, _compile_single(e)) for e in group]
            self._groups.append((_alternation(group), singles))

    def scan(self, data: Any, on_hit: OnHit) -> None:
        """Call *on_hit* with the slot of every expression that matches in *data*."""
        for together, singles in self._groups:
            if together is None or together.search(data) is not None:
                for slot, regex in singles:
                    if regex.search(data) is not None:
                        on_hit(slot)


def _compile_single(expression: Expression) -> Any:
    regex = compile_re2(expression.pattern, Re2Patterns.MEMORY)
    if regex.search(b"") is not None:
        raise _matches_empty(expression)
    return regex


def _alternation(group: Sequence[Expression]) -> Any:
    import re2

    try:
        return compile_re2("|".join(f"(?:{e.pattern})" for e in group), Re2Patterns.MEMORY)
    except re2.error:  # the same group name twice, or too large together
        return None


def _matches_empty(expression: Expression) -> RuleError:
    return RuleError(f"{expression.owner}: pattern matches the empty text; expected one that needs a character")


def _compile_hyperscan(wanted: Sequence[Expression]) -> bytes:
    import hyperscan

    try:
        return _build(wanted)
    except hyperscan.HyperscanError:
        for expression in wanted:
            _explain_refusal(expression)
        raise


def _build(wanted: Sequence[Expression]) -> bytes:
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8
    database.compile(
        expressions=[e.pattern.encode() for e in wanted], ids=[e.slot for e in wanted], flags=[flags] * len(wanted)
    )
    return bytes(hyperscan.dumpb(database))


def _explain_refusal(expression: Expression) -> None:
    """Raise RuleError if Hyperscan refuses this expression also alone."""
    import hyperscan

    try:
        _build([expression])
    except hyperscan.HyperscanError as problem:
        if "empty buffer" in str(problem):
            raise _matches_empty(expression) from None
        raise RuleError(f"{expression.owner}: pattern: Hyperscan refuses it: {problem}; write it more simply") from None


def _cache_key(wanted: Sequence[Expression]) -> str:
    digest = hashlib.sha256()
    for part in (metadata.version("hyperscan"), platform.platform(), _processor(), *map(repr, wanted)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


@functools.cache
def _processor() -> str:
    """The features of the processor: a database is compiled for them."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line for line in lines if line.startswith("flags")), platform.machine())
    except OSError:
        return platform.machine() + platform.processor()
