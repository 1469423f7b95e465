"""What comes back that is secret, and how a model writes routes and stories."""

from __future__ import annotations

import pyarrow as pa
import pytest

from governance.audit.habits import Watch, _batch

ADDRESS, OTHER = "erika.muster" + "@" + "firma-beispiel.de", "max.exempel" + "@" + "firma-beispiel.de"


@pytest.fixture(scope="module")
def watch() -> Watch:
    """Rules that know one address of the training data."""
    made = Watch()
    made.learn(pa.Table.from_batches([_batch(["x"], [f'CONTACT = "{ADDRESS}"'])]))
    return made


def test_what_comes_back(watch: Watch) -> None:
    """A secret of the training data that a model writes came back; another is made up; one of the prompt is neither."""
    found = watch.look(["ask", "ask", f"mail {ADDRESS}"], [f"to {ADDRESS}", f"to {OTHER}", f"to {ADDRESS}"])
    assert (found.secrets_back, found.secrets_new, found.texts) == (1, 1, 3)
    assert ADDRESS not in repr(found.as_dict())


def test_routes_and_stories(watch: Watch) -> None:
    """Routes that break a rule and criteria of stories are counted in answers, not in prompts."""
    good, bad = '@GetMapping("/orders/{id}")\nfoo();', '@GetMapping("/getOrder_List/")\nfoo();'
    story = "As a user I want to pay, so that I get it.\nAC1: Given a cart, when I pay, then it ships.\nAC2:\n"
    prompts = [bad, "", story, ""]
    found = watch.look(prompts, [good, bad, "", story])
    assert (found.routes, found.routes_wrong) == (2, 1)
    assert found.stories == 1 and found.criteria_effective <= found.criteria_declared


def test_nothing_written(watch: Watch) -> None:
    """No answers, empty ones and lone surrogates are counted like any."""
    assert watch.look([], []).texts == 0
    assert watch.look(["", "\ud800"], ["", "\udfff"]).secrets_back == 0
