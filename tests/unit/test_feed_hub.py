"""The feed's two halves together, without Ray: outboxes of a shard, and the hub of a replica."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from actors.feed import SESSION_S, WHOLE_LOG, FeedBatch, FeedSessions
from serve_app.feed_hub import Channel, FeedHub, Viewer
from storage.append import Stored
from storage.user_records import Page
from storage.users import User
from tradetrail.errors import NotFound, Unavailable
from tradetrail.event import Event
from tradetrail.filters import HistoryQuery
from tradetrail.record import Record


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


class FakeShard:
    """Publishes records of made-up users at once; can lose its sessions as a restart does."""

    def __init__(self, outbox_bytes: int = 2**20) -> None:
        self.now_s = 0.0
        self.outbox_bytes = outbox_bytes
        self.records: dict[str, list[Record]] = {}
        self.log: list[Record] = []
        self.users: dict[str, User] = {}
        self.away = False
        self.reads = 0
        self.restart()

    def restart(self) -> None:
        self.sessions = FeedSessions(0, self.outbox_bytes, self._head, lambda: self.now_s)

    def publish(self, *names: str) -> None:
        stored = []
        for name in names:
            user = self.users.setdefault(name, User(name, bytes(16), bytes(32), bytes(16)))
            own = self.records.setdefault(name, [])
            text = b'{"specversion":"1.0","authid":"%b"}' % name.encode()
            event = Event(name, "/oms", str(len(own)), "t", None, (), text)
            record = Record(len(own) + 1, "00", len(self.log) + 1, 5, text)
            own.append(record)
            self.log.append(record)
            stored.append(Stored(user, record.userseq, record.logindex, event))
        self.sessions.publish(stored, 5)

    def _head(self, channel: str) -> int:
        return len(self.log) if channel == WHOLE_LOG else len(self.records.get(channel, []))

    def _here(self) -> None:
        if self.away:
            raise Unavailable("actor_away", "restarting")

    async def watch(self, session_id: str, channels: list[str]) -> dict[str, int]:
        await asyncio.sleep(0)
        self._here()
        return self.sessions.watch(session_id, channels)

    async def unwatch(self, session_id: str, channels: list[str]) -> None:
        self._here()
        self.sessions.unwatch(session_id, channels)

    async def poll(self, session_id: str, wait_s: float) -> FeedBatch:
        await asyncio.sleep(0)
        self._here()
        return await self.sessions.poll(session_id, min(wait_s, 0.05))

    async def history(self, query: HistoryQuery, start: int, limit: int) -> Page:
        await asyncio.sleep(0)
        self._here()
        self.reads += 1
        return Page(self.records[query.user][start - 1 : start - 1 + min(limit, 7)], 0)

    async def log_page(self, first: int, limit: int) -> list[Record]:
        await asyncio.sleep(0)
        self._here()
        self.reads += 1
        return self.log[first - 1 : first - 1 + min(limit, 7)]


async def collect(hub: FeedHub, channel: Channel, viewer: Viewer, start: int, to: int) -> list[int]:
    """A viewer's positions from ``start`` to ``to``, as ``serve_app.feed`` reads them."""
    seen: list[int] = []
    position = start
    while position <= to:
        viewer.wake.clear()
        found = await channel.read(position)
        for number, text in found:
            assert b'"userseq":"' in text
            seen.append(number)
            position = number + 1
        if not found:
            await viewer.wake.wait()
    hub.leave(viewer, [channel])
    return seen


def test_a_viewer_sees_every_record_once_whether_from_the_store_or_live() -> None:
    async def work() -> None:
        shard = FakeShard()
        shard.publish(*["ann"] * 20)
        hub = FeedHub([shard], "r1")
        viewer = Viewer()
        channel, head = await hub.follow(viewer, 0, "ann")
        assert head == 20
        seeing = asyncio.create_task(collect(hub, channel, viewer, 1, 60))
        for _ in range(20):
            shard.publish("ann", "ben", "ann")
            await asyncio.sleep(0)
        assert await seeing == list(range(1, 61))

    run(work())


@pytest.mark.parametrize("seed", range(8))
def test_no_hole_and_no_repeat_under_overflow_restart_and_slow_viewers(seed: int) -> None:
    async def work() -> None:
        rng = random.Random(seed)
        shard = FakeShard(outbox_bytes=2_000)
        hub = FeedHub([shard], "r1")
        names = ("ann", "ben", WHOLE_LOG)
        watching = []
        for name in names * 2:
            viewer = Viewer()
            channel, _ = await hub.follow(viewer, 0, name)
            total = 600 if name == WHOLE_LOG else 300
            watching.append((total, asyncio.create_task(collect(hub, channel, viewer, 1, total))))
        left = ["ann"] * 300 + ["ben"] * 300
        rng.shuffle(left)
        while left:
            count = rng.choice((1, 2, 50))
            shard.publish(*left[:count])
            del left[:count]
            if rng.random() < 0.05:
                shard.restart()
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
        for total, task in watching:
            assert await task == list(range(1, total + 1))

    run(work())


def test_live_records_come_from_memory_and_only_what_lies_before_from_the_store() -> None:
    async def work() -> None:
        shard = FakeShard()
        hub = FeedHub([shard], "r1")
        viewers = [Viewer() for _ in range(10)]
        channels = [(await hub.follow(viewer, 0, "ann"))[0] for viewer in viewers]
        assert len(set(map(id, channels))) == 1
        tasks = [
            asyncio.create_task(collect(hub, channels[0], viewer, 1, 100)) for viewer in viewers
        ]
        for _ in range(100):
            shard.publish("ann")
            for _ in range(6):
                await asyncio.sleep(0)
        assert [await task for task in tasks] == [list(range(1, 101))] * 10
        assert shard.reads == 0

    run(work())


def test_a_channel_that_nobody_follows_is_let_go_and_can_be_followed_again() -> None:
    async def work() -> None:
        shard = FakeShard()
        hub = FeedHub([shard], "r1")
        stays, goes = Viewer(), Viewer()
        await hub.follow(stays, 0, "ann")
        channel, _ = await hub.follow(goes, 0, "ben")
        hub.leave(goes, [channel])
        while "ben" in shard.sessions.watch("probe", []) or len(hub._channels) > 1:
            shard.publish("ann")
            await asyncio.sleep(0.01)
        shard.publish("ben", "ben")
        again, head = await hub.follow(goes, 0, "ben")
        assert head == 2
        assert await collect(hub, again, goes, 1, 2) == [1, 2]

    run(work())


def test_a_shard_that_is_away_refuses_a_new_viewer_and_keeps_the_old_ones() -> None:
    async def work() -> None:
        shard = FakeShard()
        hub = FeedHub([shard], "r1")
        viewer = Viewer()
        channel, _ = await hub.follow(viewer, 0, "ann")
        shard.away = True
        with pytest.raises(Unavailable):
            await hub.follow(Viewer(), 0, "ann")
        assert len(channel.viewers) == 1
        shard.away = False
        shard.restart()
        shard.publish("ann", "ann")
        assert await collect(hub, channel, viewer, 1, 2) == [1, 2]

    run(work())


def test_the_end_of_the_service_wakes_every_viewer() -> None:
    async def work() -> None:
        shard = FakeShard()
        hub = FeedHub([shard], "r1")
        viewer = Viewer()
        await hub.follow(viewer, 0, "ann")
        shard.sessions.close()
        await viewer.wake.wait()
        assert hub.closing

    run(work())


def test_an_outbox_is_bounded_and_tells_heads_after_it_was_dropped() -> None:
    async def work() -> None:
        shard = FakeShard(outbox_bytes=1_000)
        shard.sessions.watch("r1", ["ann", "ben"])
        shard.publish(*["ann"] * 100)
        batch = await shard.sessions.poll("r1", 0)
        assert (batch.records, batch.heads) == ([], {"ann": 100, "ben": 0})
        shard.publish("ann")
        batch = await shard.sessions.poll("r1", 0)
        assert [(name, position) for name, position, _ in batch.records] == [("ann", 101)]

    run(work())


def test_a_session_that_is_not_polled_is_forgotten() -> None:
    async def work() -> None:
        shard = FakeShard()
        shard.sessions.watch("r1", ["ann"])
        shard.now_s += SESSION_S + 1
        shard.publish("ann")
        with pytest.raises(NotFound):
            await shard.sessions.poll("r1", 0)

    run(work())
