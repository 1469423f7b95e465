"""A training goes on from its own last whole checkpoint, and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.errors import UsageError
from governance.train.checkpoints import Checkpoints

KEY = b"k" * 32
IDENTITY: dict[str, Any] = {"dataset": "a" * 64, "base": "b" * 64, "training": {"rank": 4, "targets": ["q_proj"]}}


def opened(tmp_path: Path, key: bytes = KEY, **other: Any) -> Checkpoints:
    """The checkpoints of ``tmp_path/adapter``."""
    return Checkpoints(tmp_path / "adapter", IDENTITY | other, key)


def made(own: Checkpoints, step: int) -> Path:
    """A sealed checkpoint with one file."""
    path = own.folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "weights").write_bytes(b"w" * step)
    own.seal(step)
    return path


def test_the_newest_whole_one_is_taken(tmp_path: Path) -> None:
    """By its number, not by its name or date; none is None."""
    own = opened(tmp_path)
    assert own.last() is None
    made(own, 100)
    made(own, 20)
    assert own.last() == own.folder / "checkpoint-100"


@pytest.mark.parametrize("what", ["no seal", "changed", "added", "removed", "renamed", "cut seal", "link"])
def test_one_that_is_not_whole_is_none(tmp_path: Path, what: str) -> None:
    """One that was cut off or touched is removed and the one before it taken."""
    own = opened(tmp_path)
    first, last = made(own, 1), made(own, 2)
    match what:
        case "no seal":
            (last / "seal.json").unlink()
        case "changed":
            (last / "weights").write_bytes(b"other")
        case "added":
            (last / "more").write_bytes(b"")
        case "removed":
            (last / "weights").unlink()
        case "renamed":
            last.rename(own.folder / "checkpoint-3")
        case "cut seal":
            (last / "seal.json").write_bytes(b'{"se')
        case "link":
            last.rename(tmp_path / "elsewhere")
            last.symlink_to(tmp_path / "elsewhere")
    assert own.last() == first
    assert sorted(p.name for p in own.folder.glob("checkpoint-*")) == ["checkpoint-1"]


def test_one_of_another_workspace_is_none(tmp_path: Path) -> None:
    """A checkpoint that was sealed with another key was put there by somebody else."""
    made(foreign := opened(tmp_path, key=b"other" * 8), 5)
    foreign.close()
    assert opened(tmp_path).last() is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"dataset": "c" * 64}, "dataset was aaaa"),
        ({"base": "c" * 64}, "base was bbbb"),
        ({"training": {"rank": 8, "targets": ["q_proj"]}}, "rank was 4, is 8"),
    ],
    ids=["dataset", "base", "settings"],
)
def test_another_training_is_refused(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    """The message names what differs, and nothing is removed."""
    own = opened(tmp_path)
    path = made(own, 5)
    own.close()
    with pytest.raises(UsageError, match=said) as refused:
        opened(tmp_path, **other)
    assert str(own.folder) in str(refused.value) and path.is_dir()
    assert opened(tmp_path).last() == path


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    """Where it cannot be told what training the folder belongs to, none goes on."""
    own = opened(tmp_path)
    own.close()
    (own.folder / "training.json").write_bytes(b"{")
    with pytest.raises(UsageError, match="damaged"):
        opened(tmp_path)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    """While one training has the folder another one is told so; afterwards it may have it."""
    own = opened(tmp_path)
    with pytest.raises(UsageError, match="another process"):
        opened(tmp_path)
    own.close()
    opened(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []
