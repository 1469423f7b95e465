"""a run folder, trust, now -> what the run says, if every byte of it is as it was signed; else the reason why not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import SignatureError, WorkspaceError
from governance.files import read_json, sha256_file
from governance.gate.policy import check_policy
from governance.gate.signing import DETAILS, canonical_json, open_envelope
from governance.gate.verdict import VerifiedVerdict, verify_verdict

if TYPE_CHECKING:
    from governance.gate.keys import Trust
    from governance.settings import Pipeline, Policy

MANIFEST, VERDICT, EVIDENCE = "manifest.json", "verdict.dsse.json", "evidence.json"


@dataclass(frozen=True)
class CheckedRun:
    """A run that holds: its verdict, and the two files that say what was measured, as the signature covers them."""

    folder: Path
    verdict: VerifiedVerdict
    manifest: dict[str, Any]
    evidence: dict[str, Any]

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline as it was judged, digests of its sources included. Raises SignatureError."""
        return _pipeline(self.manifest, self.folder)


def check_run(
    folder: Path,
    trust: Trust,
    *,
    now: datetime,
    digest: str | None = None,
    policy: Policy | None = None,
    pipeline: Pipeline | None = None,
    pipeline_digest: str | None = None,
) -> CheckedRun:
    """
    Return the run in *folder* if it holds for the dataset *digest* and no file of it was changed, added or taken away.

    Args:
        digest: of the dataset that is to be used; without it that of the run's manifest, which the signature covers.
        now: with a time zone, by the clock of the machine.
        policy: if given, the run has to have been judged under it, and its pipeline may not be looser.
        pipeline: if given, the settings that it has to have passed under; sources that were named on the command
            line beside them make it stricter and are allowed.
        pipeline_digest: if given, exactly the pipeline it has to have passed under.

    Raises:
        SignatureError: with the first thing that does not hold.
        WorkspaceError: a file of the run is missing or damaged.
    """
    data = _bytes(folder / MANIFEST)
    manifest = _object(data, folder / MANIFEST)
    listed = manifest.get("files")
    if not isinstance(listed, dict):
        raise WorkspaceError(f"{folder / MANIFEST}: lists no files; the run is damaged")
    evidence = _check_files(folder, listed)
    verdict = verify_verdict(
        read_json(folder / VERDICT), digest=digest or str(manifest.get("dataset")), trust=trust, now=now,
        pipeline_digest=pipeline_digest, policy=policy,
    )  # fmt: skip
    if hashlib.sha256(data).hexdigest() != verdict.manifest:
        raise SignatureError(f"{folder / MANIFEST}: is not the manifest that was signed")
    run = CheckedRun(folder, verdict, manifest, evidence)
    _check_agreement(run)
    if policy is not None:
        check_strictness(verdict, manifest, policy, folder)
    if pipeline is not None and not same_settings(pipeline, run.pipeline):
        raise SignatureError(
            f"the verdict was given under other settings than those of pipeline {pipeline.name!r} "
            f"(it names {verdict.pipeline!r}, {verdict.pipeline_digest[:16]}); check the dataset with this pipeline"
        )
    return run


def check_strictness(verdict: VerifiedVerdict, manifest: dict[str, Any], policy: Policy, folder: Path) -> None:
    """
    Raise SignatureError where the pipeline of a signed *manifest* is looser than *policy*.

    A check under a policy closes such a run itself; this holds for one that somebody signed by other means.
    """
    try:
        packs = {str(rule).partition("/")[0] for rule in manifest["rules"]["ids"]}
    except (KeyError, TypeError):
        raise SignatureError(f"{folder}: is signed but is no run of this tool; check the dataset again") from None
    pipeline = _pipeline(manifest, folder)
    looser = check_policy(policy, pipeline, verdict.rules_digest, packs, accepted=verdict.accepted)
    if looser:
        raise SignatureError(f"{folder}: {looser[0]}; check the dataset again with --policy-file")


def signed_outcome(folder: Path, trust: Trust) -> tuple[str, str, str] | None:
    """
    Return (status, name of the pipeline, dataset) that a trusted key signed for the run in *folder*; else None.

    For runs that did not pass: what they say keeps a gate closed and opens none, so nothing more is looked at.
    """
    try:
        statement, _ = open_envelope(read_json(folder / VERDICT), trust.keys)
        predicate = statement["predicate"]
        pipeline = next(c["annotations"]["name"] for c in predicate["configuration"] if c["name"] == "pipeline")
        digest = statement["subject"][0]["digest"]["sha256"]
        return str(predicate[DETAILS]["status"]), str(pipeline), str(digest)
    except (SignatureError, WorkspaceError, KeyError, TypeError, IndexError, StopIteration, AttributeError):
        return None


def same_settings(wanted: Pipeline, judged: Pipeline) -> bool:
    """
    True if *judged* is *wanted*, as it reads in its file, with the digests of its sources filled in.

    Sources named on the command line, and the gates that they bring, stand in *judged* alone; they only make it
    stricter.
    """
    kinds = ("indexes", "benchmarks", "held_out")
    own = {name for kind in kinds for name in getattr(wanted.overlap, kind)}
    if any(judged.overlap.digests.get(name, digest) != digest for name, digest in wanted.overlap.digests.items()):
        return False
    lists = {kind: [n for n in getattr(judged.overlap, kind) if n in own] for kind in kinds}
    added = any(len(lists[kind]) != len(getattr(judged.overlap, kind)) for kind in kinds)
    overlap = judged.overlap.model_copy(update={**lists, "digests": wanted.overlap.digests})
    brought = {
        name
        for name, gate in judged.gates.items()
        if added and name not in wanted.gates and gate.metric == name and gate.limit == 0
    }
    gates = {name: gate for name, gate in judged.gates.items() if name not in brought}
    return judged.model_copy(update={"overlap": overlap, "gates": gates}).digest() == wanted.digest()


def _check_files(folder: Path, listed: dict[str, Any]) -> dict[str, Any]:
    """Compare the files of *folder* with those *listed*; return the evidence as it reads in the bytes compared."""
    present = set()
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise SignatureError(f"{path}: is a link; a run holds files alone")
        if path.is_file():
            present.add(path.relative_to(folder).as_posix())
    present -= {MANIFEST, VERDICT}
    if present != set(listed):
        odd = sorted(present ^ set(listed))[0]
        raise SignatureError(f"{folder}: {odd}: is missing or was added after the run was written")
    evidence: dict[str, Any] = {}
    for name, wanted in listed.items():
        if name == EVIDENCE:
            data = _bytes(folder / name)
            found = hashlib.sha256(data).hexdigest()
        else:
            found = sha256_file(folder / name)
        if found != wanted:
            raise SignatureError(f"{folder / name}: changed after the run was written")
        if name == EVIDENCE:
            evidence = _object(data, folder / name)
    if not evidence:
        raise SignatureError(f"{folder}: {EVIDENCE}: is missing or was added after the run was written")
    return evidence


def _check_agreement(run: CheckedRun) -> None:
    """Verdict, manifest and evidence name one dataset, one pipeline and its very settings, and one set of rules."""
    verdict, manifest, evidence = run.verdict, run.manifest, run.evidence
    try:
        told = [
            ("dataset", verdict.digest, manifest["dataset"], evidence["dataset"]["digest"]),
            ("pipeline", verdict.pipeline_digest, manifest["pipeline"]["digest"], evidence["pipeline"]["digest"]),
            ("rules", verdict.rules_digest, manifest["rules"]["digest"], evidence["rules"]["digest"]),
        ]
        settings = hashlib.sha256(canonical_json(manifest["pipeline"]["settings"])).hexdigest()
        told.append(("settings of the pipeline", verdict.pipeline_digest, settings, settings))
    except (KeyError, TypeError, ValueError):
        raise SignatureError(f"{run.folder}: is signed but is no run of this tool; check the dataset again") from None
    for what, *found in told:
        if len(set(found)) != 1:
            raise SignatureError(f"{run.folder}: verdict, manifest and evidence name another {what}")


def _pipeline(manifest: dict[str, Any], folder: Path) -> Pipeline:
    from governance.settings import Pipeline

    try:
        return Pipeline.model_validate(manifest["pipeline"]["settings"])
    except (ValueError, KeyError, TypeError):
        raise SignatureError(
            f"{folder / MANIFEST}: the pipeline was written by another version; check the dataset again"
        ) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise WorkspaceError(f"{path}: missing or not JSON; the run is damaged") from None


def _object(data: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WorkspaceError(f"{path}: missing or not JSON; the run is damaged")
    return value
