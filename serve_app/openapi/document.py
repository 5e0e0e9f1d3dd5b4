"""The document as a whole, and the route that serves it."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Response

from serve_app.answers import json_answer
from serve_app.openapi import bounds
from serve_app.openapi.access_routes import access_paths
from serve_app.openapi.event_schemas import event_schemas
from serve_app.openapi.feed_routes import feed_paths
from serve_app.openapi.history_routes import history_paths
from serve_app.openapi.ingest_routes import ingest_paths
from serve_app.openapi.operation_routes import operation_paths
from serve_app.openapi.parts import Json, header
from serve_app.openapi.report_routes import report_paths
from serve_app.openapi.schemas import answer_schemas
from tradetrail import __version__
from tradetrail.event import Limits
from tradetrail.tokens import SCOPES

__all__ = ["add_openapi", "document"]

_DEFAULTS = Limits()
_DESCRIPTION = f"""\
An audit trail for trading platforms: every user action is kept, shown, followed live and reported.

**Rights.** All routes but the open ones need `Authorization: Bearer tt_…`, or the session cookie of the page.
A session counts for a request that changes something only if that request comes from the page itself. Each
operation names the scope it needs; the scopes are {", ".join(f"`{scope}`" for scope in SCOPES)}.

**Errors.** Every error of the service is a problem (RFC 9457) with a stable `code`; `retry` says whether the
same call may be sent again as it is. An unknown path is 404 `no_such_route`, a wrong method 405
`method_not_allowed`; while the service starts, everything is 503 `starting`. A query parameter that is not
known is refused: a misspelt filter must not answer with everything.

**Numbers** that may exceed 32 bits (`userseq`, `logindex`, counts, sizes) travel as strings. Times are RFC
3339; those of the service are in UTC with nine fractional digits.

**Sending again** is safe: an event is known by its user, `source` and `id`, and is stored once.
"""
_TAGS = (
    ("Ingest", "Events go in."),
    ("History", "What was stored, in pages, as streams and in numbers."),
    ("Feed", "What is stored now, as it happens."),
    ("Reports", "Documents that are made in the background."),
    ("Access", "Sessions of the page, and API keys."),
    ("Operation", "Health and metrics."),
    ("Page", "The page, its assets and this description."),
)


def document(limits: Limits = _DEFAULTS) -> dict[str, object]:
    """The OpenAPI 3.1 document over both applications.

    Args:
        limits: bounds of ingest that this service was started with.
    """
    paths = {
        **ingest_paths(limits),
        **history_paths(),
        **feed_paths(),
        **report_paths(),
        **access_paths(),
        **operation_paths(),
    }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "TradeTrail",
            "version": __version__,
            "summary": "What did a user do: history, reports, live feed.",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/", "description": "This service"}],
        "tags": [{"name": name, "description": words} for name, words in _TAGS],
        "paths": paths,
        "components": _components(limits),
    }


def add_openapi(app: FastAPI, limits: Limits = _DEFAULTS) -> None:
    """The route ``/openapi.json``; the document is built once, here."""
    text = msgspec.json.encode(document(limits))

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return json_answer(text)


def _components(limits: Limits) -> Json:
    return {
        "schemas": {**event_schemas(limits), **answer_schemas()},
        "headers": {
            "RetryAfter": header("Seconds to wait before the same call is sent again.", "1"),
            "WWWAuthenticate": header(
                "How to authenticate, with the error where a token was given.",
                'Bearer error="invalid_token"',
            ),
        },
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "tt_<id>_<secret>",
                "description": (
                    "An API key, made by an administrator with `POST /v1/tokens`; the first one is in the "
                    f"file admin.token of the data folder. At most {bounds.SECRET_CHARACTERS_MAX} characters."
                ),
            },
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": bounds.SESSION_COOKIE,
                "description": "The page's session, made by `POST /v1/session`.",
            },
        },
    }
