"""Who may call what: one module decides, every route asks it.

A caller brings ``Authorization: Bearer …`` or the page's session cookie. A cookie counts for a request that
changes something only if that request comes from our own page.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from serve_app.services import Control
from tradetrail.errors import Forbidden, Unauthenticated
from tradetrail.tokens import Principal

__all__ = ["SESSION_COOKIE", "authorize"]

SESSION_COOKIE = "tradetrail_session"
_SAFE = ("GET", "HEAD", "OPTIONS")
#: Longer than any token of ours; more is not looked up.
_SECRET_CHARACTERS_MAX = 512


async def authorize(request: Request, control: Control, scope: str) -> Principal:
    """The caller, who holds ``scope``.

    Raises:
        Unauthenticated: ``token_required`` or ``invalid_token``.
        Forbidden: ``insufficient_scope``, ``cross_site``.
    """
    principal = await control.principal(_secret(request))
    if scope and scope not in principal.scopes:
        raise Forbidden(
            "insufficient_scope", f"This needs the scope {scope}, which the token does not carry."
        )
    return principal


def _secret(request: Request) -> str:
    header = request.headers.get("authorization", "")
    kind, _, secret = header.partition(" ")
    if header and kind.lower() != "bearer":
        raise Unauthenticated("invalid_token", "Use Authorization: Bearer with a token.")
    if not secret:
        secret = request.cookies.get(SESSION_COOKIE, "")
        if secret and request.method not in _SAFE and not _same_origin(request):
            raise Forbidden("cross_site", "A session counts only for requests of our own page.")
    secret = secret.strip()
    if not secret:
        raise Unauthenticated("token_required", "Send a token: Authorization: Bearer tt_….")
    if len(secret) > _SECRET_CHARACTERS_MAX:
        raise Unauthenticated("invalid_token", "The token is longer than any of ours.")
    return secret


def _same_origin(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")
