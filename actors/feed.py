"""What a shard keeps for live readers: one outbox for each query replica, filled as groups are published.

A replica opens a session, names the channels it follows (a user, or the whole log) and polls. Records go to
an outbox only from the moment a channel is watched; the answer to ``watch`` says how far the channel had come
then, so that the two meet without a seam. An outbox that grows over its bound is dropped, and the replica is
told the heads instead: it reads what lies between from the store. So memory is bounded, and a slow or lost
replica costs appends nothing.

    absent ──watch──> open ──not polled for ``SESSION_S``──> absent      (a shard's restart: absent)

Used on the actor's event loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec

from storage.append import Stored
from tradetrail.errors import NotFound
from tradetrail.names import log_name
from tradetrail.record import Record, one_line, record_text

__all__ = ["SESSION_S", "WHOLE_LOG", "FeedBatch", "FeedSessions"]

#: A replica polls every few seconds; one that has not for this long is gone.
SESSION_S = 60.0
#: The channel of a shard's whole log; no user has an empty name.
WHOLE_LOG = ""


class FeedBatch(msgspec.Struct, frozen=True, array_like=True):
    """One answer to a poll.

    ``records`` are (channel, position, record as served on one line) in order of publication; the position
    is userseq, or logindex in the whole log. ``heads`` replace them after an overflow. ``closing`` says that
    the service ends.
    """

    records: list[tuple[str, int, bytes]]
    heads: dict[str, int]
    closing: bool


class _Session:
    def __init__(self, polled_s: float) -> None:
        self.channels: set[str] = set()
        self.outbox: list[tuple[str, int, bytes]] = []
        self.outbox_bytes = 0
        #: The outbox was dropped; nothing is put into it before the heads were told.
        self.overflowed = False
        self.wake = asyncio.Event()
        self.polled_s = polled_s


class FeedSessions:
    """The sessions of one shard.

    Args:
        shard: its number.
        outbox_bytes: bound of one outbox.
        head: how far a channel is published.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        shard: int,
        outbox_bytes: int,
        head: Callable[[str], int],
        clock: Callable[[], float],
    ) -> None:
        self._shard = shard
        self._outbox_bytes = outbox_bytes
        self._head = head
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._watchers: dict[str, set[_Session]] = {}
        self.closing = False

    def watch(self, session_id: str, channels: Iterable[str]) -> dict[str, int]:
        """Follow channels; how far each is published now. Opens the session where it is absent."""
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = _Session(self._clock())
        heads = {}
        for channel in channels:
            session.channels.add(channel)
            self._watchers.setdefault(channel, set()).add(session)
            heads[channel] = self._head(channel)
        return heads

    def unwatch(self, session_id: str, channels: Iterable[str]) -> None:
        """Follow channels no longer; unknown ones are ignored."""
        session = self._sessions.get(session_id)
        if session is not None:
            for channel in channels:
                session.channels.discard(channel)
                self._leave(session, channel)

    async def poll(self, session_id: str, wait_s: float) -> FeedBatch:
        """What was published since the last poll; waits for something up to ``wait_s``.

        Raises:
            NotFound: ``no_such_session``; watch again.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound("no_such_session", "This feed session is not open here; watch again.")
        session.polled_s = self._clock()
        if not (session.outbox or session.overflowed or self.closing):
            session.wake.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await session.wake.wait()
            except TimeoutError:
                pass
            session.polled_s = self._clock()
        records, session.outbox, session.outbox_bytes = session.outbox, [], 0
        heads = {}
        if session.overflowed:
            session.overflowed = False
            heads = {channel: self._head(channel) for channel in session.channels}
        return FeedBatch(records, heads, self.closing)

    def publish(self, stored: Sequence[Stored], storedtime_ns: int) -> None:
        """Put newly published records into the outboxes of those who watch."""
        self._expire()
        if not self._sessions:
            return
        whole_log = self._watchers.get(WHOLE_LOG, ())
        for item in stored:
            watchers = self._watchers.get(item.user.name, ())
            if not (watchers or whole_log):
                continue
            record = Record(
                item.userseq, log_name(self._shard), item.logindex, storedtime_ns, item.event.text
            )
            text = one_line(record_text(record))
            for session in watchers:
                self._put(session, (item.user.name, item.userseq, text))
            for session in whole_log:
                self._put(session, (WHOLE_LOG, item.logindex, text))

    def close(self) -> None:
        """Tell every replica that the service ends."""
        self.closing = True
        for session in self._sessions.values():
            session.wake.set()

    def _put(self, session: _Session, item: tuple[str, int, bytes]) -> None:
        session.wake.set()
        if session.overflowed:
            return
        session.outbox.append(item)
        session.outbox_bytes += len(item[2])
        if session.outbox_bytes > self._outbox_bytes:
            session.outbox, session.outbox_bytes, session.overflowed = [], 0, True

    def _expire(self) -> None:
        oldest_s = self._clock() - SESSION_S
        gone = [name for name, item in self._sessions.items() if item.polled_s < oldest_s]
        for name in gone:
            session = self._sessions.pop(name)
            for channel in session.channels:
                self._leave(session, channel)

    def _leave(self, session: _Session, channel: str) -> None:
        watchers = self._watchers.get(channel)
        if watchers is not None:
            watchers.discard(session)
            if not watchers:
                del self._watchers[channel]
