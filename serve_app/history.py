"""Reading what is stored: histories in pages, as streams and in numbers; look-ups, users, single records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from heapq import merge
from urllib.parse import urlencode

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.datastructures import QueryParams

from serve_app.access import authorize
from serve_app.answers import Stream, json_answer
from serve_app.cursors import open_cursor, seal_cursor
from serve_app.parameters import check_known, number, one_of, required, wanted_filter
from serve_app.services import Services, Shard
from storage.hashing import shard_of
from storage.shard_reads import LookupPage, UserSummary
from tradetrail.errors import Backpressure, Invalid, NotFound
from tradetrail.event import LOOKUP_FIELDS
from tradetrail.filters import HistoryQuery
from tradetrail.names import log_name
from tradetrail.record import Record, record_text
from tradetrail.report import MEDIA_TYPES
from tradetrail.times import format_key, format_ns

__all__ = ["add_history"]

_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1_000
_FILTERS = ("user", "from", "to", "type", "chain", *LOOKUP_FIELDS)
_HISTORY = (*_FILTERS, "order", "after", "limit", "cursor", "profile")
_SUMMARY = (*_FILTERS, "bucket")
_LOOKUP = ("from", "to", "type", "limit", "cursor", *LOOKUP_FIELDS)
_USERS = ("prefix", "limit", "cursor", "system")
_BUCKETS = ("PT1H", "PT1M", "PT5M", "PT15M", "P1D")
#: Forms of a whole history by media type.
_FORMS = {
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
}
#: Each takes a worker for as long as its reader takes; reports need some, too.
_STREAMS_MAX = 3
_DONE = "-"


def add_history(app: FastAPI, services: Services) -> None:
    """The routes."""
    streams = asyncio.Semaphore(_STREAMS_MAX)

    @app.get("/v1/history")
    async def history(request: Request) -> Response:
        form = _form(request.headers.get("accept", ""))
        scope = "audit:read" if form is None else "audit:export"
        await authorize(request, services.principals, scope)
        query = request.query_params
        check_known(query, _HISTORY)
        if form is not None and "cursor" in query:
            raise Invalid(
                "invalid_parameter",
                "A cursor continues pages; a stream is begun anywhere with after=<userseq>.",
                pointer="#/cursor",
            )
        if form is None:
            return await _page(services, query)
        return await _stream(services, query, form, streams)

    @app.get("/v1/history/summary")
    async def summary(request: Request) -> Response:
        await authorize(request, services.principals, "audit:read")
        check_known(request.query_params, _SUMMARY)
        return await _summary(services, request.query_params, streams)

    @app.get("/v1/lookup")
    async def lookup(request: Request) -> Response:
        await authorize(request, services.principals, "audit:read")
        check_known(request.query_params, _LOOKUP)
        return await _lookup(services, request.query_params)

    @app.get("/v1/users")
    async def users(request: Request) -> Response:
        await authorize(request, services.principals, "audit:read")
        check_known(request.query_params, _USERS)
        return await _users(services, request.query_params)

    @app.get("/v1/records/{log}/{logindex}")
    async def record(request: Request, log: str, logindex: str) -> Response:
        await authorize(request, services.principals, "audit:read")
        absent = NotFound("no_such_record", "There is no such record, or none that you may see.")
        numeric = all(
            part.isascii() and part.isdigit() and len(part) < 20 for part in (log, logindex)
        )
        if not numeric or int(log) >= len(services.shards) or log_name(int(log)) != log:
            raise absent
        found = await services.shards[int(log)].record(int(logindex))
        if found is None:
            raise absent
        return json_answer(record_text(found[1]))


def _asked(query: QueryParams) -> HistoryQuery:
    descending = one_of(query, "order", ("asc", "desc")) == "desc"
    return HistoryQuery(
        required(query, "user"), wanted_filter(query), query.get("chain", ""), descending
    )


def _start(query: QueryParams, descending: bool) -> int:
    """Where ``after`` says to begin; 0 for the end the order begins at."""
    if "after" not in query:
        return 0
    after = number(query, "after", 0, 2**63, least=0)
    return after - 1 if descending else after + 1


def _shard(services: Services, user: str) -> Shard:
    return services.shards[shard_of(user, len(services.shards))]


async def _page(services: Services, query: QueryParams) -> Response:
    asked = _asked(query)
    limit = number(query, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
    question = msgspec.json.encode(asked).decode()
    if "cursor" in query:
        start = int(open_cursor(services.cursor_key, question, query["cursor"]))
    else:
        start = _start(query, asked.descending)
    if start < 0 or (asked.descending and "after" in query and start == 0):
        return _records_answer([], None, query, "/v1/history")
    page = await _shard(services, asked.user).history(asked, start, limit)
    cursor = None
    if page.next_userseq:
        cursor = seal_cursor(services.cursor_key, question, str(page.next_userseq))
    return _records_answer(page.records, cursor, query, "/v1/history")


def _records_answer(
    records: list[Record],
    cursor: str | None,
    query: QueryParams,
    path: str,
    more: bytes = b"",
) -> Response:
    items = b",".join(record_text(record) for record in records)
    body = b'{"items":[%b],"next_cursor":%b,"complete":%b%b}' % (
        items,
        msgspec.json.encode(cursor),
        b"false" if cursor else b"true",
        more,
    )
    headers = {}
    if cursor:
        pairs = [(name, value) for name, value in query.multi_items() if name != "cursor"]
        headers["Link"] = f'<{path}?{urlencode([*pairs, ("cursor", cursor)])}>; rel="next"'
    return json_answer(body, headers=headers)


async def _stream(
    services: Services, query: QueryParams, form: str, streams: asyncio.Semaphore
) -> Response:
    """The whole matching history in one document."""
    asked = _asked(query)
    profile = one_of(query, "profile", ("exact", "spreadsheet"))
    start = _start(query, asked.descending)
    if streams.locked():
        raise _busy()
    plan = await _shard(services, asked.user).plan(asked)
    if asked.descending and "after" in query and start <= 0:
        plan = None

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with streams:
            source = services.exports.stream(plan, form, profile, start, asked.descending)
            try:
                async for piece in source:
                    yield piece
            finally:
                await source.aclose()

    return Stream(await _begun(pieces()), MEDIA_TYPES[form], {})


async def _begun(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same pieces; what fails before the first raises here, while it can still be said in full."""
    try:
        first = await anext(pieces, b"")
    except BaseException:
        await pieces.aclose()
        raise

    async def rest() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    return rest()


async def _summary(services: Services, query: QueryParams, streams: asyncio.Semaphore) -> Response:
    asked = _asked(query)
    bucket = one_of(query, "bucket", _BUCKETS)
    plan = await _shard(services, asked.user).plan(asked)
    if streams.locked():
        raise _busy()
    async with streams:
        rows = await services.exports.summary(plan, bucket)
    items: list[dict[str, object]] = []
    for row in rows:
        start = format_ns(row.start_ns)
        if not items or items[-1]["start"] != start:
            items.append({"start": start, "types": {}})
        types = items[-1]["types"]
        assert isinstance(types, dict)
        types[row.type] = str(row.count)
    total = str(sum(row.count for row in rows))
    return json_answer({"items": items, "bucket": bucket, "total": total})


async def _lookup(services: Services, query: QueryParams) -> Response:
    wanted = wanted_filter(query)
    if not wanted.fields:
        raise Invalid("missing_parameter", f"Look up by one or more of {', '.join(LOOKUP_FIELDS)}.")
    limit = number(query, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
    question = msgspec.json.encode(["lookup", wanted]).decode()
    positions = ["0"] * len(services.shards)
    if "cursor" in query:
        positions = open_cursor(services.cursor_key, question, query["cursor"]).split(",")
    open_logs = [log for log, position in enumerate(positions) if position != _DONE]
    pages = await asyncio.gather(
        *(services.shards[log].lookup(wanted, int(positions[log]), limit) for log in open_logs)
    )
    by_log = dict(zip(open_logs, pages, strict=True))
    taken = list(
        merge(*(page.records for page in pages), key=lambda item: (item.storedtime_ns, item.log))
    )[:limit]
    for log, page in by_log.items():
        positions[log] = _next_position(page, sum(item.log == log_name(log) for item in taken))
    done = all(position == _DONE for position in positions)
    cursor = None if done else seal_cursor(services.cursor_key, question, ",".join(positions))
    indexed_to = {log_name(log): str(page.indexed_to) for log, page in by_log.items()}
    more = b',"indexed_to":' + msgspec.json.encode(indexed_to)
    return _records_answer(taken, cursor, query, "/v1/lookup", more)


def _next_position(page: LookupPage, taken: int) -> str:
    if taken < len(page.records):
        return str(page.records[taken].logindex)
    return str(page.next_logindex) if page.next_logindex else _DONE


async def _users(services: Services, query: QueryParams) -> Response:
    prefix = query.get("prefix", "")
    system = one_of(query, "system", ("false", "true")) == "true"
    limit = number(query, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
    question = msgspec.json.encode(["users", prefix, system]).decode()
    position = ""
    if "cursor" in query:
        position = open_cursor(services.cursor_key, question, query["cursor"])
    if prefix:
        page, following = await _users_by_name(services, prefix, position, limit, system=system)
    else:
        page, following = await _recent_users(services, int(position or 0), limit, system=system)
    items = [
        {
            "user": item.user,
            "count": str(item.count),
            "first_time": format_key(item.first_key),
            "last_time": format_key(item.last_key),
        }
        for item in page
    ]
    cursor = seal_cursor(services.cursor_key, question, following) if following else None
    return json_answer({"items": items, "next_cursor": cursor})


async def _users_by_name(
    services: Services, prefix: str, after: str, limit: int, *, system: bool
) -> tuple[list[UserSummary], str]:
    calls = (shard.users(prefix, after, limit + 1, system) for shard in services.shards)
    found = await asyncio.gather(*calls)
    merged = sorted((item for part in found for item in part), key=lambda item: item.user)
    page = merged[:limit]
    return page, page[-1].user if len(merged) > limit else ""


async def _recent_users(
    services: Services, skip: int, limit: int, *, system: bool
) -> tuple[list[UserSummary], str]:
    """The most recently active; ``_LIMIT_MAX`` in all, so that a page further on may overlap the first."""
    wanted = min(skip + limit + 1, _LIMIT_MAX)
    found = await asyncio.gather(*(shard.recent_users(wanted, system) for shard in services.shards))
    merged = sorted(
        (item for part in found for item in part), key=lambda item: (-item.active_ns, item.user)
    )[:_LIMIT_MAX]
    following = str(skip + limit) if skip + limit < len(merged) else ""
    return merged[skip : skip + limit], following


def _form(accept: str) -> str | None:
    """The form that is liked best; ``None`` for pages of JSON."""
    best, best_quality = None, 0.0
    for entry in accept.split(","):
        kind, *parameters = (part.strip() for part in entry.lower().split(";"))
        quality = next((_quality(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        if quality > best_quality and (kind in _FORMS or kind in ("application/json", "*/*")):
            best, best_quality = _FORMS.get(kind), quality
    return best


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _busy() -> Backpressure:
    return Backpressure(
        "too_many_streams",
        f"{_STREAMS_MAX} whole histories are being read already; ask again shortly, or for a report.",
        503,
        "",
        2,
    )
