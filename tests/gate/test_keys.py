"""Signing keys, trust and fingerprint keys."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from governance.errors import GovernanceError, SignatureError, UsageError, WorkspaceError
from governance.gate import keys
from governance.gate.keys import (
    FINGERPRINT_KEY,
    FINGERPRINT_KEY_FILE,
    SIGNING_KEY,
    is_local,
    key_id,
    list_keys,
    load_fingerprint_key,
    load_signing_key,
    load_trust,
    make_key,
    trust_key,
)


def test_a_workspace_makes_its_key_once(tmp_path: Path) -> None:
    """The second call reads the first key; it is trusted as local; only the owner can read the files."""
    key = make_key(tmp_path)
    assert key_id(make_key(tmp_path).public_key()) == key_id(key.public_key())
    [info] = list_keys(tmp_path)
    assert (info.keyid, info.local, len(info.keyid)) == (key_id(key.public_key()), True, 64)
    assert is_local(tmp_path, info.keyid)
    folder = tmp_path / "keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("signing.pem", "trust.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert not [p.name for p in folder.iterdir() if p.name.startswith((".signing", ".trust"))]


def test_many_at_once_end_with_one_key(tmp_path: Path) -> None:
    """Eight that make the keys of one new workspace at the same time all hold the same ones."""
    found: list[tuple[str, bytes]] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        found.append((key_id(make_key(tmp_path).public_key()), load_fingerprint_key(tmp_path, environ={})))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list_keys(tmp_path)) == 1


def test_the_environment_names_the_signing_key(tmp_path: Path) -> None:
    """The key of GOVERNANCE_SIGNING_KEY signs, and the workspace makes and trusts none."""
    other = make_key(tmp_path / "other")
    path = tmp_path / "other" / "keys" / "signing.pem"
    found = load_signing_key(tmp_path / "own", {SIGNING_KEY: str(path)})
    assert key_id(found.public_key()) == key_id(other.public_key())
    assert list_keys(tmp_path / "own") == []
    assert load_signing_key(tmp_path / "own", {}).private_bytes_raw() != other.private_bytes_raw()


def test_trust_is_given_by_name(tmp_path: Path) -> None:
    """Nobody is trusted unless added; an added key is not local; adding it twice changes nothing."""
    make_key(tmp_path / "a")
    public = tmp_path / "a" / "keys" / "signing.pub"
    assert load_trust(tmp_path / "b").keys == {}
    info = trust_key(tmp_path / "b", public, "team a")
    assert trust_key(tmp_path / "b", public, "team a") == info
    trust = load_trust(tmp_path / "b")
    assert (list(trust.keys), trust.local) == ([info.keyid], frozenset())


def test_trusting_the_own_key_leaves_it_local(tmp_path: Path) -> None:
    """Adding the workspace's own public key by hand does not hide that it is the local one."""
    make_key(tmp_path)
    assert trust_key(tmp_path, tmp_path / "keys" / "signing.pub", "boss").local


def test_a_policy_replaces_the_trust_file(tmp_path: Path) -> None:
    """Keys that the policy names count, by id or by value; the local key then does not."""
    own = key_id(make_key(tmp_path).public_key())
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    import base64

    by_value = "ed25519:" + base64.b64encode(other.public_bytes_raw()).decode()
    assert list(load_trust(tmp_path, [by_value]).keys) == [key_id(other)]
    assert load_trust(tmp_path, [by_value]).local == frozenset()
    assert load_trust(tmp_path, [own]).local == {own}
    assert load_trust(tmp_path, ["e" * 64]).keys == {}
    for wrong in ("abc", "ed25519:abc", "ed25519:", ""):
        with pytest.raises(SignatureError):
            load_trust(tmp_path, [wrong])


def _pem(key: Ed25519PrivateKey | X25519PrivateKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"planted-content", "is no Ed25519 private key in PEM form"),
        (b"", "is no Ed25519 private key in PEM form"),
        (_pem(X25519PrivateKey.generate()), "is a private key of another kind"),
        (_pem(Ed25519PrivateKey.generate(), b"pw"), "is an encrypted private key"),
        (b"x" * 20_000, "holds more than 16384 bytes"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_bad_signing_key_is_named_without_its_content(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """The message says which file and what is wrong; nothing of the content is in it."""
    path = tmp_path / "k.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=reason) as caught:
        load_signing_key(tmp_path, {SIGNING_KEY: str(path)})
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    """Trusting a private key file is refused, as is another kind of key."""
    make_key(tmp_path)
    with pytest.raises(UsageError, match="is a private key; give the public one"):
        trust_key(tmp_path, tmp_path / "keys" / "signing.pem")
    path = tmp_path / "x.pub"
    path.write_bytes(
        X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(UsageError, match="of another kind"):
        trust_key(tmp_path, path)
    path.write_text("nothing")
    with pytest.raises(UsageError, match="no public key in PEM form"):
        trust_key(tmp_path, path)


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 3}', '{"keys": [{"keyid": "a"}]}', None])
def test_a_damaged_trust_file_is_an_error(tmp_path: Path, text: str | None) -> None:
    """It never means that nobody was ever trusted; and an id that is not that of its key is damage too."""
    make_key(tmp_path)
    path = tmp_path / "keys" / "trust.json"
    if text is None:
        data = json.loads(path.read_text())
        data["keys"][0]["keyid"] = "e" * 64
        text = json.dumps(data)
    path.write_text(text)
    with pytest.raises(WorkspaceError, match="is damaged"):
        list_keys(tmp_path)


def test_where_the_fingerprint_key_comes_from(tmp_path: Path) -> None:
    """The option is before the file of the environment, that before its text, that before the workspace's own."""
    for name in ("option", "file"):
        (tmp_path / name).write_text(f"{name}-sixteen-bytes-long\n")
    both = {FINGERPRINT_KEY_FILE: str(tmp_path / "file"), FINGERPRINT_KEY: "text-sixteen-bytes-long"}
    assert load_fingerprint_key(tmp_path, tmp_path / "option", both) == b"option-sixteen-bytes-long"
    assert load_fingerprint_key(tmp_path, None, both) == b"file-sixteen-bytes-long"
    assert load_fingerprint_key(tmp_path, None, {FINGERPRINT_KEY: both[FINGERPRINT_KEY]}) == b"text-sixteen-bytes-long"
    assert not (tmp_path / "keys").exists()
    own = load_fingerprint_key(tmp_path, None, {})
    assert len(own) == 64
    assert load_fingerprint_key(tmp_path, None, {}) == own
    assert (tmp_path / "keys" / "fingerprint.key").stat().st_mode & 0o777 == 0o600


def test_a_short_or_missing_fingerprint_key_is_refused(tmp_path: Path) -> None:
    """A key that could be guessed is no key; its bytes are not in the message."""
    with pytest.raises(UsageError, match="holds 6 bytes, expected") as caught:
        load_fingerprint_key(tmp_path, None, {FINGERPRINT_KEY: "secret"})
    assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        load_fingerprint_key(tmp_path, tmp_path / "none", {})


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the place of the workspace ends with a clear error."""
    (tmp_path / "w").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be made"):
        make_key(tmp_path / "w")


def test_a_full_disk_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves neither a key nor a draft, and the next call makes one."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keys.os, "fsync", full)
        with pytest.raises(GovernanceError, match="No space left"):
            make_key(tmp_path)
    assert [p.name for p in (tmp_path / "keys").iterdir()] == []
    make_key(tmp_path)
