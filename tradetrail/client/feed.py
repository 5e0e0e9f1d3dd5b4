"""The live feed as an iterator that resumes by itself.

    connecting ──200──> live ──connection lost, `end`──> waiting ──> connecting
        │                                                   ▲
        ├── answer or connection that passes ───────────────┘
        ├── 204, or `close()` ──> the iteration ends
        └── any other answer ──> raises

The position is the id of the last finished block. It is sent again on every connection, therefore
records come strictly after it: none is lost and none is repeated over a reconnect.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from types import TracebackType
from typing import Self

import httpx2
import msgspec

from tradetrail.client.http import RETRY_STATUSES, HttpService, Query
from tradetrail.client.served import ServedRecord
from tradetrail.client.sse import Message, SseParser
from tradetrail.errors import Gone, Internal, TradeTrailError, Unavailable

__all__ = ["Feed", "FeedState", "Gap", "raise_gap"]

#: The service sends a comment every 15 s; three missing ones are a lost connection.
_SILENCE_S = 45.0
#: Before the service has said how long to wait.
_FIRST_RETRY_S = 3.0
_RETRY_S_MAX = 60.0
#: What came is not this service's; it would come again.
_FOREIGN_CODES = frozenset({"not_a_feed", "not_a_record", "feed_message_too_large"})


class FeedState(StrEnum):
    """What a feed tells its listener."""

    LIVE = "live"
    WAITING = "waiting"


class Gap(msgspec.Struct, frozen=True):
    """Records that are no longer kept. ``detail`` is the service's own JSON about the range."""

    detail: str
    last_event_id: str


def raise_gap(gap: Gap) -> None:
    """The default for gaps: an iteration must not pass over missing records in silence.

    Raises:
        Gone: always; the message says how to go on behind the gap.
    """
    raise Gone(
        "feed_gap",
        f"records of this feed are no longer kept ({gap.detail});"
        f" continue with last_event_id={gap.last_event_id!r} to leave them out",
    )


def _tell_nobody(state: FeedState, reason: str, wait_s: float) -> None:
    """The default listener."""


class Feed(Iterator[ServedRecord]):
    """Records as they become visible. Not safe to share between threads.

    Args:
        service: where to connect.
        query: ``user`` parameters or one ``log``.
        from_: ``latest`` or ``earliest``; used only while there is no position.
        last_event_id: position to resume strictly after.
        on_gap: told about records that are no longer kept; the feed goes on if it returns.
        on_state: told the state, the reason in words, and the seconds until the next try.
        wait: whether the very first connection is tried for ever too; otherwise a service that is
            not there is an error at once.
    """

    def __init__(
        self,
        service: HttpService,
        query: Query,
        *,
        from_: str = "latest",
        last_event_id: str | None = None,
        on_gap: Callable[[Gap], None] = raise_gap,
        on_state: Callable[[FeedState, str, float], None] = _tell_nobody,
        wait: bool = False,
    ) -> None:
        self._service = service
        self._query = query
        self._from = from_
        self._on_gap = on_gap
        self._on_state = on_state
        self._wait_for_first = wait
        #: Position: the id of the record handed out last, or of the block after it.
        self.last_event_id = last_event_id or ""
        self._retry_s = _FIRST_RETRY_S
        self._failures = 0
        self._was_live = False
        self._records = self._run()

    def __next__(self) -> ServedRecord:
        return next(self._records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the iteration; ``last_event_id`` stays."""
        self._records.close()

    def _run(self) -> Generator[ServedRecord, None, None]:
        while True:
            reason = "the stream ended"
            asked_s = 0.0
            try:
                with self._service.stream(
                    "/v1/feed", self._parameters(), self._headers(), _SILENCE_S
                ) as response:
                    if response.status_code == 204:
                        return
                    _require_event_stream(response)
                    self._was_live = True
                    self._on_state(FeedState.LIVE, "", 0.0)
                    reason = (yield from self._read(response)) or reason
            except TradeTrailError as exc:
                if not self._passes(exc):
                    raise
                reason, asked_s = exc.detail, float(exc.retry_after_s)
            wait_s = self._next_wait_s(asked_s)
            self._on_state(FeedState.WAITING, reason, wait_s)
            self._service.timing.sleep(wait_s)

    def _read(self, response: httpx2.Response) -> Generator[ServedRecord, None, str]:
        """Hands out the records of one connection; returns the reason of its end, if any."""
        parser = SseParser(self.last_event_id)
        for chunk in response.iter_bytes():
            messages = parser.feed(chunk)
            if parser.retry_ms is not None:
                self._retry_s = parser.retry_ms / 1000
            for message in messages:
                if message.event == "end":
                    return _reason(message)
                yield from self._take(message)
            self.last_event_id = parser.last_event_id
            self._failures = 0
        return ""

    def _take(self, message: Message) -> Iterator[ServedRecord]:
        self.last_event_id = message.last_event_id
        if message.event == "message":
            yield ServedRecord.parse(message.data.encode())
        elif message.event == "gap":
            self._on_gap(Gap(message.data, message.last_event_id))

    def _parameters(self) -> Query:
        if self.last_event_id:
            return self._query
        return [*self._query, ("from", self._from)]

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        return headers

    def _passes(self, exc: TradeTrailError) -> bool:
        """Whether connecting again can help."""
        if exc.code in _FOREIGN_CODES:
            return False
        if not self._was_live and not self._wait_for_first and isinstance(exc, Unavailable):
            return False
        return isinstance(exc, Unavailable) or exc.status in RETRY_STATUSES

    def _next_wait_s(self, asked_s: float) -> float:
        """Between half and all of a bound that doubles, so that viewers do not return at once."""
        bound_s = min(_RETRY_S_MAX, self._retry_s * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return asked_s + bound_s * (0.5 + self._service.timing.random() / 2)


class _End(msgspec.Struct):
    reason: str = ""


def _reason(message: Message) -> str:
    try:
        return msgspec.json.decode(message.data, type=_End).reason
    except msgspec.MsgspecError:
        return message.data


def _require_event_stream(response: httpx2.Response) -> None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise Internal("not_a_feed", f"the answer is {kind or 'of no type'}, not an event stream")
