"""Answers in JSON, and answers as streams that end visibly when they cannot be finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Stream", "json_answer", "no_store"]

#: A reader that takes nothing for so long is let go; its place and its task are needed by others.
_STALLED_S = 60.0

no_store = {"Cache-Control": "no-store"}


def json_answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """``body`` as JSON; bytes are taken as JSON already."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(content, status, {**no_store, **(headers or {})}, media_type="application/json")


class Stream(Response):
    """A body in pieces. A failure in the middle raises: the server then breaks the connection off, so that
    the reader does not take a part for the whole. The pieces' generator is always closed.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(None, 200, {**no_store, **headers}, media_type=media_type)
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces until they end or the reader goes away."""
        gone = asyncio.create_task(_disconnected(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)
            await self._pieces.aclose()

    async def _send(self, send: Send) -> None:
        started = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        async with asyncio.timeout(_STALLED_S):
            await send(started)
        async for piece in self._pieces:
            async with asyncio.timeout(_STALLED_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
