"""How a command runs, and what its steps hand to each other. Values only; the steps are in `pipeline.py`."""

from __future__ import annotations

import datetime as dt
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import UsageError
from governance.memory import Shares, share_memory
from governance.rules import Rule, rules_digest, select
from governance.settings import Pipeline, Policy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from governance.engines.tables import Tables
    from governance.gate.copies import Search
    from governance.gate.judge import Verdict
    from governance.ingest import Ingested
    from governance.scan.sensitive import SensitiveText

FORMATS = ("html", "md", "sarif", "junit")


def current_time() -> dt.datetime:
    """Now in UTC, to the second; SOURCE_DATE_EPOCH where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch and not epoch.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}, expected seconds since 1970 as a whole number")
    moment = dt.datetime.fromtimestamp(int(epoch), dt.UTC) if epoch else dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=0)


def today() -> dt.date:
    """The day by the clock of the machine; SOURCE_DATE_EPOCH changes what is written, never what has expired."""
    return dt.datetime.now(dt.UTC).date()


class Progress:
    """Receives what happens; the base class ignores it. ``stages`` keeps seconds per stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Time a stage; yields a function that is told of every unit done."""
        start = time.perf_counter()
        try:
            yield lambda _done: None
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Compare:
    """What a dataset is compared with: files that exist, in the order they were named."""

    indexes: tuple[Path, ...] = ()
    benchmarks: tuple[Path, ...] = ()
    held_out: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.indexes or self.benchmarks or self.held_out)


@dataclass(frozen=True)
class Options:
    """
    How a command runs; nothing here decides what a sample is, ``pipeline`` and the rules do.

    Attributes:
        memory_limit: bytes for all processes together; `shares` says who gets how much.
        record: let Great Expectations record the gates (about two seconds).
        now: the time that is written; SOURCE_DATE_EPOCH sets it.
    """

    pipeline: str = "default"
    policy: Path | None = None
    workspace: Path = Path(".governance")
    baseline: Path | None = None
    rules: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "auto"
    processes: int = 0
    memory_limit: int = 4 << 30
    max_row_bytes: int = 64 << 20
    record: bool = True
    formats: tuple[str, ...] = FORMATS
    compare: Compare = Compare()  # beside what the pipeline names
    index_key: Path | None = None  # of keyed indexes
    fingerprint_key: Path | None = None
    signing_key: Path | None = None
    now: dt.datetime = field(default_factory=current_time)
    progress: Progress | None = None

    @property
    def workers(self) -> int:
        """Number of processes; all cores unless it is given."""
        return self.processes or len(os.sched_getaffinity(0))

    @property
    def shares(self) -> Shares:
        """What each part may take of `memory_limit`. Raises UsageError where that is too little for any."""
        return share_memory(self.memory_limit, self.workers, record=self.record)


@dataclass(frozen=True)
class Setup:
    """What a verdict is judged under: pipeline, policy, rules, keys, and what the dataset is compared with."""

    pipeline: Pipeline
    policy: Policy | None
    rules: tuple[Rule, ...]
    key: bytes
    compare: Compare = Compare()

    @property
    def digest(self) -> str:
        """SHA-256 of the rules."""
        return rules_digest(self.rules)

    @functools.cached_property
    def sensitive(self) -> SensitiveText:
        """Hides secrets and personal data in what is shown beside the texts: names of files, commands."""
        from governance.scan.sensitive import SensitiveText

        return SensitiveText.of(self.rules)

    def gate_rules(self, name: str) -> list[str]:
        """Ids of the rules that the gate *name* counts."""
        return select(self.rules, self.pipeline.gates[name].rules or [])


@dataclass(frozen=True, slots=True)
class BaselineUse:
    """The baseline of a check: its digest, its entries, those that a finding has, and the first of these to expire."""

    sha256: str
    entries: int
    used: int
    expires: dt.date | None


@dataclass
class Measured:
    """The tables of one dataset and what was seen while they were made."""

    ingested: Ingested
    tables: Tables
    connection: DuckDBPyConnection
    planted: int
    missed: list[str]
    baseline: BaselineUse | None = None
    search: Search | None = None  # how near-duplicates were searched
    compared: tuple[str, ...] = ()  # the overlap metrics that something was compared for
    items: int = 0  # benchmark items that were looked for
    undecidable: tuple[str, ...] = ()  # names of those that are too common to judge by
    expectations: list[Any] = field(default_factory=list)  # judge.ExpectationResult, passed ones too


@dataclass(frozen=True)
class Checked:
    """The outcome of a check: the run, its evidence, and whether the gates are open."""

    run: str
    folder: Path
    evidence: dict[str, Any]
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """True if every required gate is open."""
        return self.verdict.status == "PASSED"
