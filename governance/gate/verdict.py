"""signed verdict, dataset digest, trust, now -> a verified verdict, or the reason why it does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from governance.errors import SignatureError
from governance.gate.signing import DETAILS, open_envelope

if TYPE_CHECKING:
    from governance.gate.keys import Trust
    from governance.settings import Policy

SKEW = timedelta(minutes=5)
"""How far the clock of the signer may be ahead."""


@dataclass(frozen=True, slots=True)
class VerifiedVerdict:
    """What a verdict that holds says; times are in UTC, digests are 64 hex digits."""

    dataset: str
    digest: str
    result: str
    pipeline: str
    pipeline_digest: str
    rules_digest: str
    policy_digest: str | None
    run: str
    created: datetime
    expires: datetime
    keyid: str
    signed_here: bool
    waived: tuple[str, ...] = ()
    accepted: int = 0
    manifest: str = ""

    @property
    def signer(self) -> str:
        """The signer in words; a signature made on this machine proves less, and says so."""
        whose = "the key of this workspace; others need not trust it" if self.signed_here else "a trusted key"
        return f"{self.keyid[:16]} ({whose})"


def verify_verdict(
    envelope: Any,
    *,
    digest: str,
    trust: Trust,
    now: datetime,
    pipeline_digest: str | None = None,
    policy: Policy | None = None,
) -> VerifiedVerdict:
    """
    Return the verdict in *envelope* if it holds for exactly this dataset, now.

    Args:
        envelope: DSSE, as read from JSON.
        digest: of the dataset that is to be used, computed from its bytes.
        trust: keys.load_trust of the workspace and the policy's ``trusted_keys``.
        now: with a time zone.
        pipeline_digest: if given, the pipeline it has to have passed under.
        policy: if given, it has to have been judged under this one, and its longest expiry holds.

    Raises:
        SignatureError: with the one reason: not signed by a trusted key, changed, about another dataset, pipeline or
            policy, expired, or CLOSED. Anything that cannot be read counts as not holding.
    """
    statement, keyid = open_envelope(envelope, trust.keys)
    found = _read_statement(statement, keyid, keyid in trust.local)
    status = statement["predicate"][DETAILS].get("status")
    if found.digest != digest:
        raise SignatureError(
            f"the verdict is about dataset {found.digest[:16]}, this one is {digest[:16]}; check this dataset"
        )
    if status != "PASSED" or found.result not in ("PASSED", "WARNED"):
        raise SignatureError(f"the verdict is {status!s:.20}, expected PASSED; see the report of run {found.run!r}")
    if pipeline_digest is not None and found.pipeline_digest != pipeline_digest:
        raise SignatureError(
            f"the verdict was given under pipeline {found.pipeline_digest[:16]}, expected {pipeline_digest[:16]}; "
            "the pipeline file changed, check the dataset again"
        )
    if found.created > now + SKEW:
        raise SignatureError(f"the verdict is dated {found.created:%Y-%m-%d %H:%M} UTC, which is in the future")
    if found.expires <= now:
        raise SignatureError(f"the verdict expired on {found.expires:%Y-%m-%d %H:%M} UTC; check the dataset again")
    if policy is not None:
        _check_policy(found, policy, now)
    return found


def _check_policy(found: VerifiedVerdict, policy: Policy, now: datetime) -> None:
    if found.policy_digest != policy.digest():
        under = f"policy {found.policy_digest[:16]}" if found.policy_digest else "no policy"
        raise SignatureError(
            f"the verdict was given under {under}, expected {policy.name!r} ({policy.digest()[:16]}); "
            "check the dataset with --policy-file"
        )
    if policy.rules and found.rules_digest not in policy.rules:
        raise SignatureError(
            f"the verdict used rules {found.rules_digest[:16]}, which policy {policy.name!r} does not allow"
        )
    if policy.expires_days is not None and now >= found.created + timedelta(days=policy.expires_days):
        raise SignatureError(
            f"the verdict is of {found.created:%Y-%m-%d}, older than the {policy.expires_days} days that policy "
            f"{policy.name!r} allows; check the dataset again"
        )
    if found.accepted and not policy.allow_waivers:
        raise SignatureError(
            f"the verdict accepts {found.accepted} findings by a baseline, which policy {policy.name!r} does not allow"
        )
    if found.waived and not policy.allow_waivers:
        raise SignatureError(
            f"the verdict waives {', '.join(found.waived)}, which policy {policy.name!r} does not allow"
        )


def _read_statement(statement: dict[str, Any], keyid: str, local: bool) -> VerifiedVerdict:
    """A signed statement can still be one we do not understand, made by another version or another tool."""
    try:
        [subject] = statement["subject"]
        predicate = statement["predicate"]
        details = predicate[DETAILS]
        configured = {c["name"]: c for c in predicate["configuration"]}
        policy = configured.get("policy")
        return VerifiedVerdict(
            dataset=_word(subject["name"]),
            digest=_word(subject["digest"]["sha256"]),
            result=_word(predicate["result"]),
            pipeline=_word(configured["pipeline"]["annotations"]["name"]),
            pipeline_digest=_word(configured["pipeline"]["digest"]["sha256"]),
            rules_digest=_word(configured["rules"]["digest"]["sha256"]),
            policy_digest=None if policy is None else _word(policy["digest"]["sha256"]),
            run=_word(details["run"]),
            created=_moment(details["created"]),
            expires=_moment(details["expires"]),
            keyid=keyid,
            signed_here=local,
            waived=tuple(_word(w) for w in details["waived"]),
            accepted=int(details["accepted"]),
            manifest=str(details.get("manifest", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignatureError(
            "the statement is signed but is no verdict of this tool; check the dataset again"
        ) from None


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_word(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)
