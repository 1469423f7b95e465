"""The package works from its wheel, in an empty folder, without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from governance import data
from governance.errors import GovernanceError

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("rules", "pipelines", "reports")

SCRIPT: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["governance"]

START = """
import importlib, sys
sys.path[:0] = {paths!r}
import governance
assert governance.__file__.startswith({where!r}), governance.__file__
assert {checkout!r} not in sys.path
sys.argv[0] = "governance"
module, _, function = {script!r}.partition(":")
getattr(importlib.import_module(module), function)()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel that is built from it, as an index would get them; no network."""
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "checkout"
    ignored = shutil.ignore_patterns(".*", "demo-out", "tests", "examples", "benchmarks", "__pycache__", "shared")
    shutil.copytree(ROOT, source, ignore=ignored)
    shutil.copy(ROOT / ".gitignore", source)
    ended = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)],
        cwd=source, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder with the wheel and nothing else in it."""
    where = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(where), str(wheel)], check=True)
    return where


def call(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """
    Run the installed command in *folder*.

    ``-I -S`` leaves out the folder, PYTHONPATH and every .pth file, and with them the editable install of the checkout;
    the libraries are then named one by one.
    """
    libraries = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}
    paths = [str(installed), *sorted(libraries)]
    script = START.format(paths=paths, where=str(installed), checkout=str(ROOT), script=SCRIPT)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GOVERNANCE_", "PYTHON", "SOURCE_DATE"))}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, *arguments],
        cwd=folder, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip


def contents(folder: Path) -> set[str]:
    """Return the files that git keeps below *folder* of the checkout; without git, all that are no caches."""
    return {
        p.relative_to(ROOT).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".pyc"
    }


def test_wheel_is_complete(built: Path) -> None:
    """The wheel holds every module and every rule, pipeline and report file, the licence, and no tests."""
    (wheel,) = built.glob("lora_data_governance-*-py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert contents(ROOT / "governance") - names == set()
    for folder in FOLDERS:
        assert {f"governance/_data/{name}" for name in contents(ROOT / folder)} - names == set()
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"governance"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_source_archive_is_complete(built: Path) -> None:
    """The source archive holds what the wheel is built from, README and changelog."""
    (archive,) = built.glob("lora_data_governance-*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    expected = set().union(*(contents(ROOT / folder) for folder in (*FOLDERS, "governance")))
    expected |= {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"}
    assert expected - names == set()


def test_rules_prove_themselves(installed: Path, tmp_path: Path) -> None:
    """`governance rules test` proves the packs inside the wheel, as many as the checkout has."""
    ended = call(installed, tmp_path, "rules", "test")
    expected = len([p for p in (ROOT / "rules").glob("*/*.yaml") if p.name != "_pack.yaml"])
    assert (ended.returncode, ended.stdout) == (0, f"{expected} rules, 0 problems\n"), ended.stderr


def test_check_passes_and_closes(installed: Path, tmp_path: Path) -> None:
    """`governance check` passes a control dataset with its signed run, recorded, and closes on an empty one."""
    shutil.copy(ROOT / "pipelines" / "controls" / "default.jsonl", tmp_path / "data.jsonl")
    ended = call(installed, tmp_path, "check", "data.jsonl", "--pipeline", "default", "--processes", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (run,) = (tmp_path / ".governance" / "runs").iterdir()
    evidence = json.loads((run / "evidence.json").read_text("utf-8"))
    assert evidence["verdict"]["status"] == "PASSED"
    assert (run / "report.html").exists() and (run / "gx" / "index.html").exists()
    assert call(installed, tmp_path, "verify").returncode == 0
    (tmp_path / "empty.jsonl").write_bytes(b"")
    assert call(installed, tmp_path, "check", "empty.jsonl", "--no-record").returncode == 1


def test_doctor(installed: Path, tmp_path: Path) -> None:
    """`governance doctor` finds the data folders inside the wheel and every engine working."""
    ended = call(installed, tmp_path, "doctor", "--format", "json")
    rows = {r["check"]: r for r in json.loads(ended.stdout)}
    assert [r for r in rows.values() if r["ok"] == "no"] == []
    assert ended.returncode == 0
    assert rows["data folders"]["detail"].startswith("rules (")


def test_data_folder_in_the_checkout() -> None:
    """Beside the package, the folders of the checkout are found."""
    assert [data.data_folder(name) for name in FOLDERS] == [ROOT / name for name in FOLDERS]


def test_data_folder_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the package come first, those beside it second; without both the installation is named as incomplete."""
    package = tmp_path / "governance"
    inside, beside = package / "_data" / "rules", tmp_path / "rules"
    package.mkdir()
    monkeypatch.setattr(data, "__file__", str(package / "data.py"))
    with pytest.raises(GovernanceError, match="the folder 'rules' is missing; install the package again"):
        data.data_folder("rules")
    beside.mkdir()
    assert data.data_folder("rules") == beside
    inside.mkdir(parents=True)
    assert data.data_folder("rules") == inside
