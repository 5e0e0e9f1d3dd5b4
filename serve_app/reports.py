"""``/v1/reports``: ask for a document, see how far it is, fetch it, list, cancel and remove."""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import quote

from fastapi import FastAPI, Request, Response

from serve_app.access import authorize
from serve_app.answers import Stream, json_answer
from serve_app.cursors import open_cursor, seal_cursor
from serve_app.parameters import check_known, number
from serve_app.services import Services
from tradetrail.errors import Invalid
from tradetrail.report import MEDIA_TYPES, ReportRow, ReportStatus, parse_request
from tradetrail.times import format_ns

__all__ = ["add_reports"]

_BODY_BYTES_MAX = 256 * 1024
_KEY_CHARACTERS_MAX = 256
_BODY_S = 30.0
_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1_000
_SCOPE = "audit:export"


def add_reports(app: FastAPI, services: Services) -> None:
    """The routes."""

    @app.post("/v1/reports")
    async def create(request: Request) -> Response:
        principal = await authorize(request, services.principals, _SCOPE)
        asked = parse_request(await small_body(request, _BODY_BYTES_MAX))
        claim_key = request.headers.get("idempotency-key", "").strip('"')
        if len(claim_key) > _KEY_CHARACTERS_MAX:
            raise Invalid(
                "invalid_idempotency_key",
                f"An Idempotency-Key has up to {_KEY_CHARACTERS_MAX} characters.",
            )
        row = await services.control.create_report(principal, asked, claim_key)
        return json_answer(_body(row), 202, {"Location": f"/v1/reports/{row.id}"})

    @app.get("/v1/reports")
    async def list_all(request: Request) -> Response:
        principal = await authorize(request, services.principals, _SCOPE)
        query = request.query_params
        check_known(query, ("limit", "cursor"))
        limit = number(query, "limit", _LIMIT_DEFAULT, _LIMIT_MAX)
        question = f"reports/{principal.name}"
        rows = await services.control.reports(principal)
        if "cursor" in query:
            last = open_cursor(services.cursor_key, question, query["cursor"])
            rows = [row for row in rows if f"{row.created_ns:020d}/{row.id}" < last]
        page, cursor = rows[:limit], None
        if len(rows) > limit:
            last = f"{page[-1].created_ns:020d}/{page[-1].id}"
            cursor = seal_cursor(services.cursor_key, question, last)
        return json_answer({"items": [_body(row) for row in page], "next_cursor": cursor})

    @app.get("/v1/reports/{report_id}")
    async def status(request: Request, report_id: str) -> Response:
        principal = await authorize(request, services.principals, _SCOPE)
        return json_answer(_body(await services.control.report(principal, report_id)))

    @app.get("/v1/reports/{report_id}/content")
    async def content(request: Request, report_id: str) -> Response:
        principal = await authorize(request, services.principals, _SCOPE)
        row, chunks = await services.control.report_content(principal, report_id)
        digest = base64.b64encode(bytes.fromhex(row.sha256)).decode()
        headers = {
            "Content-Length": str(row.size_bytes),
            "Repr-Digest": f"sha-256=:{digest}:",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.filename)}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return Stream(chunks, MEDIA_TYPES[row.request.format], headers)

    @app.delete("/v1/reports/{report_id}")
    async def remove(request: Request, report_id: str) -> Response:
        principal = await authorize(request, services.principals, _SCOPE)
        row = await services.control.remove_report(principal, report_id)
        return Response(status_code=204) if row is None else json_answer(_body(row))


async def small_body(request: Request, bytes_max: int) -> bytes:
    """A request's body where it is small; raises ``Invalid`` with 413 where it is not."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > bytes_max:
                    raise Invalid("body_too_large", f"The body is over {bytes_max} bytes.", 413)
                parts.append(part)
    except TimeoutError as error:
        raise Invalid(
            "body_timeout", f"The body did not arrive within {_BODY_S:.0f} s.", 408
        ) from error
    return b"".join(parts)


def _body(row: ReportRow) -> dict[str, object]:
    body: dict[str, object] = {
        "id": row.id,
        "status": row.status,
        "format": row.request.format,
        "requester": row.requester,
        "request": row.request,
        "created": format_ns(row.created_ns),
        "progress": {"done": str(row.done), "total": str(row.total)},
    }
    if row.finished_ns:
        body["finished"] = format_ns(row.finished_ns)
    if row.status is ReportStatus.SUCCEEDED:
        body["expires"] = format_ns(row.expires_ns)
        body["filename"] = row.filename
        body["size"] = str(row.size_bytes)
        body["sha256"] = row.sha256
    if row.error_code:
        body["error"] = {"code": row.error_code, "detail": row.error_detail}
    return body
