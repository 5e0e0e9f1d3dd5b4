"""The desk where reports are asked for, made, kept and forgotten; part of the ControlActor.

    queued ──a place is free──> running ──made──> succeeded ──kept long enough──> expired
       │                          │ └─ the worker was lost: queued again, up to ``_ATTEMPTS_MAX`` times
       └──────── cancelled <──────┴──> failed

Every change of a status is durable before it is told. Progress lives in memory only. After a restart what was
queued or running is made from the beginning; a file appears under its name only when it is whole. A report
belongs to its requester and to administrators; for others it does not exist.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from storage.layout import objects_dir
from tradetrail.errors import (
    Backpressure,
    Conflict,
    Gone,
    Internal,
    NotFound,
    TradeTrailError,
    Unavailable,
)
from tradetrail.report import ReportRequest, ReportRow, ReportStatus
from tradetrail.tokens import Principal

__all__ = ["MadeReport", "ReportDesk", "ReportFile", "ReportJob", "ReportStore"]

_logger = logging.getLogger(__name__)

_NS = 1_000_000_000
#: Two use the cores of a small machine; the rest waits.
_RUNNING_MAX = 2
_OPEN_MAX = 200
_ATTEMPTS_MAX = 3
_SWEEP_S = 60.0


class ReportJob(msgspec.Struct, frozen=True):
    """What a task needs to make one report."""

    id: str
    request: ReportRequest
    requester: str
    created_ns: int
    data: Path
    service_name: str
    shards: int
    #: Seals the file.
    key: bytes


class MadeReport(msgspec.Struct, frozen=True):
    """What a task made; ``sha256`` is of the content, in hex."""

    rows: int
    size_bytes: int
    sha256: str


class ReportFile(msgspec.Struct, frozen=True):
    """Where a finished report lies, and the key it is sealed with."""

    row: ReportRow
    path: Path
    key: bytes


class ReportStore(Protocol):
    """Durable rows; each method that changes something is durable on return."""

    def reports(self) -> list[ReportRow]:
        """All rows."""

    def keep_report(self, row: ReportRow, claim: bytes = b"") -> None:
        """Put a row; ``claim`` is the hash of an Idempotency-Key that stands for it from now on."""

    def claimed_report(self, claim: bytes) -> str | None:
        """The id of the report that a claim stands for."""

    def forget_report(self, report_id: str) -> None:
        """Remove a row with its claim."""


class ReportDesk:
    """Used on one event loop.

    Args:
        store: of the rows.
        data: the data folder.
        derive: a key for a label.
        make: has a report made; raises ``TradeTrailError`` where it cannot be, and anything else where
            whoever made it was lost.
        clock: ns since 1970.
        kept_s: how long a finished report is kept.
    """

    def __init__(
        self,
        store: ReportStore,
        data: Path,
        derive: Callable[[str], bytes],
        make: Callable[[ReportJob], Awaitable[MadeReport]],
        *,
        clock: Callable[[], int],
        kept_s: int,
        service_name: str,
        shards: int,
    ) -> None:
        self._store = store
        self._data = data
        self._derive = derive
        self._make = make
        self._clock = clock
        self._kept_ns = kept_s * _NS
        self._service_name = service_name
        self._shards = shards
        self._folder = objects_dir(data) / "reports"
        self._rows = {row.id: row for row in store.reports()}
        self._wake = asyncio.Event()
        self._making: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Makes what is queued and removes what has expired, until it is cancelled."""
        await asyncio.to_thread(self._prepare)
        for row in list(self._rows.values()):
            if row.status is ReportStatus.RUNNING:
                self._change(row, status=ReportStatus.QUEUED)
        while True:
            self._wake.clear()
            self._start_queued()
            self._sweep()
            try:
                async with asyncio.timeout(_SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def create(self, principal: Principal, request: ReportRequest, claim_key: str) -> ReportRow:
        """Queue a report; the same Idempotency-Key of the same caller gives the same report.

        Raises:
            Conflict: the key was used for another request.
            Backpressure: too many reports wait.
        """
        claim = b""
        if claim_key:
            claim = hashlib.sha256(f"{principal.key_id}\0{claim_key}".encode()).digest()
            known = self._rows.get(self._store.claimed_report(claim) or "")
            if known is not None:
                if known.request == request:
                    return known
                raise Conflict(
                    "idempotency_key_reused",
                    "This Idempotency-Key stands for another report; take a new key.",
                    422,
                )
        if sum(row.is_open for row in self._rows.values()) >= _OPEN_MAX:
            raise Backpressure(
                "too_many_reports",
                f"{_OPEN_MAX} reports wait to be made already; ask again when some are done.",
                503,
                "",
                30,
            )
        row = ReportRow(
            secrets.token_urlsafe(18),
            principal.key_id,
            principal.name,
            request,
            ReportStatus.QUEUED,
            self._clock(),
        )
        self._store.keep_report(row, claim)
        self._rows[row.id] = row
        self._wake.set()
        return row

    def get(self, principal: Principal, report_id: str) -> ReportRow:
        """A report of the caller's; raises ``NotFound`` for others alike."""
        row = self._rows.get(report_id)
        if row is None or not _may_see(principal, row):
            raise NotFound("no_such_report", "There is no such report, or none that you may see.")
        return row

    def list(self, principal: Principal) -> list[ReportRow]:
        """The caller's reports, newest first."""
        rows = [row for row in self._rows.values() if _may_see(principal, row)]
        return sorted(rows, key=lambda row: (row.created_ns, row.id), reverse=True)

    def file(self, principal: Principal, report_id: str) -> ReportFile:
        """A finished report's file.

        Raises:
            Conflict: it is not finished, or was not made.
            Gone: it is kept no longer.
        """
        row = self.get(principal, report_id)
        if row.status is ReportStatus.EXPIRED:
            raise Gone("report_expired", "This report is kept no longer; ask for it again.")
        if row.status is not ReportStatus.SUCCEEDED:
            raise Conflict(
                "report_not_ready", f"This report is {row.status}; its status says when it is done."
            )
        return ReportFile(row, self._path(row.id), self._key(row.id))

    async def remove(self, principal: Principal, report_id: str) -> ReportRow | None:
        """Cancel a report that is being made (the row stays), else remove it with its file (``None``)."""
        row = self.get(principal, report_id)
        if row.is_open:
            return self._change(row, status=ReportStatus.CANCELLED, finished_ns=self._clock())
        await asyncio.to_thread(self._path(row.id).unlink, missing_ok=True)
        self._forget(row)
        return None

    def progress(self, report_id: str, done: int, total: int) -> bool:
        """A task tells how far it is; whether it is to go on."""
        row = self._rows.get(report_id)
        if row is None or row.status is not ReportStatus.RUNNING:
            return False
        self._rows[report_id] = msgspec.structs.replace(row, done=done, total=total)
        return True

    def counts(self) -> dict[str, int]:
        """Reports by status."""
        found = dict.fromkeys(ReportStatus, 0)
        for row in self._rows.values():
            found[row.status] += 1
        return {str(status): count for status, count in found.items()}

    def _start_queued(self) -> None:
        queued = [row for row in self._rows.values() if row.status is ReportStatus.QUEUED]
        for row in sorted(queued, key=lambda row: row.created_ns):
            if len(self._making) >= _RUNNING_MAX:
                return
            started = self._change(row, status=ReportStatus.RUNNING, attempts=row.attempts + 1)
            self._making[row.id] = asyncio.create_task(self._make_one(started))

    async def _make_one(self, row: ReportRow) -> None:
        job = ReportJob(
            row.id,
            row.request,
            row.requester,
            row.created_ns,
            self._data,
            self._service_name,
            self._shards,
            self._key(row.id),
        )
        changes: dict[str, object]
        try:
            made = await self._make(job)
            changes = {
                "status": ReportStatus.SUCCEEDED,
                "done": made.rows,
                "total": made.rows,
                "size_bytes": made.size_bytes,
                "sha256": made.sha256,
                "filename": _filename(row),
            }
        except TradeTrailError as error:
            changes = self._after_failure(row, error, again=isinstance(error, Unavailable))
        except Exception as error:
            _logger.exception("report %s: whoever made it was lost", row.id)
            lost = Internal("report_failed", "The report could not be made; see the log.")
            lost.__cause__ = error
            changes = self._after_failure(row, lost, again=True)
        finally:
            del self._making[row.id]
            self._wake.set()
        now_ns = self._clock()
        current = self._rows.get(row.id)
        if current is None or current.status is not ReportStatus.RUNNING:
            # Cancelled meanwhile: what was made is nobody's.
            await asyncio.to_thread(self._path(row.id).unlink, missing_ok=True)
            return
        times = {"finished_ns": now_ns, "expires_ns": now_ns + self._kept_ns}
        self._change(
            current, **(changes if changes["status"] is ReportStatus.QUEUED else changes | times)
        )

    def _after_failure(
        self, row: ReportRow, error: TradeTrailError, *, again: bool
    ) -> dict[str, object]:
        if again and row.attempts < _ATTEMPTS_MAX:
            return {"status": ReportStatus.QUEUED}
        return {
            "status": ReportStatus.FAILED,
            "error_code": error.code,
            "error_detail": error.detail,
        }

    def _sweep(self) -> None:
        now_ns = self._clock()
        for row in list(self._rows.values()):
            if row.is_open or not row.finished_ns:
                continue
            if row.status is ReportStatus.SUCCEEDED and row.expires_ns <= now_ns:
                self._path(row.id).unlink(missing_ok=True)
                self._change(row, status=ReportStatus.EXPIRED)
            elif row.finished_ns + 2 * self._kept_ns <= now_ns:
                self._forget(row)

    def _prepare(self) -> None:
        """The folder, without what a killed task left."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self._folder.glob(".*.part"):
            part.unlink(missing_ok=True)

    def _change(self, row: ReportRow, **changes: object) -> ReportRow:
        changed = msgspec.structs.replace(row, **changes)
        self._store.keep_report(changed)
        self._rows[row.id] = changed
        self._wake.set()
        return changed

    def _forget(self, row: ReportRow) -> None:
        self._store.forget_report(row.id)
        del self._rows[row.id]

    def _path(self, report_id: str) -> Path:
        return self._folder / report_id

    def _key(self, report_id: str) -> bytes:
        return self._derive(f"report/{report_id}")


def _may_see(principal: Principal, row: ReportRow) -> bool:
    return row.owner == principal.key_id or "audit:admin" in principal.scopes


def _filename(row: ReportRow) -> str:
    """Made of what is safe in every file system; the user's id may be anything."""
    named = row.request.user or ("all-users" if row.request.scope else "several-users")
    safe = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in named)[:40]
    return f"tradetrail-{safe.strip('-') or 'user'}-{row.id[:8]}.{row.request.format}"
