"""the installed packages -> nothing, or the line that names the extra which is missing."""

from __future__ import annotations

from importlib.util import find_spec

from governance import quick
from governance.errors import UsageError

PACKAGES = ("torch", "transformers", "peft")
INSTALL = "pip install 'lora-data-governance[train]'"


def require_train(*more: str) -> None:
    """
    Look whether what trains and asks models is installed, and let it be imported; nothing is imported here.

    Args:
        more: packages needed beside torch, transformers and peft.

    Raises:
        UsageError: with what is missing and how to install it.
    """
    quick.unhide()  # transformers needs what small commands keep away
    missing = [name for name in (*PACKAGES, *more) if find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)}: not installed, and models cannot be used without; {INSTALL}")
