"""Routes of reports: ask, watch, fetch, list, cancel."""

from __future__ import annotations

from serve_app.openapi import bounds
from serve_app.openapi.parts import (
    Json,
    answer,
    cursor,
    header,
    json_content,
    limit,
    needs,
    path_parameter,
    problems,
    reference,
    request_header,
)
from tradetrail.report import MEDIA_TYPES

__all__ = ["report_paths"]

_SCOPE = "audit:export"
_ID = path_parameter("report_id", {"type": "string"}, "As `POST /v1/reports` gave it.")
_REQUEST_EXAMPLE: Json = {
    "user": "jane",
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-02-01T00:00:00Z",
    "format": "pdf",
    "timezone": "Europe/Zurich",
    "title": "January",
}
_QUEUED: Json = {
    "id": "q3Vb0x1mCkW6ZtYd2uNsRfQa",
    "status": "queued",
    "format": "pdf",
    "requester": "admin",
    "request": _REQUEST_EXAMPLE,
    "created": "2026-02-01T08:00:00.000000000Z",
    "progress": {"done": "0", "total": "0"},
}
_DONE: Json = _QUEUED | {
    "status": "succeeded",
    "progress": {"done": "2408", "total": "2408"},
    "finished": "2026-02-01T08:00:04.000000000Z",
    "expires": "2026-02-08T08:00:04.000000000Z",
    "filename": "tradetrail-jane-q3Vb0x1m.pdf",
    "size": "183042",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


def report_paths() -> Json:
    """The path items."""
    return {
        "/v1/reports": {"post": _create(), "get": _list()},
        "/v1/reports/{report_id}": {"get": _status(), "delete": _remove()},
        "/v1/reports/{report_id}/content": {"get": _content()},
    }


def _report(example: Json) -> Json:
    return json_content(reference("schemas", "Report"), example)


def _create() -> Json:
    declared, codes = needs(_SCOPE, changes=True)
    key = request_header(
        "Idempotency-Key",
        {"type": "string", "maxLength": bounds.IDEMPOTENCY_KEY_CHARACTERS_MAX},
        "The same key of the same caller with the same request gives the same report.",
    )
    where = header("Where its status is.", f"/v1/reports/{_QUEUED['id']}")
    return {
        "operationId": "createReport",
        "tags": ["Reports"],
        "summary": "Ask for a report",
        "description": (
            "It is made in the background and kept for a while. Give one of `user`, `users` and `scope`; a PDF "
            f"is of one user. The body has at most {bounds.REPORT_BODY_BYTES_MAX} bytes. Needs `{_SCOPE}`."
        ),
        "parameters": [key],
        "requestBody": {
            "required": True,
            "content": json_content(reference("schemas", "ReportRequest"), _REQUEST_EXAMPLE),
        },
        "responses": {
            "202": answer("Taken; ask for its status.", _report(_QUEUED), Location=where),
            **problems(
                *codes,
                "invalid_json",
                "invalid_request",
                "invalid_idempotency_key",
                "idempotency_key_reused",
                "body_too_large",
                "too_many_reports",
                "disk_full",
            ),
        },
    } | declared


def _list() -> Json:
    declared, codes = needs(_SCOPE)
    example = {"items": [_DONE], "next_cursor": None}
    return {
        "operationId": "listReports",
        "tags": ["Reports"],
        "summary": "The caller's reports, newest first",
        "description": f"Administrators see those of all. Needs `{_SCOPE}`.",
        "parameters": [limit(bounds.REPORTS_PAGE_DEFAULT, bounds.REPORTS_PAGE_MAX), cursor()],
        "responses": {
            "200": answer("A page.", json_content(reference("schemas", "Reports"), example)),
            **problems(*codes, "unknown_parameter", "invalid_parameter", "invalid_cursor"),
        },
    } | declared


def _status() -> Json:
    declared, codes = needs(_SCOPE)
    return {
        "operationId": "getReport",
        "tags": ["Reports"],
        "summary": "How far a report is",
        "description": f"A report is its requester's; others do not see it. Needs `{_SCOPE}`.",
        "parameters": [_ID],
        "responses": {
            "200": answer("The report.", _report(_DONE)),
            **problems(*codes, "no_such_report"),
        },
    } | declared


def _content() -> Json:
    declared, codes = needs(_SCOPE)
    files: Json = {media_type: {"schema": {}} for media_type in MEDIA_TYPES.values()}
    return {
        "operationId": "getReportContent",
        "tags": ["Reports"],
        "summary": "Fetch a report's file",
        "description": f"Whole or visibly not: compare the digest. Needs `{_SCOPE}`.",
        "parameters": [_ID],
        "responses": {
            "200": answer(
                "The file.",
                files,
                Repr_Digest=header("SHA-256 of the file (RFC 9530).", "sha-256=:n4bQ…=:"),
                Content_Length=header("Bytes of the file.", _DONE["size"]),
                Content_Disposition=header(
                    "The name of the file.", f"attachment; filename*=UTF-8''{_DONE['filename']}"
                ),
            ),
            **problems(*codes, "no_such_report", "report_not_ready", "report_expired"),
        },
    } | declared


def _remove() -> Json:
    declared, codes = needs(_SCOPE, changes=True)
    return {
        "operationId": "removeReport",
        "tags": ["Reports"],
        "summary": "Cancel or remove a report",
        "description": (
            "One that is being made is cancelled and stays in the list; any other is removed with its file. "
            f"Needs `{_SCOPE}`."
        ),
        "parameters": [_ID],
        "responses": {
            "200": answer("Cancelled.", _report(_QUEUED | {"status": "cancelled"})),
            "204": answer("Removed."),
            **problems(*codes, "no_such_report", "disk_full"),
        },
    } | declared
