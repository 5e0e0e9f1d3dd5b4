"""Typed façades over actor handles: the one place that touches them.

Ray's errors become ours: an error raised by an actor is unwrapped, a dead or unreachable actor is
``Unavailable``, since whether the call ran is unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from actors.background import detached
from actors.coalescing import Coalescer
from actors.feed import FeedBatch
from actors.reports import ReportFile
from storage.append import Outcome
from storage.control_store import Credential
from storage.sealed_file import read_sealed
from storage.shard_reads import LookupPage, ReadPlan, UserSummary
from storage.user_records import Page
from tradetrail.errors import TradeTrailError, Unavailable
from tradetrail.event import Event
from tradetrail.filters import Filter, HistoryQuery
from tradetrail.meter import Sample
from tradetrail.names import CONTROL_ACTOR, NAMESPACE, shard_actor
from tradetrail.record import Record
from tradetrail.report import ReportRequest, ReportRow
from tradetrail.tokens import Principal

__all__ = ["ControlClient", "ShardClient", "call", "call_now", "push_numbers", "unwrapped"]

_logger = logging.getLogger(__name__)

#: Far beyond the slowest healthy answer (a poll waits 10 s): a process that hangs must not hang its callers.
_ANSWER_S = 30.0

#: Looking an actor up asks the cluster; a handle stays good over the actor's restarts.
_handles: dict[str, Any] = {}

#: A call costs both sides some milliseconds of CPU, whether it carries one event or a thousand.
_APPENDS_ON_THEIR_WAY = 4
_APPEND_EVENTS = 5_000

_outcomes = msgspec.msgpack.Decoder(list[Outcome])
_batch = msgspec.msgpack.Decoder(FeedBatch)


async def call(name: str, method: str, *arguments: object) -> Any:
    """One call of a named actor; safe to repeat because every method is idempotent by identity."""
    try:
        if name not in _handles:
            _handles[name] = await asyncio.to_thread(ray.get_actor, name, namespace=NAMESPACE)
        async with asyncio.timeout(_ANSWER_S):
            return await getattr(_handles[name], method).remote(*arguments)
    except TimeoutError as error:
        raise Unavailable(
            "actor_silent",
            f"{name} has not answered for {_ANSWER_S:.0f} s; whether the call ran is unknown. Send it again.",
            503,
            "",
            5,
        ) from error
    except (RayError, ValueError) as error:
        raise _translated(name, error) from error


def call_now(name: str, method: str, *arguments: object) -> Any:
    """The same for a task, which may wait."""
    try:
        if name not in _handles:
            _handles[name] = ray.get_actor(name, namespace=NAMESPACE)
        return ray.get(getattr(_handles[name], method).remote(*arguments))
    except (RayError, ValueError) as error:
        raise _translated(name, error) from error


def unwrapped(error: RayTaskError) -> Exception:
    """Our own error out of Ray's envelope, or the envelope where there is none of ours inside."""
    cause = error.cause
    return cause if isinstance(cause, TradeTrailError) else error


def _translated(name: str, error: Exception) -> Exception:
    if isinstance(error, RayTaskError):
        return unwrapped(error)
    if isinstance(error, (RayActorError, ValueError)):
        _handles.pop(name, None)
    return Unavailable(
        "actor_away",
        f"{name} did not answer; whether the call ran is unknown. Send it again.",
        503,
        "",
        1,
    )


async def push_numbers(process: str, samples: list[Sample]) -> None:
    """Tell the control actor a process's numbers; where it is away the next time will do."""
    try:
        await call(CONTROL_ACTOR, "push", process, samples)
    except TradeTrailError as error:
        _logger.warning("numbers of %s were not taken: %s", process, error)


class ShardClient:
    """One shard; see ``ShardActor`` for what each call does and raises."""

    def __init__(self, shard: int) -> None:
        self._name = shard_actor(shard)
        self._appends = Coalescer(
            self._append, calls_max=_APPENDS_ON_THEIR_WAY, items_max=_APPEND_EVENTS, start=detached
        )

    async def status(self) -> dict[str, int]:  # noqa: D102
        found: dict[str, int] = await call(self._name, "status")
        return found

    async def append(self, events: list[Event]) -> Sequence[Outcome]:
        """See ``ShardActor.append``; requests that wait for the same shard share a call."""
        return await self._appends.put(events)

    async def _append(self, events: list[Event]) -> list[Outcome]:
        return _outcomes.decode(await call(self._name, "append", msgspec.msgpack.encode(events)))

    async def history(self, query: HistoryQuery, start: int, limit: int) -> Page:  # noqa: D102
        page: Page = await call(self._name, "history", query, start, limit)
        return page

    async def plan(self, query: HistoryQuery) -> ReadPlan | None:  # noqa: D102
        plan: ReadPlan | None = await call(self._name, "plan", query)
        return plan

    async def lookup(self, wanted: Filter, first: int, limit: int) -> LookupPage:  # noqa: D102
        page: LookupPage = await call(self._name, "lookup", wanted, first, limit)
        return page

    async def users(  # noqa: D102
        self, prefix: str, after: str, limit: int, system: bool
    ) -> list[UserSummary]:
        found: list[UserSummary] = await call(self._name, "users", prefix, after, limit, system)
        return found

    async def recent_users(self, limit: int, system: bool) -> list[UserSummary]:  # noqa: D102
        found: list[UserSummary] = await call(self._name, "recent_users", limit, system)
        return found

    async def record(self, logindex: int) -> tuple[str, Record] | None:  # noqa: D102
        found: tuple[str, Record] | None = await call(self._name, "record", logindex)
        return found

    async def log_page(self, first: int, limit: int) -> list[Record]:  # noqa: D102
        found: list[Record] = await call(self._name, "log_page", first, limit)
        return found

    async def watch(self, session_id: str, channels: list[str]) -> dict[str, int]:  # noqa: D102
        heads: dict[str, int] = await call(self._name, "watch", session_id, channels)
        return heads

    async def unwatch(self, session_id: str, channels: list[str]) -> None:  # noqa: D102
        await call(self._name, "unwatch", session_id, channels)

    async def poll(self, session_id: str, wait_s: float) -> FeedBatch:  # noqa: D102
        return _batch.decode(await call(self._name, "poll", session_id, wait_s))


class ControlClient:
    """The control actor; see ``ControlActor`` for what each call does and raises."""

    async def principal(self, secret: str) -> Principal:  # noqa: D102
        found: Principal = await call(CONTROL_ACTOR, "principal", secret)
        return found

    async def open_session(self, secret: str) -> tuple[str, Principal]:  # noqa: D102
        found: tuple[str, Principal] = await call(CONTROL_ACTOR, "open_session", secret)
        return found

    async def close_session(self, secret: str) -> None:  # noqa: D102
        await call(CONTROL_ACTOR, "close_session", secret)

    async def create_key(  # noqa: D102
        self, name: str, scopes: tuple[str, ...], lifetime_s: int
    ) -> tuple[str, str]:
        made: tuple[str, str] = await call(CONTROL_ACTOR, "create_key", name, scopes, lifetime_s)
        return made

    async def keys(self) -> list[Credential]:  # noqa: D102
        found: list[Credential] = await call(CONTROL_ACTOR, "keys")
        return found

    async def revoke_key(self, key_id: str) -> None:  # noqa: D102
        await call(CONTROL_ACTOR, "revoke_key", key_id)

    async def create_report(  # noqa: D102
        self, principal: Principal, request: ReportRequest, claim_key: str
    ) -> ReportRow:
        row: ReportRow = await call(CONTROL_ACTOR, "create_report", principal, request, claim_key)
        return row

    async def report(self, principal: Principal, report_id: str) -> ReportRow:  # noqa: D102
        row: ReportRow = await call(CONTROL_ACTOR, "report", principal, report_id)
        return row

    async def reports(self, principal: Principal) -> list[ReportRow]:  # noqa: D102
        rows: list[ReportRow] = await call(CONTROL_ACTOR, "reports", principal)
        return rows

    async def report_content(
        self, principal: Principal, report_id: str
    ) -> tuple[ReportRow, AsyncGenerator[bytes, None]]:
        """A finished report and its content in chunks; see ``ReportDesk.file``."""
        file: ReportFile = await call(CONTROL_ACTOR, "report_file", principal, report_id)
        return file.row, _chunks(file)

    async def remove_report(  # noqa: D102
        self, principal: Principal, report_id: str
    ) -> ReportRow | None:
        row: ReportRow | None = await call(CONTROL_ACTOR, "remove_report", principal, report_id)
        return row

    async def numbers(self) -> list[Sample]:  # noqa: D102
        samples: list[Sample] = await call(CONTROL_ACTOR, "numbers")
        return samples


async def _chunks(file: ReportFile) -> AsyncGenerator[bytes, None]:
    """Chunks of a sealed file; each is read and opened on a thread of its own."""
    chunks = read_sealed(file.path, file.key)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
