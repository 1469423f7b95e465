"""rules, a folder -> a dataset with hundreds of secrets and personal data planted where they hurt most.

A plant is a text of a rule's own `flags` with fresh random characters in it. What counts as the secret is exactly
those random characters: nothing else in the world holds them, so whoever reads six of them has read the dataset.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from governance.data import data_folder
from governance.scan.sensitive import SensitiveText
from governance.templates import fill

_TEMPLATE = re.compile(r"\{([a-z0-9_]+)\*(\d+)\}")
_MADE = {
    "iban": "DE[0-9]{20}",
    "basic": "[0-9A-Za-z+/=]+",
    "base64_digits": "[0-9A-Za-z+/=]+",
}  # others: as long as told
ATTEMPTS = 50  # fillings of a template
SHORTEST = 6  # random characters that make a secret


@dataclass(frozen=True)
class Plant:
    """One planted text and the secret parts of it, by name of the plant."""

    text: str
    secrets: dict[str, str]


@dataclass
class Garden:
    """
    Makes plants and remembers what is secret in them.

    Attributes:
        real: False makes the same texts with nothing secret in them, for the control.
        unknown: fillings that were left out because their rule does not know them, such as the day 91 of a month.
        in_texts: secrets planted in texts of readable samples; cleaning has to take these away.
    """

    real: bool = True
    secrets: dict[str, str] = field(default_factory=dict, repr=False)  # a failing test prints its values
    in_texts: set[str] = field(default_factory=set)
    unknown: int = 0
    _count: int = 0

    def plant(self, rule_id: str, index: int = 0, *, within: bool = False) -> Plant:
        """Return a fresh plant of ``flags[index]`` of a rule of the packs *secrets* and *pii*."""
        flags = _flags(rule_id)
        return self._grow(rule_id, flags[index % len(flags)], within)

    def fill(self, rule_id: str, template: str) -> str:
        """Return a fresh text of an own *template*, planted in a text of a sample."""
        return self._grow(rule_id, template, True).text

    def _grow(self, rule_id: str, template: str, within: bool) -> Plant:
        self._count += 1
        for attempt in range(ATTEMPTS):
            text = fill(template, f"leak test {rule_id} {self._count} {attempt}")
            parts = {
                f"{rule_id} #{self._count}.{k}": p for k, p in enumerate(self._secret_parts(rule_id, template, text))
            }
            if parts or not _random_parts(template, text):
                break
            self.unknown += 1
        else:
            raise AssertionError(f"{rule_id} knows none of {ATTEMPTS} fillings of {template!r}")
        if not self.real:
            for part in parts.values():
                text = text.replace(part, "x" * len(part))
            return Plant(text, {})
        self.secrets |= parts
        if within:
            self.in_texts |= parts.keys()
        return Plant(text, parts)

    def _secret_parts(self, rule_id: str, template: str, text: str) -> list[str]:
        """The random parts that the rule takes for the secret; a number in a webhook's address is none."""
        spans = [(a, b) for a, b, rule in _known().spans(text) if rule == rule_id]
        return [text[a:b] for a, b in _random_parts(template, text) if any(s < b and a < e for s, e in spans)]

    def token(self, *, within: bool = False) -> str:
        """Return a key that is one word and known wherever it stands."""
        text = self.plant("secrets/github-token-classic", within=within).text
        return text.split('"')[1]

    def email(self, *, within: bool = False) -> str:
        """Return the address of a person."""
        return self.plant("pii/email", within=within).text.split("<")[1].rstrip(">")


def _flags(rule_id: str) -> list[str]:
    value = yaml.safe_load((data_folder("rules") / f"{rule_id}.yaml").read_text("utf-8"))
    return [f for f in value["flags"] if isinstance(f, str)]


@functools.cache
def _known() -> SensitiveText:
    return SensitiveText.of()


def _random_parts(template: str, text: str) -> list[tuple[int, int]]:
    """The spans of what *fill* made up in *text*, found by matching the template; near neighbours are one part."""
    pattern, end = "", 0
    for m in _TEMPLATE.finditer(template):
        made = _MADE.get(m.group(1), f".{{{m.group(2)}}}")
        pattern += f"{re.escape(template[end : m.start()])}({made})"
        end = m.end()
    pattern += re.escape(template[end:])
    found = re.fullmatch(pattern, text, re.DOTALL)
    if found is None:
        raise AssertionError(f"a filled text does not fit {template!r}")
    joined: list[tuple[int, int]] = []
    for k, m in enumerate(_TEMPLATE.finditer(template), 1):
        if m.group(1) == "same":
            continue
        if joined and re.fullmatch(r"[^\s'\"@/]{0,8}", text[joined[-1][1] : found.start(k)]):
            joined[-1] = (joined[-1][0], found.end(k))
        else:
            joined.append(found.span(k))
    return [(a, b) for a, b in joined if b - a >= SHORTEST]


def sensitive_rules() -> list[str]:
    """Ids of all rules of the packs *secrets* and *pii*."""
    base = data_folder("rules")
    return sorted(
        f"{pack}/{p.stem}" for pack in ("pii", "secrets") for p in (base / pack).glob("*.yaml") if p.stem != "_pack"
    )


EXTRA = {
    "pii/cn-resident-id": ['idCard = "110105199003{nonzero*1}{nonzero*1}{digits*3}{cnid*1}"'],
    "pii/ipv4": ['host = "93.1{nonzero*2}.1{nonzero*2}.1{nonzero*2}"'],
    "pii/ipv6": ['host = "2a01:4f8:{hex*4}:{hex*4}:{hex*4}:{hex*4}:{hex*4}:{hex*4}"'],
    "pii/mac-address": ['hwaddr = "3c:22:fb:{hex*2}:{hex*2}:{hex*2}"'],
    "pii/phone-us": ['phone = "(415) 2{nonzero*2}-{nonzero*4}"'],
}
"""Texts with more random characters for rules whose own `flags` have too few to be recognised by."""

FORMAT_ROLES = ("instruction", "input", "output", "system")


def plant_dataset(folder: Path, garden: Garden) -> Path:
    """
    Write a dataset below *folder* and return its path; secrets are in texts, names, columns and broken records.

    The first two records are copies of each other, so the first cluster has the number 0.
    """
    root = folder / f"data-{garden.email()}"
    inner = root / f"{garden.email()}.d"
    inner.mkdir(parents=True)
    texts = _texts(garden)
    third = len(texts) // 3
    alpaca = list(_alpaca(texts[:third], garden))
    _write(root / "a.jsonl", [alpaca[0], *alpaca, *_odd_records(garden)])
    _write(root / "b.jsonl", list(_chats(texts[third : 2 * third], garden)))
    _write(root / f"export_{garden.token()}_v2.jsonl", list(_pairs(texts[2 * third :])))
    (root / "broken.jsonl").write_bytes(_broken(garden))
    (inner / "part.csv").write_bytes(_csv(garden))
    lines = "".join(json.dumps({"text": _hidden(garden)}) + "\n" for _ in range(3))
    (root / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    wide = json.dumps({"prompt": "用户的密码是什么？", "completion": _hidden(garden) + " 请勿外传"}, ensure_ascii=False)
    (root / "d.jsonl").write_bytes((wide + "\n").encode("gb18030"))
    (root / "e.jsonl").write_bytes(wide.encode("utf-16"))
    table = pa.table({"instruction": ["Configure it"], "output": [_hidden(garden)], "owner": [garden.email()]})
    pq.write_table(table.replace_schema_metadata({"note": garden.token()}), root / "f.parquet")
    return root


def _hidden(garden: Garden, rule: str = "secrets/github-token-classic") -> str:
    return garden.plant(rule, within=True).text


def _texts(garden: Garden) -> list[str]:
    """One text per plant: every example of every sensitive rule twice, and some where another rule looks as well."""
    out = []
    for rule in sensitive_rules():
        for index in range(len(_flags(rule))):
            out += [garden.plant(rule, index, within=True).text for _ in range(2)]
    for rule, templates in EXTRA.items():
        out += [garden.fill(rule, t) for t in templates for _ in range(3)]
    for _ in range(4):
        key, address = garden.token(within=True), garden.email(within=True)
        out += [
            f"GET /createPost?token={key}",
            f'@RequestMapping("/blog/createPost/{key}") class A {{ @PostMapping("/del?mail={address}") void a(); }}',
            f"# TODO: xxx remove {key}",
            f"AC 1: mail {address}\nGiven a user\nWhen {key} is sent\nThen it works\n\nAC 1: mail {address}",
            f"\u200b{key}\u202e hidden, and \x1b[31m{address}\x1b[0m",
        ]
    return out


def _alpaca(texts: list[str], garden: Garden) -> Iterator[dict[str, Any]]:
    """The planted text in each role in turn; licence, step and so on are harmless here."""
    for k, text in enumerate(texts):
        record = {"instruction": f"Implement the method m{k}", "input": "", "output": f"return {k};"}
        record[FORMAT_ROLES[k % 4]] = f"{_noise(k)}\n{text}\n{_noise(k + 1)}"
        yield {**record, "licence": "MIT", "repository": "shop", "step": "code"}


def _noise(k: int) -> str:
    words = random.Random(k).choices(("order", "item", "stock", "bill", "user", "cart", "ship", "tax"), k=9)  # noqa: S311
    return " ".join(words)


def _odd_records(garden: Garden) -> Iterator[dict[str, Any]]:
    """Secrets outside the texts: in every column with a meaning, in others, as a key, in a nested object."""
    base = {"instruction": "Explain", "input": "", "output": "It is so."}
    for column in ("step", "repository", "commit", "path", "group", "licence", "language", "note", "id"):
        yield {**base, "input": column, column: garden.token()}
        yield {**base, "input": f"{column} again", "metadata": {column: garden.email()}}
    yield {**base, "input": "key", garden.token(): 1}
    yield {**base, "input": "nested", "meta": {"a": [{"b": garden.token()}]}}
    yield {**base, "input": "line", "start_line": garden.token()}


def _chats(texts: list[str], garden: Garden) -> Iterator[dict[str, Any]]:
    for k, text in enumerate(texts):
        if k % 3 == 0:
            turns = [{"role": "user", "content": f"{_noise(k)}\n{text}"}, {"role": "assistant", "content": f"Done {k}"}]
            yield {"messages": turns}
        elif k % 3 == 1:
            turns = [{"from": "human", "value": f"Make it {k}"}, {"from": "gpt", "value": f"{text}\n{_noise(k)}"}]
            yield {"conversations": turns}
        else:
            call = {"function": {"name": "call", "arguments": json.dumps({"key": garden.token(within=True)})}}
            parts = [{"type": "text", "text": text}]
            turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": [call]}]
            yield {"messages": turns}


def _pairs(texts: list[str]) -> Iterator[dict[str, Any]]:
    for k, text in enumerate(texts):
        yield {"prompt": f"What is {k}?", "completion": f"{text}\n{_noise(k)}"} if k % 2 else {"text": f"{k}\n{text}"}


def _broken(garden: Garden) -> bytes:
    """Records for the quarantine, each with its own secret; the last ends inside a character."""
    key = garden.token
    lines = [
        b'{"instruction": "a", "output": "' + key().encode(),
        b'{"instruction": "a", "output": "\\u0000' + key().encode() + b'"}',
        b'{"instruction": "a", "output": "\xff\xfe' + key().encode() + b'"}',
        json.dumps({"instruction": [key()], "output": "b"}).encode(),
        json.dumps({"instruction": key()}).encode(),
        json.dumps({key(): key()}).encode(),
        json.dumps([key()]).encode(),
        json.dumps(key()).encode(),
        json.dumps({"messages": [{"role": {key(): 1}, "content": key()}]}).encode(),
        json.dumps({"messages": [key()]}).encode(),
        b'{"instruction": "a", "output": NaN, "x": "' + key().encode() + b'"}',
        b'{"instruction": "' + b"\\x" + key().encode() + b'", "output": "b"}',
        key().encode(),
        ('{"instruction": "' + key() + "密").encode()[:-1],
    ]
    return b"\n".join(lines)


def _csv(garden: Garden) -> bytes:
    rows = [
        "instruction,output",
        f"ask,{garden.token(within=True)}",
        f"one field with {garden.token()}",
        f"a,b,{garden.token()}",
        f'ask,"not closed {garden.token()}',
        f"ask,answer {garden.email(within=True)}",
    ]
    return "\r\n".join(rows).encode() + f"\r\nask,\xff{garden.token()}".encode("latin-1")


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), "utf-8")
