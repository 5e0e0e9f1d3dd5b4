"""The small durable state that belongs to no shard; today: who may call.

API keys, one-time sign-in codes and page sessions are all secrets that name a principal: each is kept under
SHA-256 of its text, with a kind and an expiry, never in clear.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from storage.database import Database, DatabaseSettings
from tradetrail.tokens import Principal

__all__ = ["ControlStore", "Credential", "CredentialKind"]

_SETTINGS = DatabaseSettings(
    block_cache_bytes=4 * 1024 * 1024, write_buffer_bytes=4 * 1024 * 1024, open_files_max=64
)
_FAMILY = "credentials"


class CredentialKind(StrEnum):
    """What a secret is good for."""

    KEY = "key"
    CODE = "code"
    SESSION = "session"


class Credential(msgspec.Struct, frozen=True):
    """What a secret stands for; ``format`` 1."""

    format: int
    kind: CredentialKind
    principal: Principal


class ControlStore:
    """One thread at a time."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = Database(path / "db", _SETTINGS, names=(_FAMILY,))

    def find(self, secret_hash: bytes) -> Credential | None:
        """The credential kept under a hash."""
        value = self._db.get(_FAMILY, secret_hash)
        return None if value is None else msgspec.json.decode(value, type=Credential)

    def keep(self, secret_hash: bytes, credential: Credential) -> None:
        """Durable on return."""
        batch = self._db.batch()
        batch.put(_FAMILY, secret_hash, msgspec.json.encode(credential))
        self._db.write(batch)
        self._db.flush()

    def forget(self, secret_hash: bytes) -> None:
        """Durable on return."""
        batch = self._db.batch()
        batch.delete(_FAMILY, secret_hash)
        self._db.write(batch)
        self._db.flush()

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()
