"""Masking: what is flagged goes, all else stays byte for byte, code still parses, a second pass changes nothing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.rules import Rule, load_rules
from governance.samples import FINDINGS, SAMPLES, sample_id
from governance.scan.pii_validators import bank_card, cn_resident_id
from governance.scan.scanner import Scanner
from governance.scan.validators import is_masked
from governance.scrub import scrub_samples, scrub_text
from governance.templates import fill

RULES = load_rules(["secrets", "pii"])
BY_ID = {rule.rule_id: rule for rule in RULES}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(RULES, b"key")


def batch_of(*samples: list[tuple[str, str, str]]) -> pa.RecordBatch:
    """Return a SAMPLES batch; a sample is a list of (field, role, text)."""
    rows = [
        {
            "n": 10 + i,
            "file": "d.jsonl",
            "row": i,
            "sample_id": sample_id((role, text) for _, role, text in texts),
            "shape": "mapped",
            "texts": [{"field": f, "role": r, "text": t} for f, r, t in texts],
            "record": '{"output":null}',
            "licence": "MIT",
        }
        for i, texts in enumerate(samples)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SAMPLES)


def findings_of(scanner: Scanner, batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([scanner.scan(batch).findings], FINDINGS)


def scrubbed(scanner: Scanner, text: str) -> str:
    batch = batch_of([("output", "output", text)])
    out, _ = scrub_samples(batch, findings_of(scanner, batch))
    return str(out.column("texts")[0][0]["text"].as_py())


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.rule_id)
def test_fixed_point(rule: Rule, scanner: Scanner) -> None:
    """
    Of what any rule of the packs flags, nothing is flagged after masking, and the length stays.
    """
    for text in rule.flags:
        once = scrubbed(scanner, text)
        assert once != text
        assert len(once) == len(text)
        left = findings_of(scanner, batch_of([("output", "output", once)]))
        assert left.num_rows == 0, left.column("rule").to_pylist()


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.rule_id)
def test_value_is_gone(rule: Rule, scanner: Scanner) -> None:
    """
    No six characters of a flagged value stand in the masked text, unless they stood outside it as well.
    """
    for text in rule.flags:
        batch = batch_of([("output", "output", text)])
        once = scrubbed(scanner, text)
        for row in findings_of(scanner, batch).to_pylist():
            value, rest = text[row["start"] : row["end"]], text[: row["start"]] + "\0" + text[row["end"] :]
            windows = {value[i : i + 6] for i in range(len(value) - 5)}
            kept = {w for w in windows if w in once and w not in rest}
            letters = [re.sub(r"\\.|\W", "", w) for w in kept]  # an escape and the signs of code may stay
            assert all(is_masked(w) for w in letters), rule.rule_id


SECRET = fill("{base62*10}7a", "scrub")
CARD = fill("622202{digits*12}{luhn*1}", "scrub")
KEY = fill("{base64*64}", "scrub")


@pytest.mark.parametrize(
    "code",
    [
        f'password = "{SECRET}"\n',
        f"password = '{SECRET}\\'x'\n",
        f'password = "\\x41\\u0042{SECRET}\\n"\n',
        f'text = "\\nli.wei{SECRET}@acme-corp.cn"\n',
        f"card_number = {CARD}\n",
        f'key = ("-----BEGIN EC PRIVATE KEY-----\\n" +\n  "{KEY}\\n" +\n  "{KEY}\\n-----END EC PRIVATE KEY-----")\n',
        f'key = """-----BEGIN PRIVATE KEY-----\n{KEY}\n{KEY}\n-----END PRIVATE KEY-----"""\n',
        f'key = "-----BEGIN PRIVATE KEY-----\\\n{KEY}\\\n{KEY}\\\n-----END PRIVATE KEY-----"\n',
        f'key = "\\n".join(["-----BEGIN PRIVATE KEY-----", "{KEY}", "{KEY}", "-----END PRIVATE KEY-----"])\n',
    ],
)
def test_python_still_parses(code: str, scanner: Scanner) -> None:
    """
    Python that parsed before parses after, with the same shape and the same number of lines.
    """
    masked = scrubbed(scanner, code)
    assert masked != code
    assert masked.count("\n") == code.count("\n")
    before, after = ast.parse(code), ast.parse(masked)
    names = [[type(node).__name__ for node in ast.walk(tree)] for tree in (before, after)]
    assert names[0] == names[1] or CARD in code
    assert findings_of(scanner, batch_of([("output", "output", masked)])).num_rows == 0


def test_json_number_stays_a_number(scanner: Scanner) -> None:
    """
    A phone number written as a JSON number stays one, and one that no check accepts.
    """
    masked = json.loads(scrubbed(scanner, '{"phone": 13912345678, "name": "a"}'))
    assert masked == {"phone": 11111111111, "name": "a"}


def test_yaml_value_stays_a_text(scanner: Scanner) -> None:
    """
    An unquoted YAML password stays a text; a mask of stars would be an alias.
    """
    masked = yaml.safe_load(scrubbed(scanner, f"db:\n  user: app\n  password: {SECRET}\n"))
    assert masked == {"db": {"user": "app", "password": "x" * len(SECRET)}}


def test_ones_are_valid_for_nothing() -> None:
    """
    A mask of digits is never a valid card or resident id, of whatever length.
    """
    for size in range(10, 20):
        mask = "1" * size
        assert not bank_card(mask, mask, 0, size)
        assert size != 18 or not cn_resident_id(mask, mask, 0, size)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=5))
def test_outside_stays(text: str, pairs: list[tuple[int, int]]) -> None:
    """
    Masking any spans keeps the length and every character outside them, and doing it twice is doing it once.
    """
    ends = [sorted((min(a, len(text)), min(b, len(text)))) for a, b in pairs]
    spans = [(a, b, "X") for a, b in ends]
    masked, count = scrub_text(text, spans)
    assert count == len(spans)
    assert len(masked) == len(text)
    inside = {i for a, b, _ in spans for i in range(a, b)}
    assert all(masked[i] == c for i, c in enumerate(text) if i not in inside)
    assert scrub_text(masked, spans)[0] == masked


def test_span_outside_the_text() -> None:
    """
    A span that is not inside the text is a caller's mistake, and the error does not show the text.
    """
    with pytest.raises(ValueError, match="span 2:9 is not inside a text of 6 characters"):
        scrub_text("secret", [(2, 9, "X")])


def test_samples_keep_everything_else(scanner: Scanner) -> None:
    """
    Only texts with a finding change; their sample gets a new id, and all other columns stay.
    """
    mail = "联系人 li.wei8@acme-corp.cn 或 13912345678。"
    batch = batch_of(
        [("instruction", "instruction", "nothing here"), ("output", "output", "x = 1")],
        [("messages/0/content", "instruction", mail), ("messages/1/content", "output", f'pwd = "{SECRET}"')],
        [],
    )
    for part in (batch, batch.slice(1), batch.slice(1, 1)):
        out, count = scrub_samples(part, findings_of(scanner, batch))
        assert count == 3
        assert out.schema == SAMPLES
        at = part.column("n").to_pylist().index(11)
        assert [t["text"] for t in out.column("texts")[at].as_py()] == [
            "联系人 xxxxxxxxxxxxxxxxxxxx 或 11111111111。",
            f'pwd = "{"x" * len(SECRET)}"',
        ]
        texts = [(t["role"], t["text"]) for t in out.column("texts")[at].as_py()]
        assert out.column("sample_id")[at].as_py() == sample_id(texts)
        others = pa.array([i for i in range(part.num_rows) if i != at], pa.int64())
        assert out.take(others).equals(part.take(others))
        same = [c for c in SAMPLES.names if c not in ("texts", "sample_id")]
        assert out.select(same).equals(part.select(same))


def test_no_findings(scanner: Scanner) -> None:
    """
    A batch without findings of its own comes back as it is.
    """
    batch = batch_of([("output", "output", "x = 1")])
    assert scrub_samples(batch, FINDINGS.empty_table()) == (batch, 0)


def test_unknown_field() -> None:
    """
    A finding whose field the sample lacks is a caller's mistake, never passed over.
    """
    batch = batch_of([("output", "output", "x = 1")])
    row = {"n": 10, "field": "input", "start": 0, "end": 1, "rule": "pii/email"}
    with pytest.raises(ValueError, match="'input'"):
        scrub_samples(batch, pa.Table.from_pylist([row], schema=FINDINGS))


def test_import_is_light() -> None:
    """
    Importing the module loads no Presidio, and masking loads neither torch nor an analyzer nor an HTTP client.
    """
    code = (
        "import sys, governance.scrub as s; assert 'presidio_anonymizer' not in sys.modules;"
        "s.scrub_text('abc', [(0, 3, 'X')]);"
        "print(sorted({'torch', 'spacy', 'presidio_analyzer', 'tldextract', 'requests', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
