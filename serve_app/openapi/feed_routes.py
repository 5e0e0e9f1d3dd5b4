"""The live feed's route, as a stream of server-sent events."""

from __future__ import annotations

from serve_app.openapi import bounds
from serve_app.openapi.event_schemas import LOG
from serve_app.openapi.parts import Json, answer, header, needs, problems, query, request_header

__all__ = ["feed_paths"]

_SCOPE = "audit:read"
_STREAM = f"""\
Server-sent events. A record is `id:` with its userseq (logindex where a log is followed, an opaque cursor
where several users are) and `data:` with the record as one line of JSON, without an `event:` line. The first
block is the present `id:` without data. Named events are the service's own: `end` with `{{"reason": …}}`,
one of `max_age`, `shutdown`, `token_expired`, `failed`. A comment comes every {bounds.FEED_PING_S} s, `retry:`
is {bounds.FEED_RETRY_MS[0]} to {bounds.FEED_RETRY_MS[1]} ms."""
_EXAMPLE = (
    "retry: 1700\nid: 6\n\n"
    'id: 7\ndata: {"userseq":"7","log":"01","logindex":"41","storedtime":"2026-01-02T03:04:05.124000000Z",'
    '"specversion":"1.0","id":"oms-1-4711","source":"/oms/1","type":"tradetrail.order.new.v1","authid":"jane"}'
    '\n\nevent: end\ndata: {"reason":"max_age"}\n\n'
)


def feed_paths() -> Json:
    """The path item."""
    declared, codes = needs(_SCOPE)
    users = {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
        "maxItems": bounds.FEED_USERS_MAX,
    }
    content = {
        "text/event-stream": {
            "schema": {"type": "string", "description": _STREAM},
            "example": _EXAMPLE,
        }
    }
    operation: Json = {
        "operationId": "followFeed",
        "tags": ["Feed"],
        "summary": "Follow users or a log live",
        "description": (
            "Each record once and in order, also over reconnects: send the last `id:` as `Last-Event-ID` and "
            "the stream goes on strictly behind it, first from the store, then live. Give `user` (repeated "
            "for several) or `log`, not both. A stream ends by itself after a while, and its viewer connects "
            f"again. The token is looked at again every {bounds.FEED_RECHECK_S:.0f} s. Needs `{_SCOPE}`."
        ),
        "parameters": [
            query("user", users, "Whom to follow."),
            query("log", LOG, "Which log to follow as a whole."),
            query(
                "from",
                {"enum": ["latest", "earliest"], "default": "latest"},
                "Where to begin without an id.",
            ),
            query("last_event_id", {"type": "string"}, "The same as the header, which goes first."),
            request_header("Last-Event-ID", {"type": "string"}, "The last `id:` that was seen."),
        ],
        "responses": {
            "200": answer(
                "The stream.",
                content,
                Cache_Control=header("Nothing on the way may keep it.", "no-store, no-transform"),
                X_Accel_Buffering=header("Nor hold it back.", "no"),
            ),
            **problems(
                *codes,
                "unknown_parameter",
                "invalid_parameter",
                "no_such_log",
                "invalid_event_id",
                "event_id_ahead",
                "invalid_cursor",
                "too_many_viewers",
            ),
        },
    }
    return {"/v1/feed": {"get": operation | declared}}
