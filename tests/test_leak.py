"""Nothing that is written outside the dataset store, and no line that is printed, holds a secret of a dataset."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import html
import json
import os
import pty
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from leak_plants import Garden, plant_dataset
from leak_search import FORMS, Hit, Needles, files_below, search, views_of, views_of_bytes, windows_in

from governance.context import Options
from governance.engines import usersql
from governance.errors import GovernanceError
from governance.ingest import ingest_files
from governance.pipeline import check_dataset
from governance.rules import Rule
from governance.samples import SAMPLES
from governance.scan.sql_rules import run_sql_rules
from governance.store import Tables

TESTS = Path(__file__).parent
ROOT = TESTS.parent

PIPELINE = """\
name: own
packs: ['*']
rule_folders: [own-rules]
gates:
  quarantine: {metric: quarantined, of: records, limit: 0, remedy: drop}
  secrets: {rules: ['secrets/*'], unit: count, limit: 0, remedy: scrub}
  personal-data: {rules: ['pii/*'], unit: count, limit: 0, remedy: scrub}
  rest: {rules: ['rest/*'], of: routes, limit: 0}
  stories: {rules: ['stories/*'], of: stories, limit: 0, allow_empty: true}
  text: {rules: ['text/*'], limit: 0}
  own: {rules: ['own/*'], limit: 0}
  licence: {metric: unknown-licence, limit: 0}
  most-repeated: {metric: most-repeated, unit: count, limit: 0, remedy: deduplicate}
  quoting: {sql: 'select count(*), sum(cast(output as bigint)) from samples', limit: 0, required: false}
  raising: {sql: 'select count(*), count(error(instruction || output)) from samples', limit: 0, required: false}
  wrong-shape: {sql: 'select output, instruction from samples', limit: 0, required: false}
  number: {sql: 'select count(*), max(try_cast(regexp_extract(output, ''[0-9]{9,}'') as bigint)) from samples', limit: 0, required: false}
expectations:
  - {type: expect_column_values_to_be_in_set, kwargs: {column: licence, value_set: [MIT, Apache-2.0]}}
  - {type: expect_column_distinct_values_to_be_in_set, kwargs: {column: repository, value_set: [shop]}}
  - {type: expect_column_max_to_be_between, kwargs: {column: output_characters, max_value: 5}}
"""  # noqa: E501

SMALL = """\
name: small
packs: [secrets, rest]
gates:
  secrets: {rules: ['secrets/*'], unit: count, limit: 0, remedy: scrub}
  quarantine: {metric: quarantined, of: records, limit: 0}
"""

NO_PACKS = """\
name: blind
packs: [own, rest, text]
rule_folders: [own-rules]
gates:
  own: {rules: ['own/*'], limit: 0}
"""

EVERY_LINE = r"""
id: own/every-line
severity: warning
pattern: '(?m)^(.{1,70})'
message: "{match!r} is a line"
why: A rule of a user may flag anything.
flags: ["a line"]
passes: [""]
"""

SQL_TEXT = """
id: own/sql-text
severity: warning
field: sample
sql: select n, field, 0 as start, length(text) as end, text as detail from texts where text like '%a%'
message: "{match!r} holds an a"
why: A query of a user may return anything.
flags: [[{instruction: a, output: b}]]
passes: [[{instruction: c, output: d}]]
"""

BAD_SQL = """
id: bad/sql
severity: warning
field: sample
sql: select n, error(output) from samples where output <> 'b'
message: fails
why: It fails on the data.
flags: [[{instruction: a, output: b}]]
passes: [[{instruction: c, output: d}]]
"""


@dataclass(frozen=True)
class Outcome:
    """What one run of all commands left behind."""

    folder: Path
    garden: Garden
    codes: dict[str, int]
    workspace: Path
    seen: Path  # hard links to the files that were seen while the commands ran

    def views(self) -> Iterator[tuple[str, bytes]]:
        """Everything that can be read outside the dataset store."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        inputs = [self.folder / "in", self.folder / "jobs.json", scratch, self.workspace / "datasets"]
        for path in files_below(self.folder, without=[*inputs, self.folder / "cleaned.jsonl"]):
            short = path.relative_to(self.folder).as_posix().encode()
            for where, data in views_of(path, scratch):
                yield where, short if where.endswith("(name)") else data


def _jobs(data: Path, garden: Garden, small: Path, odd: Path) -> list[dict[str, object]]:
    """Every command that reads a dataset or a run, with every output format; then bugs, then errors."""
    named = ("show", "--limit", 100000)
    commands: dict[str, list[object]] = {
        "check": ["check", data, "-p", "own.yaml"],
        "check-json": ["check", data, "-p", "own.yaml", "--no-record", "-f", "json"],
        "show": ["show", "latest"],
        "show-lines": [*named, "--rule", "own/*"],
        "show-rest": [*named, "--rule", "rest/*"],
        "show-text": [*named, "--rule", "text/*"],
        "show-secrets": [*named, "--rule", "secrets/*"],
        "show-pii": [*named, "--rule", "pii/*"],
        "show-cluster": ["show", "--cluster", 0],
        "show-reveal": ["show", "--reveal"],
        **{f"report-{f}": ["report", "-f", f] for f in ("html", "md", "json", "sarif", "junit")},
        "report-zh": ["report", "-f", "html", "--lang", "zh"],
        "accept": ["accept", "latest", "rest/*", "text/*", "--reason", "old", "--owner", "me", "--expires", "2026-12-01"],
        "runs": ["runs"],
        "runs-json": ["runs", "--rebuild", "-f", "json"],
        "verify": ["verify"],
        "quarantine": ["quarantine", "list"],
        "quarantine-json": ["quarantine", "list", "-f", "json"],
        "scan": ["scan", data, "--rules", "own-rules"],
        "scan-json": ["scan", data, "-f", "json", "--rules", "own-rules"],
        "dedup": ["dedup", data],
        "dedup-jsonl": ["dedup", data, "-f", "jsonl"],
        "plan": ["clean", data, "-p", "own.yaml", "--plan"],
        "clean": ["clean", data, "-p", "own.yaml", "--out", "cleaned.jsonl", "--no-record"],
        "scrub": ["scrub", small, "--out", "scrubbed.jsonl"],
        "scrub-refused": ["scrub", data, "--out", "none.jsonl"],
        "init": ["init", data, "--out", "proposed.yaml"],
        "prove": ["prove", "small.yaml", "--dataset", small],
        "blind": ["check", data, "-p", "blind.yaml", "--no-record"],
        "blind-show": [*named, "--rule", "own/*"],
        "blind-cluster": ["show", "--cluster", 0],
        "header-twice": ["check", odd / "twice.csv", "--no-record"],
        "column-twice": ["check", odd / "twice.parquet", "--no-record"],
        "cut-gzip": ["check", odd / "cut.jsonl.gz", "--no-record"],
        "no-file": ["check", f"{garden.token()}.jsonl"],
        "no-data": ["check", odd / "empty"],
        "suffix": ["check", odd / "other"],
        "bad-sql": ["scan", data, "--rules", "bad-rules"],
    }
    jobs: list[dict[str, object]] = [{"name": n, "args": [str(a) for a in c]} for n, c in commands.items()]
    for name in ("governance.pipeline:measure_samples", "governance.pipeline:_save_texts", "governance.pipeline:judge"):
        args = ["check", str(small), "--no-record", "-p", "small.yaml"]
        jobs.append({"name": f"bug {name}", "args": args, "bug": name, "secret": garden.token()})
    return jobs


def _odd_files(folder: Path, garden: Garden) -> Path:
    """Files that cannot be read at all, with secrets where a message could quote them."""
    folder.mkdir()
    key = garden.token()
    (folder / "twice.csv").write_text(f"{key},{key}\nb,c\n")
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=[key, key])
    pq.write_table(table, folder / "twice.parquet")
    whole = gzip.compress(json.dumps({"text": garden.token()}).encode() * 50)
    (folder / "cut.jsonl.gz").write_bytes(whole[:-9])
    (folder / "empty" / garden.email()).mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "other" / f"{garden.token()}.jsonl.xz").write_bytes(b"")
    return folder


def _perform(folder: Path, *, real: bool) -> Outcome:
    """Run every command in *folder* over the planted dataset, or over its harmless twin; watch the files meanwhile."""
    garden = Garden(real)
    inputs, logs, seen, temporary = (folder / n for n in ("in", "logs", "seen", "tmp"))
    for made in (inputs, logs, seen, temporary):
        made.mkdir(parents=True)
    data = plant_dataset(inputs, garden)
    small = inputs / "small.jsonl"
    small.write_text("".join(json.dumps({"instruction": f"{k}", "output": garden.plant("secrets/aws-access-key-id", 0, within=True).text}) + "\n" for k in range(3)))  # noqa: E501
    _write_rules(folder)
    jobs = _jobs(data, garden, small, _odd_files(inputs / "odd", garden))
    (folder / "jobs.json").write_text(json.dumps(jobs))
    with _watching(folder, seen):
        subprocess.run(
            [sys.executable, TESTS / "leak_run.py", folder / "jobs.json", logs], cwd=folder, check=True,
            env={**_environment(), "TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    codes = json.loads((logs / "codes.json").read_text())
    return Outcome(folder, garden, codes, folder / ".governance", seen)


def _write_rules(folder: Path) -> None:
    for name, text in (("own.yaml", PIPELINE), ("small.yaml", SMALL), ("blind.yaml", NO_PACKS)):
        (folder / name).write_text(text)
    for rule, text in (("own-rules/own/every-line", EVERY_LINE), ("own-rules/own/sql-text", SQL_TEXT), ("bad-rules/bad/sql", BAD_SQL)):  # noqa: E501
        path = folder / f"{rule}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE")}
    return {**clean, "PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": "1790000000"}


@contextlib.contextmanager
def _watching(folder: Path, seen: Path) -> Iterator[None]:
    """Keep a hard link to every file that shows up outside inputs and dataset store, also those that go again."""
    stop = threading.Event()
    known: set[int] = set()

    def look(place: str) -> None:
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name in ("in", "seen", "datasets", "scratch"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    look(entry.path)
                elif entry.inode() not in known:
                    known.add(entry.inode())
                    with contextlib.suppress(OSError):
                        os.link(entry.path, seen / f"{len(known)}-{entry.name}")

    def work() -> None:
        while not stop.wait(0.02):
            look(str(folder))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """All commands over the planted dataset, and beside them over the same without secrets."""
    base = tmp_path_factory.mktemp("leak")
    found: dict[bool, Outcome] = {}
    threads = [threading.Thread(target=lambda r=r: found.update({r: _perform(base / str(r), real=r)})) for r in (True, False)]  # noqa: E501
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[True], found[False]
