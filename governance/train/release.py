"""a trained adapter, its record, the audit's record -> a signature over it, or the reason why it gets none; and back.

What is signed is an in-toto statement about every file of the adapter's folder: which dataset it was trained on, under
which verdict, and what the audit said of it. Nothing is signed unless all of this holds *now*:

- every file is as ``adapter.json`` says, and none was added; and ``adapter.json`` is as training left it, which
  ``training.dsse.json`` says, signed when training ended (`attest_training`);
- the dataset that training consumed is the one that was approved, and the verdict on it still holds;
- the gate's own checks were made on the way (init, begin, end), so the callback was there;
- the audit's record is about exactly this adapter and says RELEASED.

``adapter.json``, written by whatever trains, has at least::

    {"format": "governance-adapter/1", "data": door.describe(data), "base": {"digest": ..., ...},
     "consumed": {"dataset": DIGEST or null, "checks": NUMBER, ...}, "files": {NAME: SHA-256 of every other file}}

The audit's record has at least ``{"status": "RELEASED" or "WITHHELD", "adapter": adapter_digest(folder)}``.

An adapter of another trainer has no ``adapter.json``. It is signed by the record of `guard`, which names its files: the
statement then says that the dataset was *offered*, because what such a trainer reads nobody sees.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import GateClosed, GovernanceError, SignatureError, WorkspaceError
from governance.files import disk_error, read_json, sha256_file, write_durably
from governance.gate.keys import Trust, load_signing_key, load_trust
from governance.gate.run_check import CheckedRun
from governance.gate.signing import canonical_json, open_envelope, timestamp
from governance.train.door import Wanted, approval
from governance.train.guard import read_offer
from governance.train.offer import hash_files, write_statement

if TYPE_CHECKING:
    from governance.settings import Policy
    from governance.store import Workspace

ADAPTER_TYPE = "urn:lora-data-governance:adapter:v1"
TRAINING_TYPE = "urn:lora-data-governance:training:v1"
FORMAT = "governance-adapter/1"
RECORD, SIGNATURE, UNSIGNED, AUDIT = "adapter.json", "adapter.dsse.json", "UNSIGNED.txt", "audit.json"
TRAINING = "training.dsse.json"
LEAST_CHECKS = 3  # init, begin and end of training
RELEASED, WITHHELD = "RELEASED", "WITHHELD"


@dataclass(frozen=True)
class Release:
    """
    What the signature of an adapter says.

    Attributes:
        dataset: digest of the dataset.
        relation: ``consumed``: the gate saw what was read; ``offered``: a guarded command was given it.
        status: ``RELEASED``, or ``NOT_AUDITED`` where no audit was asked for.
    """

    adapter: str
    dataset: str
    relation: str
    status: str
    base: str
    signer: str
    signed_here: bool
    signed: str
    files: int


def adapter_digest(folder: Path) -> str:
    """
    Return the digest of the adapter in *folder*: SHA-256 over names and digests of its files, 64 hex digits.

    What is written about an adapter is not part of it: its record, signature and audit.
    """
    return _digest_of(_files(folder))


def sign_adapter(
    folder: Path,
    workspace: Workspace,
    *,
    audit: Mapping[str, Any] | None,
    policy: Policy | None = None,
    offer: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Path:
    """
    Sign the adapter in *folder*; where that is refused ``UNSIGNED.txt`` in it says why.

    Args:
        audit: the audit's record, see above; None signs an adapter as not audited, which its signature says.
        policy: if given, the verdict has to have been judged under it.
        offer: the record of `guard`, for an adapter of another trainer.

    Returns:
        The file with the signature.

    Raises:
        GateClosed: the audit withheld it, or no verdict approves the dataset any more.
        SignatureError: something of the above does not hold.
        WorkspaceError: a file is missing or damaged, or the disk refuses.
    """
    key = load_signing_key(workspace.root, environ)
    try:
        predicate = _predicate(folder, workspace, audit, policy, offer)
    except GovernanceError as problem:
        mark_unsigned(folder, str(problem))
        raise
    (folder / UNSIGNED).unlink(missing_ok=True)
    (folder / SIGNATURE).unlink(missing_ok=True)
    subject = {name.partition("/")[2]: digest for name, digest in hash_files(folder).items()}
    if _digest_of({name: digest for name, digest in subject.items() if name not in _ABOUT}) != predicate["adapter"]:
        raise SignatureError(f"{folder}: changed while it was signed")
    signed = {**predicate, "signed": timestamp(dt.datetime.now(dt.UTC))}
    write_statement(folder / SIGNATURE, ADAPTER_TYPE, subject, signed, key)
    return folder / SIGNATURE


def attest_training(folder: Path, workspace: Workspace, environ: Mapping[str, str] = os.environ) -> Path:
    """
    Sign what `governance train` just wrote into *folder*, record included, so that nobody can change it afterwards.

    This is no release: it says who trained what on what, and `sign_adapter` believes no record without it.

    Raises:
        WorkspaceError: the disk refuses, or the key cannot be read.
    """
    files = {name.partition("/")[2]: digest for name, digest in hash_files(folder.absolute()).items()}
    files = {name: digest for name, digest in files.items() if name not in _ABOUT - {RECORD}}
    key = load_signing_key(workspace.root, environ)
    write_statement(folder / TRAINING, TRAINING_TYPE, files, {"signed": timestamp(dt.datetime.now(dt.UTC))}, key)
    return folder / TRAINING


def _check_attested(folder: Path, trust: Trust) -> None:
    """The record is the one that was signed when training ended."""
    if not (folder / TRAINING).is_file():
        raise SignatureError(f"{folder}: has no {TRAINING}, so nobody says that this training was gated; train again")
    statement, _ = open_envelope(read_json(folder / TRAINING), trust.keys, kind=TRAINING_TYPE)
    try:
        listed = {str(s["name"]): str(s["digest"]["sha256"]) for s in statement["subject"]}
    except (KeyError, TypeError):
        raise SignatureError(f"{folder / TRAINING}: is signed but is no record of a training") from None
    if not (folder / RECORD).is_file() or listed.get(RECORD) != sha256_file(folder / RECORD):
        raise SignatureError(f"{folder / RECORD}: changed after training")


def mark_unsigned(folder: Path, reason: str) -> None:
    """Write into *folder* that its adapter is not signed, and why; a signature that was there is gone."""
    text = f"This adapter is not signed and must not be released.\n\n{reason}\n"
    try:
        (folder / SIGNATURE).unlink(missing_ok=True)
        write_durably(folder / UNSIGNED, text.encode())
    except OSError as problem:
        raise disk_error(problem, folder / UNSIGNED) from None


def _predicate(
    folder: Path, workspace: Workspace, audit: Mapping[str, Any] | None, policy: Policy | None, offer: Path | None
) -> dict[str, Any]:
    files = _files(folder)
    digest = _digest_of(files)
    trust = load_trust(workspace.root, policy.trusted_keys if policy else ())
    if offer is not None:
        known = Trust({**load_trust(workspace.root).keys, **trust.keys})
        data, base, checks, relation = *_of_offer(offer, files, known), 0, "offered"
    else:
        _check_attested(folder, Trust({**load_trust(workspace.root).keys, **trust.keys}))
        data, base, checks = _of_record(folder, files)
        relation = "consumed"
    run = approval(workspace, str(data["dataset"]), trust, Wanted(policy, pipeline_digest=str(data["pipeline"])))
    if run is None:
        raise GateClosed(
            f"no run in {workspace.root} approves dataset {str(data['dataset'])[:16]} any more; check it again"
        )
    status = _audited(audit, digest, run)
    return {
        "adapter": digest,
        "status": status,
        "relation": relation,
        "data": data,
        "checks": checks,
        "base": base,
        "verdict": {
            "run": run.folder.name,
            "manifest": run.verdict.manifest,
            "pipeline": run.verdict.pipeline_digest,
            "policy": run.verdict.policy_digest,
            "keyid": run.verdict.keyid,
        },
        "audit": None if audit is None else hashlib.sha256(canonical_json(dict(audit))).hexdigest(),
    }


def _of_record(folder: Path, files: Mapping[str, str]) -> tuple[dict[str, Any], str, int]:
    """Return (data, digest of the base, checks) of the adapter's own record, if it agrees with itself and the files."""
    try:
        record = read_json(folder / RECORD)
        data, consumed = dict(record["data"]), record["consumed"]["dataset"]
        checks = int(record["consumed"]["checks"])
        listed, base = dict(record["files"]), str(record["base"]["digest"])
        dataset, _ = str(data["dataset"]), str(data["pipeline"])
    except (KeyError, TypeError, ValueError):
        raise SignatureError(f"{folder / RECORD}: is no record of a training; train the adapter again") from None
    if record.get("format") != FORMAT:
        raise SignatureError(f"{folder / RECORD}: is no record of format {FORMAT}; train the adapter again")
    if not isinstance(consumed, str) or checks < LEAST_CHECKS:
        raise SignatureError(
            f"{folder}: the gate made {checks} checks while it was trained, expected at least {LEAST_CHECKS}; "
            "it was trained without the gate's callback"
        )
    if consumed != dataset:
        raise SignatureError(
            f"{folder}: training consumed dataset {consumed[:16]}, approved was {dataset[:16]}; train it again"
        )
    _compare(folder, listed, files)
    return data, base, checks


def _of_offer(offer: Path, files: Mapping[str, str], trust: Trust) -> tuple[dict[str, Any], str]:
    """Return (data, base) of a guard's record, if the command ended well, left the data alone and made these files."""
    record = read_offer(offer, trust)
    if record.get("exit") != 0 or record.get("unchanged") is not True:
        raise SignatureError(
            f"{offer}: the command did not end well, or changed the data that it was offered; train it again"
        )
    produced = record.get("produced")
    if not isinstance(produced, dict) or not produced:
        raise SignatureError(f"{offer}: does not name the adapter's files; run guard with --adapter FOLDER")
    _compare(offer, {k: v for k, v in produced.items() if k not in _ABOUT}, files)
    try:
        data = dict(record["data"])
        _ = data["dataset"], data["pipeline"]
    except (KeyError, TypeError):
        raise SignatureError(f"{offer}: is signed but is no record of an offer") from None
    return data, ""


def _compare(where: Path, listed: Mapping[str, Any], files: Mapping[str, str]) -> None:
    for name in sorted(listed.keys() | files.keys()):
        if name not in files or name not in listed:
            raise SignatureError(f"{where}: {name}: is missing or was added after training")
        if files[name] != listed[name]:
            raise SignatureError(f"{where}: {name}: changed after training")
    if not any(name.endswith(".safetensors") for name in files):
        raise SignatureError(f"{where}: has no *.safetensors; an adapter without weights is none")


def _audited(audit: Mapping[str, Any] | None, digest: str, run: CheckedRun) -> str:
    if audit is None:
        return "NOT_AUDITED"
    if audit.get("adapter") != digest:
        raise SignatureError(
            f"the audit is about adapter {audit.get('adapter')!s:.16}, this one is {digest[:16]}; audit this adapter"
        )
    if audit.get("status") != RELEASED:
        raise GateClosed(
            f"the audit says {audit.get('status')!s:.20}, expected {RELEASED}; "
            f"see its report, and run {run.folder.name}"
        )
    return RELEASED


_ABOUT = frozenset({RECORD, SIGNATURE, UNSIGNED, AUDIT, TRAINING})


def _files(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise WorkspaceError(f"{folder}: no such folder; expected an adapter")
    found = {name.partition("/")[2]: digest for name, digest in hash_files(folder.absolute()).items()}
    return {name: digest for name, digest in found.items() if name not in _ABOUT}


def _digest_of(files: Mapping[str, str]) -> str:
    return hashlib.sha256(canonical_json(dict(files))).hexdigest()


def is_adapter(folder: Path) -> bool:
    """True if *folder* holds an adapter of this project, signed or not."""
    return any((folder / name).is_file() for name in (RECORD, SIGNATURE, UNSIGNED))


def verify_adapter(folder: Path, trust: Trust, *, policy: Policy | None = None, audited: bool = False) -> Release:
    """
    Check the signature of the adapter in *folder* and every file that it covers; no workspace is needed.

    Args:
        policy: if given, the dataset has to have passed under it.
        audited: refuse an adapter that was signed without an audit.

    Raises:
        SignatureError: with the first thing that does not hold; an adapter without a signature holds for nobody.
        WorkspaceError: a file is missing or damaged.
    """
    if not (folder / SIGNATURE).is_file():
        why = _reason(folder)
        raise SignatureError(f"{folder}: the adapter is not signed{': ' + why if why else ''}")
    statement, keyid = open_envelope(read_json(folder / SIGNATURE), trust.keys, kind=ADAPTER_TYPE)
    found = {name.partition("/")[2]: digest for name, digest in hash_files(folder.absolute()).items()}
    found.pop(SIGNATURE, None)
    try:
        listed = {str(s["name"]): str(s["digest"]["sha256"]) for s in statement["subject"]}
        predicate = statement["predicate"]
        release = Release(
            adapter=str(predicate["adapter"]), dataset=str(predicate["data"]["dataset"]),
            relation=str(predicate["relation"]), status=str(predicate["status"]), base=str(predicate["base"]),
            signer=keyid, signed_here=keyid in trust.local, signed=str(predicate["signed"]), files=len(listed),
        )  # fmt: skip
        under = predicate["verdict"]["policy"]
    except (KeyError, TypeError, AttributeError):
        raise SignatureError(f"{folder / SIGNATURE}: is signed but is no release of this tool") from None
    for name in sorted(listed.keys() | found.keys()):
        if name not in found or name not in listed:
            raise SignatureError(f"{folder / name}: is missing or was added after the adapter was signed")
        if found[name] != listed[name]:
            raise SignatureError(f"{folder / name}: changed after the adapter was signed")
    if policy is not None and under != policy.digest():
        raise SignatureError(
            f"{folder}: its dataset did not pass under policy {policy.name!r} ({policy.digest()[:16]})"
        )
    if audited and release.status != RELEASED:
        raise SignatureError(f"{folder}: is signed as {release.status:.20}, expected {RELEASED}; audit it")
    return release


def _reason(folder: Path) -> str:
    try:
        return (folder / UNSIGNED).read_text("utf-8").strip().splitlines()[-1][:300]
    except (OSError, ValueError, IndexError):
        return ""


def release_lines(found: Release) -> list[str]:
    """What `governance verify` says of an adapter whose signature holds."""
    seen = {
        "consumed": "consumed: the gate saw what was read",
        "offered": "offered: a command of its own was given it, what it read nobody saw",
    }.get(found.relation, found.relation[:40])
    whose = "the key of this workspace; others need not trust it" if found.signed_here else "a trusted key"
    return [
        f"adapter {found.adapter}: {found.status}",
        f"dataset {found.dataset} ({seen})",
        f"signed by {found.signer[:16]} ({whose}) on {found.signed}; {found.files} files unchanged",
    ]
