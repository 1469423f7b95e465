"""baseline file, today -> the findings that count as accepted.

One line of JSON per accepted finding, so that a review shows each as one added line:

    {"rule": "rest/crud-name", "fingerprint": "...", "reason": "...", "owner": "...", "approver": "...",
     "created": "2026-01-31", "expires": "2026-06-30"}

A fingerprint is keyed and holds no text. An entry counts until the day before it expires; one whose date cannot be
read, is passed, or lies further off than a year does not count.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import PipelineError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DAYS = 365
"""The longest a finding may be accepted."""

_RULE = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*\Z")
_FINGERPRINT = re.compile(r"[0-9a-f]{24}\Z")
_REQUIRED = ("rule", "fingerprint", "reason", "owner", "created", "expires")


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted finding; ``line`` is its line in the file, from 1, and 0 for a new one."""

    rule: str
    fingerprint: str
    reason: str
    owner: str
    created: str
    expires: str
    approver: str = ""
    line: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """(rule, fingerprint)."""
        return self.rule, self.fingerprint

    def counts(self, today: date) -> bool:
        """Return whether the entry holds on *today*; a date that cannot be read has passed."""
        try:
            expires = date.fromisoformat(self.expires)
        except ValueError:
            return False
        return today < expires <= today + timedelta(days=MAX_DAYS)


def load_baseline(path: Path) -> tuple[Entry, ...]:
    """
    Read a baseline file, in its order.

    Raises:
        PipelineError: names file and line: not JSON, a key that is missing, unknown or given twice, a value of the
            wrong kind, or the same finding twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as problem:
        raise PipelineError(f"{path}: cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise PipelineError(f"{path}: byte {problem.start} is not UTF-8; save the file as UTF-8") from None
    seen: dict[tuple[str, str], int] = {}
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        entry = _parse(line, f"{path}:{number}", number)
        if entry.key in seen:
            raise PipelineError(
                f"{path}:{number}: accepts {entry.rule} a second time (first in line {seen[entry.key]})"
            )
        seen[entry.key] = number
        entries.append(entry)
    return tuple(entries)


def accepted_fingerprints(
    baseline: Iterable[Entry], today: date, non_waivable_rules: Collection[str] = ()
) -> set[tuple[str, str]]:
    """
    Return the (rule, fingerprint) pairs that are accepted on *today*.

    Args:
        non_waivable_rules: rules of gates with ``waivable: false``; no entry of a hand-edited file counts for them.
    """
    barred = set(non_waivable_rules)
    return {e.key for e in baseline if e.counts(today) and e.rule not in barred}


def unused_entries(baseline: Iterable[Entry], found: Collection[tuple[str, str]]) -> list[Entry]:
    """Return the entries that no finding of the run has; they can be deleted."""
    known = set(found)
    return [e for e in baseline if e.key not in known]


def mark_accepted(findings: pa.Table, accepted: Collection[tuple[str, str]]) -> pa.Table:
    """Return *findings* with the column ``accepted``, by columns; *accepted* as from accepted_fingerprints."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = pc.binary_join_element_wise(findings["rule"], findings["fingerprint"], "\0")
    wanted = pa.array(sorted("\0".join(pair) for pair in accepted), keys.type)
    column = pc.fill_null(pc.is_in(keys, value_set=wanted), False)
    if "accepted" in findings.column_names:
        findings = findings.drop_columns("accepted")
    return findings.append_column(pa.field("accepted", pa.bool_()), column)


def accept(
    path: Path,
    findings: Iterable[tuple[str, str]],
    *,
    reason: str,
    owner: str,
    expires: date,
    today: date,
    approver: str = "",
    non_waivable_rules: Collection[str] = (),
) -> list[Entry]:
    """
    Add *findings*, pairs (rule, fingerprint), to the baseline file *path* and return what was added.

    A finding whose entry still counts is left as it is; one whose entry has expired is accepted anew and the old line
    replaced. The file is replaced as a whole, so it is never half-written, and one process at a time does so.

    Raises:
        UsageError: an empty reason or owner, an approver who is the owner, an expiry that is not after *today* or
            further off than 365 days, a rule that may not be accepted, or no finding; then nothing is added.
        PipelineError: the file is there and wrong, or cannot be written.
    """
    import fcntl

    pairs = list(dict.fromkeys(findings))
    _check_words(reason, owner, approver, expires, today)
    _check_pairs(pairs, non_waivable_rules)
    new = {p: Entry(*p, reason.strip(), owner.strip(), f"{today}", f"{expires}", approver.strip()) for p in pairs}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the lock is on the folder: the file itself is replaced, and a lock on a replaced file locks nothing
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            old = load_baseline(path) if path.exists() else ()
            new = {p: e for p, e in new.items() if not any(o.key == p and o.counts(today) for o in old)}
            if new:
                _replace(path, [e for e in old if e.key not in new] + list(new.values()))
        finally:
            os.close(handle)
    except OSError as problem:
        raise PipelineError(f"{path}: cannot be written: {problem.strerror}") from None
    return list(new.values())


def _check_words(reason: str, owner: str, approver: str, expires: date, today: date) -> None:
    for name, value in (("reason", reason), ("owner", owner)):
        if not value.strip():
            raise UsageError(f"--{name} is empty; say {'why' if name == 'reason' else 'who answers for it'}")
    if approver.strip() and approver.strip().casefold() == owner.strip().casefold():
        raise UsageError("--approver is the owner; somebody else has to approve")
    if expires <= today:
        raise UsageError(f"--expires is {expires}, which is not after today ({today})")
    if expires > today + timedelta(days=MAX_DAYS):
        raise UsageError(f"--expires is {expires}, expected at most {MAX_DAYS} days from {today}")


def _check_pairs(pairs: Sequence[tuple[str, str]], non_waivable_rules: Collection[str]) -> None:
    if not pairs:
        raise UsageError("no finding to accept")
    for rule, fingerprint in pairs:
        if rule in non_waivable_rules:
            raise UsageError(f"{rule} belongs to a gate that may not be waived; mend or drop the sample")
        if not _RULE.match(rule) or not _FINGERPRINT.match(fingerprint):
            raise UsageError("a finding is named by its rule and the 24 hex digits of its fingerprint")


def _replace(path: Path, entries: Sequence[Entry]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_line(e) for e in entries)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _line(entry: Entry) -> str:
    values = {k: v for k, v in asdict(entry).items() if k != "line" and (v or k != "approver")}
    return json.dumps(values, ensure_ascii=False) + "\n"


def _parse(line: str, where: str, number: int) -> Entry:
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except _Twice as problem:
        raise PipelineError(f"{where}: key {problem.args[0]!r} is given twice") from None
    except (ValueError, RecursionError):
        raise PipelineError(f"{where}: not JSON; expected one accepted finding per line") from None
    if not isinstance(value, dict):
        raise PipelineError(f"{where}: holds {type(value).__name__}, expected an object")
    allowed = (*_REQUIRED, "approver")
    for key in value:
        if key not in allowed:
            raise PipelineError(f"{where}: {key}: unknown key (allowed: {', '.join(allowed)})")
    for key in _REQUIRED:
        if not isinstance(value.get(key), str) or not value[key].strip():
            raise PipelineError(f"{where}: {key}: expected a text that is not empty")
    if not isinstance(value.get("approver", ""), str):
        raise PipelineError(f"{where}: approver: expected a text")
    if not _RULE.match(value["rule"]):
        raise PipelineError(f"{where}: rule: found {value['rule']!r}, expected a rule id such as 'rest/crud-name'")
    if not _FINGERPRINT.match(value["fingerprint"]):
        raise PipelineError(f"{where}: fingerprint: expected 24 hex digits")
    return Entry(**value, line=number)


class _Twice(ValueError):
    """A key that stands twice in one object; JSON itself would keep the last."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _Twice(key)
        value[key] = item
    return value
