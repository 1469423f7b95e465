from decimal import Decimal

from inventory import importer


def test_price_with_comma():
    assert importer.parse_price("1.234,50 EUR") == Decimal("1234.50")


def test_missing_columns():
    importer.missing_columns([{"product": "cup"}])
