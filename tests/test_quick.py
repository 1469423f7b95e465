"""What is hidden is not found, what is postponed runs when it is used, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> str:
    """Run *code* in a new interpreter and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_hidden_packages_are_found_again() -> None:
    """pandas is not there while it is hidden, and there afterwards."""
    code = (
        "from governance import quick\nquick.hide()\n"
        "try:\n    import pandas\nexcept ModuleNotFoundError as e:\n    print('hidden', e.name)\n"
        "quick.unhide()\nimport pandas\nprint(pandas.DataFrame.__name__)"
    )
    assert python(code) == "hidden pandas\nDataFrame"


@pytest.mark.parametrize("statement", ["import scipy.stats as m", "from scipy import stats as m"])
def test_postponed_modules_run_when_they_are_used(statement: str) -> None:
    """scipy.stats is a module of its name that has not run, however often it is imported; its first use runs it."""
    code = (
        f"import sys\nfrom governance import quick\nquick.postpone()\n{statement}\n{statement}\n"
        "print(m.__name__, hasattr(m, '__wrapped__'), 'scipy.stats._stats_py' in sys.modules)\n"
        "print(m.norm.cdf(0), 'scipy.stats._stats_py' in sys.modules, type(m).__name__)\n"
        "from scipy.stats import norm, entropy\nimport scipy.stats._stats_py\nprint(norm is m.norm)"
    )
    assert python(code) == "scipy.stats False False\n0.5 True module\nTrue"


def test_what_is_imported_already_stays() -> None:
    """A module that ran before keeps being itself."""
    code = (
        "import scipy.stats as one\nfrom governance import quick\nquick.postpone()\nimport scipy.stats as two\n"
        "print(one is two, type(two).__name__)"
    )
    assert python(code) == "True module"


def test_great_expectations_runs_without_them() -> None:
    """The recording process imports Great Expectations without running scipy.stats or altair."""
    code = (
        "import sys\nfrom governance import quick\nquick.postpone()\n"
        "from governance.gate.expectations import import_great_expectations\ngx = import_great_expectations()\n"
        "print('scipy.stats._stats_py' in sys.modules, 'altair.vegalite' in sys.modules, hasattr(gx, 'Checkpoint'))"
    )
    assert python(code) == "False False True"


def test_undocumented_functions_compute_the_same() -> None:
    """pyarrow's functions keep names, options and signatures; only the texts on their options are gone."""
    code = (
        "import hashlib\nimport sys\nfrom governance import quick\nif len(sys.argv) > 1:\n    quick.undocument()\n"
        "import pyarrow.compute as pc\nnames = sorted(n for n in dir(pc) if callable(getattr(pc, n)))\n"
        "said = repr([(n, str(getattr(getattr(pc, n), '__signature__', ''))) for n in names])\n"
        "print(hashlib.sha256(said.encode()).hexdigest(), pc.sum([1, 2], min_count=3))\n"
        "print('min_count : ' in pc.sum.__doc__)"
    )
    said = [
        subprocess.run([sys.executable, "-c", code, *extra], check=True, capture_output=True, text=True).stdout.split()
        for extra in ([], ["quick"])
    ]
    assert said[0][:2] == said[1][:2] and [s[2] for s in said] == ["True", "False"]
