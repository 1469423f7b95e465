"""Templates fill a rule's texts with made-up values, always the same ones."""

from __future__ import annotations

import base64
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.rules import load_rules
from governance.templates import ALPHABETS, BASE62, cn_id_character, fill, luhn_digit


@settings(deadline=None)
@given(st.sampled_from(sorted(ALPHABETS)), st.integers(1, 80), st.text(max_size=10))
def test_alphabet_and_length(name: str, count: int, seed: str) -> None:
    """A template gives as many characters as it says, all of its alphabet, the same ones for the same seed."""
    value = fill(f"<{{{name}*{count}}}>", seed)
    assert len(value) == count + 2 and set(value[1:-1]) <= set(ALPHABETS[name])
    assert value == fill(f"<{{{name}*{count}}}>", seed)


def test_other_seeds_give_other_values() -> None:
    """Two rules never share a made-up value, and two templates of one text differ."""
    assert fill("{base62*32}", "a") != fill("{base62*32}", "b")
    first, second = fill("{base62*32} {base62*32}", "a").split()
    assert first != second


@pytest.mark.parametrize(
    "text", ["/users/{userId}", "${X}", "{upper}", "{*3}", "{nothing*3}", "{upper*}", "{}", "{a*b}"]
)
def test_other_braces_stay(text: str) -> None:
    """What is no template stays as it stands."""
    assert fill(text, "a") == text


def test_checksums() -> None:
    """Computed digits satisfy the checks they are made for."""
    card = fill("4{digits*14}{luhn*1}", "a")
    total = sum(sum(divmod(int(c) * (1 + i % 2), 10)) for i, c in enumerate(reversed(card)))
    assert len(card) == 16 and total % 10 == 0
    assert (
        fill("11010519491231002{cnid*1}", "a").endswith(cn_id_character("11010519491231002")) and luhn_digit("") == "0"
    )
    iban = fill("{iban*18}", "a")
    moved = "".join(str(int(c, 36)) for c in iban[4:] + iban[:4])
    assert re.fullmatch(r"DE\d{20}", iban) and int(moved) % 97 == 1
    token = fill("ghp_{base62*30}{crc32_base62*6}", "a")
    number = 0
    for c in token[-6:]:
        number = number * 62 + BASE62.index(c)
    assert number == zlib.crc32(token[4:-6].encode())
    assert base64.b64decode(fill("{basic*12}", "a")).startswith(b"app:")
    assert base64.b64decode(fill("{base64_digits*12}", "a")).isdigit()
    assert fill("{same*5}", "a") == "aaaaa"


def test_no_template_is_left_in_a_rule() -> None:
    """Every template of the built-in rules has a known name: none reaches a scanner unfilled."""
    for rule in load_rules():
        for text in (*rule.flags, *rule.passes):
            assert not re.search(r"\{[a-z0-9_]+\*\d+\}", str(text)), rule.rule_id
