"""A bundle proves itself to whoever trusts a key, without the workspace that it came from."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.errors import GovernanceError, SignatureError, UsageError
from governance.files import sha256_file
from governance.gate.keys import Trust
from governance.settings import Policy
from governance.train.door import GatedDataset, open_gated
from governance.train.export import SUMS, export_bundle, trust_of, verify_bundle
from governance.train.offer import hash_files


def now() -> dt.datetime:
    """The clock; taken late, since a verdict may not be of the future."""
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def data(approved: Any) -> GatedDataset:
    """The control dataset, approved and opened."""
    return open_gated(approved.file, approved.place)


@pytest.fixture
def bundle(data: GatedDataset, approved: Any, tmp_path: Path) -> Path:
    """A bundle of it; the workspace that it came from is gone, but for the public key."""
    out = tmp_path / "bundle"
    export_bundle(data, approved.file, approved.place, out)
    shutil.copy(approved.place.keys / "signing.pub", tmp_path / "company.pub")
    shutil.rmtree(approved.place.root)
    return out


@pytest.fixture
def trust(bundle: Path, tmp_path: Path) -> Trust:
    """The key that the company published."""
    return trust_of([tmp_path / "company.pub"], None)


def mend(bundle: Path) -> None:
    """Write SHA256SUMS anew, as somebody would who changed a file."""
    files = {name.partition("/")[2]: digest for name, digest in hash_files(bundle).items()}
    files.pop(SUMS)
    (bundle / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())))


def test_a_bundle_holds_without_its_workspace(
    bundle: Path, trust: Trust, approved: Any, records: Callable[[Path], list[Any]]
) -> None:
    """Digest, signature, manifest and evidence are proved from the folder alone; `sha256sum -c` agrees."""
    found = verify_bundle(bundle, trust, now=now())
    assert found.verdict.digest == approved.digest and found.digest == sha256_file(bundle / SUMS)
    assert found.data.name == "data.jsonl" and records(found.data) == records(approved.file)
    assert subprocess.run(["sha256sum", "--quiet", "-c", SUMS], cwd=bundle, check=False).returncode == 0
    assert {p.name for p in bundle.iterdir()} == {
        "data", "verdict.dsse.json", "manifest.json", "evidence.json", "bundle.json", "signer.pub", SUMS,
    }  # fmt: skip


def test_equal_bundles_have_equal_digests(data: GatedDataset, approved: Any, tmp_path: Path) -> None:
    """The digest of a bundle is that of its content: exported twice it is the same."""
    first = export_bundle(data, approved.file, approved.place, tmp_path / "one")
    assert export_bundle(data, approved.file, approved.place, tmp_path / "two") == first


@pytest.mark.parametrize("name", ["data/data.jsonl", "manifest.json", "evidence.json", "bundle.json"])
def test_a_changed_byte_is_found(bundle: Path, trust: Trust, name: str) -> None:
    """A changed file is found by the sums, and by the signature when the sums are mended."""
    path = bundle / name
    old = path.read_bytes()
    digit = b"7" if b"7" not in old[-60:] else b"8"
    path.write_bytes(old.replace(b"findOrder", b"findOther", 1) if b"findOrder" in old else old[:-4] + digit + old[-3:])
    with pytest.raises(GovernanceError, match="changed after the export"):
        verify_bundle(bundle, trust, now=now())
    mend(bundle)
    with pytest.raises(GovernanceError):
        verify_bundle(bundle, trust, now=now())


def test_an_added_file_is_found(bundle: Path, trust: Trust) -> None:
    """A file beside the data, which a trainer given the folder would read, is found; so is a link."""
    (bundle / "data" / "more.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    with pytest.raises(SignatureError, match="added"):
        verify_bundle(bundle, trust, now=now())
    mend(bundle)
    with pytest.raises(SignatureError, match="other files"):
        verify_bundle(bundle, trust, now=now())
    (bundle / "data" / "more.jsonl").unlink()
    (bundle / "data" / "more.jsonl").symlink_to("data.jsonl")
    with pytest.raises(SignatureError, match="link"):
        verify_bundle(bundle, trust, now=now())


def test_the_key_that_comes_with_a_bundle_is_not_trusted(bundle: Path, tmp_path: Path) -> None:
    """A bundle is judged by the keys of its reader; the one inside is a name tag."""
    with pytest.raises(UsageError, match="no key is trusted"):
        trust_of([], None)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    stranger = Policy(name="bank", trusted_keys=[f"ed25519:{raw}"])
    with pytest.raises(SignatureError, match="not trusted"):
        verify_bundle(bundle, trust_of([tmp_path / "company.pub"], stranger), now=now())


def test_a_policy_file_is_enough(bundle: Path, trust: Trust, governance: Any, tmp_path: Path) -> None:
    """`governance verify DIR --policy-file` needs nothing but a policy that names the key; it judges it as well."""
    [(keyid, key)] = trust.keys.items()
    raw = base64.b64encode(key.public_bytes_raw()).decode()
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps({"name": "bank", "trusted_keys": [f"ed25519:{raw}"]}))
    ended = governance("verify", bundle, "--policy-file", policy, "--workspace", tmp_path / "none")
    assert ended.code == 1 and "no policy" in ended.err  # it did not pass under this one
    ended = governance("verify", bundle, "--key", tmp_path / "company.pub", "--workspace", tmp_path / "none")
    assert ended.code == 0 and keyid[:16] in ended.out
    assert governance("verify", bundle, "--workspace", tmp_path / "none").code == 2


def test_an_old_bundle_expires(bundle: Path, trust: Trust) -> None:
    """A bundle holds as long as its verdict."""
    with pytest.raises(SignatureError, match="expired"):
        verify_bundle(bundle, trust, now=now() + dt.timedelta(days=31))


def test_export_says_approved(governance: Any, approved: Any, tmp_path: Path) -> None:
    """`governance export` wants --approved said, a dataset that passed, and a folder that is empty."""
    base = ["export", approved.file, "--workspace", approved.place.root, "--out", tmp_path / "out"]
    assert governance(*base).code == 2
    ended = governance(*base, "--approved")
    assert ended.code == 0 and "bundle" in ended.out
    assert governance(*base, "--approved").code == 2
    approved.file.write_bytes(approved.file.read_bytes() * 2)
    shut = governance(*base[:-1], tmp_path / "other", "--approved")
    assert shut.code == 1 and not (tmp_path / "other").exists()
