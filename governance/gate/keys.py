"""workspace, key files, environment -> signing key, trusted keys, fingerprint key.

A key is trusted because someone named it: the trust file of the workspace or the policy. A key that merely comes with
a verdict is never taken. The workspace's own key is entered when it is made, and marked, so that `verify` can say that
a verdict was signed on this machine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import SignatureError, UsageError, WorkspaceError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY = "GOVERNANCE_SIGNING_KEY"  # a file: Ed25519 private key, PEM, PKCS #8, not encrypted
FINGERPRINT_KEY = "GOVERNANCE_FINGERPRINT_KEY"  # the key itself
FINGERPRINT_KEY_FILE = "GOVERNANCE_FINGERPRINT_KEY_FILE"
MIN_FINGERPRINT_KEY = 16  # bytes
MAX_KEY_FILE = 16_384  # bytes
_ID = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A trusted public key: its id, the name that people gave it, and whether it is this workspace's own."""

    keyid: str
    name: str
    public: str  # base64 of the 32 raw bytes
    local: bool = False


@dataclass(frozen=True)
class Trust:
    """Public keys whose signatures count, by key id, and the ids among them that are local."""

    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)
    local: frozenset[str] = frozenset()


def key_id(public: Ed25519PublicKey) -> str:
    """Return the SHA-256 of the 32 raw bytes of *public*, 64 hex digits; people are shown the first 16."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()


def make_key(workspace: Path) -> Ed25519PrivateKey:
    """
    Return the signing key of *workspace*; make it, and trust it as local, if there is none.

    Two processes that make it at once end with the same key.

    Raises:
        WorkspaceError: the folder cannot be written, or the key file is no key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    path = _folder(workspace) / "signing.pem"
    if not path.exists():
        fresh = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _create(path, fresh)
    key = _private_key(path, WorkspaceError)
    public = path.with_name("signing.pub")
    if not public.exists():
        _create(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    if key_id(key.public_key()) not in {k.keyid for k in list_keys(workspace)}:
        _add(workspace, KeyInfo(key_id(key.public_key()), "workspace", _raw(key.public_key()), local=True))
    return key


def load_signing_key(workspace: Path, environ: Mapping[str, str] = os.environ) -> Ed25519PrivateKey:
    """
    Return the key that signs verdicts: the file named by ``GOVERNANCE_SIGNING_KEY``, else the workspace's own.

    Raises:
        UsageError: the named file cannot be read or is no Ed25519 private key.
        WorkspaceError: the workspace's own key cannot be made or read.
    """
    named = environ.get(SIGNING_KEY)
    return _private_key(Path(named), UsageError) if named else make_key(workspace)


def list_keys(workspace: Path) -> list[KeyInfo]:
    """
    Return the trusted keys of *workspace*, sorted by name and id.

    Raises:
        WorkspaceError: the trust file cannot be read; a damaged one never means "nothing was ever trusted".
    """
    path = workspace / "keys" / "trust.json"
    try:
        entries = json.loads(path.read_bytes())["keys"]
        keys = [KeyInfo(str(e["keyid"]), str(e["name"]), str(e["public"]), e.get("local") is True) for e in entries]
        for key in keys:
            if key_id(public_key(key.public)) != key.keyid:
                raise ValueError
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise WorkspaceError(f"{path}: cannot be read: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError, SignatureError):
        raise WorkspaceError(
            f"{path}: is damaged; expected keys with keyid, name and public; restore the file"
        ) from None
    return sorted(keys, key=lambda k: (k.name, k.keyid))


def trust_key(workspace: Path, path: Path, name: str = "") -> KeyInfo:
    """
    Add the public key in *path* (PEM, as in ``signing.pub``) to the trust file and return it.

    Raises:
        UsageError: the file is no Ed25519 public key; a private key is refused, so that none is handed around.
        WorkspaceError: the trust file cannot be written.
    """
    key = read_public_key(path)
    known = {k.keyid: k for k in list_keys(workspace)}
    info = KeyInfo(key_id(key), name or path.stem, _raw(key), local=bool(known.get(key_id(key), _NOBODY).local))
    _add(workspace, info)
    return info


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key in *path*, PEM. Raises UsageError where it is none, or a private one."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path, UsageError)
    if b"PRIVATE KEY" in data:
        raise UsageError(f"{path}: is a private key; give the public one (signing.pub)")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path}: is no public key in PEM form; give the file 'signing.pub' of the signer") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: is a public key of another kind; expected Ed25519")
    return key


def is_local(workspace: Path, keyid: str) -> bool:
    """Return whether *keyid* is the workspace's own key."""
    return any(k.local and k.keyid == keyid for k in list_keys(workspace))


def load_trust(workspace: Path, trusted_keys: Sequence[str] = ()) -> Trust:
    """
    Return the keys whose signatures count: those the policy names, or, if it names none, those of the trust file.

    Args:
        trusted_keys: of a policy: ``ed25519:BASE64`` (the raw public key), or the 64 hex digits of a key id whose key
            is in the trust file.

    Raises:
        SignatureError: an entry that is neither.
        WorkspaceError: the trust file cannot be read.
    """
    entries = list_keys(workspace)
    local = frozenset(k.keyid for k in entries if k.local)
    known = {k.keyid: public_key(k.public) for k in entries}
    if not trusted_keys:
        return Trust(known, local)
    chosen = {}
    for entry in trusted_keys:
        if entry.startswith("ed25519:"):
            key = public_key(entry.removeprefix("ed25519:"))
            chosen[key_id(key)] = key
        elif not _ID.match(entry):
            raise SignatureError(
                f"trusted key {entry!r}: expected 64 hex digits or 'ed25519:' and 44 base64 characters"
            )
        elif entry in known:
            chosen[entry] = known[entry]
    return Trust(chosen, local & chosen.keys())


def public_key(text: str) -> Ed25519PublicKey:
    """
    Return the public key whose 32 raw bytes *text* holds as base64.

    Raises:
        SignatureError: it does not.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise SignatureError("a public key is not 32 bytes in base64") from None


def load_fingerprint_key(workspace: Path, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> bytes:
    """
    Return the key of finding fingerprints, at least 16 bytes.

    From *path*, the file named by ``GOVERNANCE_FINGERPRINT_KEY_FILE``, the text of ``GOVERNANCE_FINGERPRINT_KEY``, or
    the workspace's own, which is made once. A baseline holds only where the same key is used, so a team gives it to
    its CI. White space around the key does not count.

    Raises:
        UsageError: a given key cannot be read or is too short.
        WorkspaceError: the workspace's own cannot be made or read.
    """
    named = path or (Path(environ[FINGERPRINT_KEY_FILE]) if environ.get(FINGERPRINT_KEY_FILE) else None)
    if named is not None:
        return _long_enough(_read(named, UsageError), str(named), UsageError)
    if environ.get(FINGERPRINT_KEY):
        return _long_enough(os.fsencode(environ[FINGERPRINT_KEY]), FINGERPRINT_KEY, UsageError)
    own = _folder(workspace) / "fingerprint.key"
    if not own.exists():
        _create(own, secrets.token_hex(32).encode() + b"\n")
    return _long_enough(_read(own, WorkspaceError), str(own), WorkspaceError)


_NOBODY = KeyInfo("", "", "")


def _folder(workspace: Path) -> Path:
    folder = workspace / "keys"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as problem:
        raise WorkspaceError(f"{folder}: cannot be made: {problem.strerror}") from None
    return folder


def _create(path: Path, data: bytes) -> None:
    """
    Write a file of mode 0600 unless it is there; whole or not at all.

    The content is written beside it and linked into place: link fails where another process was first, and no reader
    ever sees half a key, which O_EXCL on the name itself would allow.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_draft(draft, data)
        os.link(draft, path)
    except FileExistsError:
        pass  # another process made it; the caller reads that one
    except OSError as problem:
        raise WorkspaceError(f"{path}: cannot be written: {problem.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _write_draft(draft: Path, data: bytes) -> None:
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _add(workspace: Path, info: KeyInfo) -> None:
    import fcntl

    folder = _folder(workspace)
    draft = folder / f".trust.{secrets.token_hex(8)}"
    try:
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = {k.keyid: k for k in list_keys(workspace)} | {info.keyid: info}
            entries: list[dict[str, Any]] = [
                {"keyid": k.keyid, "name": k.name, "public": k.public, "local": k.local} for k in keys.values()
            ]
            text = json.dumps({"keys": sorted(entries, key=lambda e: str(e["keyid"]))}, indent=2, ensure_ascii=False)
            _write_draft(draft, text.encode() + b"\n")
            draft.replace(folder / "trust.json")
    except OSError as problem:
        raise WorkspaceError(f"{folder / 'trust.json'}: cannot be written: {problem.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _private_key(path: Path, error: type[UsageError] | type[WorkspaceError]) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path, error), password=None)
    except TypeError:
        raise error(f"{path}: is an encrypted private key; give it without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise error(f"{path}: is no Ed25519 private key in PEM form (PKCS #8)") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise error(f"{path}: is a private key of another kind; expected Ed25519")
    return key


def _read(path: Path, error: type[UsageError] | type[WorkspaceError]) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEY_FILE + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from None
    if len(data) > MAX_KEY_FILE:
        raise error(f"{path}: holds more than {MAX_KEY_FILE} bytes, so it is no key file")
    return data


def _long_enough(data: bytes, where: str, error: type[UsageError] | type[WorkspaceError]) -> bytes:
    key = data.strip()
    if len(key) < MIN_FINGERPRINT_KEY:
        raise error(f"{where}: holds {len(key)} bytes, expected a fingerprint key of at least {MIN_FINGERPRINT_KEY}")
    return key


def _raw(public: Ed25519PublicKey) -> str:
    return base64.b64encode(public.public_bytes_raw()).decode()
