"""The small durable state that belongs to no shard: who may call, and what reports there are.

API keys, one-time sign-in codes and page sessions are all secrets that name a principal: each is kept under
SHA-256 of its text, with a kind and an expiry, never in clear. Reports are kept under their random ids, and
under the hash of an Idempotency-Key the id it stands for; a report's row names users and is sealed: nonce (12)
‖ ciphertext ‖ tag, AES-256-GCM, its id authenticated.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.database import Batch, Database, DatabaseSettings
from tradetrail.errors import Corrupt
from tradetrail.report import ReportRow
from tradetrail.tokens import Principal

__all__ = ["ControlStore", "Credential", "CredentialKind"]

_SETTINGS = DatabaseSettings(
    block_cache_bytes=4 * 1024 * 1024, write_buffer_bytes=4 * 1024 * 1024, open_files_max=64
)
_CREDENTIALS, _REPORTS, _CLAIMS = "credentials", "reports", "claims"


class CredentialKind(StrEnum):
    """What a secret is good for."""

    KEY = "key"
    CODE = "code"
    SESSION = "session"


class Credential(msgspec.Struct, frozen=True):
    """What a secret stands for; ``format`` 1, times in ns since 1970."""

    format: int
    kind: CredentialKind
    principal: Principal
    #: What an API key is called in lists; part of the key's own text.
    id: str = ""
    created_ns: int = 0
    #: 0 where it is good.
    revoked_ns: int = 0


class ControlStore:
    """One thread at a time."""

    def __init__(self, path: Path, row_key: bytes) -> None:
        """``row_key``, 32 bytes, seals what names users."""
        self._aead = AESGCM(row_key)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = Database(path / "db", _SETTINGS, names=(_CREDENTIALS, _REPORTS, _CLAIMS))

    def find(self, secret_hash: bytes) -> Credential | None:
        """The credential kept under a hash."""
        value = self._db.get(_CREDENTIALS, secret_hash)
        return None if value is None else msgspec.json.decode(value, type=Credential)

    def credentials(self) -> list[tuple[bytes, Credential]]:
        """Every credential with its hash."""
        return [
            (key, msgspec.json.decode(value, type=Credential))
            for key, value in self._db.scan(_CREDENTIALS, b"")
        ]

    def keep(self, secret_hash: bytes, credential: Credential) -> None:
        """Durable on return."""
        batch = self._db.batch()
        batch.put(_CREDENTIALS, secret_hash, msgspec.json.encode(credential))
        self._commit(batch)

    def forget(self, secret_hash: bytes) -> None:
        """Durable on return."""
        batch = self._db.batch()
        batch.delete(_CREDENTIALS, secret_hash)
        self._commit(batch)

    def reports(self) -> list[ReportRow]:
        """All rows."""
        return [self._opened(key, value) for key, value in self._db.scan(_REPORTS, b"")]

    def keep_report(self, row: ReportRow, claim: bytes = b"") -> None:
        """Put a row; ``claim`` stands for it from now on. Durable on return."""
        batch = self._db.batch()
        nonce = os.urandom(12)
        sealed = self._aead.encrypt(nonce, msgspec.json.encode(row), row.id.encode())
        batch.put(_REPORTS, row.id.encode(), nonce + sealed)
        if claim:
            batch.put(_CLAIMS, claim, row.id.encode())
        self._commit(batch)

    def claimed_report(self, claim: bytes) -> str | None:
        """The id of the report that a claim stands for."""
        value = self._db.get(_CLAIMS, claim)
        return None if value is None else value.decode()

    def forget_report(self, report_id: str) -> None:
        """Remove a row with its claims. Durable on return."""
        batch = self._db.batch()
        batch.delete(_REPORTS, report_id.encode())
        for claim, value in self._db.scan(_CLAIMS, b""):
            if value == report_id.encode():
                batch.delete(_CLAIMS, claim)
        self._commit(batch)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def _opened(self, key: bytes, value: bytes) -> ReportRow:
        try:
            text = self._aead.decrypt(value[:12], value[12:], key)
        except (InvalidTag, ValueError) as error:
            raise Corrupt(
                "report_row_damaged",
                f"The row of report {key.decode('ascii', 'replace')} does not authenticate; restore the "
                "control store from a backup.",
            ) from error
        return msgspec.json.decode(text, type=ReportRow)

    def _commit(self, batch: Batch) -> None:
        self._db.write(batch)
        self._db.flush()
