"""Languages of texts: as declared, else by path, else by content."""

from __future__ import annotations

# ruff: noqa: E501, I001, RUF007

import json
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from governance.languages.detect import guess_languages, language_ids, language_number, path_number
from governance.languages.syntax import LANGUAGES


def guessed(*texts: str) -> list[str]:
    """What the texts look like."""
    raw = [t.encode() for t in texts]
    ends = np.cumsum([0, *map(len, raw)])
    data = np.frombuffer(b"".join(raw), np.uint8)
    return [LANGUAGES[n] for n in guess_languages(data, ends[:-1], ends[1:])]


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("Java", "java"), ("py", "python"), ("python3", "python"), ("c++", "cpp"), ("js", "javascript"), ("tsx", "typescript"),
        ("kt", "kotlin"), ("golang", "go"), ("C#", "csharp"), ("PostgreSQL", "sql"), (" bash ", "shell"), ("yml", "yaml"),
    ],
)  # fmt: skip
def test_names(name: str, language: str) -> None:
    """A language is known by its usual names in any case."""
    assert language_number(name) == LANGUAGES.index(language)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/A.java", "java"),
        ("a\\b.RS", "rust"),
        ("Makefile", "properties"),
        ("x/Dockerfile", "shell"),
        ("b.tar.py", "python"),
    ],
)
def test_paths(path: str, language: str) -> None:
    """A file's suffix tells its language, and so do some whole names."""
    assert path_number(path) == LANGUAGES.index(language)


def test_unknown_names() -> None:
    """What is unknown, missing or hidden is no language."""
    for name in (None, "", "klingon"):
        assert language_number(name) is None
    for path in (None, "", "README", ".x", "a.klingon"):
        assert path_number(path) is None


def test_declared_before_path_before_content() -> None:
    """The declared name counts first, then the path, then the content; lists and Arrow columns give the same."""
    text = b"def f(self):\n    return None\n"
    data, offsets = np.frombuffer(text * 3, np.uint8), np.arange(4, dtype=np.int64) * len(text)
    declared, paths = ["Rust", None, "nonsense"], ["a.go", "b.kt", ""]
    expected = ["rust", "kotlin", "python"]
    assert [LANGUAGES[n] for n in language_ids(declared, paths, data, offsets)] == expected
    columns = pa.array(declared, pa.string()), pa.chunked_array([pa.array(paths, pa.string())])
    assert [LANGUAGES[n] for n in language_ids(*columns, data, offsets)] == expected
    coded = columns[0].dictionary_encode()
    assert LANGUAGES[language_ids(coded, None, data, offsets)[0]] == "rust"


def test_clear_cases() -> None:
    """A few lines of a language are enough to know it."""
    assert guessed(
        "def add(self, x):\n    if x is None:\n        raise ValueError(x)\n    return self.total + x\n",
        "public class A {\n    private final String name;\n    @Override\n    public String toString() { return name; }\n}\n",
        "SELECT a FROM t WHERE b = 1",
        '#include <stdio.h>\nint main(int argc, char *argv[]) {\n    printf("x");\n    return 0;\n}\n',
        "func Add(a int) error {\n\tif err != nil {\n\t\treturn err\n\t}\n\tx := 5\n}\n",
        "fn f(&self) -> Result<u32> {\n    let mut x = Some(5);\n    match x { None => Ok(1) }\n}\n",
        '#!/bin/bash\nif [ -z "$X" ]; then\n  echo "no"\nfi\n',
        "<?php\nfunction f($a) { return $this->b; }\n",
    ) == ["python", "java", "sql", "c", "go", "rust", "shell", "php"]


def test_prose() -> None:
    """Requests and stories in English and Chinese are prose, also where they name code."""
    texts = (
        "", " ", "Implement the method __init__", "Create an Agile user story for the following topic.",
        "作为一个用户，我想要浏览订单，以便我能查看状态。", "Write a public static method that returns the sum of two numbers.",
    )  # fmt: skip
    assert set(guessed(*texts)) == {"text"}


def test_bytes_of_any_kind() -> None:
    """Any bytes get some language, and the same one alone as among others."""
    rng = np.random.default_rng(5)
    data = rng.integers(0, 256, 20_000, dtype=np.uint8)
    ends = np.sort(rng.integers(0, data.size, 300))
    together = guess_languages(data, ends[:-1], ends[1:])
    assert (together < len(LANGUAGES)).all()
    alone = [
        guess_languages(data[a:b].copy(), np.array([0]), np.array([b - a]))[0]
        for a, b in zip(ends, ends[1:], strict=False)
    ]
    assert together.tolist() == alone


def test_standard_library() -> None:
    """At least 90 of 100 files of the standard library are known to be Python by their content alone."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    found = guessed(*(f.read_text("utf-8", "replace") for f in files))
    assert len(files) > 100
    assert found.count("python") >= 0.9 * len(files)


def test_published_stories() -> None:
    """Published Chinese stories are prose and the SQL beside them is SQL, by their content alone."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "unit-minions"
    if not folder.is_dir():
        pytest.skip("the published data is not here")
    stories = [json.loads(line)["output"] for line in (folder / "userstory_detail.jsonl").open()]
    queries = [json.loads(line)["output"] for line in (folder / "sql-train-8k.jsonl").open()]
    assert guessed(*stories).count("text") >= 0.99 * len(stories)
    assert guessed(*queries).count("sql") >= 0.99 * len(queries)
