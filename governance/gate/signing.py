"""verdict -> in-toto Statement -> DSSE envelope, and back; Ed25519.

The statement's predicate is in-toto's `test-result/v0.1`, which policy engines read; what it has no field for stands in
one extension field, named by a URI as the in-toto specification asks. The envelope is DSSE: the signature covers the
pre-authentication encoding of type and payload, so no byte of the payload is parsed before it is verified.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from governance.errors import SignatureError
from governance.gate.judge import ERROR, FAILED, NOT_RUN, OPEN, WARNED, Verdict

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
DETAILS = "urn:lora-data-governance:verdict:v1"
"""The extension field of the predicate."""

MAX_PAYLOAD = 16 * 1024 * 1024  # bytes


def canonical_json(value: Any) -> bytes:
    """
    Return *value* as JSON bytes with sorted keys, no spaces, UTF-8; equal values give equal bytes.

    >>> canonical_json({"b": 1, "a": "\\u00e9"})
    b'{"a":"\\xc3\\xa9","b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def pae(payload_type: str, payload: bytes) -> bytes:
    """
    Return DSSE's pre-authentication encoding, the bytes that are signed.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def timestamp(moment: datetime) -> str:
    """
    Return *moment* as RFC 3339 in UTC, whole seconds.

    >>> from datetime import timezone
    >>> timestamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
    '2026-01-02T03:04:05Z'
    """
    from datetime import UTC

    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_statement(
    verdict: Verdict,
    *,
    dataset: str,
    digest: str,
    pipeline: tuple[str, str],
    rules_digest: str,
    policy: tuple[str, str] | None,
    run: str,
    created: datetime,
    expires: datetime,
    manifest: str = "",
    accepted: int = 0,
) -> dict[str, Any]:
    """
    Return the in-toto Statement about one dataset.

    Args:
        dataset, digest: its name, and its digest (64 hex digits).
        pipeline, policy: name and digest of each.
        created, expires: with a time zone.
        accepted: findings that a baseline accepted.
    """
    configuration = [("pipeline", *pipeline), ("rules", "rules", rules_digest)]
    if policy is not None:
        configuration.append(("policy", *policy))
    breached = {r.gate for r in verdict.breaches}
    failed = [r.gate for r in verdict.results if r.status in (FAILED, ERROR) or r.gate in breached]
    warned = [r.gate for r in verdict.results if r.status in OPEN and r.status != "PASSED"]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": dataset, "digest": {"sha256": digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": verdict.test_result,
            "configuration": [
                {"name": kind, "digest": {"sha256": sha256}, "annotations": {"name": name}}
                for kind, name, sha256 in configuration
            ],
            "passedTests": [r.gate for r in verdict.results if r.status == "PASSED"],
            "warnedTests": warned,
            "failedTests": failed,
            DETAILS: {
                "status": verdict.status,
                "run": run,
                "manifest": manifest,
                "created": timestamp(created),
                "expires": timestamp(expires),
                "accepted": accepted,
                "waived": [r.gate for r in verdict.results if r.status == "WAIVED"],
                "warned": [r.gate for r in verdict.results if r.status == WARNED],
                "notRun": [r.gate for r in verdict.results if r.status == NOT_RUN],
                "breaches": [r.gate for r in verdict.breaches],
                "reasons": list(verdict.reasons),
            },
        },
    }


def sign(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return *statement* in a DSSE envelope signed by *key*; Ed25519 is deterministic, so equal in is equal out."""
    from governance.gate.keys import key_id

    payload = canonical_json(statement)
    signature = key.sign(pae(PAYLOAD_TYPE, payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def open_envelope(
    envelope: Any, trusted: Mapping[str, Ed25519PublicKey], *, kind: str = PREDICATE_TYPE
) -> tuple[dict[str, Any], str]:
    """
    Verify a DSSE envelope and return its statement and the id of the key that signed it.

    Args:
        envelope: as read from JSON; nothing in it is believed before a signature of a trusted key holds.
        trusted: public keys by key id.
        kind: the predicate type that the statement has to have; a signature under one of another kind proves nothing.

    Raises:
        SignatureError: no envelope, no signature by a trusted key, a signature that does not hold, or a payload that is
            not a statement of this kind.
    """
    payload_type, payload, signatures = _parts(envelope)
    known = [(i, s) for i, s in signatures if i in trusted]
    if not known:
        found = ", ".join(i[:16] for i, _ in signatures) or "none"
        raise SignatureError(f"signed by key {found}, which is not trusted; add it with 'governance keys trust FILE'")
    signer = next((i for i, s in known if _holds(trusted[i], s, pae(payload_type, payload))), None)
    if signer is None:
        raise SignatureError(f"the signature of key {known[0][0][:16]} does not hold; the verdict was changed")
    if payload_type != PAYLOAD_TYPE:
        raise SignatureError("the payload is signed but is no in-toto statement")
    try:
        statement = json.loads(payload)
    except ValueError:
        raise SignatureError("the payload is signed but is not JSON") from None
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
        raise SignatureError(f"the payload is signed but is no {STATEMENT_TYPE}")
    if statement.get("predicateType") != kind:
        raise SignatureError(f"the statement is signed but its predicate is no {kind}")
    return statement, signer


def _parts(envelope: Any) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    problem = SignatureError("not a DSSE envelope; expected payloadType, payload and signatures")
    if not isinstance(envelope, dict) or not isinstance(envelope.get("signatures"), list):
        raise problem
    kind, body = envelope.get("payloadType"), envelope.get("payload")
    if not isinstance(kind, str) or not isinstance(body, str) or len(body) > MAX_PAYLOAD:
        raise problem
    signatures = []
    try:
        for entry in envelope["signatures"]:
            if not isinstance(entry, dict) or not isinstance(entry.get("keyid"), str):
                raise problem
            signatures.append((entry["keyid"], base64.b64decode(str(entry.get("sig")), validate=True)))
        return kind, base64.b64decode(body, validate=True), signatures
    except (binascii.Error, ValueError):
        raise SignatureError("not a DSSE envelope; payload and signatures have to be base64") from None


def _holds(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True
