"""Who may call what: one module decides, every route asks it.

A caller brings ``Authorization: Bearer …`` or the page's session cookie. A cookie counts for a request that
changes something only if that request comes from our own page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request

from serve_app.services import Principals
from tradetrail.errors import Forbidden, Unauthenticated
from tradetrail.tokens import Principal

__all__ = ["SESSION_COOKIE", "PrincipalCache", "authorize", "secret_of"]

SESSION_COOKIE = "tradetrail_session"
_SAFE = ("GET", "HEAD", "OPTIONS")
#: Longer than any token of ours; more is not looked up.
_SECRET_CHARACTERS_MAX = 512
_REMEMBERED_S = 5.0
_REMEMBERED_MAX = 10_000


async def authorize(request: Request, principals: Principals, scope: str) -> Principal:
    """The caller, who holds ``scope``.

    Raises:
        Unauthenticated: ``token_required`` or ``invalid_token``.
        Forbidden: ``insufficient_scope``, ``cross_site``.
    """
    principal = await principals.principal(secret_of(request))
    if scope and scope not in principal.scopes:
        raise Forbidden(
            "insufficient_scope", f"This needs the scope {scope}, which the token does not carry."
        )
    return principal


class PrincipalCache:
    """Who holds a secret, remembered for a few seconds: a revoked key works no longer than that.

    Secrets are remembered by their hashes. Refusals are not remembered.

    Args:
        principals: who knows.
        monotonic_s: seconds that never go back.
        wall_ns: ns since 1970, against the principals' own expiry.
    """

    def __init__(
        self, principals: Principals, monotonic_s: Callable[[], float], wall_ns: Callable[[], int]
    ) -> None:
        self._principals = principals
        self._monotonic_s = monotonic_s
        self._wall_ns = wall_ns
        self._known: dict[bytes, tuple[float, Principal]] = {}

    async def principal(self, secret: str) -> Principal:
        """See ``Principals.principal``."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        now_s = self._monotonic_s()
        until_s, known = self._known.get(digest, (0.0, None))
        if known is not None and now_s < until_s and not self._expired(known):
            return known
        found = await self._principals.principal(secret)
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        self._known[digest] = (now_s + _REMEMBERED_S, found)
        return found

    def _expired(self, principal: Principal) -> bool:
        return bool(principal.expires_ns) and principal.expires_ns <= self._wall_ns()

    def forget(self) -> None:
        """Ask anew about everybody: a session was ended or a key revoked here."""
        self._known.clear()


def secret_of(request: Request) -> str:
    """The secret a request brings.

    Raises:
        Unauthenticated: it brings none, or one that cannot be.
        Forbidden: ``cross_site``, a session used by another site's page.
    """
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
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(origin) and origin == request.headers.get("host")
