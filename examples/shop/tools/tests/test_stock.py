from inventory.stock import Shelf, by_product, pick, reorder, total

import pytest


def shelves():
    return [Shelf("A", 10, {"cup": 3}), Shelf("B", 10, {"cup": 5, "pen": 1})]


def test_total_counts_every_shelf():
    assert total(shelves(), "cup") == 8


def test_by_product():
    assert by_product(shelves()) == {"cup": 8, "pen": 1}


def test_reorder_names_only_what_is_missing():
    assert reorder(shelves(), {"cup": 8, "pen": 4}) == {"pen": 3}


def test_pick_starts_with_the_fullest_shelf():
    assert pick(shelves(), "cup", 6) == [("B", 5), ("A", 1)]


def test_a_full_shelf_takes_nothing():
    with pytest.raises(ValueError):
        Shelf("A", 1).put("cup", 2)
