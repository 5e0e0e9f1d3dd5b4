"""ShardActor: the one writer of a shard, with group commit.

Appends wait in a bounded queue. One thread writes everything that waits as one group while another flushes
the group before it; a group is answered and published only after its flush. A flush or write error is final:
the answers say "unknown, send again" and the process exits, since a later flush may succeed while pages are
lost; Ray starts the actor anew and identity makes the resend safe.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from storage.append import Group, Outcome
from storage.cluster import open_cluster
from storage.database import DatabaseSettings
from storage.shard_store import ShardStore
from tradetrail.errors import Backpressure, StorageFull, TradeTrailError, Unavailable
from tradetrail.event import Event
from tradetrail.facts import facts_of
from tradetrail.filters import Filter
from tradetrail.record import Record

__all__ = ["Page", "ShardActor", "ShardSettings"]

#: Events of one commit; more wait for the next, so that one flush never holds the queue for long.
_GROUP_EVENTS_MAX = 10_000
#: Records one page may look at; ``complete`` tells the reader that more may follow.
_SCAN_RECORDS_MAX = 20_000
_PAGE_BYTES_MAX = 8 * 1024 * 1024
_SPACE_CHECK_S = 1.0

T = TypeVar("T")

_events = msgspec.msgpack.Decoder(list[Event])


@dataclass(frozen=True)
class ShardSettings:
    """What one shard is started with."""

    data: Path
    keys: Path
    shard: int
    database: DatabaseSettings
    disk_low_water_bytes: int
    queue_events: int


class Page(msgspec.Struct, frozen=True):
    """Matching records in order; ``next_userseq`` is where the next page begins, 0 at the end."""

    records: list[Record]
    next_userseq: int


@dataclass
class _Waiting:
    events: list[Event]
    answer: asyncio.Future[list[Outcome]]


class ShardActor:
    """Owns one shard's store. A store that does not open leaves it answering with the reason."""

    def __init__(self, settings: ShardSettings) -> None:
        self._settings = settings
        self._refusal: TradeTrailError | None = None
        self._queue: list[_Waiting] = []
        self._queued_events = 0
        self._wake = asyncio.Event()
        self._written: asyncio.Queue[tuple[Group, list[_Waiting]]] = asyncio.Queue(maxsize=4)
        self._writer = ThreadPoolExecutor(1, "write")
        self._flusher = ThreadPoolExecutor(1, "flush")
        self._reader = ThreadPoolExecutor(1, "read")
        self._tasks: list[asyncio.Task[None]] = []
        self._space_checked_s = 0.0
        self._has_space = True
        try:
            cluster = open_cluster(settings.data, settings.keys)
            self._store = ShardStore(settings.data, cluster, settings.shard, settings.database)
        except TradeTrailError as error:
            self._refusal = error

    async def status(self) -> dict[str, int]:
        """Size of the log and the queue; raises the reason where the shard does not serve."""
        self._ready()
        return {"size": self._store.published, "queued_events": self._queued_events}

    async def append(self, blob: bytes) -> bytes:
        """Store events (MessagePack list of ``Event``); outcomes in order, durable when they are returned.

        Raises:
            Backpressure: the queue is full; nothing was stored.
            StorageFull: the disk is nearly full; nothing was stored.
            Unavailable: the outcome is unknown; send again.
        """
        self._ready()
        events = _events.decode(blob)
        self._check_space()
        if self._queued_events + len(events) > self._settings.queue_events:
            raise Backpressure(
                "shard_busy",
                f"{self._queued_events} events wait for this shard and the limit is "
                f"{self._settings.queue_events}; send again after a second.",
                503,
                "",
                1,
            )
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._write_groups()),
                asyncio.create_task(self._flush_groups()),
            ]
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued_events += len(events)
        self._wake.set()
        # A caller that goes away must not take the group's answer with it.
        outcomes = await asyncio.shield(waiting.answer)
        return msgspec.msgpack.encode(outcomes)

    async def history(
        self, user: str, wanted: Filter, start: int, descending: bool, limit: int
    ) -> Page:
        """One page of a user's matching records from userseq ``start`` on (0: the end it begins at)."""
        self._ready()
        return await self._read(self._page, user, wanted, start, descending, limit)

    async def users(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """Names with a prefix that come after ``after``, and their counts."""
        self._ready()
        return await self._read(self._store.users, prefix, after, limit)

    async def record(self, logindex: int) -> tuple[str, Record] | None:
        """The user and the record at a log position."""
        self._ready()
        return await self._read(self._store.record, logindex)

    def _ready(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    async def _read(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, work, *arguments)

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._space_checked_s > _SPACE_CHECK_S:
            self._space_checked_s = now
            free = shutil.disk_usage(self._settings.data).free
            self._has_space = free >= self._settings.disk_low_water_bytes
        if not self._has_space:
            raise StorageFull(
                "disk_nearly_full",
                f"Less than {self._settings.disk_low_water_bytes} bytes are free where the data lies; free "
                "space. Reads go on and nothing stored is lost.",
                507,
                "",
                10,
            )

    async def _write_groups(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            waiting = self._take_group()
            events = [event for item in waiting for event in item.events]
            try:
                group = await loop.run_in_executor(self._writer, self._store.append, events)
            except Exception as error:
                self._fail(waiting, error)
                return
            await self._written.put((group, waiting))

    async def _flush_groups(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            groups = [await self._written.get()]
            while not self._written.empty():
                groups.append(self._written.get_nowait())
            try:
                await loop.run_in_executor(self._flusher, self._store.flush)
            except Exception as error:
                for _, waiting in groups:
                    self._fail(waiting, error)
                return
            for group, waiting in groups:
                self._store.publish(group)
                self._answer(group, waiting)

    def _take_group(self) -> list[_Waiting]:
        taken, count = 0, 0
        while taken < len(self._queue) and (
            not taken or count + len(self._queue[taken].events) <= _GROUP_EVENTS_MAX
        ):
            count += len(self._queue[taken].events)
            taken += 1
        waiting, self._queue = self._queue[:taken], self._queue[taken:]
        self._queued_events -= count
        if not self._queue:
            self._wake.clear()
        return waiting

    def _answer(self, group: Group, waiting: list[_Waiting]) -> None:
        start = 0
        for item in waiting:
            end = start + len(item.events)
            if not item.answer.done():
                item.answer.set_result(group.outcomes[start:end])
            start = end

    def _fail(self, waiting: list[_Waiting], error: Exception) -> None:
        """Tell who waits that the outcome is unknown, then end this owner."""
        unknown = Unavailable(
            "outcome_unknown",
            "The shard failed while storing; send the same events again.",
            503,
            "",
            1,
        )
        unknown.__cause__ = error
        for item in waiting + self._queue:
            if not item.answer.done():
                item.answer.set_exception(unknown)
        self._queue = []
        self._refusal = unknown
        # The answers leave first; then Ray starts the actor anew on a reopened store.
        asyncio.get_running_loop().call_later(0.5, os._exit, 1)

    def _page(self, name: str, wanted: Filter, start: int, descending: bool, limit: int) -> Page:
        user = self._store.user(name)
        if user is None:
            return Page([], 0)
        head, size, scanned = user.published, 0, 0
        found: list[Record] = []
        position = start or (head if descending else 1)
        while 1 <= position <= head and scanned < _SCAN_RECORDS_MAX:
            span = min(limit - len(found), 250) if wanted.is_empty else 250
            first, last = (
                (max(1, position - span + 1), position)
                if descending
                else (position, min(head, position + span - 1))
            )
            records = self._store.history(name, first, last)
            for record in reversed(records) if descending else records:
                position = record.userseq + (-1 if descending else 1)
                if wanted.is_empty or wanted.matches(facts_of(record.text), record.storedtime_ns):
                    found.append(record)
                    size += len(record.text)
                if len(found) == limit or size >= _PAGE_BYTES_MAX:
                    return Page(found, position if 1 <= position <= head else 0)
            scanned += len(records)
        return Page(found, position if 1 <= position <= head else 0)
