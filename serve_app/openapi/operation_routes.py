"""Routes that are open to everybody: health, metrics, the page and this description."""

from __future__ import annotations

from serve_app.openapi.parts import (
    AWAY,
    Json,
    answer,
    json_content,
    open_to_all,
    path_parameter,
    problems,
    query,
    reference,
)

__all__ = ["operation_paths"]


def operation_paths() -> Json:
    """The path items."""
    found = {
        "/livez": _livez(),
        "/readyz": _readyz(),
        "/metrics": _metrics(),
        "/openapi.json": _openapi(),
        "/": _page("getPage", "The page"),
        "/docs": _page("getDocs", "This description, drawn for a person"),
        "/assets/{path}": _assets(),
    }
    return {path: {"get": operation | open_to_all()} for path, operation in found.items()}


def _livez() -> Json:
    content = json_content(reference("schemas", "Liveness"), {"status": "pass"})
    return {
        "operationId": "getLiveness",
        "tags": ["Operation"],
        "summary": "Whether the process answers",
        "description": "Asks nothing of the shards. Open to all.",
        "responses": {"200": answer("It answers.", content), **problems()},
    }


def _readyz() -> Json:
    schema = reference("schemas", "Readiness")
    away: Json = {"log": "01", "status": "fail", "code": "actor_away"}
    serving: Json = {"log": "00", "status": "pass", "size": "42"}
    strict = query(
        "strict",
        {"enum": ["0", "1"], "default": "0"},
        "`1`: ready only where every shard serves; else one is enough.",
    )
    ready = {"status": "pass", "shards": [serving, away]}
    unready = {"status": "fail", "shards": [away]}
    return {
        "operationId": "getReadiness",
        "tags": ["Operation"],
        "summary": "Whether events can be taken",
        "description": "With the state of each shard. Open to all.",
        "parameters": [strict],
        "responses": {
            "200": answer("Ready.", json_content(schema, ready)),
            **problems("unknown_parameter", "invalid_parameter"),
            "503": answer("Not ready; this answer is no problem.", json_content(schema, unready)),
        },
    }


def _metrics() -> Json:
    text: Json = {"schema": {"type": "string"}}
    return {
        "operationId": "getMetrics",
        "tags": ["Operation"],
        "summary": "Numbers for Prometheus",
        "description": "Of all processes, put together; docs/metrics.md says what each is. Open to all.",
        "responses": {
            "200": answer(
                "The numbers, in the form that Accept asks for.",
                {"text/plain": text, "application/openmetrics-text": text},
            ),
            **problems(*AWAY),
        },
    }


def _openapi() -> Json:
    content = json_content({"type": "object", "required": ["openapi", "info", "paths"]})
    return {
        "operationId": "getOpenapi",
        "tags": ["Page"],
        "summary": "This description",
        "description": "OpenAPI 3.1. Open to all.",
        "responses": {"200": answer("The description.", content)},
    }


def _page(operation_id: str, summary: str) -> Json:
    return {
        "operationId": operation_id,
        "tags": ["Page"],
        "summary": summary,
        "description": "Open to all; what it shows is asked for with the session of who signed in.",
        "responses": {"200": answer("HTML.", {"text/html": {"schema": {"type": "string"}}})},
    }


def _assets() -> Json:
    return {
        "operationId": "getAsset",
        "tags": ["Page"],
        "summary": "A file of the page",
        "description": "Scripts and styles; all come from here, nothing from elsewhere. Open to all.",
        "parameters": [
            path_parameter("path", {"type": "string"}, "Name of the file; may hold slashes.")
        ],
        "responses": {
            "200": answer("The file.", {"*/*": {"schema": {}}}),
            "404": answer("There is no such file, or no such route."),
        },
    }
