"""A small HTTP/1.1 client for load: requests are bytes made before the clock starts, answers are counted.

Two users: a keep-alive connection with one request at a time, and a live feed that only listens. It knows
what it needs of HTTP: status, ``Content-Length``, chunks. It asks for no coding and follows no redirect. A
general client costs several times as much for each request and would be what is measured; the numbers stand
in docs/performance.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import msgspec

from tradetrail.client.sse import Message, SseParser
from tradetrail.errors import Unavailable

__all__ = ["Answer", "AnswerReader", "Dechunker", "FeedListener", "HttpConnection", "Target"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
#: The service's own bounds are far below; a stuck answer must not look like an endless latency.
_ANSWER_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 10.0


class Target(msgspec.Struct, frozen=True):
    """Where the service is and who asks."""

    host: str
    port: int
    token: str

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """A whole request as it goes over the wire; an underscore in a header's name stands for a hyphen."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Authorization: Bearer {self.token}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        if method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + _HEAD_END + body


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One answer; ``closes`` where no further request may follow on its connection."""

    status: int
    body: bytes
    closes: bool


class Dechunker:
    """Takes ``Transfer-Encoding: chunked`` off a body, however it is cut on its way."""

    def __init__(self) -> None:
        self._held = b""
        #: Bytes still to come of the current chunk, its line end included.
        self._left = 0
        #: The current chunk is the empty one that ends the body; no trailers are expected after it.
        self._last = False
        #: Set once the whole body was seen.
        self.ended = False

    @property
    def surplus(self) -> int:
        """Bytes that came after the last chunk."""
        return len(self._held) if self.ended else 0

    def feed(self, data: bytes) -> bytes:
        """The content that these bytes complete."""
        self._held += data
        parts: list[bytes] = []
        while self._held and not self.ended:
            if self._left:
                part = self._held[: self._left]
                self._held = self._held[self._left :]
                self._left -= len(part)
                # The last two bytes of a chunk are its line end.
                parts.append(part[: len(part) - max(0, 2 - self._left)])
                self.ended = self._last and not self._left
                continue
            line, mark, rest = self._held.partition(b"\r\n")
            if not mark:
                break
            self._held = rest
            size = int(line.partition(b";")[0], 16)
            self._last = size == 0
            self._left = size + 2
        return b"".join(parts)


class AnswerReader:
    """Reads one answer from the bytes of a connection."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._head = b""
        self._length = -1
        self._chunks: Dechunker | None = None

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once these bytes complete it.

        Raises:
            ValueError: this is no HTTP, a body whose end cannot be known, or more than the answer.
        """
        if not self._head:
            self._held += data
            end = self._held.find(_HEAD_END)
            if end < 0:
                return None
            self._begin(bytes(self._held[:end]))
            data = bytes(self._held[end + len(_HEAD_END) :])
            self._held.clear()
        if self._chunks is not None:
            self._held += self._chunks.feed(data)
            if not self._chunks.ended:
                return None
            surplus = self._chunks.surplus
        else:
            self._held += data
            if len(self._held) < self._length:
                return None
            surplus = len(self._held) - self._length
        if surplus:
            raise ValueError(f"{surplus} bytes follow the answer")
        status = int(self._head[9:12])
        return Answer(status, bytes(self._held), _CLOSES.search(self._head) is not None)

    def _begin(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1."):
            raise ValueError("the answer is no HTTP/1")
        self._head = head
        if _CHUNKED.search(head):
            self._chunks = Dechunker()
        elif found := _LENGTH.search(head):
            self._length = int(found[1])
        else:
            raise ValueError("the answer has neither a length nor chunks")


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection, one request at a time; opened where it is not open."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiting: asyncio.Future[Answer] | None = None

    async def open(self) -> None:
        """Connect, unless connected already; raises ``OSError``."""
        if self._transport is None or self._transport.is_closing():
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: self, self._target.host, self._target.port)

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            OSError: the connection broke, or what came is no HTTP.
            TimeoutError: no answer within 30 s.
        """
        await self.open()
        assert self._transport is not None
        self._reader = AnswerReader()
        self._waiting = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(_ANSWER_TIMEOUT_S, self._time_out)
        try:
            self._transport.write(request)
            return await self._waiting
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let go of the connection."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        try:
            answer = self._reader.feed(data)
        except ValueError as error:
            self._fail(ConnectionError(str(error)))
            return
        if answer is None or self._waiting is None or self._waiting.done():
            return
        if answer.closes:
            self.close()
        self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("closed before the answer"))

    def _time_out(self) -> None:
        self._fail(TimeoutError("no answer in time"))

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


class FeedListener(asyncio.Protocol):
    """One live feed: tells each message with the moment its bytes arrived.

    Args:
        request: of the feed.
        on_message: told each message and the arrival, in seconds of ``clock``.
        clock: monotonic, the same in all processes of the machine.
    """

    def __init__(
        self,
        request: bytes,
        on_message: Callable[[Message, float], None],
        clock: Callable[[], float],
    ) -> None:
        self._request = request
        self._on_message = on_message
        self._clock = clock
        self._head = b""
        self._chunks = Dechunker()
        self._parser = SseParser()
        self._transport: asyncio.Transport | None = None
        #: Done when the first block has come: from then on nothing is missed.
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = False

    def close(self) -> None:
        """Listen no more."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        arrived_s = self._clock()
        if not self._head.endswith(_HEAD_END):
            before, mark, data = (self._head + data).partition(_HEAD_END)
            self._head = before + mark
            if not mark:
                return
            if self._head[9:12] != b"200" or not _CHUNKED.search(self._head):
                self._refuse(f"the feed answered {self._head[9:12].decode(errors='replace')}")
                return
        for message in self._parser.feed(self._chunks.feed(data)):
            self._on_message(message, arrived_s)
        if not self.opened.done() and self._parser.last_event_id:
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.ended = True
        if not self.opened.done():
            self._refuse("the feed ended before its first block")

    def _refuse(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(
                Unavailable("feed_not_opened", f"{reason}; see the service's own log.")
            )
        self.close()
