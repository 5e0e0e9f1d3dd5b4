"""The process that watches: many live feeds on one loop, each record noted with the moment it arrived."""

from __future__ import annotations

import asyncio
import contextlib
import time
from urllib.parse import quote

import msgspec

from benchmarks.wire import FeedListener, Target
from tradetrail.client.sse import Message
from tradetrail.errors import Unavailable

__all__ = ["Collect", "Open", "ViewReport", "ViewerSpecification", "Viewers", "make_viewers"]

#: Feeds that are being opened at once; a crowd of one moment would measure the listen queue.
_OPENING = 32
_OPEN_TIMEOUT_S = 60.0


class ViewerSpecification(msgspec.Struct, frozen=True):
    """One feed for each name; a name may stand more than once."""

    target: Target
    users: tuple[str, ...]


class Open(msgspec.Struct, frozen=True):
    """Open all feeds; answered with the seconds it took."""


class Collect(msgspec.Struct, frozen=True):
    """Wait until so many records have arrived since the last time, at most until ``deadline_s``."""

    expected: int
    deadline_s: float


class ViewReport(msgspec.Struct):
    """What arrived: identities (see ``benchmarks.payloads``) and moments of the monotonic clock."""

    identities: list[str]
    arrived_s: list[float]
    #: Feeds that have ended.
    ended: int
    cpu_s: float


class _Identity(msgspec.Struct):
    id: str
    source: str


_identity = msgspec.json.Decoder(_Identity)


class Viewers:
    """Feeds of one process; see ``Open`` and ``Collect``."""

    def __init__(self, specification: ViewerSpecification) -> None:
        self._specification = specification
        self._listeners: list[FeedListener] = []
        self._identities: list[str] = []
        self._arrived_s: list[float] = []
        self._cpu_s = time.process_time()
        #: Set when as many have arrived as are being waited for.
        self._complete = asyncio.Event()
        self._expected = 0

    async def answer(self, command: Open | Collect) -> object:
        """One command."""
        if isinstance(command, Open):
            return await self.open()
        return await self.collect(command)

    def close(self) -> None:
        """End all feeds."""
        for listener in self._listeners:
            listener.close()

    async def open(self) -> float:
        """Open every feed and wait for its first block.

        Raises:
            Unavailable: the service refused one, or did not open all within a minute.
        """
        started_s = time.monotonic()
        gate = asyncio.Semaphore(_OPENING)
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await asyncio.gather(
                    *(self._open_one(user, gate) for user in self._specification.users)
                )
        except TimeoutError as error:
            raise Unavailable(
                "feeds_not_opened",
                f"{len(self._specification.users)} feeds did not open within {_OPEN_TIMEOUT_S:.0f} s.",
            ) from error
        self._cpu_s = time.process_time()
        return time.monotonic() - started_s

    async def collect(self, command: Collect) -> ViewReport:
        """What arrived since the last time."""
        self._expected = command.expected
        self._complete.clear()
        if len(self._arrived_s) < command.expected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, command.deadline_s - time.monotonic())):
                    await self._complete.wait()
        cpu_s = time.process_time()
        report = ViewReport(
            self._identities,
            self._arrived_s,
            sum(listener.ended for listener in self._listeners),
            cpu_s - self._cpu_s,
        )
        self._identities, self._arrived_s, self._cpu_s = [], [], cpu_s
        return report

    async def _open_one(self, user: str, gate: asyncio.Semaphore) -> None:
        target = self._specification.target
        request = target.request(
            "GET", f"/v1/feed?user={quote(user, safe='')}", Accept="text/event-stream"
        )
        async with gate:
            listener = FeedListener(request, self._note, time.monotonic)
            self._listeners.append(listener)
            await asyncio.get_running_loop().create_connection(
                lambda: listener, target.host, target.port
            )
            await listener.opened

    def _note(self, message: Message, arrived_s: float) -> None:
        if message.event != "message":
            return
        found = _identity.decode(message.data)
        edition = found.source.rpartition("/")[2]
        self._identities.append(f"{edition}/{found.id}")
        self._arrived_s.append(arrived_s)
        if len(self._arrived_s) >= self._expected:
            self._complete.set()


async def make_viewers(specification: ViewerSpecification) -> Viewers:
    """Viewers that watch nothing yet."""
    return Viewers(specification)
