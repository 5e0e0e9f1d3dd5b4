"""ControlActor: the owner of the state that belongs to no shard."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from actors.gauges import Gauges
from actors.reports import MadeReport, ReportDesk, ReportFile, ReportJob
from storage.clock import wall_ns
from storage.cluster import open_cluster
from storage.control_store import ControlStore, Credential, CredentialKind
from storage.layout import control_dir
from tradetrail.errors import Invalid, NotFound, Unauthenticated
from tradetrail.meter import Sample
from tradetrail.report import ReportRequest, ReportRow
from tradetrail.tokens import SCOPES, Principal, is_token, new_token, token_hash, token_id

__all__ = ["SESSION_S", "ControlActor", "ControlSettings", "Credentials"]

SESSION_S = 8 * 3600
_CODE_S = 15 * 60
_NS = 1_000_000_000
_NAME_CHARACTERS_MAX = 100


@dataclass(frozen=True)
class ControlSettings:
    """What the control actor is started with."""

    data: Path
    keys: Path
    report_ttl_s: int
    service_name: str


class Credentials:
    """API keys, sign-in codes and sessions. Every change is durable before its answer."""

    def __init__(
        self,
        store: ControlStore,
        clock: Callable[[], int] = wall_ns,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    def principal(self, secret: str) -> Principal:
        """Who holds an API key or a session; raises ``Unauthenticated``."""
        return self._principal(secret, (CredentialKind.KEY, CredentialKind.SESSION))

    def signin_code(self) -> str:
        """A code that signs one browser in, once, within 15 minutes."""
        return self._issue(CredentialKind.CODE, Principal("admin", SCOPES), _CODE_S)

    def open_session(self, secret: str) -> tuple[str, Principal]:
        """A session for an API key or a sign-in code; the code is used up before the session is made."""
        principal = self._principal(secret, (CredentialKind.KEY, CredentialKind.CODE))
        found = self._store.find(token_hash(secret))
        assert found is not None, "a principal was found under it"
        key_id = found.id
        if found.kind is CredentialKind.CODE:
            self._store.forget(token_hash(secret))
            key_id = ""
        session = self._issue(CredentialKind.SESSION, principal, SESSION_S, key_id)
        return session, self.principal(session)

    def close_session(self, secret: str) -> None:
        """End a session; no error where it has ended."""
        found = self._store.find(token_hash(secret))
        if found is not None and found.kind is CredentialKind.SESSION:
            self._store.forget(token_hash(secret))

    def create_key(self, name: str, scopes: tuple[str, ...], lifetime_s: int) -> tuple[str, str]:
        """A new API key and its id; ``lifetime_s`` 0 is for ever. The key is in no store afterwards.

        Raises:
            Invalid: the name or a scope cannot be.
        """
        if not (0 < len(name) <= _NAME_CHARACTERS_MAX and name.isprintable()):
            raise Invalid(
                "invalid_name",
                f"The name has 1 to {_NAME_CHARACTERS_MAX} printable characters.",
                pointer="#/name",
            )
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise Invalid(
                "invalid_scope",
                f"Scopes are {', '.join(SCOPES)}; give one or more.",
                400,
                "#/scopes",
            )
        secret = self._issue(CredentialKind.KEY, Principal(name, scopes), lifetime_s)
        return secret, token_id(secret)

    def keys(self) -> list[Credential]:
        """Every API key, revoked ones too, oldest first."""
        found = [item for _, item in self._store.credentials() if item.kind is CredentialKind.KEY]
        return sorted(found, key=lambda item: (item.created_ns, item.id))

    def revoke_key(self, key_id: str) -> None:
        """End an API key; raises ``NotFound``."""
        for secret_hash, found in self._store.credentials():
            if found.kind is CredentialKind.KEY and found.id == key_id:
                if not found.revoked_ns:
                    revoked = Credential(
                        1, found.kind, found.principal, found.id, found.created_ns, self._clock()
                    )
                    self._store.keep(secret_hash, revoked)
                    self._end_sessions(key_id)
                return
        raise NotFound("no_such_token", f"There is no API key with the id {key_id}.")

    def _end_sessions(self, key_id: str) -> None:
        """Sessions that were opened with a key end with it."""
        for secret_hash, found in self._store.credentials():
            if found.kind is CredentialKind.SESSION and found.id == key_id:
                self._store.forget(secret_hash)

    def ensure_admin(self, token_file: Path) -> None:
        """The first key. The file is written first: a crash in between leaves a token that is no key
        yet, and the next start makes it one.

        Raises:
            Invalid: the file is there and holds no token.
        """
        if not token_file.exists():
            self._write_token(token_file, new_token(self._random))
        token = token_file.read_bytes().decode("ascii", "replace").strip()
        if not is_token(token):
            raise Invalid(
                "admin_token_unreadable",
                f"{token_file} does not hold an API key. Put the key back, or remove the file and a new "
                "key is made at the next start.",
            )
        if self._store.find(token_hash(token)) is None:
            self._keep(token, CredentialKind.KEY, Principal("admin", SCOPES))

    def _write_token(self, path: Path, token: str) -> None:
        """The file appears whole, readable by its owner only, and survives a power loss."""
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)

    def _principal(self, secret: str, kinds: tuple[CredentialKind, ...]) -> Principal:
        found = self._store.find(token_hash(secret))
        if found is None or found.kind not in kinds or found.revoked_ns:
            raise Unauthenticated("invalid_token", "The token is not known here, or was revoked.")
        principal = found.principal
        if principal.expires_ns and principal.expires_ns <= self._clock():
            raise Unauthenticated("invalid_token", "The token has expired; get a new one.")
        return Principal(principal.name, principal.scopes, principal.expires_ns, found.id)

    def _issue(
        self, kind: CredentialKind, holder: Principal, lifetime_s: int, key_id: str = ""
    ) -> str:
        """A new secret, which never outlives the one its holder came with."""
        secret = new_token(self._random)
        expires_ns = self._clock() + lifetime_s * _NS if lifetime_s else 0
        if holder.expires_ns:
            expires_ns = min(expires_ns or holder.expires_ns, holder.expires_ns)
        principal = Principal(holder.name, holder.scopes, expires_ns)
        self._keep(secret, kind, principal, key_id)
        return secret

    def _keep(
        self, secret: str, kind: CredentialKind, principal: Principal, key_id: str = ""
    ) -> None:
        key_id = key_id or token_id(secret)
        self._store.keep(token_hash(secret), Credential(1, kind, principal, key_id, self._clock()))


class ControlActor:
    """Credentials, reports and the gathered numbers of the cluster; every method runs on one loop."""

    def __init__(
        self, settings: ControlSettings, make: Callable[[ReportJob], Awaitable[MadeReport]]
    ) -> None:
        """``make`` has a report made elsewhere."""
        cluster = open_cluster(settings.data, settings.keys)
        self._store = ControlStore(
            control_dir(settings.data), cluster.secret.derive("control-rows/1")
        )
        self._credentials = Credentials(self._store)
        self._credentials.ensure_admin(settings.data / "admin.token")
        self._gauges = Gauges(time.monotonic)
        self._desk = ReportDesk(
            self._store,
            settings.data,
            cluster.secret.derive,
            make,
            clock=wall_ns,
            kept_s=settings.report_ttl_s,
            service_name=settings.service_name,
            shards=cluster.shards,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to make what is queued; safe to call again."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._desk.run())]

    async def principal(self, secret: str) -> Principal:
        """See ``Credentials.principal``."""
        # Every request passes here: after a restart the first of them sets the desk going again.
        await self.start()
        return self._credentials.principal(secret)

    async def signin_code(self) -> str:
        """See ``Credentials.signin_code``."""
        return self._credentials.signin_code()

    async def open_session(self, secret: str) -> tuple[str, Principal]:
        """See ``Credentials.open_session``."""
        return self._credentials.open_session(secret)

    async def close_session(self, secret: str) -> None:
        """See ``Credentials.close_session``."""
        self._credentials.close_session(secret)

    async def create_key(
        self, name: str, scopes: tuple[str, ...], lifetime_s: int
    ) -> tuple[str, str]:
        """See ``Credentials.create_key``."""
        return self._credentials.create_key(name, scopes, lifetime_s)

    async def keys(self) -> list[Credential]:
        """See ``Credentials.keys``."""
        return self._credentials.keys()

    async def revoke_key(self, key_id: str) -> None:
        """See ``Credentials.revoke_key``."""
        self._credentials.revoke_key(key_id)

    async def create_report(
        self, principal: Principal, request: ReportRequest, claim_key: str
    ) -> ReportRow:
        """See ``ReportDesk.create``."""
        await self.start()
        return self._desk.create(principal, request, claim_key)

    async def report(self, principal: Principal, report_id: str) -> ReportRow:
        """See ``ReportDesk.get``."""
        return self._desk.get(principal, report_id)

    async def reports(self, principal: Principal) -> list[ReportRow]:
        """See ``ReportDesk.list``."""
        return self._desk.list(principal)

    async def report_file(self, principal: Principal, report_id: str) -> ReportFile:
        """See ``ReportDesk.file``."""
        return self._desk.file(principal, report_id)

    async def remove_report(self, principal: Principal, report_id: str) -> ReportRow | None:
        """See ``ReportDesk.remove``."""
        return await self._desk.remove(principal, report_id)

    async def report_progress(self, report_id: str, done: int, total: int) -> bool:
        """See ``ReportDesk.progress``."""
        return self._desk.progress(report_id, done, total)

    async def push(self, process: str, samples: list[Sample]) -> None:
        """A process tells its numbers."""
        await self.start()
        self._gauges.put(process, samples)

    async def numbers(self) -> list[Sample]:
        """The numbers of all processes, put together."""
        reports = [
            Sample("tradetrail_reports", (status,), count)
            for status, count in self._desk.counts().items()
        ]
        return self._gauges.merged() + reports
