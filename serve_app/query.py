"""Everything but ingest: history, users, records, the session of the page, health, the page itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.datastructures import QueryParams
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from serve_app.access import SESSION_COOKIE, authorize
from serve_app.cursors import open_cursor, seal_cursor
from serve_app.problems import install_problems
from serve_app.services import Services
from storage.hashing import shard_of
from tradetrail.errors import Invalid, NotFound, TradeTrailError
from tradetrail.event import LOOKUP_FIELDS, SERVICE_USER_PREFIX
from tradetrail.filters import Filter
from tradetrail.record import record_text
from tradetrail.times import format_ns, parse_rfc3339
from tradetrail.tokens import Principal

__all__ = ["create_query"]

_WEB = Path(__file__).parent / "web"
_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1_000
_PLAIN = ("user", "from", "to", "type", "order", "after", "limit", "cursor")
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_query(services: Services) -> FastAPI:
    """The query application."""
    app = FastAPI(title="TradeTrail", version="1", docs_url=None, redoc_url=None)
    install_problems(app)
    _add_health(app, services)
    _add_session(app, services)
    _add_reads(app, services)
    _add_page(app)
    return app


def _add_health(app: FastAPI, services: Services) -> None:
    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "pass"}

    @app.get("/readyz")
    async def readyz(strict: int = 0) -> Response:
        found = await asyncio.gather(
            *(shard.status() for shard in services.shards), return_exceptions=True
        )
        detail = {
            f"{number:02d}": {"status": "fail", "code": getattr(status, "code", "internal_error")}
            if isinstance(status, BaseException)
            else {"status": "pass", "size": str(status["size"])}
            for number, status in enumerate(found)
        }
        serving = [not isinstance(status, BaseException) for status in found]
        ready = all(serving) if strict else any(serving)
        body = msgspec.json.encode({"status": "pass" if ready else "fail", "shards": detail})
        return Response(body, 200 if ready else 503, media_type="application/json")


def _add_session(app: FastAPI, services: Services) -> None:
    @app.post("/v1/session")
    async def sign_in(request: Request) -> Response:
        try:
            given = msgspec.json.decode(await request.body(), type=dict[str, str])
        except msgspec.DecodeError as error:
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
        return _principal_answer(await authorize(request, services.control, ""))

    @app.delete("/v1/session")
    async def sign_out(request: Request) -> Response:
        await authorize(request, services.control, "")
        await services.control.close_session(request.cookies.get(SESSION_COOKIE, ""))
        answer = Response(status_code=204)
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return answer


def _principal_answer(principal: Principal) -> Response:
    expires = format_ns(principal.expires_ns) if principal.expires_ns else None
    body = {"name": principal.name, "scopes": principal.scopes, "expires_at": expires}
    return Response(
        msgspec.json.encode(body),
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


def _add_reads(app: FastAPI, services: Services) -> None:
    @app.get("/v1/history")
    async def history(request: Request) -> Response:
        await authorize(request, services.control, "audit:read")
        return await _history(services, request.query_params)

    @app.get("/v1/users")
    async def users(request: Request) -> Response:
        await authorize(request, services.control, "audit:read")
        return await _users(services, request.query_params)

    @app.get("/v1/records/{log}/{logindex}")
    async def record(request: Request, log: str, logindex: str) -> Response:
        await authorize(request, services.control, "audit:read")
        absent = NotFound("no_such_record", "There is no such record, or none that you may see.")
        numeric = all(
            part.isascii() and part.isdigit() and len(part) < 20 for part in (log, logindex)
        )
        if not numeric or len(log) < 2 or int(log) >= len(services.shards):
            raise absent
        found = await services.shards[int(log)].record(int(logindex))
        if found is None:
            raise absent
        return _json(record_text(found[1]))


async def _history(services: Services, query: QueryParams) -> Response:
    user = _required_user(query)
    wanted = _filter(query)
    descending = _one_of(query, "order", ("asc", "desc")) == "desc"
    limit = _number(query, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
    question = msgspec.json.encode([user, wanted, descending]).decode()
    start = 0
    if "cursor" in query:
        start = int(open_cursor(services.cursor_key, question, query["cursor"]))
    elif "after" in query:
        after = _number(query, "after", 0, 2**63, least=0)
        start = after - 1 if descending else after + 1
    shard = services.shards[shard_of(user, len(services.shards))]
    page = await shard.history(user, wanted, start, descending, limit)
    cursor = None
    if page.next_userseq:
        cursor = seal_cursor(services.cursor_key, question, str(page.next_userseq))
    items = b",".join(record_text(record) for record in page.records)
    body = b'{"items":[%b],"next_cursor":%b,"complete":%b}' % (
        items,
        msgspec.json.encode(cursor),
        b"false" if cursor else b"true",
    )
    headers = {}
    if cursor:
        pairs = [(name, value) for name, value in query.multi_items() if name != "cursor"]
        headers["Link"] = f'</v1/history?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'
    return _json(body, headers)


async def _users(services: Services, query: QueryParams) -> Response:
    prefix = query.get("prefix", "")
    system = query.get("system") == "true"
    limit = _number(query, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
    question = msgspec.json.encode(["users", prefix, system]).decode()
    after = ""
    if "cursor" in query:
        after = open_cursor(services.cursor_key, question, query["cursor"])
    found = await asyncio.gather(
        *(shard.users(prefix, after, limit + 1) for shard in services.shards)
    )
    merged = sorted(pair for part in found for pair in part)
    page, more = merged[:limit], len(merged) > limit
    items = [
        {"user": name, "count": str(count)}
        for name, count in page
        if system or not name.startswith(SERVICE_USER_PREFIX)
    ]
    cursor = seal_cursor(services.cursor_key, question, page[-1][0]) if more else None
    return _json(msgspec.json.encode({"items": items, "next_cursor": cursor}))


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_WEB / "index.html", headers={**_SECURITY, "Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return FileResponse(_WEB / "docs.html", headers={**_SECURITY, "Cache-Control": "no-cache"})

    app.mount("/assets", StaticFiles(directory=_WEB), name="assets")


def _json(body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(
        body,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def _required_user(query: QueryParams) -> str:
    user = query.get("user", "")
    if not user:
        raise Invalid("missing_parameter", "Name the user: ?user=….", pointer="#/user")
    return user


def _one_of(query: QueryParams, name: str, allowed: tuple[str, ...]) -> str:
    value = query.get(name, allowed[0])
    if value not in allowed:
        raise Invalid(
            "invalid_parameter", f"{name} is one of {', '.join(allowed)}.", pointer=f"#/{name}"
        )
    return value


def _number(query: QueryParams, name: str, default: int, most: int, least: int = 1) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise Invalid(
            "invalid_parameter", f"{name} is a number from {least} to {most}.", pointer=f"#/{name}"
        )
    return int(text)


def _filter(query: QueryParams) -> Filter:
    unknown = [name for name in query if name not in (*_PLAIN, *LOOKUP_FIELDS)]
    if unknown:
        raise Invalid(
            "unknown_parameter",
            f"A parameter is not known here; there are {', '.join((*_PLAIN, *LOOKUP_FIELDS))}.",
        )
    return Filter(
        _time(query, "from"),
        _time(query, "to"),
        tuple(query.getlist("type")),
        tuple((name, value) for name, value in query.multi_items() if name in LOOKUP_FIELDS),
    )


def _time(query: QueryParams, name: str) -> int | None:
    if name not in query:
        return None
    try:
        return parse_rfc3339(query[name])
    except TradeTrailError as error:
        raise Invalid(error.code, f"{name}: {error.detail}", pointer=f"#/{name}") from error
