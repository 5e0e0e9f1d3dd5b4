"""Appends that are joined into few calls: nothing waits for company, each gets its own answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from actors.coalescing import Coalescer


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


class Shard:
    """Answers each item with its square, when it is let."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, items: list[int]) -> Sequence[int]:
        self.calls.append(items)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [item * item for item in items]


def joined(shard: Shard, calls_max: int = 1, items_max: int = 10) -> Coalescer[int, int]:
    return Coalescer(shard, calls_max=calls_max, items_max=items_max, start=asyncio.create_task)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_an_idle_shard_is_called_at_once_and_what_arrives_meanwhile_goes_together() -> None:
    async def work() -> None:
        shard = Shard()
        coalescer = joined(shard)
        tasks = [asyncio.create_task(coalescer.put([1]))]
        await settle()
        assert shard.calls == [[1]]
        tasks += [asyncio.create_task(coalescer.put([number, -number])) for number in (2, 3, 4)]
        await settle()
        assert shard.calls == [[1]]
        shard.gate.set()
        assert [list(await task) for task in tasks] == [[1], [4, 4], [9, 9], [16, 16]]
        assert shard.calls == [[1], [2, -2, 3, -3, 4, -4]]

    run(work())


def test_calls_are_bounded_in_number_and_in_items_and_a_long_list_goes_alone() -> None:
    async def work() -> None:
        shard = Shard()
        coalescer = joined(shard, calls_max=2, items_max=3)
        tasks = [asyncio.create_task(coalescer.put([number])) for number in range(7)]
        tasks.append(asyncio.create_task(coalescer.put(list(range(100, 105)))))
        await settle()
        assert len(shard.calls) == 2
        shard.gate.set()
        answers = [list(await task) for task in tasks]
        assert answers[:7] == [[number * number] for number in range(7)]
        assert answers[7] == [number * number for number in range(100, 105)]
        assert shard.calls == [[0], [1], [2, 3, 4], [5, 6], [100, 101, 102, 103, 104]]

    run(work())


def test_an_error_reaches_every_caller_of_its_call_and_the_next_call_is_served() -> None:
    async def work() -> None:
        shard = Shard()
        coalescer = joined(shard)
        first = asyncio.create_task(coalescer.put([1]))
        await settle()
        others = [asyncio.create_task(coalescer.put([2])), asyncio.create_task(coalescer.put([3]))]
        shard.error = OSError("away")
        shard.gate.set()
        for task in (first, *others):
            with pytest.raises(OSError, match="away"):
                await task
        shard.error = None
        assert list(await coalescer.put([5])) == [25]

    run(work())


def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    async def work() -> None:
        shard = Shard()
        coalescer = joined(shard)
        blocking = asyncio.create_task(coalescer.put([1]))
        await settle()
        gone = asyncio.create_task(coalescer.put([2]))
        stays = asyncio.create_task(coalescer.put([3]))
        await settle()
        gone.cancel()
        shard.gate.set()
        assert list(await blocking) == [1]
        assert list(await stays) == [9]
        assert shard.calls[1] == [2, 3]

    run(work())
