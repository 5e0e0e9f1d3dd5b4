"""The one writer of a shard, as a plain class: groups, bounds, vanished callers, and what a failure does."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.shard import ShardActor, ShardSettings
from storage.append import Outcome, Status
from storage.cluster import open_cluster
from storage.database import DatabaseSettings
from tradetrail.errors import Backpressure, Corrupt, StorageFull, TradeTrailError, Unavailable
from tradetrail.event import Event
from tradetrail.filters import Filter, HistoryQuery
from tradetrail.meter import Sample
from tradetrail.names import log_name

_outcomes = msgspec.msgpack.Decoder(list[Outcome])


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def event(number: int, user: str = "ann", note: str = "") -> Event:
    text = (
        f'{{"specversion":"1.0","id":"{number}","source":"/s","type":"t","authid":"{user}",'
        f'"data":{{"ClOrdID":"C{number}","Text":"{note}"}}}}'
    ).encode()
    return Event(user, "/s", str(number), "t", None, (("ClOrdID", f"C{number}"),), text)


class House:
    """One shard actor over a folder, with its store's flush in the test's hand."""

    def __init__(self, root: Path, **changes: Any) -> None:
        self.data, self.keys = root / "data", root / "data.keys"
        open_cluster(self.data, self.keys, 1)
        settings: dict[str, Any] = {
            "data": self.data,
            "keys": self.keys,
            "shard": 0,
            "database": DatabaseSettings(block_cache_bytes=2**20, write_buffer_bytes=2**20),
            "disk_low_water_bytes": 0,
            "queue_events": 1_000,
            "queue_bytes": 2**20,
            "feed_window_bytes": 2**20,
        }
        self.pushed: list[list[Sample]] = []
        self.actor = ShardActor(ShardSettings(**{**settings, **changes}), self._push)
        self.may_flush = threading.Event()
        self.may_flush.set()
        self.flushing = threading.Event()
        self.flush_error: Exception | None = None
        store = self.actor._store
        real_flush = store.flush

        def flush() -> None:
            self.flushing.set()
            assert self.may_flush.wait(20)
            if self.flush_error is not None:
                raise self.flush_error
            real_flush()

        store.flush = flush  # type: ignore[method-assign]  # the test's hand

    async def _push(self, process: str, samples: list[Sample]) -> None:
        self.pushed.append(samples)

    async def append(self, *events: Event) -> list[Outcome]:
        return _outcomes.decode(await self.actor.append(msgspec.msgpack.encode(list(events))))

    async def history(self, user: str = "ann") -> list[int]:
        page = await self.actor.history(HistoryQuery(user), 0, 1_000)
        return [record.userseq for record in page.records]

    def close(self) -> None:
        """End its threads before the database they read is let go."""
        actor = self.actor
        for task in actor._tasks:
            task.cancel()
        for pool in (actor._writer, actor._flusher, actor._reader, actor._indexing):
            pool.shutdown(wait=True, cancel_futures=True)
        actor._store.close()

    async def until_flushing(self) -> None:
        assert await asyncio.to_thread(self.flushing.wait, 20)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.close()


def test_what_arrives_during_a_flush_goes_in_few_groups_and_nothing_shows_before(
    house: House,
) -> None:
    async def work() -> None:
        house.may_flush.clear()
        first = asyncio.create_task(house.append(event(0)))
        await house.until_flushing()
        later = [asyncio.create_task(house.append(event(number))) for number in range(1, 40)]
        for _ in range(200):
            await asyncio.sleep(0)
        assert await house.history() == []
        assert not first.done()
        house.may_flush.set()
        answers = await asyncio.gather(first, *later)
        outcomes = [outcome for answer in answers for outcome in answer]
        assert [outcome.userseq for outcome in outcomes] == list(range(1, 41))
        assert await house.history() == list(range(1, 41))
        groups = [
            sample.value
            for sample in house.actor._meter.samples()
            if sample.name == "tradetrail_shard_groups_total"
        ]
        # One flushes, four are written behind it, the rest is one more.
        assert groups[0] <= 7

    run(work())


def test_a_caller_that_goes_away_does_not_take_its_events_along(house: House) -> None:
    async def work() -> None:
        house.may_flush.clear()
        gone = asyncio.create_task(house.append(event(1)))
        stays = asyncio.create_task(house.append(event(2)))
        await house.until_flushing()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        house.may_flush.set()
        await stays
        (again,) = await house.append(event(1))
        assert (again.status, again.userseq) == (Status.DUPLICATE, 1)
        assert await house.history() == [1, 2]

    run(work())


def test_a_full_queue_refuses_and_stores_nothing_of_it(house: House) -> None:
    async def work() -> None:
        house.may_flush.clear()
        waiting = [asyncio.create_task(house.append(event(0)))]
        await house.until_flushing()
        refused: list[TradeTrailError] = []
        number = 1
        while not refused:
            events = [event(number + offset) for offset in range(300)]
            number += 300
            task = asyncio.create_task(house.append(*events))
            for _ in range(20):
                await asyncio.sleep(0)
            if task.done() and isinstance(task.exception(), Backpressure):
                error = task.exception()
                assert isinstance(error, Backpressure)
                refused.append(error)
            else:
                waiting.append(task)
            assert number < 30_000
        assert refused[0].retry_after_s > 0
        house.may_flush.set()
        answers = await asyncio.gather(*waiting)
        stored = sum(len(outcomes) for outcomes in answers)
        assert len(await house.history()) == min(stored, 1_000)
        assert (await house.actor.status())["size"] == stored + 1

    run(work())


def test_a_body_of_bytes_over_the_queue_is_refused(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path, queue_bytes=1)
        with pytest.raises(Backpressure):
            await house.append(*(event(number, note="x" * 60_000) for number in range(20)))
        assert [out.status for out in await house.append(event(1))] == [Status.STORED]
        house.close()

    run(work())


def test_a_disk_nearly_full_refuses_writes_and_reads_go_on(tmp_path: Path) -> None:
    async def work() -> None:
        house = House(tmp_path)
        await house.append(event(1))
        house.close()
        house = House(tmp_path, disk_low_water_bytes=2**62)
        with pytest.raises(StorageFull) as refusal:
            await house.append(event(2))
        assert (refusal.value.status, refusal.value.retry) == (507, True)
        assert await house.history() == [1]
        house.close()

    run(work())


def test_after_a_failed_flush_nothing_is_published_and_the_owner_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(os, "_exit", lambda code: loop.call_soon(ended.set))
        await house.append(event(1))
        house.flush_error = OSError("Input/output error")
        failed = await asyncio.gather(
            house.append(event(2)), house.append(event(3)), return_exceptions=True
        )
        for error in failed:
            assert isinstance(error, Unavailable)
            assert error.code == "outcome_unknown"
        with pytest.raises(Unavailable):
            await house.append(event(4))
        with pytest.raises(Unavailable):
            await house.history()
        await ended.wait()
        assert house.actor._store.published == 2

    run(work())


def test_an_index_that_fails_refuses_lookups_and_nothing_else(house: House) -> None:
    async def work() -> None:
        def fail(limit: int) -> bool:
            raise Corrupt("lookup_block_format", "A block is damaged.")

        house.actor._indexer.advance = fail  # type: ignore[method-assign]  # a fault
        await house.append(event(1))
        wanted = Filter(fields=(("ClOrdID", "C1"),))
        while house.actor._index_refusal is None:
            await asyncio.sleep(0.005)
        with pytest.raises(Corrupt):
            await house.actor.lookup(wanted, 0, 10)
        with pytest.raises(Corrupt):
            await house.actor.history(HistoryQuery("ann", Filter(), "C1"), 0, 10)
        await house.append(event(2))
        assert await house.history() == [1, 2]

    run(work())


def test_lookups_find_what_was_just_stored_and_numbers_are_told(house: House) -> None:
    async def work() -> None:
        await house.append(*(event(number) for number in range(50)))
        wanted = Filter(fields=(("ClOrdID", "C33"),))
        while not (page := await house.actor.lookup(wanted, 0, 10)).records:
            await asyncio.sleep(0.005)
        assert [record.userseq for record in page.records] == [34]
        names = {sample.name for sample in house.pushed[0]}
        assert "tradetrail_shard_log_entries" in names
        assert all(sample.labels[0] == log_name(0) for sample in house.pushed[0] if sample.labels)

    run(work())


def test_a_store_that_does_not_open_answers_with_its_reason(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.close()
    (tmp_path / "data" / "shards" / "00" / "db" / "CURRENT").unlink()

    async def work() -> None:
        async def push(process: str, samples: list[Sample]) -> None:
            raise AssertionError("it serves nothing and tells nothing")

        actor = ShardActor(house.actor._settings, push)
        for call in (actor.status(), actor.append(b""), actor.history(HistoryQuery("a"), 0, 1)):
            with pytest.raises(Corrupt, match="shard_missing"):
                await call

    run(work())
