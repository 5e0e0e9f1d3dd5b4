"""What the descriptions of routes are put together from: parameters, bodies, headers, errors, rights."""

from __future__ import annotations

from typing import Any

from serve_app.openapi import bounds

__all__ = [
    "AWAY",
    "Json",
    "answer",
    "cursor",
    "filters",
    "header",
    "json_content",
    "limit",
    "needs",
    "open_to_all",
    "path_parameter",
    "problems",
    "query",
    "reference",
    "request_header",
]

Json = dict[str, Any]

#: What every route may answer that asks a shard or the control actor.
AWAY = ("actor_away", "actor_silent")

#: Status of every code that a route names; ``problems`` files them under it.
_STATUS = {
    "chain_too_long": 400,
    "event_id_ahead": 400,
    "invalid_content_coding": 400,
    "invalid_cursor": 400,
    "invalid_event_id": 400,
    "invalid_idempotency_key": 400,
    "invalid_json": 400,
    "invalid_name": 400,
    "invalid_parameter": 400,
    "invalid_request": 400,
    "invalid_scope": 400,
    "invalid_time": 400,
    "invalid_utf8": 400,
    "limit_not_supported": 400,
    "missing_parameter": 400,
    "no_such_log": 400,
    "not_a_json_array": 400,
    "too_many_buckets": 400,
    "too_many_filters": 400,
    "unknown_parameter": 400,
    "invalid_token": 401,
    "token_required": 401,
    "cross_site": 403,
    "insufficient_scope": 403,
    "no_such_record": 404,
    "no_such_report": 404,
    "no_such_token": 404,
    "body_timeout": 408,
    "report_not_ready": 409,
    "report_expired": 410,
    "body_too_large": 413,
    "too_many_events": 413,
    "unsupported_content_encoding": 415,
    "idempotency_key_reused": 422,
    "index_failed": 500,
    "internal_error": 500,
    "actor_away": 503,
    "actor_silent": 503,
    "outcome_unknown": 503,
    "shard_busy": 503,
    "too_many_reports": 503,
    "too_many_streams": 503,
    "too_many_viewers": 503,
    "worker_lost": 503,
    "disk_full": 507,
    "disk_nearly_full": 507,
}
_WORDS = {
    400: "The call is wrong; the same call again gives the same answer.",
    401: "No token, or one that is not valid.",
    403: "The token is valid and does not carry the right.",
    404: "Nothing there that the caller may see.",
    408: "The body did not arrive in time.",
    409: "The state is not what the caller took it for.",
    410: "It was there and is kept no longer.",
    413: "The body is larger than the limit that the detail names.",
    415: "The content coding is not supported.",
    422: "The call contradicts an earlier one.",
    500: (
        "A fault of the service, or stored data that is damaged (then with a code of its own, see "
        "docs/errors.md). A proxy in front may answer 500 without a problem where a part was away: send again."
    ),
    503: "Nothing was done, or the outcome is unknown; the same call may be sent after Retry-After.",
    507: "The disk is nearly full. Reads go on; the same call may be sent after Retry-After.",
}
_WAITING = (503, 507)


def reference(kind: str, name: str) -> Json:
    """A reference to a component, for instance of ``schemas``."""
    return {"$ref": f"#/components/{kind}/{name}"}


def query(name: str, schema: Json, description: str, *, required: bool = False) -> Json:
    """A query parameter; an array is sent by repeating the parameter."""
    parameter: Json = {"name": name, "in": "query", "description": description, "schema": schema}
    if required:
        parameter["required"] = True
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": True}
    return parameter


def path_parameter(name: str, schema: Json, description: str) -> Json:
    """A part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def request_header(name: str, schema: Json, description: str, **more: object) -> Json:
    """A header of the request."""
    return {"name": name, "in": "header", "description": description, "schema": schema} | more


def header(description: str, example: str) -> Json:
    """A header of an answer."""
    return {"description": description, "schema": {"type": "string"}, "example": example}


def limit(default: int, most: int) -> Json:
    """The size of a page."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return query("limit", schema, f"Items of a page; above {most} is refused.")


def cursor() -> Json:
    """Where a page goes on."""
    return query(
        "cursor",
        {"type": "string"},
        "`next_cursor` of the page before. Opaque and bound to the question: keep all else the same.",
    )


def filters(*, chain: bool) -> list[Json]:
    """The filters of records; all that are given must match."""
    time = {"type": "string", "format": "date-time"}
    found = [
        query(
            "from", time, "Earliest `time`, inclusive: RFC 3339 with an offset, to the nanosecond."
        ),
        query(
            "to", time, "Latest `time`, exclusive. A record without `time` goes by `storedtime`."
        ),
        query(
            "type",
            {"type": "array", "items": {"type": "string"}, "maxItems": bounds.FILTER_TYPES_MAX},
            "Exact, or a dotted prefix such as `tradetrail.order.*`; any of those given may match.",
        ),
    ]
    if chain:
        found.append(
            query(
                "chain",
                {"type": "string"},
                "A ClOrdID: all records of that order's life, through OrigClOrdID and OrderID.",
            )
        )
    values = {"type": "array", "items": {"type": "string"}, "maxItems": bounds.FILTER_FIELDS_MAX}
    for field in bounds.LOOKUP_FIELDS:
        place = "The attribute" if field == "subject" else "The member of `data`"
        found.append(query(field, values, f"{place} `{field}` is exactly this."))
    return found


def json_content(schema: Json, example: object = None) -> Json:
    """``content`` of one media type, JSON."""
    body: Json = {"schema": schema}
    if example is not None:
        body["example"] = example
    return {"application/json": body}


def answer(description: str, content: Json | None = None, **headers: Json) -> Json:
    """An answer; underscores in the names of headers stand for hyphens."""
    found: Json = {"description": description}
    if headers:
        found["headers"] = {name.replace("_", "-"): value for name, value in headers.items()}
    if content is not None:
        found["content"] = content
    return found


def problems(*codes: str) -> dict[str, Json]:
    """The answers that say errors, one for each status, with the codes it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in sorted({*codes, "internal_error"}):
        by_status.setdefault(_STATUS[code], []).append(code)
    return {str(status): _problem(status, found) for status, found in sorted(by_status.items())}


def _problem(status: int, codes: list[str]) -> Json:
    headers: Json = {}
    if status in _WAITING:
        headers["Retry-After"] = reference("headers", "RetryAfter")
    if status == 401:
        headers["WWW-Authenticate"] = reference("headers", "WWWAuthenticate")
    found: Json = {
        "description": f"{_WORDS[status]} Codes: {', '.join(f'`{code}`' for code in codes)}.",
        "x-problem-codes": codes,
        "content": {"application/problem+json": {"schema": reference("schemas", "Problem")}},
    }
    return found | ({"headers": headers} if headers else {})


def needs(scope: str, *, changes: bool = False) -> tuple[Json, tuple[str, ...]]:
    """What a protected operation declares, and the codes of its refusals.

    Args:
        scope: the right it needs; empty where any valid token will do.
        changes: whether a session counts only from the page of the service itself.
    """
    roles = [scope] if scope else []
    declared: Json = {"security": [{"bearer": roles}, {"session": roles}]}
    codes = ["token_required", "invalid_token", *AWAY]
    if scope:
        declared["x-required-scope"] = scope
        codes.append("insufficient_scope")
    if changes:
        codes.append("cross_site")
    return declared, tuple(codes)


def open_to_all() -> Json:
    """What an operation declares that needs no token."""
    return {"security": []}
