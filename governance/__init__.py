"""Quality gates between a company's code and the model tuned on it."""

from __future__ import annotations

__version__ = "0.1.0"
