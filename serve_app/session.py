"""``/v1/session``: the page signs in with a token or a one-time code and then holds a cookie."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response

from serve_app.access import SESSION_COOKIE, authorize
from serve_app.answers import json_answer
from serve_app.reports import small_body
from serve_app.services import Services
from tradetrail.errors import Invalid
from tradetrail.times import format_ns
from tradetrail.tokens import Principal

__all__ = ["add_session"]

_BODY_BYTES_MAX = 16 * 1024


def add_session(app: FastAPI, services: Services) -> None:
    """The routes."""

    @app.post("/v1/session")
    async def sign_in(request: Request) -> Response:
        try:
            body = await small_body(request, _BODY_BYTES_MAX)
            given = msgspec.json.decode(body, type=dict[str, str])
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise Invalid("invalid_json", 'Send {"token": …} or {"code": …}.') from error
        secret = given.get("token") or given.get("code") or ""
        session, principal = await services.control.open_session(secret.strip())
        answer = _principal_answer(principal)
        answer.set_cookie(
            SESSION_COOKIE,
            session,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @app.get("/v1/session")
    async def who_am_i(request: Request) -> Response:
        return _principal_answer(await authorize(request, services.principals, ""))

    @app.delete("/v1/session")
    async def sign_out(request: Request) -> Response:
        await authorize(request, services.principals, "")
        await services.control.close_session(request.cookies.get(SESSION_COOKIE, ""))
        services.principals.forget()
        answer = Response(status_code=204)
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return answer


def _principal_answer(principal: Principal) -> Response:
    expires = format_ns(principal.expires_ns) if principal.expires_ns else None
    body = {"name": principal.name, "scopes": principal.scopes, "expires_at": expires}
    return json_answer(body)
