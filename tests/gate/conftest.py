"""Fixtures of the gate's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gate_tables import Tables


@pytest.fixture
def tables() -> Iterator[Tables]:
    """Every table of a run, empty, in memory."""
    made = Tables()
    yield made
    made.con.close()
