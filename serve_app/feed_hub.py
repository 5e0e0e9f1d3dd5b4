"""Live records inside one query replica: one poll for each shard, shared by all viewers.

A channel is what can be followed: one user, or a shard's whole log. The hub keeps its head (how far it is
published) and a small window of its newest records. A viewer is one number, the next position it must see:
what the window still holds it takes from there, what lies before is read from the store. So replay, the seam
and a slow viewer are one mechanism, and nothing is kept for a viewer.

    unknown ──first viewer: watch──> followed ──poll: records──> followed
                                         │ └──poll fails: watch again, heads──> followed
                                         └──last viewer leaves: unwatch──> unknown

Used on the application's loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from actors.background import detached
from serve_app.services import FeedShard
from tradetrail.errors import NotFound, TradeTrailError
from tradetrail.filters import HistoryQuery
from tradetrail.record import one_line, record_text

__all__ = ["Channel", "FeedHub", "Viewer"]

_logger = logging.getLogger(__name__)

#: Below the shard's own bound on silent sessions, above what an idle connection costs.
_POLL_S = 10.0
_RETRY_S = 0.5
#: Enough for the viewers of a busy user to catch up from memory.
_WINDOW_RECORDS = 256
_WINDOW_BYTES = 256 * 1024
#: Records of one read from the store.
_READ_RECORDS = 250


class Viewer:
    """Whoever follows one or several channels; woken when one of them moves."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()


class Channel:
    """One user (``name``) or a whole log (empty name) of a shard."""

    def __init__(self, shard: FeedShard, number: int, name: str) -> None:
        self._shard = shard
        self.number = number
        self.name = name
        #: How far it is published, as far as this replica has heard.
        self.head = 0
        self.viewers: set[Viewer] = set()
        self._window: deque[tuple[int, bytes]] = deque()
        self._window_bytes = 0

    async def read(self, position: int) -> list[tuple[int, bytes]]:
        """Records from ``position`` on in order, at least one if there are any; from memory or the store.

        Raises:
            TradeTrailError: the store cannot be read now.
        """
        if position > self.head:
            return []
        if self._window and self._window[0][0] <= position:
            first = self._window[0][0]
            return [self._window[at] for at in range(position - first, len(self._window))]
        if self.name:
            query = HistoryQuery(self.name)
            records = (await self._shard.history(query, position, _READ_RECORDS)).records
            return [(record.userseq, one_line(record_text(record))) for record in records]
        records = await self._shard.log_page(position, _READ_RECORDS)
        return [(record.logindex, one_line(record_text(record))) for record in records]

    def push(self, position: int, text: bytes) -> None:
        """The next published record."""
        if position <= self.head:
            return
        if position != self.head + 1:
            self._window.clear()
            self._window_bytes = 0
        self._window.append((position, text))
        self._window_bytes += len(text)
        while len(self._window) > _WINDOW_RECORDS or self._window_bytes > _WINDOW_BYTES:
            self._window_bytes -= len(self._window.popleft()[1])
        self.advance(position)

    def advance(self, head: int) -> None:
        """It is published this far."""
        if head > self.head:
            self.head = head
            if self._window and self._window[-1][0] != head:
                self._window.clear()
                self._window_bytes = 0
            for viewer in self.viewers:
                viewer.wake.set()


class FeedHub:
    """All channels of one replica."""

    def __init__(self, shards: Sequence[FeedShard], session_id: str) -> None:
        self._shards = shards
        self._session_id = session_id
        self._channels: dict[tuple[int, str], Channel] = {}
        self._polls: dict[int, asyncio.Task[None]] = {}
        #: Open viewers.
        self.viewer_count = 0
        #: The service ends; every viewer is to be let go.
        self.closing = False

    async def follow(self, viewer: Viewer, number: int, name: str) -> tuple[Channel, int]:
        """Make a viewer follow a channel; the channel and how far it is published now, by its shard's word.

        Raises:
            TradeTrailError: the shard is away.
        """
        key = (number, name)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(self._shards[number], number, name)
        # Before the shard is asked: a channel with a viewer is never dropped as idle meanwhile.
        channel.viewers.add(viewer)
        try:
            heads = await self._shards[number].watch(self._session_id, [name])
        except BaseException:
            channel.viewers.discard(viewer)
            raise
        channel.advance(heads[name])
        if number not in self._polls:
            self._polls[number] = detached(self._poll(number))
        return channel, heads[name]

    def leave(self, viewer: Viewer, channels: Sequence[Channel]) -> None:
        """The viewer follows these no longer."""
        for channel in channels:
            channel.viewers.discard(viewer)

    async def _poll(self, number: int) -> None:
        """Take in what one shard publishes, for as long as anybody follows something there."""
        try:
            while not self.closing and (followed := self._followed(number)):
                await self._drop_idle(number)
                try:
                    await self._take_batch(number)
                except NotFound:
                    await self._watch_again(number, followed)
                except Exception as error:
                    # Whatever it is: viewers wait for this loop, so it goes on.
                    _logger.warning("shard %s: feed poll failed: %r", number, error)
                    await asyncio.sleep(_RETRY_S)
        finally:
            del self._polls[number]

    async def _take_batch(self, number: int) -> None:
        batch = await self._shards[number].poll(self._session_id, _POLL_S)
        for name, position, text in batch.records:
            channel = self._channels.get((number, name))
            if channel is not None:
                channel.push(position, text)
        for name, head in batch.heads.items():
            channel = self._channels.get((number, name))
            if channel is not None:
                channel.advance(head)
        if batch.closing:
            self._close()

    def _followed(self, number: int) -> list[Channel]:
        return [
            channel
            for channel in self._channels.values()
            if channel.number == number and channel.viewers
        ]

    async def _watch_again(self, number: int, channels: list[Channel]) -> None:
        """The shard has no such session (any more): tell it everything, and hear how far it is."""
        names = [channel.name for channel in channels]
        try:
            heads = await self._shards[number].watch(self._session_id, names)
        except TradeTrailError as error:
            _logger.warning("shard %s: feed watch failed: %s", number, error)
            await asyncio.sleep(_RETRY_S)
            return
        for channel in channels:
            channel.advance(heads.get(channel.name, 0))

    async def _drop_idle(self, number: int) -> None:
        """Forget the channels that nobody follows."""
        idle = [
            key for key, item in self._channels.items() if key[0] == number and not item.viewers
        ]
        if not idle:
            return
        for key in idle:
            del self._channels[key]
        try:
            await self._shards[number].unwatch(self._session_id, [name for _, name in idle])
        except TradeTrailError as error:
            _logger.warning("shard %s: feed unwatch failed: %s", number, error)

    def _close(self) -> None:
        self.closing = True
        for channel in self._channels.values():
            for viewer in channel.viewers:
                viewer.wake.set()
