"""Kernels are compiled once, loaded without the compiler's knowledge, and give the same numbers either way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
import numpy as np
from numba import int64
from governance.kernels import I64, kernel

@kernel()
def twice(x):
    return 2 * x

@kernel(int64(I64, int64))
def weigh(values, start):
    room = np.empty(values.size, np.int64)
    for i in range(values.size):
        room[i] = twice(values[i])
    return start + room.sum()
"""

USE = (
    "import numpy as np, own_kernels, sys\nfrom numba.core.typing.templates import builtin_registry\n"
    "a = np.arange(5)\na.flags.writeable = False\n"
    "print(own_kernels.weigh(a, 1), dict(own_kernels.weigh.stats.cache_hits) != {})\n"
    "print(own_kernels.twice(21))\n"
    "try:\n    own_kernels.weigh('x', 1)\nexcept TypeError:\n    print('refused')"
)


def use(folder: Path, **environment: str) -> list[str]:
    """Import the kernels in a new process and call them."""
    found = subprocess.run(
        [sys.executable, "-c", USE], check=True, capture_output=True, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parent.parent}:{folder}", **environment},
    )  # fmt: skip
    return found.stdout.split("\n")[:-1]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own_kernels.py").write_text(SOURCE)
    return tmp_path


def test_a_kernel_from_the_cache_equals_the_compiled_one(own: Path) -> None:
    """The first process compiles, the second loads; arrays, calls of kernels and memory of their own work in both."""
    assert use(own) == ["21 False", "42", "refused"]
    assert use(own) == ["21 True", "42", "refused"]


def test_a_changed_source_is_compiled_again(own: Path) -> None:
    """What the cache holds of an older source is not used."""
    use(own)
    path = own / "own_kernels.py"
    path.write_text(SOURCE.replace("2 * x", "3 * x"))
    os.utime(path, ns=(1, 1))
    assert use(own)[0] == "31 False"


def test_kernels_work_uncompiled_and_without_a_cache(own: Path) -> None:
    """NUMBA_DISABLE_JIT leaves plain functions; a folder that takes no cache only costs the time of compiling."""
    code = "import numpy as np, own_kernels\nprint(own_kernels.weigh(np.arange(5), 1))"
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent.parent}:{own}", "NUMBA_DISABLE_JIT": "1"}
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert found.stdout.strip() == "21"


def test_loading_the_package_does_not_wake_the_compiler() -> None:
    """With a warm cache the search for duplicates is imported without a registry of the compiler being filled."""
    code = (
        "import governance.dedup.cluster, sys\n"  # the first process fills the cache, should it be empty
        "print('numba.np.random.legacy' in sys.modules)"
    )
    for _ in range(2):
        found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"
