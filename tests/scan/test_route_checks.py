"""Which words of a path are flagged; the near misses matter as much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from governance.rules import load_rules
from governance.scan.prove import prove_rules
from governance.scan.route_checks import crud_name, get_changes_state, plural_collection, verb_in_path
from governance.scan.routes import extract_routes


def flagged(check: Callable[..., Any], line: str, **params: Any) -> list[str]:
    """What *check* flags in the one route that *line* declares."""
    (route,) = extract_routes(line)
    return [line[h.start : h.end] for h in check(route, line, params)]


@pytest.mark.parametrize(
    ("line", "segment"),
    [
        ("POST /blog/createPost", "createPost"),
        ("GET /users/list", "list"),
        ("GET /order/query", "query"),
        ("GET /pets/getalldogs", "getalldogs"),
        ("POST /pets/addpet", "addpet"),
        ("POST /user/save.do", "save.do"),
        ("DELETE /v1/posts/bulk-delete", "bulk-delete"),
        ("GET /user/getById/{id}", "getById"),
        ("PUT /users/{id}/change-password", "change-password"),
        ("POST /post/delete", "delete"),
        ("POST /doDelete", "doDelete"),
    ],
)
def test_verbs_of_create_read_update_delete(line, segment):
    """A segment that is, begins or ends with such a verb is flagged as a whole."""
    assert flagged(crud_name, line) == [segment]


@pytest.mark.parametrize(
    "line",
    [
        "/settings",
        "/setup",
        "/updates",
        "/getaways",
        "/putters",
        "/reset-password",
        "/refresh-tokens",
        "/deleted-items",
        "/posts",
        "/posters",
        "/v1/sets",
        "/post",
        "/jobs/post/{id}",
        "/authentication-options",
        "/profile-options",
        "/listings",
        "/postal-codes",
        "/addresses",
        "/add-ons",
        "/load-balancers",
        "/newsletters",
        "/new-arrivals",
        "/change-requests",
        "/update-history",
        "/lists/{id}",
        "/shopping/list",
        "/dropdowns",
        "/notifications/{id}/read",
        "/read-replicas",
        "/savings-accounts",
        "/editors",
        "/findings",
        "/creators",
        "/query-logs",
        "/search-results",
        "/users/{id}:batchGet",
        "/patches",
        "/software-updates",
        "/datasets",
        "/presets",
        "/spreadsheets",
        "/credits",
    ],
)
def test_nouns_that_look_like_verbs(line):
    """Nouns that are, begin with or hold a verb are left alone."""
    assert flagged(crud_name, f"GET {line}") == []


def test_a_project_can_allow_its_own_words():
    """A segment named in ``allow`` is not flagged."""
    assert flagged(crud_name, "GET /api/getaround/getCars", allow=["getCars"]) == []


def test_get_that_changes_something():
    """The path or the name of the handler gives it away; other methods may."""
    assert flagged(get_changes_state, "GET /movie/delete/{id}") == ["delete"]
    assert flagged(get_changes_state, "DELETE /movie/delete/{id}") == []
    java = '@GetMapping("/movies/{id}") void deleteMovie(Long id) {}'
    assert flagged(get_changes_state, java) == ["/movies/{id}"]


def test_actions_below_an_item_are_accepted():
    """POST to a verb below one item is the accepted form of an action; elsewhere the verb is flagged."""
    assert flagged(verb_in_path, "POST /orders/{id}/cancel") == []
    assert flagged(verb_in_path, "POST /orders/cancel") == ["cancel"]
    assert flagged(verb_in_path, "PUT /orders/{id}/cancel") == ["cancel"]


def test_collections_are_plural():
    """A singular noun before a parameter is flagged; uncountable words, versions and fields are not."""
    assert flagged(plural_collection, "GET /order-item/{id}") == ["order-item"]
    for path in ("/people/{id}", "/v1/{id}", "/status/{code}", "/users/email/{email}", "/users/by-name/{name}"):
        assert flagged(plural_collection, f"GET {path}") == []


def test_the_pack_proves_itself():
    """Every rule of the pack flags its `flags` and leaves its `passes` alone."""
    rules = load_rules(["rest"])
    assert len(rules) == 14
    assert prove_rules(rules) == []
