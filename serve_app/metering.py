"""Counts and times the requests of one application, and tells the numbers of this process every 5 s."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.background import detached
from serve_app.services import Services

__all__ = ["Metered"]

_PUSH_S = 5.0
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


class Metered:
    """ASGI middleware; ``name`` is of the application."""

    def __init__(self, app: ASGIApp, services: Services, name: str) -> None:
        self._app = app
        self._meter = services.meter
        self._services = services
        self._name = name
        #: Started by the first request, since only then there is a loop to run on.
        self._pushing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._pushing is None:
            self._pushing = detached(self._push())
        started_s = time.monotonic()
        active = ("http_server_active_requests", (self._name,))
        answered = False

        async def timed(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and not answered:
                answered = True
                self._observe(scope, message["status"], time.monotonic() - started_s)
            await send(message)

        self._meter.add(*active)
        try:
            await self._app(scope, receive, timed)
        finally:
            self._meter.add(*active, -1)

    def _observe(self, scope: Scope, status: int, duration_s: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        # The template of the route, never the path itself: a path may hold anything.
        route = getattr(scope.get("route"), "path", None)
        if self._name == "ingest":
            route = "/v1/events"
        labels = (method, route or "unmatched", str(status))
        self._meter.observe("http_server_request_duration_seconds", labels, duration_s)

    async def _push(self) -> None:
        while True:
            await self._services.push(self._services.process, self._meter.samples())
            await asyncio.sleep(_PUSH_S)
