"""``/openapi.json``: one document over both applications."""

from __future__ import annotations

from fastapi import FastAPI, Response

from serve_app.answers import json_answer

__all__ = ["add_openapi", "document"]


def document() -> dict[str, object]:
    """The OpenAPI 3.1 document."""
    return {"openapi": "3.1.0", "info": {"title": "TradeTrail", "version": "1"}, "paths": {}}


def add_openapi(app: FastAPI) -> None:
    """The route."""

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return json_answer(document())
