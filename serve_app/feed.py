"""``GET /v1/feed``: one viewer's stream of server-sent events.

How a stream ends:

    viewer goes away ─────────────────────────────> closed
    token revoked or expired ──> `end` token_expired ──> closed
    maximum age ───────────────> `end` max_age ───────> closed     the viewer comes back by itself
    service stops ─────────────> `end` shutdown ──────> closed     likewise
    stored data is damaged ────> `end` failed ────────> closed

A shard that is away for a moment only makes the stream wait.

The viewer holds one position for each channel and nothing else; see ``serve_app.feed_hub``. A socket that takes
nothing holds back its own stream only: the application runs on the server's own loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable

import msgspec
from fastapi import FastAPI, Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_app.access import authorize, secret_of
from serve_app.cursors import open_cursor, seal_cursor
from serve_app.feed_hub import Channel, FeedHub, Viewer
from serve_app.parameters import check_known, one_of
from serve_app.services import Services
from storage.clock import wall_ns
from storage.hashing import shard_of
from tradetrail.errors import Backpressure, Invalid, TradeTrailError, Unauthenticated

__all__ = ["add_feed"]

_PARAMETERS = ("user", "log", "from", "last_event_id")
_USERS_MAX = 50
_PING_S = 15
#: Rights are looked at again this often.
_RECHECK_S = 30.0
#: The recheck must come after the expiry, not a moment before it.
_EXPIRY_SLACK_S = 0.05
#: Viewers of a restarted service come back spread over this.
_RETRY_MS = (1_000, 3_000)
#: One block of output; a slow socket then holds little.
_BLOCK_RECORDS = 64
_STALLED_S = 60.0
#: A shard restarts within a second or two.
_RETRY_S = 0.5
_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


def add_feed(app: FastAPI, services: Services) -> None:
    """The route."""
    hub = FeedHub(services.shards, services.process)

    @app.get("/v1/feed")
    async def feed(request: Request) -> Response:
        principal = await authorize(request, services.principals, "audit:read")
        if hub.viewer_count >= services.viewer_cap:
            raise Backpressure(
                "too_many_viewers",
                f"{services.viewer_cap} live feeds are open and no more are served; try again shortly.",
                503,
                "",
                5,
            )
        hub.viewer_count += 1
        stream = _Stream(services, hub, secret_of(request), principal.expires_ns)
        try:
            await stream.begin(request.query_params, request.headers.get("last-event-id", ""))
        except BaseException:
            stream.close()
            raise
        return _FeedResponse(stream)


class _FeedResponse(EventSourceResponse):
    """Lets go of the viewer however the response ends, also before its first block."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__(
            stream.blocks(),
            headers=_HEADERS,
            ping=_PING_S,
            ping_message_factory=lambda: ServerSentEvent(comment="still here"),
            send_timeout=_STALLED_S,
        )
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until it ends."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            # The viewer takes nothing any more; it comes back where it was.
            return
        finally:
            self._stream.close()


class _Stream:
    """One viewer: which channels it follows and the next position of each."""

    def __init__(self, services: Services, hub: FeedHub, secret: str, expires_ns: int) -> None:
        self._expires_ns = expires_ns
        self._services = services
        self._hub = hub
        self._secret = secret
        self._viewer = Viewer()
        self._channels: list[Channel] = []
        self._next: list[int] = []
        self._cursor: Callable[[], str] = self._single_cursor
        self._question = ""
        self._closed = False
        services.meter.add("tradetrail_feed_viewers")

    async def begin(self, query: QueryParams, last_event_id: str) -> None:
        """Follow what is asked for from where it is asked for.

        Raises:
            Invalid: the parameters contradict each other, or the id is garbage or from the future.
        """
        check_known(query, _PARAMETERS, ("user",))
        targets = self._targets(query)
        last_event_id = last_event_id or query.get("last_event_id", "")
        earliest = one_of(query, "from", ("latest", "earliest")) == "earliest"
        if len(targets) > 1:
            self._question = msgspec.json.encode(["feed", targets]).decode()
            self._cursor = self._joint_cursor
        given = self._positions(last_event_id, len(targets)) if last_event_id else None
        for index, (number, name) in enumerate(targets):
            channel, head = await self._hub.follow(self._viewer, number, name)
            self._channels.append(channel)
            position = head
            if given is not None:
                position = given[index]
            elif earliest:
                position = 0
            if position > head:
                raise Invalid(
                    "event_id_ahead",
                    f"The id {position} is ahead of the newest record, {head}; it was not given by this feed.",
                    pointer="#/last_event_id",
                )
            self._next.append(position + 1)

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The stream's text, block by block, until it has to end."""
        now_s = time.monotonic()
        # Jittered, so that streams which began together do not end together.
        ends_s = now_s + self._services.stream_age_s * random.uniform(0.9, 1.0)  # noqa: S311
        recheck_s = now_s + self._trusted_s()
        try:
            retry_ms = random.randint(*_RETRY_MS)  # noqa: S311
            yield f"retry: {retry_ms}\nid: {self._cursor()}\n\n".encode()
            while True:
                now_s = time.monotonic()
                if self._hub.closing or now_s >= ends_s:
                    yield _end("shutdown" if self._hub.closing else "max_age")
                    return
                if now_s >= recheck_s:
                    await self._recheck()
                    recheck_s = now_s + self._trusted_s()
                self._viewer.wake.clear()
                sent = False
                for index in range(len(self._channels)):
                    block = await self._next_block(index)
                    if block:
                        sent = True
                        yield block
                if not sent:
                    await self._wait(min(ends_s, recheck_s) - now_s)
        except Unauthenticated:
            yield _end("token_expired")
        except TradeTrailError as error:
            yield _end("failed", error.detail)
        finally:
            self.close()

    def close(self) -> None:
        """Follow nothing any more; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._hub.leave(self._viewer, self._channels)
            self._hub.viewer_count -= 1
            self._services.meter.add("tradetrail_feed_viewers", (), -1)

    def _trusted_s(self) -> float:
        """How long the token is taken as good without asking; never past its own expiry."""
        if not self._expires_ns:
            return _RECHECK_S
        return min(_RECHECK_S, max((self._expires_ns - wall_ns()) / 1e9, 0.0) + _EXPIRY_SLACK_S)

    async def _recheck(self) -> None:
        """Raises ``Unauthenticated`` where the token is good no longer."""
        try:
            await self._services.principals.principal(self._secret)
        except TradeTrailError as error:
            # A control actor that is away for a moment says nothing about the token.
            if not error.retry:
                raise

    async def _wait(self, at_most_s: float) -> None:
        try:
            async with asyncio.timeout(max(at_most_s, 0)):
                await self._viewer.wake.wait()
        except TimeoutError:
            return

    async def _next_block(self, index: int) -> bytes:
        """The next records of one channel; empty for now where its shard is away."""
        try:
            return await self._block(index)
        except TradeTrailError as error:
            if not error.retry:
                raise
            await asyncio.sleep(_RETRY_S)
            self._viewer.wake.set()
            return b""

    async def _block(self, index: int) -> bytes:
        """The next records of one channel."""
        channel = self._channels[index]
        records = await channel.read(self._next[index])
        lines = []
        for position, text in records[:_BLOCK_RECORDS]:
            self._next[index] = position + 1
            lines.append(b"id: %b\ndata: %b\n\n" % (self._cursor().encode(), text))
        self._services.meter.add("tradetrail_feed_records_total", (), len(lines))
        return b"".join(lines)

    def _targets(self, query: QueryParams) -> list[tuple[int, str]]:
        """Shard and channel of everything that is to be followed."""
        shards = len(self._services.shards)
        users = sorted(set(query.getlist("user")))
        log = query.get("log")
        if log is not None and not users:
            if not (log.isascii() and log.isdigit() and len(log) == 2 and int(log) < shards):
                raise Invalid(
                    "no_such_log", f"There are the logs 00 to {shards - 1:02d}.", pointer="#/log"
                )
            return [(int(log), "")]
        if log is not None or not users or not all(users) or len(users) > _USERS_MAX:
            raise Invalid(
                "invalid_parameter",
                f"Follow 1 to {_USERS_MAX} users (user=…, repeated) or one log (log=00).",
                pointer="#/user",
            )
        return [(shard_of(user, shards), user) for user in users]

    def _positions(self, last_event_id: str, count: int) -> list[int]:
        text = last_event_id
        if count > 1:
            text = open_cursor(self._services.cursor_key, self._question, last_event_id)
        parts = text.split(",")
        if len(parts) != count or not all(_is_position(part) for part in parts):
            raise Invalid(
                "invalid_event_id",
                "The id was not given by this feed; begin again without it.",
                pointer="#/last_event_id",
            )
        return [int(part) for part in parts]

    def _single_cursor(self) -> str:
        return str(self._next[0] - 1)

    def _joint_cursor(self) -> str:
        positions = ",".join(str(position - 1) for position in self._next)
        return seal_cursor(self._services.cursor_key, self._question, positions)


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _end(reason: str, detail: str = "") -> bytes:
    said = {"reason": reason} | ({"detail": detail} if detail else {})
    return b"event: end\ndata: %b\n\n" % msgspec.json.encode(said)
