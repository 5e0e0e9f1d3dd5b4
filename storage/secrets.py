"""The key-encryption key, the cluster secret under it, and every key derived from the secret.

One file outside the data holds the key-encryption key (KEK). The cluster secret is drawn once, wrapped by
the KEK and kept on the object store, so that every node finds it and the KEK is the one thing to guard.
Hash keys, tag keys, cursor and session keys come from the secret by HKDF-SHA256 with a label each.

Key file ``<keys>/kek-<id>.json``: ``{"format":1,"id":"<16 hex>","key":"<64 hex>"}``, mode 0600, folder 0700.
The id is the first 8 bytes of SHA-256(key), so a file cannot be taken for another key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.folders import sync_folder
from tradetrail.errors import Corrupt, Invalid

__all__ = ["ClusterSecret", "KeyEncryptionKey", "KeyFolder", "WrappingKey"]

_NONCE_BYTES = 12
_FORMAT = 1


class WrappingKey(Protocol):
    """What wraps and unwraps small secrets; a KMS can stand behind it."""

    @property
    def id(self) -> str:
        """16 hex digits that name the key in the data."""

    def wrap(self, secret: bytes, purpose: bytes) -> bytes:
        """Encrypt ``secret``; ``purpose`` is authenticated with it."""

    def unwrap(self, wrapped: bytes, purpose: bytes) -> bytes:
        """The inverse of ``wrap``; raises ``Corrupt`` for another key, purpose or damaged bytes."""


class KeyEncryptionKey:
    """An AES-256-GCM wrapping key held in memory."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32
        self._aead = AESGCM(key)
        self._id = hashlib.sha256(key).digest()[:8].hex()

    @property
    def id(self) -> str:
        """First 8 bytes of SHA-256(key), in hex."""
        return self._id

    def wrap(self, secret: bytes, purpose: bytes) -> bytes:
        """Nonce (12) ‖ ciphertext ‖ tag (16)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, purpose)

    def unwrap(self, wrapped: bytes, purpose: bytes) -> bytes:
        """The wrapped secret; raises ``Corrupt`` where the tag does not verify."""
        try:
            return self._aead.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], purpose)
        except (InvalidTag, ValueError) as error:
            raise Corrupt(
                "key_unwrap_failed",
                f"A secret wrapped for {purpose.decode(errors='replace')} does not open under "
                f"key {self._id}; the bytes are damaged or were wrapped by another key.",
            ) from error


class _KeyFile(msgspec.Struct):
    format: int
    id: str
    key: str


class KeyFolder:
    """The folder of key files, apart from the data."""

    def __init__(self, path: Path, random: Callable[[int], bytes] = os.urandom) -> None:
        self._path = path
        self._random = random

    def create(self) -> KeyEncryptionKey:
        """Draw a key and write its file durably; only for a store that is empty."""
        key = self._random(32)
        kek = KeyEncryptionKey(key)
        self._path.mkdir(parents=True, exist_ok=True)
        self._path.chmod(0o700)
        target = self._path / f"kek-{kek.id}.json"
        content = msgspec.json.encode(_KeyFile(_FORMAT, kek.id, key.hex()))
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for folder in (self._path, self._path.parent):
            sync_folder(folder)
        return kek

    def load(self, key_id: str) -> KeyEncryptionKey:
        """The key the data names.

        Raises:
            Invalid: ``key_missing`` where its file is not there; ``key_file_invalid`` where the file
                does not hold that key; ``key_unreadable``.
        """
        target = self._path / f"kek-{key_id}.json"
        try:
            found = msgspec.json.decode(target.read_bytes(), type=_KeyFile)
            kek = KeyEncryptionKey(bytes.fromhex(found.key))
        except FileNotFoundError as error:
            raise Invalid(
                "key_missing",
                f"The data names key-encryption key {key_id}, and {target} is not there. Bring the file "
                "back from where keys are kept, or name its folder with --keys; nothing was changed.",
            ) from error
        except OSError as error:
            raise Invalid(
                "key_unreadable",
                f"{target} cannot be read: {error.strerror}. Give the service's account the right to it.",
            ) from error
        except (msgspec.DecodeError, ValueError, AssertionError) as error:
            raise Invalid("key_file_invalid", _not_a_key_file(target)) from error
        if found.format != _FORMAT:
            raise Invalid("key_file_invalid", _not_a_key_file(target))
        if kek.id != key_id:
            raise Invalid(
                "key_file_invalid",
                f"{target} holds key {kek.id}, not {key_id}; restore the right file.",
            )
        return kek


class ClusterSecret:
    """32 random bytes of the cluster and the keys derived from them."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == 32
        self._secret = secret

    def derive(self, label: str) -> bytes:
        """32 bytes for one purpose; HKDF-SHA256 without salt, ``label`` as info."""
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"tradetrail/{label}".encode())
        return hkdf.derive(self._secret)

    def tag_key(self, shard: int) -> bytes:
        """Key of the user tags in a shard's log; SHA-256 of it is that log's entry 0."""
        return self.derive(f"log-tag/{shard:02d}")


def _not_a_key_file(target: Path) -> str:
    return f"{target} is not a key file of format {_FORMAT}; restore it from a copy."
