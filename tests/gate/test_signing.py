"""DSSE over an in-toto Statement."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.errors import SignatureError
from governance.gate.judge import GateResult, Verdict, judge_gate
from governance.gate.keys import key_id
from governance.gate.signing import DETAILS, canonical_json, make_statement, open_envelope, pae, sign, timestamp
from governance.settings import GateSpec

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
TRUSTED = {key_id(PUBLIC): PUBLIC}
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SPEC = GateSpec(metric="quarantined", limit=0.1)
RESULTS = (
    judge_gate("fine", SPEC, (10, 0)),
    GateResult("warned", SPEC, "WARNED", 10, 5, 0.5),
    GateResult("waived", SPEC, "WAIVED", 10, 5, 0.5),
    judge_gate("failed", SPEC, (10, 5)),
    judge_gate("absent", SPEC, None),
)


def statement(
    results: tuple[GateResult, ...] = RESULTS, status: Any = "CLOSED", breaches: tuple[GateResult, ...] = RESULTS[-2:]
) -> dict[str, Any]:
    return make_statement(
        Verdict(status, results, breaches, ("a reason",) if status == "CLOSED" else ()),
        dataset="d.jsonl",
        digest="a" * 64,
        pipeline=("default", "b" * 64),
        rules_digest="c" * 64,
        policy=("acme", "d" * 64),
        run="r1",
        created=NOW,
        expires=NOW + timedelta(days=30),
    )


def test_the_statement_is_an_in_toto_test_result() -> None:
    """Subject, result, configuration and the three lists stand where the specification has them."""
    made = statement()
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert made["subject"] == [{"name": "d.jsonl", "digest": {"sha256": "a" * 64}}]
    predicate = made["predicate"]
    assert predicate["result"] == "FAILED"
    assert {c["name"]: c["digest"]["sha256"][0] for c in predicate["configuration"]} == {
        "pipeline": "b",
        "rules": "c",
        "policy": "d",
    }
    assert predicate["passedTests"] == ["fine"]
    assert predicate["warnedTests"] == ["warned", "waived"]
    assert predicate["failedTests"] == ["failed", "absent"]
    assert predicate[DETAILS]["expires"] == "2026-05-31T12:00:00Z"
    assert statement(RESULTS[:1], "PASSED", ())["predicate"]["result"] == "PASSED"
    assert statement(RESULTS[:2], "PASSED", ())["predicate"]["result"] == "WARNED"


def test_a_gate_that_does_not_apply_is_no_failed_test() -> None:
    """NOT_RUN without being a breach is named apart, and the result is still PASSED."""
    predicate = statement((RESULTS[0], RESULTS[-1]), "PASSED", ())["predicate"]
    assert (predicate["result"], predicate["failedTests"]) == ("PASSED", [])
    assert predicate[DETAILS]["notRun"] == ["absent"]


def test_a_signature_opens_with_its_key() -> None:
    """What was signed comes back, with the id of the signer, after a trip through JSON."""
    envelope = json.loads(json.dumps(sign(statement(), KEY)))
    assert open_envelope(envelope, TRUSTED) == (statement(), key_id(PUBLIC))


def test_signing_is_deterministic() -> None:
    """The same statement and key give the same envelope, so a run can be repeated byte for byte."""
    assert canonical_json(sign(statement(), KEY)) == canonical_json(sign(statement(), KEY))


def test_what_is_signed_is_dsse() -> None:
    """The signature verifies over the encoding that the DSSE specification gives, built here by hand."""
    envelope = sign(statement(), KEY)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    by_hand = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    assert pae(kind, payload) == by_hand
    PUBLIC.verify(base64.b64decode(envelope["signatures"][0]["sig"]), by_hand)


def test_any_changed_byte_is_found() -> None:
    """Flipping one bit anywhere in payload or signature breaks the envelope."""
    envelope = sign(statement(), KEY)
    payload = base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    for place in (0, 1, len(payload) // 2, len(payload) - 1):
        changed = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(SignatureError, match="does not hold"):
            open_envelope(envelope | {"payload": base64.b64encode(changed).decode()}, TRUSTED)
    for place in range(0, 64, 9):
        changed = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        entry = {"keyid": key_id(PUBLIC), "sig": base64.b64encode(changed).decode()}
        with pytest.raises(SignatureError, match="does not hold"):
            open_envelope(envelope | {"signatures": [entry]}, TRUSTED)


def test_another_payload_type_breaks_the_signature() -> None:
    """The type is part of what is signed."""
    with pytest.raises(SignatureError, match="does not hold"):
        open_envelope(sign(statement(), KEY) | {"payloadType": "text/plain"}, TRUSTED)


def test_a_key_that_is_not_trusted_does_not_count() -> None:
    """Neither a foreign key nor a foreign signature under a trusted id opens anything."""
    foreign = sign(statement(), Ed25519PrivateKey.generate())
    with pytest.raises(SignatureError, match="which is not trusted"):
        open_envelope(foreign, TRUSTED)
    foreign["signatures"][0]["keyid"] = key_id(PUBLIC)
    with pytest.raises(SignatureError, match="does not hold"):
        open_envelope(foreign, TRUSTED)
    with pytest.raises(SignatureError, match="which is not trusted"):
        open_envelope(sign(statement(), KEY), {})


def test_one_trusted_signature_among_others_is_enough() -> None:
    """An envelope that two signed opens for those who trust one of them, and names that one."""
    envelope = sign(statement(), KEY)
    envelope["signatures"].insert(0, sign(statement(), Ed25519PrivateKey.generate())["signatures"][0])
    assert open_envelope(envelope, TRUSTED)[1] == key_id(PUBLIC)


@pytest.mark.parametrize(
    "envelope",
    [
        None,
        [],
        {},
        {"payloadType": "x", "payload": "!!", "signatures": []},
        {"payloadType": "x", "payload": "", "signatures": {}},
        {"payloadType": "x", "payload": "", "signatures": [1]},
        {"payloadType": "x", "payload": "", "signatures": [{"keyid": "a", "sig": "?"}]},
        {"payloadType": 1, "payload": "", "signatures": []},
        {"payloadType": "x", "payload": "", "signatures": []},
    ],
)
def test_what_is_no_envelope_is_refused(envelope: Any) -> None:
    """Any other JSON ends with SignatureError, never with a crash that might read as success."""
    with pytest.raises(SignatureError):
        open_envelope(envelope, TRUSTED)


@pytest.mark.parametrize("other", [[], "text", {"_type": "x"}, {"_type": "https://in-toto.io/Statement/v1"}])
def test_a_signed_payload_of_another_kind_is_refused(other: Any) -> None:
    """A trusted key may sign other things; they are no verdict."""
    with pytest.raises(SignatureError, match="is signed but"):
        open_envelope(sign(other, KEY), TRUSTED)


def test_canonical_json_refuses_nan() -> None:
    """NaN is not JSON, and must not be signed as if it were."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"value": float("nan")})


def test_time_is_utc() -> None:
    """A local time is written as the same moment in UTC."""
    assert timestamp(datetime(2026, 5, 1, 8, tzinfo=timezone(timedelta(hours=8)))) == "2026-05-01T00:00:00Z"
