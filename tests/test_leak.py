"""Nothing that is written outside the dataset store, and no line that is printed, holds a secret of a dataset."""

from __future__ import annotations

import base64
import contextlib
import functools
import gzip
import importlib.util
import json
import os
import pty
import stat
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from leak_plants import Garden, plant_dataset
from leak_search import FORMS, files_below, once, search, views_of

from governance.engines.tables import Tables
from governance.errors import GovernanceError
from governance.rules import Rule
from governance.samples import SAMPLES
from governance.scan.sql_rules import run_sql_rules

TESTS = Path(__file__).parent
ROOT = TESTS.parent
TOOL = (sys.executable, "-c", "from governance.cli import main; main()")

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
        stores = [self.folder / w / "datasets" for w in (".governance", BESIDE, "tty")]
        inputs = [self.folder / "in", scratch, *stores, self.folder / "cleaned.jsonl"]
        return once(files_below(self.folder, without=inputs), scratch, self.folder, _library_files())


def _library_files() -> list[Path]:
    """Pictures and styles that Great Expectations copies into its pages; they are of its making, byte for byte."""
    found = importlib.util.find_spec("great_expectations")
    assert found is not None and found.origin is not None
    return files_below(Path(found.origin).parent / "render" / "view" / "static")


def _jobs(data: Path, garden: Garden, small: Path, odd: Path) -> list[dict[str, object]]:
    """Every command that reads a dataset or a run, with every output format; then bugs, then errors."""
    named = ("show", "--limit", 100000)
    commands: dict[str, list[object]] = {
        "check": ["check", data, "-p", "own.yaml"],
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
        "accept": [
            "accept",
            "latest",
            "rest/*",
            "text/*",
            "--reason",
            "old",
            "--owner",
            "me",
            "--expires",
            "2026-12-01",
        ],
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
        "blind": ["check", data, "-p", "blind.yaml", "--no-record", "-f", "json"],
        "blind-show": [*named, "--rule", "own/*"],
        "blind-cluster": ["show", "--cluster", 0],
        "header-twice": ["check", odd / "twice.csv", "--no-record"],
        "column-twice": ["check", odd / "twice.parquet", "--no-record"],
        "cut-gzip": ["check", odd / "cut.jsonl.gz", "--no-record"],
        "no-file": ["check", f"{garden.token()}.jsonl"],
        "no-data": ["check", odd / "empty"],
        "suffix": ["check", odd / "other"],
        "bad-sql": ["scan", small, "--rules", "bad-rules", "--pack", "bad"],
    }
    names = list(commands)
    beside = {n for n in names[names.index("scan") :] if n != "prove"}
    jobs: list[dict[str, object]] = [
        {"name": n, "args": [str(a) for a in c] + (["--workspace", BESIDE] if n in beside else [])}
        for n, c in commands.items()
    ]
    for name in ("governance.pipeline:measure_samples", "governance.pipeline:_save_texts", "governance.pipeline:judge"):
        args = ["check", str(small), "--no-record", "-p", "small.yaml", "--workspace", BESIDE]
        jobs.append({"name": f"bug {name}", "args": args, "bug": name, "secret": garden.token()})
    for args in (["check", str(small), "--no-record", "-p", "small.yaml"], ["purge", "--yes"]):
        jobs.append({"name": f"purged-{args[0]}", "args": [*args, "--workspace", "purged"]})
    return jobs


BESIDE = "beside"
"""Workspace of the commands that need no run of the first `check`; they run in a second process meanwhile."""

CONTROL = ("check", "show", "report-html", "report-zh", "scan-json", "runs")
"""Commands that show the words which are in the output of any run: rules, reports, pages of Great Expectations."""


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
    small.write_text(
        "".join(
            json.dumps(
                {"instruction": f"{k}", "output": garden.plant("secrets/aws-access-key-id", 0, within=True).text}
            )
            + "\n"
            for k in range(3)
        )
    )
    _write_rules(folder)
    jobs = _jobs(data, garden, small, _odd_files(inputs / "odd", garden))
    if not real:
        jobs = [job for job in jobs if job["name"] in CONTROL]
    split = next((k for k, job in enumerate(jobs) if BESIDE in job["args"]), len(jobs))
    environment = {**_environment(), "TMPDIR": str(temporary)}
    with _watching(folder, seen), (logs / "stderr").open("wb") as errors:
        drivers = []
        for name, part in (("first", jobs[:split]), (BESIDE, jobs[split:])):
            (inputs / f"{name}.json").write_text(json.dumps(part))
            command = [sys.executable, TESTS / "leak_run.py", inputs / f"{name}.json", logs]
            drivers.append(
                subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=errors)
            )
        assert [driver.wait() for driver in drivers] == [0, 0]
    codes = {k: v for f in ("first", BESIDE) for k, v in json.loads((logs / f"{f}.codes.json").read_text()).items()}
    return Outcome(folder, garden, codes, folder / ".governance", seen)


def _write_rules(folder: Path) -> None:
    for name, text in (("own.yaml", PIPELINE), ("small.yaml", SMALL), ("blind.yaml", NO_PACKS)):
        (folder / name).write_text(text)
    for rule, text in (
        ("own-rules/own/every-line", EVERY_LINE),
        ("own-rules/own/sql-text", SQL_TEXT),
        ("bad-rules/bad/sql", BAD_SQL),
    ):
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
                if entry.name in ("in", "seen", "datasets", "cleaned.jsonl"):
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
def real(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """All commands over the planted dataset."""
    return _perform(tmp_path_factory.mktemp("leak"), real=True)


Views = Callable[[], Iterator[tuple[str, bytes]]]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Views:
    """What the commands write over a dataset without secrets; they run only if six characters met by chance."""
    outcome = functools.cache(lambda: _perform(tmp_path_factory.mktemp("control"), real=False))
    return lambda: outcome().views()


CODES = {
    0: ["show", "report", "accept", "runs", "quarantine", "scan", "dedup", "plan", "scrub", "init", "purged-purge"],
    1: ["check", "verify", "clean", "prove", "blind", "purged-check"],
    2: ["show-reveal", "header", "column", "cut", "no", "suffix", "bad", "scrub-refused"],
    3: ["bug"],
}
"""Exit code -> the commands that end with it, by the beginning of their names; the longest that fits counts."""


def _expected(name: str) -> int:
    fits = {start: code for code, starts in CODES.items() for start in starts if name.startswith(start)}
    return fits[max(fits, key=len)]


def test_the_commands_did_their_work(real: Outcome) -> None:
    """Over 200 different secrets were planted, and every command ended as it should, bugs with 3."""
    wanted = {name: _expected(name) for name in real.codes} | {"blind-show": 0, "blind-cluster": 0}
    assert real.codes == wanted
    assert len(set(real.garden.secrets.values())) >= 200
    assert real.garden.unknown < 0.05 * len(real.garden.secrets)


def test_nothing_leaks(real: Outcome, control: Views) -> None:
    """No file outside the dataset store, no stream, no name and no temporary file holds any form of any secret."""
    assert sorted(search(real.views(), real.garden.secrets, control)) == []


def test_the_store_is_where_the_text_is(real: Outcome) -> None:
    """The same search finds nearly every planted text in the dataset store, so there is something to find."""
    scratch = real.folder / "scratch"
    store = once(files_below(real.workspace / "datasets"), scratch, real.folder)
    texts = {plant: real.garden.secrets[plant] for plant in real.garden.in_texts}
    found = {hit.plant for hit in search(store, texts, lambda: ())}
    assert len(found) > 0.98 * len(texts)


def test_cleaning_takes_secrets_away(real: Outcome, control: Views) -> None:
    """No secret that stood in a text is in the file that `clean` wrote; metadata columns are not cleaned."""
    texts = {plant: real.garden.secrets[plant] for plant in real.garden.in_texts}
    scratch = real.folder / "scratch"
    hits = search(views_of(real.folder / "cleaned.jsonl", scratch), texts, control)
    assert sorted(hits) == []


def test_purge_leaves_no_text(real: Outcome) -> None:
    """After `purge` the dataset store holds no file but the evidence of the run stays."""
    assert files_below(real.folder / "purged" / "datasets") == []
    assert len(list((real.folder / "purged" / "runs").glob("*/evidence.json"))) == 1


def test_only_the_owner_can_read(real: Outcome) -> None:
    """The dataset store and the keys are closed to everybody else, folders 0700 and keys 0600."""
    for folder in ("datasets", "datasets/quarantine", "datasets/.work", "keys"):
        assert stat.S_IMODE((real.workspace / folder).stat().st_mode) == 0o700, folder
    keys = [p for p in files_below(real.workspace / "keys") if p.stat().st_size]
    assert keys
    assert {stat.S_IMODE(p.stat().st_mode) & 0o077 for p in keys} == {0}
    assert list((real.workspace / "datasets" / ".work").iterdir()) == []


def _at_terminal(arguments: list[str], cwd: Path) -> bytes:
    """Run the tool at a pseudo-terminal and return everything that it showed."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*TOOL, *arguments], stdin=child, stdout=child, stderr=child, cwd=cwd,
        env={**_environment(), "TERM": "xterm-256color", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(parent, 65536):
            shown += part
    process.wait()
    os.close(parent)
    return shown


def test_a_terminal_shows_no_secret_until_it_is_asked(real: Outcome, tmp_path: Path) -> None:
    """Bars, tables and `show` at a terminal hold no secret; `show --reveal` does, so the search would have seen one."""
    small = real.folder / "in" / "small.jsonl"
    shown = _at_terminal(["check", str(small), "--no-record", "-p", "small.yaml", "--workspace", "tty"], real.folder)
    assert b"CLOSED" in shown
    shown += _at_terminal(["show", "--workspace", "tty"], real.folder)
    secrets = {p: s for p, s in real.garden.secrets.items() if p.startswith("secrets/aws-access-key-id")}

    def hits(data: bytes) -> set[str]:
        path = tmp_path / "terminal.txt"
        path.write_bytes(data)
        return {h.plant for h in search(views_of(path, tmp_path), secrets, lambda: ())}

    assert hits(shown) == set()
    assert len(hits(_at_terminal(["show", "--reveal", "--workspace", "tty"], real.folder))) >= 3


WORKER_BUG = """import sys
if any("serve()" in a or "work()" in a for a in sys.orig_argv):
    import governance.{module} as module
    def fail(self, value, *rest, **named):
        raise ValueError(repr(getattr(value, "data", value)) + os.environ["LEAK"])
    module.{name} = fail
"""


@pytest.mark.parametrize(
    ("module", "name"), [("scan.scanner", "Scanner.scan"), ("ingest.parse", "Parser.parse")], ids=["scan", "ingest"]
)
def test_a_bug_in_a_worker_says_where_and_not_what(tmp_path: Path, module: str, name: str) -> None:
    """An exception of a worker that quotes a sample ends the command with 3 and its message is in no stream."""
    key = Garden().token()
    (tmp_path / "site").mkdir()
    code = WORKER_BUG.format(module=module, name=name)
    (tmp_path / "site" / "sitecustomize.py").write_text(code)
    rows = (json.dumps({"instruction": f"{k} {key}", "output": "word " * 850}) + "\n" for k in range(2_100))
    (tmp_path / "big.jsonl").write_text("".join(rows))
    environment = {**_environment(), "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}", "LEAK": key}
    ended = subprocess.run(
        [*TOOL, "scan", "big.jsonl", "--pack", "secrets", "--processes", "2"],
        cwd=tmp_path, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    told = (ended.stdout + ended.stderr).decode()
    quoted = key[4:] in told
    assert not quoted
    assert ended.returncode == 3, told[-400:]
    assert "bug: " in told


HOSTILE = [
    "select error(text) from texts",
    "select cast(text as int) as n from texts",
    "select text as n from texts",
    "select n, text as field from texts",
    "select n, field, text as start from texts",
    'select n, field, 0 as start, 10000000 + length(text) as "end" from texts',
    "select n, cast(text as date) from texts",
    "select output.nope from samples",
    "select nope from samples",
    "select 12345678901234567 as n",
    "pivot texts on text using count(*)",
    "select n, strptime(text, '%d') from texts",
    "select n, list_aggregate([1], text) from texts",
    "select json_extract(text, '$.a') as n from texts",
    "select current_setting(text) from texts",
    "select * from query((select text from texts))",
    "select regexp_extract(text, text || '(') from texts",
    "select n + 9223372036854775807 as n from texts",
    "select n, case when n >= 0 then error(text) end as detail from texts",
    "select n, [text] as field from texts",
    "select n, field, [0] as start from texts",
    "select struct_pack(a := text) as n from texts",
    "select * from (select text from texts) t(secret) where secret::uuid is not null",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_user_sql_cannot_make_a_message_quote_a_sample(sql: str) -> None:
    """A rule's query that fails, or that returns text where a place belongs, is refused without the text."""
    key = Garden().token()
    texts = [{"field": "output", "role": "output", "text": f"{key}("}]
    row = {"n": 0, "file": "f", "row": 0, "sample_id": "0" * 64, "shape": "text", "record": "{}", "texts": texts}
    con = Tables(pa.Table.from_pylist([row], schema=SAMPLES)).connect(threads=1)
    rule = Rule("own/sql", "warning", "sample", "sql", sql, "message")
    with pytest.raises(GovernanceError) as caught:
        run_sql_rules(con, [rule], b"k" * 32)
    told = "".join(traceback.format_exception(caught.value))
    assert key[:6] not in told.replace(sql, "")


def test_a_number_of_the_data_is_no_detail() -> None:
    """Four digits of a number that a query returns are kept, so a card number does not get into the findings."""
    texts = [{"field": "output", "role": "output", "text": "4929133822651047"}]
    row = {"n": 0, "file": "f", "row": 0, "sample_id": "0" * 64, "shape": "text", "record": "{}", "texts": texts}
    con = Tables(pa.Table.from_pylist([row], schema=SAMPLES)).connect(threads=1)
    rule = Rule("own/sql", "warning", "sample", "sql", "select n, text::bigint as detail from texts", "message")
    assert run_sql_rules(con, [rule], b"k" * 32)["detail"].to_pylist() == ["4.929e+15"]


KEY = "q7Rw" + "Zt4KmX9bVn2Lp8Ds"  # stands for a secret; nothing knows its form


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_every_form(form: str, tmp_path: Path) -> None:
    """A leaky file is found for each form in which it writes the secret, also in the middle of other text."""
    _, write = FORMS[form]
    for number, text in enumerate(write(KEY)):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(b"before " + text.encode("latin-1") + b" after")
        assert any(h.plant == "plant" for h in search(views_of(path, tmp_path), {"plant": KEY}, lambda: ())), form


def _containers(folder: Path) -> dict[str, Path]:
    """One file of each kind that holds the secret, some where no grep over the bytes would see it."""
    folder.mkdir(exist_ok=True)
    where = {n: folder / n for n in ("a.parquet", "b.duckdb", "c.gz", "d.zip", "e.json", "f.html", "g.xml", "h.jsonl")}
    pq.write_table(pa.table({"n": [1], "deep": [[{"text": KEY}]]}), where["a.parquet"], compression="zstd")
    with duckdb.connect(str(where["b.duckdb"])) as con:
        con.execute("create table runs as select ? as name", [KEY])
    where["c.gz"].write_bytes(gzip.compress(json.dumps({"a": [KEY]}).encode()))
    with zipfile.ZipFile(where["d.zip"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", json.dumps({KEY: 1}))
    payload = base64.b64encode(json.dumps({"subject": "x" * 60, "secret": KEY}).encode()).decode()
    where["e.json"].write_text(json.dumps({"payload": payload}))
    where["f.html"].write_text("<p>" + "".join(f"<b>&#{ord(c)};</b><wbr>" for c in KEY) + "</p>")
    where["g.xml"].write_text("<?xml version='1.0'?><a b='&#x71;&#x37;" + KEY[2:] + "'/>")
    where["h.jsonl"].write_text('{"a": 1}\n{"b": "' + "".join(f"\\u{ord(c):04x}" for c in KEY) + '"}\n')
    return where


def test_the_search_opens_what_is_closed(tmp_path: Path) -> None:
    """Parquet, DuckDB, gzip, zip, base64 in JSON, tags in HTML, XML and escapes in JSON Lines hide nothing."""
    for name, path in _containers(tmp_path / "leaky").items():
        assert search(views_of(path, tmp_path), {"plant": KEY}, lambda: ()), name


def test_the_search_joins_what_a_table_broke(tmp_path: Path) -> None:
    """A secret that a narrow terminal broke over lines is found, and so are six characters of it."""
    broken = tmp_path / "table.txt"
    broken.write_text("\n".join(f"\x1b[1m│ {KEY[k : k + 4]} │\x1b[0m" for k in range(0, len(KEY), 4)))
    assert search(views_of(broken, tmp_path), {"plant": KEY}, lambda: ())
    broken.write_text(f"ends with {KEY[-6:]}")
    assert {h.form for h in search(views_of(broken, tmp_path), {"plant": KEY}, lambda: ())} == {"window"}
    assert search(views_of(broken, tmp_path), {"plant": KEY}, lambda: [("control", KEY[-6:].encode())]) == set()
