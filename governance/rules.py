"""rule files -> Rule. One YAML file per rule; its path below the folder of packs is its id."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from governance.data import data_folder
from governance.errors import RuleError
from governance.files import read_cached, write_cached
from governance.templates import fill

SEVERITIES = ("error", "warning", "info")
FIELDS = ("any", "system", "instruction", "input", "output", "prompt", "path", "route", "story", "sample")
KINDS = ("pattern", "query", "check", "sql")
PACK_FILE = "_pack.yaml"
_TUPLES = {"keywords", "references", "aliases", "flags", "passes"}

Severity = Literal["error", "warning", "info"]
FieldName = Literal["any", "system", "instruction", "input", "output", "prompt", "path", "route", "story", "sample"]


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule, as the scanners use it.

    Attributes:
        rule_id: ``pack/name``.
        field: the text that is read: a role, ``any`` text, ``prompt`` (all but the output), the ``path`` of a
            route, a whole ``route``, a ``story``, or the whole ``sample``.
        kind: which of ``pattern`` (RE2 syntax; group 1, else the match, is reported), ``query`` (tree-sitter;
            the capture ``@flag`` is reported), ``check`` (a named function) or ``sql`` this rule is.
        body: the pattern, query, name of the check, or SQL.
        keywords: a cheap condition: one of them has to stand in the text (any case) before a query runs.
        validator: a named function that a match has to satisfy.
        flags, passes: texts that the rule must and must not flag. A text, a mapping of roles to texts, or for
            ``sql`` a list of such mappings.
        repair: what a flagged span is replaced by under the remedy *repair*; None if the rule has no repair.
        sensitive: the pack's findings hold secrets or personal data, so no report shows a span.
    """

    rule_id: str
    severity: str
    field: str
    kind: str
    body: str
    message: str
    why: str = ""
    message_zh: str = ""
    why_zh: str = ""
    version: int = 1
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    language: str = ""
    validator: str = ""
    entity: str = ""
    specificity: int = 50
    repair: str | None = None
    references: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    flags: tuple[Any, ...] = ()
    passes: tuple[Any, ...] = ()
    sensitive: bool = False
    source: str = ""

    @property
    def pack(self) -> str:
        """The folder of the rule: the part of the id before the slash."""
        return self.rule_id.split("/", 1)[0]


def packs_folder() -> Path:
    """The built-in packs, in a checkout or inside the installed wheel."""
    return data_folder("rules")


def load_rules(
    packs: Sequence[str] | None = None,
    folders: Sequence[Path] = (),
    *,
    builtin: bool = True,
    replace: Sequence[str] = (),
    cache: Path | None = None,
) -> tuple[Rule, ...]:
    """
    Return the rules of *packs* (default: all) from the built-in folder and from *folders*, sorted by id.

    Args:
        replace: ids of rules that a later folder may put in the place of an earlier one.
        cache: folder that keeps what was read, under the digest of the files; reading them takes 0.2 s.

    Raises:
        RuleError: a wrong rule file, an unknown pack, a folder without rules, or a rule whose id is taken and not in
            *replace*: a rule that goes unseen weakens every gate that counts it.
    """
    found: dict[str, Rule] = {}
    for base in ([packs_folder()] if builtin else []) + [Path(f) for f in folders]:
        rules = _load_cached(base, cache) if cache else _load_folder(base)
        if not rules:
            raise RuleError(f"{base}: no rule file here; expected PACK/NAME.yaml")
        for rule in rules:
            if rule.rule_id in found and rule.rule_id not in replace:
                raise RuleError(
                    f"{rule.source}: id {rule.rule_id!r} is taken by {found[rule.rule_id].source}; choose another "
                    "name, or name it under 'replace' in the pipeline file"
                )
            found[rule.rule_id] = rule
    if packs is not None:
        known = {rule.pack for rule in found.values()}
        for pack in packs:
            if pack not in known:
                raise RuleError(f"pack {pack!r} is unknown; known are {', '.join(sorted(known))}")
        found = {i: rule for i, rule in found.items() if rule.pack in packs}
    return tuple(found[i] for i in sorted(found))


def select(rules: Iterable[Rule], patterns: Iterable[str]) -> list[str]:
    """Return the ids of *rules* that match one of *patterns* (``secrets/*``, ``rest/crud-name``), sorted."""
    wanted = list(patterns)
    return sorted(r.rule_id for r in rules if any(fnmatchcase(r.rule_id, p) for p in wanted))


def rules_digest(rules: Iterable[Rule]) -> str:
    """Return the SHA-256 over everything in *rules* but where their files lie."""
    data = [{k: v for k, v in asdict(r).items() if k != "source"} for r in rules]
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def fingerprint(key: bytes, rule_id: str, value: str) -> str:
    """
    Return the keyed fingerprint of a flagged *value* under *rule_id*, 24 hex digits (96 bits).

    White space is collapsed, so that a re-indented value keeps its fingerprint; place and neighbours are not
    part of it, so moved lines keep theirs. Without the key nobody can test a guess against it.
    """
    data = f"{rule_id}\0{' '.join(value.split())}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, data, "sha256").hex()[:24]


def _load_cached(base: Path, cache: Path) -> list[Rule]:
    """`_load_folder`, or what it gave for the same files and the same code before."""
    key = _folder_key(base)
    path = cache / f"{key}.rules"
    if key and (found := read_cached(path)):
        stored: list[dict[str, Any]] = json.loads(found)
        return [Rule(**r | {k: tuple(r[k]) for k in _TUPLES}) for r in stored]
    rules = _load_folder(base)
    plain = [{f.name: getattr(r, f.name) for f in dataclasses.fields(r)} for r in rules]
    with contextlib.suppress(TypeError, ValueError):  # a date, say, which YAML has and JSON has not
        data = json.dumps(plain).encode()
        as_read = [{k: list(v) if k in _TUPLES else v for k, v in r.items()} for r in plain]
        if key and rules and json.loads(data) == as_read and key == _folder_key(base):
            write_cached(path, data)
    return rules


def _folder_key(base: Path) -> str:
    """The digest of all that the rules below *base* come from; empty where that cannot be read."""
    digest = hashlib.sha256(f"{sys.version}\0{base}\0".encode("utf-8", "surrogateescape"))
    code = [Path(__file__).with_name(f"{name}.py") for name in ("rules", "templates", "yamlfile")]
    try:
        for path in [*code, *sorted(base.glob("*/*.yaml"))]:
            data = path.read_bytes()
            digest.update(f"{path.parent.name}/{path.name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    except OSError:
        return ""
    return digest.hexdigest()


def _load_folder(base: Path) -> list[Rule]:
    if not base.is_dir():
        raise RuleError(f"{base}: not a folder; expected a folder of packs")
    rules = []
    for pack in sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))):
        meta = load_pack(pack / PACK_FILE)
        for path in sorted(pack.glob("*.yaml")):
            if path.name != PACK_FILE:
                rules.append(load_rule(path, base, sensitive=bool(meta.sensitive)))
    return rules


@functools.cache
def rule_models() -> tuple[type[Any], type[Any]]:
    """The pydantic models of a rule file and a pack file; made on first use, scan workers never need them."""
    from pydantic import BaseModel, ConfigDict, Field, model_validator

    class PackFile(BaseModel):
        model_config = ConfigDict(extra="forbid")
        title: str = ""
        title_zh: str = ""
        sensitive: bool = False

    class RuleFile(BaseModel):
        model_config = ConfigDict(extra="forbid")
        id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*$")
        version: int = Field(1, ge=1)
        severity: Severity
        field: FieldName = "any"
        pattern: str | None = None
        query: str | None = None
        check: str | None = None
        sql: str | None = None
        params: dict[str, Any] = {}
        keywords: list[str] = []
        language: Literal["", "java", "python"] = ""
        validator: str = Field("", alias="validate")
        entity: str = ""
        specificity: int = Field(50, ge=0, le=100)
        message: str
        message_zh: str = ""
        why: str
        why_zh: str = ""
        repair: str | None = None
        references: list[str] = []
        aliases: list[str] = []
        flags: list[Any] = Field(min_length=1)
        passes: list[Any] = Field(min_length=1)

        @model_validator(mode="after")
        def _one_kind(self) -> Any:
            given = [k for k in KINDS if getattr(self, k) is not None]
            if len(given) != 1:
                raise ValueError(f"expected exactly one of {', '.join(KINDS)}, found {', '.join(given) or 'none'}")
            if given == ["query"] and not (self.language and self.keywords):
                raise ValueError("a query needs 'language' and 'keywords' (a query runs only where a keyword stands)")
            return self

    return PackFile, RuleFile


def load_pack(path: Path) -> Any:
    """Read a pack file; without one a pack has no title and is not sensitive. Raises RuleError."""
    from governance.yamlfile import load_model

    pack_model = rule_models()[0]
    return load_model(path, pack_model, RuleError) if path.exists() else pack_model()


def load_rule(path: Path, base: Path, *, sensitive: bool = False) -> Rule:
    """
    Read one rule file below *base*.

    Raises:
        RuleError: names file, line and key; also when the id is not the path or the pattern does not compile.
    """
    from governance.yamlfile import load_model

    value = load_model(path, rule_models()[1], RuleError)
    expected = path.relative_to(base).with_suffix("").as_posix()
    if value.id != expected:
        raise RuleError(f"{path}: id is {value.id!r}, expected {expected!r}; a rule is named after its file")
    kind = next(k for k in KINDS if getattr(value, k) is not None)
    body = getattr(value, kind)
    if kind == "pattern":
        _check_pattern(path, body)
    return Rule(
        rule_id=value.id,
        severity=value.severity,
        field=value.field,
        kind=kind,
        body=body,
        message=value.message,
        why=value.why,
        message_zh=value.message_zh,
        why_zh=value.why_zh,
        version=value.version,
        params=value.params,
        keywords=tuple(value.keywords),
        language=value.language,
        validator=value.validator,
        entity=value.entity,
        specificity=value.specificity,
        repair=value.repair,
        references=tuple(value.references),
        aliases=tuple(value.aliases),
        flags=tuple(_filled(t, f"{value.id} flags {i}") for i, t in enumerate(value.flags)),
        passes=tuple(_filled(t, f"{value.id} passes {i}") for i, t in enumerate(value.passes)),
        sensitive=sensitive,
        source=str(path),
    )


def _filled(text: Any, seed: str) -> Any:
    if isinstance(text, str):
        return fill(text, seed)
    if isinstance(text, dict):
        return {k: _filled(v, seed) for k, v in text.items()}
    if isinstance(text, list):
        return [_filled(v, f"{seed} {i}") for i, v in enumerate(text)]
    return text


_LOOK_AROUND = re.compile(r"\(\?<?[=!]|\\[1-9]")


def _check_pattern(path: Path, pattern: str) -> None:
    """Linear time is a promise: what RE2 cannot say is refused, with the reason."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as problem:
        reason = problem.args[0].decode() if isinstance(problem.args[0], bytes) else str(problem)
        extra = "; look-around and back-references are not linear" if _LOOK_AROUND.search(pattern) else ""
        raise RuleError(f"{path}: pattern: does not compile as RE2: {reason}{extra}") from None
