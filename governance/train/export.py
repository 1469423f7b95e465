"""an approved dataset -> a folder that proves itself: data, verdict, manifest, evidence; and that folder -> its proof.

    DIR/
      data/...            the dataset's own files
      verdict.dsse.json   signed; names the dataset's digest and the manifest's
      manifest.json       settings, rules, tools; names the evidence's digest
      evidence.json       every metric and gate
      bundle.json         digest of the dataset, and of its bad records, which are not in data/
      signer.pub          the key that signed; for people to compare, never trusted because it is here
      SHA256SUMS          of all the others, as `sha256sum -c` reads it

The digest of the dataset is computed anew from data/, so the signature covers every byte that is trained on and no
second signature is needed. Whoever checks a bundle needs a policy or a key that they trust, and nothing else.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import SignatureError, UsageError, WorkspaceError
from governance.files import canonical, read_json, sha256_file
from governance.gate.run_check import EVIDENCE, MANIFEST, VERDICT, check_strictness
from governance.gate.verdict import verify_verdict
from governance.train.folder import check_new, new_folder
from governance.train.offer import hash_files, read_digest, write_dataset

if TYPE_CHECKING:
    from governance.gate.keys import Trust
    from governance.gate.verdict import VerifiedVerdict
    from governance.settings import Policy
    from governance.store import Workspace
    from governance.train.door import GatedDataset

SCHEMA = "governance/bundle/1"
BUNDLE, SUMS, SIGNER, DATA = "bundle.json", "SHA256SUMS", "signer.pub", "data"


@dataclass(frozen=True)
class Bundle:
    """A bundle that holds: where its data is, how many files, its own digest (that of SHA256SUMS), and the verdict."""

    data: Path
    files: int
    digest: str
    verdict: VerifiedVerdict


def export_bundle(data: GatedDataset, dataset: Path | str, workspace: Workspace, out: Path) -> str:
    """
    Write *data* and what proves it into the new folder *out*, whole or not at all; return the bundle's digest.

    The digest is the SHA-256 of SHA256SUMS: equal bundles of one run have equal ones.

    Args:
        dataset: as the user named it, see `write_dataset`.

    Raises:
        UsageError: *out* is there and not empty.
        SignatureError: the data or its approval no longer hold.
    """
    check_new(out)
    data.recheck()
    with new_folder(out) as made:
        _fill(made, data, dataset, workspace)
        _check_copies(made, data)
        return sha256_file(made / SUMS)


def _fill(made: Path, data: GatedDataset, dataset: Path | str, workspace: Workspace) -> None:
    folder = made / DATA
    folder.mkdir()
    with workspace.work() as work:
        whole = write_dataset(data, dataset, folder, work)
    for name in (VERDICT, MANIFEST, EVIDENCE):
        shutil.copyfile(data.run / name, made / name)
    bundle = {
        "schema": SCHEMA, "dataset": data.digest, "bad": data.bad.hex(), "run": data.run.name,
        "data": whole.relative_to(made).as_posix(), "samples": len(data),
    }  # fmt: skip
    (made / BUNDLE).write_bytes(canonical(bundle))
    key = data.trust.keys.get(data.verdict.keyid)
    if key is not None:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        (made / SIGNER).write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    files = hash_files(made)
    lines = [f"{digest}  {name.partition('/')[2]}\n" for name, digest in files.items()]
    (made / SUMS).write_text("".join(sorted(lines, key=lambda line: line[66:])), "utf-8")


def _check_copies(made: Path, data: GatedDataset) -> None:
    """The copies are of the run that was checked; it could have been changed between the check and the copy."""
    found = verify_verdict(read_json(made / VERDICT), digest=data.digest, trust=data.trust, now=dt.datetime.now(dt.UTC))
    evidence = data.checked.manifest["files"][EVIDENCE]
    if sha256_file(made / MANIFEST) != found.manifest or sha256_file(made / EVIDENCE) != evidence:
        raise SignatureError(f"{data.run}: changed while it was exported")


def is_bundle(folder: Path) -> bool:
    """True if *folder* says that it is a bundle."""
    return (folder / BUNDLE).is_file() and (folder / SUMS).is_file()


def verify_bundle(folder: Path, trust: Trust, *, now: dt.datetime, policy: Policy | None = None) -> Bundle:
    """
    Check the bundle in *folder* against keys that somebody trusts; no workspace is needed.

    Raises:
        SignatureError: with the first thing that does not hold.
        WorkspaceError: a file is missing or damaged.
    """
    files = _check_sums(folder)
    bundle, manifest = _read(folder / BUNDLE), _read(folder / MANIFEST)
    if bundle.get("schema") != SCHEMA:
        raise SignatureError(f"{folder / BUNDLE}: is no {SCHEMA}; it was written by another version")
    try:
        bad, data = bytes.fromhex(bundle["bad"]), folder / str(bundle["data"])
        columns = {str(k): str(v) for k, v in _read(folder / EVIDENCE)["dataset"]["columns"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignatureError(f"{folder / BUNDLE}: is damaged; export the dataset again") from None
    own = {name for name in files if name.startswith(f"{DATA}/")}
    inside = {path.relative_to(folder).as_posix() for path in [data, *data.rglob("*")] if path.is_file()}
    if not own or ".." in data.parts or inside != own:
        raise SignatureError(f"{folder / DATA}: holds other files than the dataset's; export it again")
    with tempfile.TemporaryDirectory(prefix="governance-bundle-") as work:
        digest, left = read_digest(data, columns, bad, Path(work))
    if left:
        raise SignatureError(f"{data}: {left} records cannot be read; the data was changed after the export")
    verdict = verify_verdict(read_json(folder / VERDICT), digest=digest, trust=trust, now=now, policy=policy)
    if verdict.manifest != files[MANIFEST]:
        raise SignatureError(f"{folder / MANIFEST}: is not the manifest that was signed")
    if manifest.get("files", {}).get(EVIDENCE) != files[EVIDENCE]:
        raise SignatureError(f"{folder / EVIDENCE}: is not the evidence of the run that was signed")
    if policy is not None:
        check_strictness(verdict, manifest, policy, folder)
    return Bundle(data, len(files), sha256_file(folder / SUMS), verdict)


def _check_sums(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of every file but SHA256SUMS, which has to name the same."""
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        raise WorkspaceError(f"{folder / SUMS}: missing or not text; the bundle is damaged") from None
    wanted = {line[66:]: line[:64] for line in lines}
    found = {name.partition("/")[2]: digest for name, digest in hash_files(folder).items()}
    found.pop(SUMS, None)
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found or name not in wanted:
            raise SignatureError(f"{folder / name}: is missing or was added after the export")
        if found[name] != wanted[name]:
            raise SignatureError(f"{folder / name}: changed after the export")
    missing = {VERDICT, MANIFEST, EVIDENCE, BUNDLE} - found.keys()
    if missing:
        raise SignatureError(f"{folder / min(missing)}: is missing or was added after the export")
    return found


def _read(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise WorkspaceError(f"{path}: missing or not JSON; the run is damaged")
    return value


def trust_of(keys: list[Path], policy: Policy | None) -> Trust:
    """
    Return the keys that a bundle or an adapter is checked with: those of the *policy* and the public *keys* given.

    Raises:
        UsageError: there is none, or a file is no public key.
        SignatureError: the policy names a key by its id alone, and no file gives it.
    """
    from governance.gate.keys import Trust, key_id, public_key, read_public_key

    given = {key_id(key): key for key in map(read_public_key, keys)}
    chosen = {}
    for entry in policy.trusted_keys if policy else ():
        if entry.startswith("ed25519:"):
            key = public_key(entry.removeprefix("ed25519:"))
            chosen[key_id(key)] = key
        elif entry in given:
            chosen[entry] = given[entry]
        else:
            raise SignatureError(f"trusted key {entry[:16]!r}: the policy gives its id alone; name its file with --key")
    if policy is None or not policy.trusted_keys:
        chosen |= given
    if not chosen:
        raise UsageError("no key is trusted; name a public key with --key, or a policy with trusted_keys")
    return Trust(chosen)


def bundle_lines(found: Bundle) -> list[str]:
    """What `governance verify` says of a bundle that holds."""
    return [
        f"bundle {found.digest}: {found.verdict.result}, dataset {found.verdict.digest}",
        f"signed by {found.verdict.signer}",
        f"{found.files} files unchanged; holds until {found.verdict.expires:%Y-%m-%dT%H:%M:%SZ}; data in {found.data}",
    ]
