"""ControlActor: the owner of the state that belongs to no shard."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from storage.clock import wall_ns
from storage.control_store import ControlStore, Credential, CredentialKind
from storage.layout import control_dir
from tradetrail.errors import Unauthenticated
from tradetrail.tokens import SCOPES, Principal, new_token, token_hash

__all__ = ["SESSION_S", "ControlActor"]

SESSION_S = 8 * 3600
_CODE_S = 15 * 60
_NS = 1_000_000_000


class ControlActor:
    """Credentials of the cluster. Every change is durable before its answer."""

    def __init__(
        self,
        data: Path,
        clock: Callable[[], int] = wall_ns,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._clock = clock
        self._random = random
        self._store = ControlStore(control_dir(data))
        self._token_file = data / "admin.token"
        self._ensure_admin()

    def principal(self, secret: str) -> Principal:
        """Who holds an API key or a session; raises ``Unauthenticated``."""
        return self._principal(secret, (CredentialKind.KEY, CredentialKind.SESSION))

    def signin_code(self) -> str:
        """A code that signs one browser in, once, within 15 minutes."""
        return self._issue(CredentialKind.CODE, "admin", SCOPES, _CODE_S)

    def open_session(self, secret: str) -> tuple[str, Principal]:
        """A session for an API key or a sign-in code; the code is used up before the session is made."""
        principal = self._principal(secret, (CredentialKind.KEY, CredentialKind.CODE))
        found = self._store.find(token_hash(secret))
        if found is not None and found.kind is CredentialKind.CODE:
            self._store.forget(token_hash(secret))
        session = self._issue(CredentialKind.SESSION, principal.name, principal.scopes, SESSION_S)
        return session, self.principal(session)

    def close_session(self, secret: str) -> None:
        """End a session; no error where it has ended."""
        found = self._store.find(token_hash(secret))
        if found is not None and found.kind is CredentialKind.SESSION:
            self._store.forget(token_hash(secret))

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _principal(self, secret: str, kinds: tuple[CredentialKind, ...]) -> Principal:
        found = self._store.find(token_hash(secret))
        if found is None or found.kind not in kinds:
            raise Unauthenticated("invalid_token", "The token is not known here, or was revoked.")
        principal = found.principal
        if principal.expires_ns and principal.expires_ns <= self._clock():
            raise Unauthenticated("invalid_token", "The token has expired; get a new one.")
        return principal

    def _issue(
        self, kind: CredentialKind, name: str, scopes: tuple[str, ...], lifetime_s: int
    ) -> str:
        secret = new_token(self._random)
        expires_ns = self._clock() + lifetime_s * _NS if lifetime_s else 0
        principal = Principal(name, scopes, expires_ns)
        self._store.keep(token_hash(secret), Credential(1, kind, principal))
        return secret

    def _ensure_admin(self) -> None:
        """The first key. The file is written first: a crash in between leaves a token that is no key
        yet, and the next start makes it one."""
        if self._token_file.exists():
            token = self._token_file.read_text(encoding="ascii").strip()
        else:
            token = new_token(self._random)
            descriptor = os.open(self._token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(token + "\n")
                file.flush()
                os.fsync(file.fileno())
        if self._store.find(token_hash(token)) is None:
            principal = Principal("admin", SCOPES)
            self._store.keep(token_hash(token), Credential(1, CredentialKind.KEY, principal))
