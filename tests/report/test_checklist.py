"""The compliance checklist."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from made_run import MadeRun, gate, made_run

from governance.data import data_folder
from governance.report.checklist import _COMPUTED, STATUSES, checklist_items


def item(run: MadeRun, item_id: str) -> dict[str, Any]:
    return next(i for i in checklist_items(run.evidence) if i["id"] == item_id)


def test_all_items():
    """There are 37 items in order, each with titles and reasons in both languages and who demands it."""
    for passed in (False, True):
        items = checklist_items(made_run(passed=passed).evidence)
        assert [i["id"] for i in items] == [f"E{n:02}" for n in range(1, 38)]
        for i in items:
            assert i["status"] in STATUSES
            assert i["class"] in ("B", "W", "I")
            assert all(i[key] for key in ("title", "title_zh", "why", "why_zh", "demanded_by"))


def test_file_and_code_agree():
    """The file calls those items computed that the code computes, and the others can only be not checked."""
    items = yaml.safe_load((data_folder("reports") / "checklist.yaml").read_text("utf-8"))["items"]
    assert {i["id"] for i in items if i["computed"]} == set(_COMPUTED)
    for i in items:
        assert set(i["why"]) == set(i["why_zh"])
        assert i["computed"] or set(i["why"]) == {"not_checked"}


def test_what_is_not_computed_is_not_checked():
    """Nothing is met that this run did not measure."""
    for i in checklist_items(made_run(passed=True).evidence):
        assert i["id"] in _COMPUTED or (i["status"], i["value"]) == ("not_checked", "")


def test_passed_run():
    """A passed run meets identity, rows, secrets, quality, near-duplicates, size and waivers, and no more."""
    met = [i["id"] for i in checklist_items(made_run(passed=True).evidence) if i["status"] == "met"]
    assert met == ["E01", "E03", "E10", "E13", "E18", "E23", "E30"]


def test_identity():
    """The identity is not met by a file without SHA-256 or bytes that changed, and not checked while nobody looked."""
    run = made_run()
    assert item(run, "E01")["status"] == "not_checked"
    run.evidence["dataset"]["unchanged"] = True
    assert item(run, "E01")["status"] == "met"
    run.evidence["dataset"]["unchanged"] = False
    assert item(run, "E01")["status"] == "not_met"
    run = made_run(passed=True)
    run.evidence["dataset"]["files"][0]["sha256"] = ""
    assert item(run, "E01")["status"] == "not_met"


def test_rows():
    """Rows that do not add up, in the dataset or in the ledger, are not met."""
    run = made_run()
    assert item(run, "E03")["value"] == "1,201 records = 1,200 samples + 1 quarantined"
    run.evidence["dataset"]["samples"] = 1199
    assert item(run, "E03")["status"] == "not_met"
    run = made_run()
    run.evidence["ledger"] = {"in": 10, "kept": 5, "changed": 2, "dropped": {"exact": 1, "near": 1}}
    assert item(run, "E03")["status"] == "not_met"
    run.evidence["ledger"]["dropped"]["near"] = 2
    assert item(run, "E03")["status"] == "met"


def test_secrets():
    """Secrets are met by no open finding and all probes found; a missed probe, or no pack, is enough to lose it."""
    assert item(made_run(), "E10")["status"] == "not_met"
    assert item(made_run(), "E10")["value"] == "3 findings open, 0 accepted, 231 of 231 probes found"
    run = made_run(passed=True)
    run.evidence["probes"] = {"planted": 231, "found": 230, "missed": ["secrets/token"]}
    assert item(run, "E10")["status"] == "not_met"
    run.evidence["probes"] = {"planted": 0, "found": 0, "missed": []}
    assert item(run, "E10")["status"] == "not_checked"
    run.evidence["rules"]["packs"] = ["rest"]
    assert (item(run, "E10")["status"], item(run, "E10")["value"]) == ("not_checked", "")


def test_personal_data_is_never_met():
    """Personal data is never met by a scan alone, since nobody has bounded what the detectors miss."""
    run = made_run()
    assert item(run, "E07")["status"] == "not_checked"
    assert item(run, "E07")["value"] == "0 findings open, 1 accepted"
    next(e for e in run.evidence["findings"] if e["rule"] == "pii/email-address")["accepted"] = 0
    assert item(run, "E07")["status"] == "not_met"


@pytest.mark.parametrize("status", ["FAILED", "ERROR", "NOT_RUN", "WARNED", "WAIVED"])
def test_quality(status: str):
    """One required gate that is anything but passed loses the item on quality; so does an empty one."""
    run = made_run(passed=True)
    run.evidence["gates"].append(gate("more", status, 0.1, 0.0))
    run.evidence["breaches"].append("more")
    assert item(run, "E13")["status"] == "not_met"
    run.evidence["gates"][-1] |= {"required": False}
    assert item(run, "E13")["status"] == "met"
    run.evidence["gates"][-1] |= {"required": True, "status": "PASSED", "checked": 0}
    assert item(run, "E13")["status"] == "not_met"


def test_gate_that_does_not_apply():
    """A gate that did not run and is no breach does not count against quality."""
    run = made_run(passed=True)
    run.evidence["gates"].append(gate("rows-lost", "NOT_RUN", None, 0.5))
    assert item(run, "E13")["status"] == "met"
