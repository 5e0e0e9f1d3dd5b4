"""The query application: everything but ingest, put together; and the page itself."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from serve_app.feed import add_feed
from serve_app.health import add_health
from serve_app.history import add_history
from serve_app.metering import Metered
from serve_app.openapi import add_openapi
from serve_app.problems import install_problems
from serve_app.reports import add_reports
from serve_app.services import Services
from serve_app.session import add_session
from serve_app.tokens import add_tokens

__all__ = ["create_query"]

_WEB = Path(__file__).parent / "web"
_PAGE = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
}
#: swagger-ui draws its icons from ``data:`` addresses in its style sheet.
_DOCS = _PAGE | {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
}


def create_query(services: Services) -> FastAPI:
    """The query application."""
    app = FastAPI(
        title="TradeTrail", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    install_problems(app)
    app.add_middleware(Metered, services=services, name="query")
    add_health(app, services)
    add_session(app, services)
    add_history(app, services)
    add_feed(app, services)
    add_reports(app, services)
    add_tokens(app, services)
    add_openapi(app, services.limits)
    _add_page(app)
    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/")
    async def page() -> Response:
        return FileResponse(_WEB / "index.html", headers=_PAGE)

    @app.get("/docs")
    async def docs() -> Response:
        return FileResponse(_WEB / "docs.html", headers=_DOCS)

    app.mount("/assets", StaticFiles(directory=_WEB), name="assets")
