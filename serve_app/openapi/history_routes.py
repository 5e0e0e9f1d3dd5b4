"""Routes that read what is stored: histories, summaries, look-ups, users, single records."""

from __future__ import annotations

from serve_app.openapi import bounds
from serve_app.openapi.event_schemas import LOG, RECORD_EXAMPLE
from serve_app.openapi.parts import (
    Json,
    answer,
    cursor,
    filters,
    header,
    json_content,
    limit,
    needs,
    path_parameter,
    problems,
    query,
    reference,
)
from tradetrail.csv_form import header as csv_header

__all__ = ["history_paths"]

_READ, _EXPORT = "audit:read", "audit:export"
_TEXT: Json = {"type": "string"}
_USER = query(
    "user", {"type": "string", "minLength": 1}, "Whose records: the `authid`.", required=True
)
_PAGE_EXAMPLE: Json = {"items": [RECORD_EXAMPLE], "next_cursor": None, "complete": True}
_QUESTION_CODES = ("unknown_parameter", "invalid_parameter", "invalid_time", "too_many_filters")
_STREAM_WORDS = {
    "ndjson": "The whole matching history, one record a line.",
    "csv": "The whole matching history: RFC 4180, UTF-8, CRLF, exact values. Columns: ",
    "arrow": "The whole matching history as an Arrow IPC stream.",
}


def history_paths() -> Json:
    """The path items."""
    return {
        "/v1/history": {"get": _history()},
        "/v1/history/summary": {"get": _summary()},
        "/v1/lookup": {"get": _lookup()},
        "/v1/users": {"get": _users()},
        "/v1/records/{log}/{logindex}": {"get": _record()},
    }


def _history() -> Json:
    declared, codes = needs(_READ)
    codes = (*codes, *_QUESTION_CODES, "missing_parameter", "invalid_cursor", "chain_too_long")
    after = query(
        "after",
        {"type": "string", "pattern": "^[0-9]{1,19}$"},
        "Begin behind this userseq, in the order that was asked for.",
    )
    order = query("order", {"enum": ["asc", "desc"], "default": "asc"}, "By userseq.")
    profile = query(
        "profile",
        {"enum": list(bounds.PROFILES), "default": bounds.PROFILES[0]},
        "Of CSV: `spreadsheet` neutralises formulas and adds a byte order mark.",
    )
    accept = ", ".join(f"`{media_type}`" for media_type in bounds.FORMS)
    return {
        "operationId": "getHistory",
        "tags": ["History"],
        "summary": "What a user did",
        "description": (
            "Pages of JSON; a page may also end before its limit where it grows large, then `complete` is "
            "false. Cursors are stable while events arrive: no record twice, none left out. A user without "
            "records has an empty list; a part that is away is an error, never an empty list.\n\n"
            f"`Accept` with {accept} streams the whole matching history instead; `limit` and `cursor` do not "
            "apply there, and a failure in the middle breaks the connection off. At most "
            f"{bounds.STREAMS_MAX} streams at once. Needs `{_READ}`; as a stream `{_EXPORT}`."
        ),
        "parameters": [
            _USER,
            *filters(chain=True),
            order,
            after,
            limit(bounds.PAGE_DEFAULT, bounds.PAGE_MAX),
            cursor(),
            profile,
        ],
        "responses": {
            "200": answer(
                "A page, or the whole as a stream.",
                json_content(reference("schemas", "Page"), _PAGE_EXAMPLE) | _streams(),
                Link=_link("/v1/history"),
            ),
            **problems(*codes, "index_failed", "too_many_streams", "worker_lost"),
        },
    } | declared


def _streams() -> Json:
    found: Json = {}
    for media_type, form in bounds.FORMS.items():
        words = _STREAM_WORDS[form]
        if form == "csv":
            words += csv_header("exact").decode().strip().replace(",", ", ") + "."
        schema: Json = {"type": "string", "description": words}
        if form == "arrow":
            schema = {"description": words}
        found[media_type] = {"schema": schema, "x-required-scope": _EXPORT}
    return found


def _link(path: str) -> Json:
    return header('Where the next page is, `rel="next"`.', f'<{path}?cursor=…>; rel="next"')


def _summary() -> Json:
    declared, codes = needs(_READ)
    bucket = query(
        "bucket",
        {"enum": list(bounds.BUCKETS), "default": bounds.BUCKETS[0]},
        "Length of a stretch of `time`, as an ISO 8601 duration; stretches begin at multiples in UTC.",
    )
    example = {
        "items": [
            {"start": "2026-01-02T03:00:00.000000000Z", "types": {"tradetrail.order.new.v1": "7"}}
        ],
        "bucket": bounds.BUCKETS[0],
        "total": "7",
    }
    return {
        "operationId": "getHistorySummary",
        "tags": ["History"],
        "summary": "A user's history in numbers",
        "description": f"Records counted by stretch of time and type. Needs `{_READ}`.",
        "parameters": [_USER, *filters(chain=True), bucket],
        "responses": {
            "200": answer("The counts.", json_content(reference("schemas", "Summary"), example)),
            **problems(
                *codes,
                *_QUESTION_CODES,
                "missing_parameter",
                "chain_too_long",
                "too_many_buckets",
                "index_failed",
                "too_many_streams",
                "worker_lost",
            ),
        },
    } | declared


def _lookup() -> Json:
    declared, codes = needs(_READ)
    fields = ", ".join(f"`{field}`" for field in bounds.LOOKUP_FIELDS)
    example = _PAGE_EXAMPLE | {"indexed_to": {"00": "17", "01": "42"}}
    return {
        "operationId": "lookUp",
        "tags": ["History"],
        "summary": "Find records of any user",
        "description": (
            f"By one or more of {fields}; all that are given must match. `indexed_to` says how far the index "
            f"has come. Needs `{_READ}`."
        ),
        "parameters": [
            *filters(chain=False),
            limit(bounds.PAGE_DEFAULT, bounds.PAGE_MAX),
            cursor(),
        ],
        "responses": {
            "200": answer(
                "A page.",
                json_content(reference("schemas", "LookupPage"), example),
                Link=_link("/v1/lookup"),
            ),
            **problems(
                *codes, *_QUESTION_CODES, "missing_parameter", "invalid_cursor", "index_failed"
            ),
        },
    } | declared


def _users() -> Json:
    declared, codes = needs(_READ)
    example = {
        "items": [
            {
                "user": "jane",
                "count": "7",
                "first_time": "2026-01-02T03:04:05.123456789Z",
                "last_time": "2026-01-02T03:09:00.000000000Z",
            }
        ],
        "next_cursor": None,
    }
    return {
        "operationId": "getUsers",
        "tags": ["History"],
        "summary": "Users with records",
        "description": (
            "By name where a prefix is given, else the most recently active first, "
            f"{bounds.PAGE_MAX} in all. Needs `{_READ}`."
        ),
        "parameters": [
            query("prefix", _TEXT, "What the name begins with."),
            query(
                "system",
                {"enum": ["false", "true"], "default": "false"},
                "`true` shows the service's own users, too.",
            ),
            limit(bounds.PAGE_DEFAULT, bounds.PAGE_MAX),
            cursor(),
        ],
        "responses": {
            "200": answer("A page.", json_content(reference("schemas", "Users"), example)),
            **problems(*codes, "unknown_parameter", "invalid_parameter", "invalid_cursor"),
        },
    } | declared


def _record() -> Json:
    declared, codes = needs(_READ)
    return {
        "operationId": "getRecord",
        "tags": ["History"],
        "summary": "One record",
        "description": f"By its log and its position there. Needs `{_READ}`.",
        "parameters": [
            path_parameter("log", LOG, "Name of the log, for instance `00`."),
            path_parameter(
                "logindex", {"type": "string", "pattern": "^[0-9]{1,19}$"}, "Position in the log."
            ),
        ],
        "responses": {
            "200": answer(
                "The record.", json_content(reference("schemas", "Record"), RECORD_EXAMPLE)
            ),
            **problems(*codes, "no_such_record"),
        },
    } | declared
