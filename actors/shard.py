"""ShardActor: the one writer of a shard, with group commit.

Appends wait in a bounded queue. One thread writes everything that waits as one group while another flushes
the group before it; a group is answered and published only after its flush. A flush or write error is final:
the answers say "unknown, send again" and the process exits, since a later flush may succeed while pages are
lost; Ray starts the actor anew and identity makes the resend safe.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from actors.feed import FeedSessions
from storage.append import Group, Outcome
from storage.cluster import open_cluster
from storage.database import DatabaseSettings
from storage.indexer import Indexer
from storage.shard_reads import LookupPage, ReadPlan, ShardReads, UserSummary
from storage.shard_store import ShardStore
from storage.user_records import Page, PageBounds
from tradetrail.errors import Backpressure, Internal, StorageFull, TradeTrailError, Unavailable
from tradetrail.event import Event
from tradetrail.filters import Filter, HistoryQuery
from tradetrail.meter import Meter, Sample
from tradetrail.names import log_name
from tradetrail.record import Record

__all__ = ["ShardActor", "ShardSettings"]

#: Events of one commit; more wait for the next, so that one flush never holds the queue for long.
_GROUP_EVENTS_MAX = 10_000
#: Records and zones one page may look at; ``complete`` tells the reader that more may follow.
_SCAN_MAX = 20_000
_PAGE_BYTES_MAX = 8 * 1024 * 1024
_SPACE_CHECK_S = 1.0
#: Records filed in one go: the appends get the interpreter in between.
_INDEX_RECORDS = 500
#: Groups that are published within it are filed together.
_INDEX_PAUSE_S = 0.05
_PUSH_S = 5.0
#: The queue is counted as it travels, with what MessagePack adds to the texts.
_MESSAGE_SLACK_BYTES = 1024 * 1024

#: Hands a process's numbers, by its name, to whoever gathers them; never raises.
Push = Callable[[str, list[Sample]], Awaitable[None]]

T = TypeVar("T")

_logger = logging.getLogger(__name__)
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
    queue_bytes: int
    feed_window_bytes: int


@dataclass
class _Waiting:
    events: list[Event]
    size_bytes: int
    answer: asyncio.Future[list[Outcome]]


class ShardActor:
    """Owns one shard's store. A store that does not open leaves it answering with the reason."""

    def __init__(self, settings: ShardSettings, push: Push) -> None:
        """``push`` hands this shard's numbers to whoever gathers them."""
        self._settings = settings
        self._push = push
        self._log = log_name(settings.shard)
        # Counters begin anew with each owner.
        self._process = f"shard/{self._log}/{secrets.token_hex(4)}"
        self._meter = Meter()
        self._refusal: TradeTrailError | None = None
        #: Why look-ups and orders' lives are not answered, where the index failed.
        self._index_refusal: TradeTrailError | None = None
        self._queue: list[_Waiting] = []
        self._queued_events = 0
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._published = asyncio.Event()
        self._written: asyncio.Queue[tuple[Group, list[_Waiting]]] = asyncio.Queue(maxsize=4)
        self._writer = ThreadPoolExecutor(1, "write")
        self._flusher = ThreadPoolExecutor(1, "flush")
        self._reader = ThreadPoolExecutor(1, "read")
        self._indexing = ThreadPoolExecutor(1, "index")
        self._tasks: list[asyncio.Task[None]] = []
        self._space_checked_s = 0.0
        self._free_bytes = 0
        try:
            cluster = open_cluster(settings.data, settings.keys)
            self._store = ShardStore(settings.data, cluster, settings.shard, settings.database)
            self._indexer = Indexer(self._store.database, self._store, self._store.hasher)
            self._reads = ShardReads(self._store, self._indexer)
            self._feed = FeedSessions(
                settings.shard, settings.feed_window_bytes, self._head, time.monotonic
            )
        except TradeTrailError as error:
            self._refusal = error

    async def status(self) -> dict[str, int]:
        """Size of the log, the index and the queue; raises the reason where the shard does not serve."""
        self._ready()
        return {
            "size": self._store.published,
            "indexed_to": self._indexer.position,
            "users": len(self._store.names),
            "queued_events": self._queued_events,
        }

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
        self._check_queue(len(events), len(blob))
        waiting = _Waiting(events, len(blob), asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued_events += len(events)
        self._queued_bytes += len(blob)
        self._wake.set()
        # A caller that goes away must not take the group's answer with it.
        outcomes = await asyncio.shield(waiting.answer)
        return msgspec.msgpack.encode(outcomes)

    async def history(self, query: HistoryQuery, start: int, limit: int) -> Page:
        """One page of matching records from userseq ``start`` on (0: the end the order begins at)."""
        self._ready(indexed=bool(query.chain))
        bounds = PageBounds(limit, _PAGE_BYTES_MAX, _SCAN_MAX)
        return await self._read(self._reads.page, query, start, bounds)

    async def plan(self, query: HistoryQuery) -> ReadPlan | None:
        """The same question for a task that reads over a secondary, with the one data key it needs."""
        self._ready(indexed=bool(query.chain))
        return await self._read(self._reads.plan, query)

    async def plans(self, after: str, limit: int, wanted: Filter) -> list[ReadPlan]:
        """Plans for all users, page by page."""
        self._ready()
        return await self._read(self._reads.plans, after, limit, wanted)

    async def lookup(self, wanted: Filter, first: int, limit: int) -> LookupPage:
        """Records of any user by looked-up values, from log position ``first`` on."""
        self._ready(indexed=True)
        bounds = PageBounds(limit, _PAGE_BYTES_MAX, _SCAN_MAX)
        return await self._read(self._reads.lookup, wanted, first, bounds)

    async def users(self, prefix: str, after: str, limit: int, system: bool) -> list[UserSummary]:
        """Users by name, from the one after ``after``."""
        self._ready()
        return await self._read(self._reads.users, prefix, after, limit, system)

    async def recent_users(self, limit: int, system: bool) -> list[UserSummary]:
        """The most recently active users."""
        self._ready()
        return await self._read(self._reads.recent_users, limit, system)

    async def record(self, logindex: int) -> tuple[str, Record] | None:
        """The user and the record at a log position."""
        self._ready()
        return await self._read(self._store.record, logindex)

    async def log_page(self, first: int, limit: int) -> list[Record]:
        """Records by log position."""
        self._ready()
        bounds = PageBounds(limit, _PAGE_BYTES_MAX, _SCAN_MAX)
        return await self._read(self._reads.log_page, first, bounds)

    async def watch(self, session_id: str, channels: list[str]) -> dict[str, int]:
        """See ``FeedSessions.watch``."""
        self._ready()
        return self._feed.watch(session_id, channels)

    async def unwatch(self, session_id: str, channels: list[str]) -> None:
        """See ``FeedSessions.unwatch``."""
        self._ready()
        self._feed.unwatch(session_id, channels)

    async def poll(self, session_id: str, wait_s: float) -> bytes:
        """See ``FeedSessions.poll``; the batch as MessagePack."""
        self._ready()
        return msgspec.msgpack.encode(await self._feed.poll(session_id, wait_s))

    async def drain(self) -> None:
        """The service ends: feeds are told."""
        self._ready()
        self._feed.close()

    def _head(self, channel: str) -> int:
        return self._reads.head(channel) if channel else self._store.published - 1

    def _ready(self, *, indexed: bool = False) -> None:
        if self._refusal is not None:
            raise self._refusal
        if indexed and self._index_refusal is not None:
            raise self._index_refusal
        if not self._tasks:
            work = (self._write_groups, self._flush_groups, self._index, self._report_numbers)
            self._tasks = [asyncio.create_task(loop()) for loop in work]

    async def _read(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, work, *arguments)

    def _check_queue(self, event_count: int, size_bytes: int) -> None:
        settings = self._settings
        if (
            self._queued_events + event_count > settings.queue_events
            or self._queued_bytes + size_bytes > settings.queue_bytes + _MESSAGE_SLACK_BYTES
        ):
            raise Backpressure(
                "shard_busy",
                f"{self._queued_events} events ({self._queued_bytes} bytes) wait for this shard and the limit "
                f"is {settings.queue_events} ({settings.queue_bytes} bytes); send again after a second.",
                503,
                "",
                1,
            )

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._space_checked_s > _SPACE_CHECK_S:
            self._space_checked_s = now
            self._free_bytes = _free_bytes(self._settings.data)
        if self._free_bytes < self._settings.disk_low_water_bytes:
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
            started_s = time.monotonic()
            try:
                await loop.run_in_executor(self._flusher, self._store.flush)
            except Exception as error:
                for _, waiting in groups:
                    self._fail(waiting, error)
                return
            name = "tradetrail_shard_flush_duration_seconds"
            self._meter.observe(name, (self._log,), time.monotonic() - started_s)
            for group, waiting in groups:
                self._publish(group)
                self._answer(group, waiting)

    def _publish(self, group: Group) -> None:
        self._store.publish(group)
        self._indexer.offer(group.stored, group.storedtime_ns)
        self._feed.publish(group.stored, group.storedtime_ns)
        self._published.set()
        self._meter.add("tradetrail_shard_groups_total", (self._log,))
        self._meter.add("tradetrail_shard_stored_events_total", (self._log,), len(group.stored))

    async def _index(self) -> None:
        """Keep the index behind what is published; a failure ends look-ups, never appends."""
        loop = asyncio.get_running_loop()
        while True:
            self._published.clear()
            try:
                while await loop.run_in_executor(
                    self._indexing, self._indexer.advance, _INDEX_RECORDS
                ):
                    pass
            except Exception as error:
                _logger.exception("shard %s: the index cannot be kept", self._log)
                self._index_refusal = (
                    error
                    if isinstance(error, TradeTrailError)
                    else Internal("index_failed", "The index of this shard failed; see its log.")
                )
                return
            await self._published.wait()
            await asyncio.sleep(_INDEX_PAUSE_S)

    async def _report_numbers(self) -> None:
        while True:
            for name, value in (
                ("tradetrail_shard_log_entries", self._store.published),
                ("tradetrail_shard_indexed_entries", self._indexer.position),
                ("tradetrail_shard_users", len(self._store.names)),
                ("tradetrail_shard_queued_events", self._queued_events),
                ("tradetrail_shard_disk_free_bytes", _free_bytes(self._settings.data)),
                ("tradetrail_shard_clock_doubted", int(self._store.clock_doubted)),
                ("tradetrail_shard_torn_tail_bytes", self._store.torn_tail_bytes),
            ):
                self._meter.set(name, (self._log,), value)
            await self._push(self._process, self._meter.samples())
            await asyncio.sleep(_PUSH_S)

    def _take_group(self) -> list[_Waiting]:
        taken, count = 0, 0
        while taken < len(self._queue) and (
            not taken or count + len(self._queue[taken].events) <= _GROUP_EVENTS_MAX
        ):
            count += len(self._queue[taken].events)
            taken += 1
        waiting, self._queue = self._queue[:taken], self._queue[taken:]
        self._queued_events -= count
        self._queued_bytes -= sum(item.size_bytes for item in waiting)
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


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free
