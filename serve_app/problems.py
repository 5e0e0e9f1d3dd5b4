"""One JSON error shape on every route: RFC 9457 problems."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from tradetrail.errors import Internal, TradeTrailError, Unauthenticated

__all__ = ["install_problems", "problem"]

_TYPE = "https://tradetrail.dev/problems/"


def problem(error: TradeTrailError) -> Response:
    """The answer that says an error."""
    body = {
        "type": _TYPE + error.code,
        "title": error.code.replace("_", " "),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "retry": error.retry,
    }
    if error.pointer:
        body["errors"] = [{"detail": error.detail, "pointer": error.pointer}]
    headers = {"Cache-Control": "no-store"}
    if error.retry:
        headers["Retry-After"] = str(error.retry_after_s or 1)
    if isinstance(error, Unauthenticated):
        named = "" if error.code == "token_required" else f' error="{error.code}"'
        headers["WWW-Authenticate"] = "Bearer" + named
    return Response(
        msgspec.json.encode(body), error.status, headers, media_type="application/problem+json"
    )


def install_problems(app: FastAPI) -> None:
    """Every error of ours, of the framework and of nobody becomes a problem."""

    @app.exception_handler(TradeTrailError)
    async def ours(_: Request, error: TradeTrailError) -> Response:
        return problem(error)

    @app.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> Response:
        code = {404: "no_such_route", 405: "method_not_allowed"}.get(
            error.status_code, "http_error"
        )
        answer = problem(TradeTrailError(code, str(error.detail), error.status_code))
        # For instance Allow, which belongs to each 405.
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def nobody(_: Request, __: Exception) -> Response:
        return problem(Internal("internal_error", "The service failed on this request; report it."))
