"""Many small appends for one shard in few calls.

While calls are on their way, what arrives gathers; when one is answered, everything that waits goes in the
next, up to a bound. An idle shard is called at once, so nothing waits for company. An error is every caller's
of that call: whether it was stored is unknown for all of them alike, and identity makes sending again safe.

Pure but for the event loop; what a call is, is handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Coalescer"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Joins lists of items into calls, and parts the answers again.

    Args:
        call: answers a list of items with one answer each, in order.
        calls_max: calls on their way at once; two keep the other side busy while one answer travels.
        items_max: of one call; a longer list goes in a call of its own.
        start: begins a call's task; what is given must not end it when one of its callers goes away.
    """

    def __init__(
        self,
        call: Callable[[list[Item]], Awaitable[Sequence[Answer]]],
        *,
        calls_max: int,
        items_max: int,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._call = call
        self._calls_max = calls_max
        self._items_max = items_max
        self._start = start
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = []
        #: Calls on their way; referenced here, or the loop would let them go.
        self._calls: set[asyncio.Task[None]] = set()

    async def put(self, items: Sequence[Item]) -> Sequence[Answer]:
        """The answers for these items; raises what their call raised."""
        answer: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, answer))
        self._next()
        return await answer

    def _next(self) -> None:
        while self._waiting and len(self._calls) < self._calls_max:
            task = self._start(self._send(self._take()))
            self._calls.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._next()

    def _take(self) -> list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]]:
        taken, count = 0, 0
        for items, _ in self._waiting:
            if taken and count + len(items) > self._items_max:
                break
            taken += 1
            count += len(items)
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _send(
        self, group: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]]
    ) -> None:
        items = [item for part, _ in group for item in part]
        try:
            answers = await self._call(items)
            if len(answers) != len(items):
                raise RuntimeError(f"{len(items)} items were answered {len(answers)} times")
        except BaseException as error:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        start = 0
        for part, answer in group:
            end = start + len(part)
            if not answer.done():
                answer.set_result(answers[start:end])
            start = end
