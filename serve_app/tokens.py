"""``/v1/tokens``: API keys, for administrators. A key is shown once, in the answer that made it."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response

from serve_app.access import authorize
from serve_app.answers import json_answer
from serve_app.reports import small_body
from serve_app.services import Services
from storage.control_store import Credential
from tradetrail.errors import Invalid
from tradetrail.times import format_ns

__all__ = ["add_tokens"]

_BODY_BYTES_MAX = 64 * 1024
_LIFETIME_S_MAX = 100 * 366 * 24 * 3600
_ALL = "all"


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    scopes: tuple[str, ...]
    users: str | list[str] = _ALL
    sources: list[str] = []
    expires_in_s: int = 0


def add_tokens(app: FastAPI, services: Services) -> None:
    """The routes."""

    @app.post("/v1/tokens")
    async def create(request: Request) -> Response:
        await authorize(request, services.principals, "audit:admin")
        asked = _parse(await small_body(request, _BODY_BYTES_MAX))
        secret, key_id = await services.control.create_key(
            asked.name, asked.scopes, asked.expires_in_s
        )
        body = {"id": key_id, "token": secret, "name": asked.name, "scopes": asked.scopes}
        return json_answer(body, 201)

    @app.get("/v1/tokens")
    async def list_all(request: Request) -> Response:
        await authorize(request, services.principals, "audit:admin")
        return json_answer({"items": [_body(key) for key in await services.control.keys()]})

    @app.delete("/v1/tokens/{key_id}")
    async def revoke(request: Request, key_id: str) -> Response:
        await authorize(request, services.principals, "audit:admin")
        await services.control.revoke_key(key_id)
        services.principals.forget()
        return Response(status_code=204)


def _parse(body: bytes) -> _Request:
    try:
        asked = msgspec.json.decode(body, type=_Request)
    except msgspec.ValidationError as error:
        raise Invalid("invalid_request", f"{error}.") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid("invalid_json", "Send a JSON object with name and scopes.") from error
    if asked.users != _ALL or asked.sources:
        # Ignoring a limit would hand out more than was asked for.
        raise Invalid(
            "limit_not_supported",
            "Keys limited to users or sources are not made yet; leave users and sources out.",
            pointer="#/users" if asked.users != _ALL else "#/sources",
        )
    if not 0 <= asked.expires_in_s <= _LIFETIME_S_MAX:
        raise Invalid(
            "invalid_request",
            f"expires_in_s is 0 (never) to {_LIFETIME_S_MAX} seconds.",
            pointer="#/expires_in_s",
        )
    return asked


def _body(key: Credential) -> dict[str, object]:
    principal = key.principal
    return {
        "id": key.id,
        "name": principal.name,
        "scopes": principal.scopes,
        "users": _ALL,
        "created": format_ns(key.created_ns) if key.created_ns else None,
        "expires": format_ns(principal.expires_ns) if principal.expires_ns else None,
        "revoked": format_ns(key.revoked_ns) if key.revoked_ns else None,
    }
