"""Validators of secrets: what is dropped is dropped for what it is; a real secret stays whatever words are in it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pytest

from governance.rules import Rule, load_rules
from governance.samples import SAMPLES
from governance.scan import validators as v
from governance.scan.prove import prove_rules
from governance.scan.registry import find_validator
from governance.scan.scanner import Scanner
from governance.templates import fill

RULES = load_rules(["secrets", "pii"])


def rand(template: str) -> str:
    return fill(template, "validators")


def test_rules_hold() -> None:
    """
    Every rule of both packs flags its `flags` and leaves its `passes` alone.
    """
    assert [p.message for p in prove_rules(RULES)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.rule_id)
def test_rules_are_complete(rule: Rule) -> None:
    """
    Every rule says in two languages what it means, names its source, has an entity and two texts of each kind.
    """
    assert rule.sensitive and rule.entity and rule.references
    assert rule.message_zh and rule.why and rule.why_zh
    assert "{match" not in rule.message + rule.message_zh
    assert len(rule.flags) >= 2 and len(rule.passes) >= 2
    assert find_validator(rule.validator, rule.rule_id)


def test_no_literal_looks_live() -> None:
    """
    As they stand, with templates unfilled, the rule files hold nothing that a rule for a vendor's token flags.
    """
    open_shapes = {"secrets/json-web-token", "secrets/private-key"}  # a header or a marker around unfilled templates
    tokens = [r for r in RULES if r.pack == "secrets" and r.specificity >= 80 and r.rule_id not in open_shapes]
    files = {r.rule_id: Path(r.source).read_text("utf-8") for r in RULES}
    texts = [{"field": name, "role": "output", "text": text} for name, text in files.items()]
    batch = pa.RecordBatch.from_pylist([{"n": 0, "texts": texts}], schema=SAMPLES)
    found = Scanner(tokens, b"key").scan(batch).findings
    assert found.select(["field", "rule"]).to_pylist() == []


@pytest.mark.parametrize(
    "value",
    [
        "changeme",
        "CHANGE_ME",
        "password",
        "your-password",
        "<your-password>",
        "xxx",
        "xxxx-xxxx",
        "****",
        "example",
        "YOUR_TOKEN_HERE",
        "MyPassword",
        "secret",
        "todo",
        "[REDACTED]",
        "${DB_PASSWORD}",
        "$DB_PASSWORD",
        "{{ pw }}",
        "%s",
        "%(password)s",
        "os.environ['PW']",
        "{password}",
        "#{pw}",
        "<password>",
        "new-password",
        "user.password",
        "Enter password:",
        "/run/secrets/db",
        "密码",
        "aaaaaaaa",
        "None",
        "null",
        "required|min:8",
        "ENC(abcdef==)",
    ],
)
def test_dropped_as_literal(value: str) -> None:
    """
    References, placeholders, masks, prompts, paths and names of things are no passwords.
    """
    assert not v.password_literal(value, "", 0, 0)


@pytest.mark.parametrize(
    "value",
    ["hunter2", "foo8Tq!todo", "S3cr3t!", "Password123!", "123456", "root", "correct-horse-battery", "$ecr3t!x"],
)
def test_kept_as_literal(value: str) -> None:
    """
    A real secret stays, also a weak one and one that contains a placeholder's word.
    """
    assert v.password_literal(value, "", 0, 0)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("password: str", False),
        ("password: Optional[str]", False),
        ("password = getpass.getpass()", False),
        ("password = self.password", False),
        ("password = pw2", False),
        ("password=password2,", False),
        ("password: required", False),
        ("PASSWORD=hunter", True),
        ("spring.datasource.password=hunter", True),
        ("password: S3cr3t!x", True),
        ("password = Zx81kk#q", True),
        ("password: 123456", True),
    ],
)
def test_unquoted(line: str, kept: bool) -> None:
    """
    An unquoted right side is a value in a configuration and an expression in code.
    """
    start = max(line.rfind(c) for c in "=:") + 1
    start += len(line[start:]) - len(line[start:].lstrip())
    assert v.password_config(line[start:], line, start, len(line)) is kept


def test_random_token() -> None:
    """
    Masks, sequences and documented examples are dropped; random bodies stay, whatever they spell by chance.
    """
    keep = ["AKIA" + rand("{base32*16}"), rand("{hex*32}"), rand("glpat-{base62*20}"), rand("sk_live_todo{base62*20}")]
    drop = ["AKIAIOSFODNN7EXAMPLE", "a" * 32, "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789", "AKIA" + "X" * 16]
    drop += ["xoxb-1111-xxxxxxxxxxxxxxxxxxxx"]
    assert [v.random_token(t, "", 0, 0) for t in keep] == [True] * len(keep)
    assert [v.random_token(t, "", 0, 0) for t in drop] == [False] * len(drop)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_basic_credentials() -> None:
    """
    Basic credentials are judged by the password they decode to; the example of RFC 7617 is dropped.
    """
    kept = [b64(b"admin:" + rand("{base62*10}").encode()), b64("user:päss9".encode())]
    dropped = [b64(b"Aladdin:open sesame"), b64(b"user:password"), b64(b"no colon"), b64(b"u:****"), "authentication"]
    assert all(v.basic_credentials(t, "", 0, 0) for t in kept)
    assert not any(v.basic_credentials(t, "", 0, 0) for t in dropped)


def test_jwt() -> None:
    """
    A token counts if its header is a JSON object with an algorithm, unsigned ones included.
    """
    body = b64(json.dumps({"sub": "a"}).encode()).rstrip("=")

    def token(head: object, signature: str) -> str:
        return f"{b64(json.dumps(head).encode()).rstrip('=')}.{body}.{signature}"

    assert v.jwt(token({"alg": "HS256"}, rand("{base64url*43}")), "", 0, 0)
    assert v.jwt(token({"alg": "none"}, ""), "", 0, 0)
    assert not v.jwt(token({"typ": "JWT"}, rand("{base64url*43}")), "", 0, 0)
    assert not v.jwt(token([1, 2, 3, 4], rand("{base64url*43}")), "", 0, 0)
    assert not v.jwt(f"eyJ.{body}.abc", "", 0, 0)


def test_private_key_body() -> None:
    """
    The body of a key counts from 40 base64 characters on; markers, headers and masks are not part of it.
    """
    assert v.private_key(rand("\n{base64*64}\n"), "", 0, 0)
    assert v.private_key(rand('\\n{base64*32}\\n" +\n "{base64*32}\\n'), "", 0, 0)
    assert not v.private_key("\n...\n", "", 0, 0)
    assert not v.private_key("\n" + "x" * 64 + "\n", "", 0, 0)
    assert not v.private_key("\nProc-Type: 4,ENCRYPTED\n" + rand("{base64*20}"), "", 0, 0)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgres://app:{base62*9}@db/x", True),
        ("redis://:{base62*12}@cache:6379", True),
        ("postgres://postgres:postgres@localhost/x", True),
        ("https://user:password@host/", False),
        ("https://user:xxxx@host/", False),
        ("https://user:user@host/", False),
        ("https://user:${{TOKEN}}@host/", False),
    ],
)
def test_url_credentials(url: str, kept: bool) -> None:
    """
    The password of a URL counts unless it is what manuals write.
    """
    url = rand(url)
    start, end = url.index(":", url.index("//")) + 1, url.rindex("@")
    assert v.url_credentials(url[start:end], url, start, end) is kept


def test_secret_literal() -> None:
    """
    A token variable's value counts if it is random: no identifiers, digests or words joined by signs.
    """
    hexes = rand("{hex*40}")
    assert v.secret_literal(rand("{base62*30}7x9"), 'token = "', 9, 40)
    assert v.secret_literal(hexes, 'secret = "', 10, 50)
    assert not v.secret_literal(hexes, 'sha1_token = "', 14, 54)
    assert not v.secret_literal("urn:ietf:params:oauth2:token", 'token = "', 9, 30)
    assert not v.secret_literal("abcdefghijklmnopqrst12", 'token = "', 9, 30)


def test_linear_time() -> None:
    """
    A long hostile value is judged at once: no regular expression backtracks.
    """
    for name in {r.validator for r in RULES if r.pack == "secrets"}:
        judge = find_validator(name, "test")
        for value in ("your" * 20_000, "a-" * 40_000, "\\n" * 40_000, "Aa1." * 20_000):
            judge(value, value, 0, len(value))
