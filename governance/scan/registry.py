"""Named functions that rules call: checks (`check: NAME`) find places, validators (`validate: NAME`) judge a match."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from governance.errors import RuleError


@dataclass(frozen=True, slots=True)
class Hit:
    """
    One place that a check flags: half-open code points of the text it was given.

    ``detail`` holds numbers and fixed words only, never text of the sample. ``field`` names the field of a
    finding that is about the whole sample; elsewhere it stays empty.
    """

    start: int
    end: int
    detail: str = ""
    field: str = ""


Check = Callable[[Any, str, Mapping[str, Any]], Iterable[Hit]]
"""(unit, text, parameters) -> hits. The unit is what the rule's ``field`` says: Text, Route, Story, or for
``sample`` the list of its Texts (then *text* is empty)."""

Validator = Callable[[str, str, int, int], bool]
"""(value, text, start, end) -> keep the match? Offsets are code points of *text*."""

_CHECKS: dict[str, Check] = {}
_VALIDATORS: dict[str, Validator] = {}
_MODULES = ("checks", "route_checks", "story_checks", "validators", "pii_validators")


def named_check(name: str) -> Callable[[Check], Check]:
    """Register the decorated function as the check *name*."""

    def register(function: Check) -> Check:
        _CHECKS[name] = function
        return function

    return register


def named_validator(name: str) -> Callable[[Validator], Validator]:
    """Register the decorated function as the validator *name*."""

    def register(function: Validator) -> Validator:
        _VALIDATORS[name] = function
        return function

    return register


def find_check(name: str, rule_id: str) -> Check:
    """Return the check *name*. Raises RuleError with the known names."""
    _load()
    if name not in _CHECKS:
        raise RuleError(f"{rule_id}: check {name!r} is unknown; known are {', '.join(sorted(_CHECKS))}")
    return _CHECKS[name]


def find_validator(name: str, rule_id: str) -> Validator:
    """Return the validator *name*. Raises RuleError with the known names."""
    _load()
    if name not in _VALIDATORS:
        raise RuleError(f"{rule_id}: validator {name!r} is unknown; known are {', '.join(sorted(_VALIDATORS))}")
    return _VALIDATORS[name]


def _load() -> None:
    for module in _MODULES:
        importlib.import_module(f"governance.scan.{module}")
