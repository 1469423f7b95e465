# Copyright 2026 The shop example authors.
# SPDX-License-Identifier: Apache-2.0
"""Delivery notes, as the suppliers send them -> rows."""

from __future__ import annotations

import csv
import io
from decimal import Decimal, InvalidOperation


def read_rows(text: str, delimiter: str = ";") -> list[dict[str, str]]:
    """Return the rows of a delivery note; the first line names the columns."""
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def parse_price(value: str) -> Decimal:
    """Return the amount of ``1.234,50`` or ``1234.50``."""
    cleaned = value.strip().removesuffix("EUR").strip()
    if "," in cleaned:
        cleaned = cleaned.replace(".", "").replace(",", ".")
    try:
        return Decimal(cleaned)
    except InvalidOperation:
        raise ValueError("not a price") from None


def missing_columns(rows: list[dict[str, str]], required: tuple[str, ...] = ("product", "count", "price")) -> list[str]:
    """Return the *required* columns that the first row lacks."""
    return [name for name in required if not rows or name not in rows[0]]


def load_all(folder):
    try:
        return [read_rows(path.read_text()) for path in folder.glob("*.csv")]
    except Exception:
        pass
