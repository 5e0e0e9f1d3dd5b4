"""Routes of sessions and API keys."""

from __future__ import annotations

from serve_app.openapi import bounds
from serve_app.openapi.parts import (
    AWAY,
    Json,
    answer,
    header,
    json_content,
    needs,
    open_to_all,
    path_parameter,
    problems,
    reference,
)
from tradetrail.tokens import SCOPES

__all__ = ["access_paths"]

_ADMIN = "audit:admin"
_PRINCIPAL: Json = {
    "name": "admin",
    "scopes": list(SCOPES),
    "expires_at": "2026-01-02T11:04:05.000000000Z",
}
_TOKEN_REQUEST: Json = {"name": "oms-1", "scopes": ["audit:write"], "expires_in_s": 31_536_000}
_TOKEN_ID = "k5xw2ns4q7ta"  # noqa: S105 - an example, no secret
_TOKEN: Json = {
    "id": _TOKEN_ID,
    "name": "oms-1",
    "scopes": ["audit:write"],
    "users": "all",
    "created": "2026-01-02T03:04:05.000000000Z",
    "expires": "2027-01-02T03:04:05.000000000Z",
    "revoked": None,
}


def access_paths() -> Json:
    """The path items."""
    return {
        "/v1/session": {"post": _sign_in(), "get": _who_am_i(), "delete": _sign_out()},
        "/v1/tokens": {"post": _create(), "get": _list()},
        "/v1/tokens/{key_id}": {"delete": _revoke()},
    }


def _principal(description: str, **headers: Json) -> Json:
    return answer(
        description, json_content(reference("schemas", "Principal"), _PRINCIPAL), **headers
    )


def _sign_in() -> Json:
    cookie = header(
        "The session: HttpOnly, SameSite=Strict.", f"{bounds.SESSION_COOKIE}=…; HttpOnly; Path=/"
    )
    return {
        "operationId": "signIn",
        "tags": ["Access"],
        "summary": "Sign the page in",
        "description": "With an API key, or with the one-time code of the link that `up` prints. Open to all.",
        "requestBody": {
            "required": True,
            "content": json_content(reference("schemas", "SignIn"), {"token": f"tt_{_TOKEN_ID}_…"}),
        },
        "responses": {
            "200": _principal("Signed in.", Set_Cookie=cookie),
            **problems("invalid_json", "body_too_large", "invalid_token", *AWAY, "disk_full"),
        },
    } | open_to_all()


def _who_am_i() -> Json:
    declared, codes = needs("")
    return {
        "operationId": "whoAmI",
        "tags": ["Access"],
        "summary": "Who the caller is",
        "description": "Of the session or the token. Any valid token will do.",
        "responses": {"200": _principal("The caller."), **problems(*codes)},
    } | declared


def _sign_out() -> Json:
    declared, codes = needs("", changes=True)
    cookie = header("Takes the cookie back.", f"{bounds.SESSION_COOKIE}=; Max-Age=0; Path=/")
    return {
        "operationId": "signOut",
        "tags": ["Access"],
        "summary": "End the session",
        "description": "Ends the session of the cookie. Any valid token will do.",
        "responses": {
            "204": answer("Signed out.", Set_Cookie=cookie),
            **problems(*codes, "disk_full"),
        },
    } | declared


def _create() -> Json:
    declared, codes = needs(_ADMIN, changes=True)
    made = {name: _TOKEN[name] for name in ("id", "name", "scopes")}
    example = made | {"token": f"tt_{_TOKEN_ID}_…"}
    return {
        "operationId": "createToken",
        "tags": ["Access"],
        "summary": "Make an API key",
        "description": f"The key is shown in this answer only. Needs `{_ADMIN}`.",
        "requestBody": {
            "required": True,
            "content": json_content(reference("schemas", "TokenRequest"), _TOKEN_REQUEST),
        },
        "responses": {
            "201": answer("Made.", json_content(reference("schemas", "NewToken"), example)),
            **problems(
                *codes,
                "invalid_json",
                "invalid_request",
                "invalid_name",
                "invalid_scope",
                "limit_not_supported",
                "body_too_large",
                "disk_full",
            ),
        },
    } | declared


def _list() -> Json:
    declared, codes = needs(_ADMIN)
    return {
        "operationId": "listTokens",
        "tags": ["Access"],
        "summary": "All API keys, revoked ones too",
        "description": f"Without their secrets, oldest first. Needs `{_ADMIN}`.",
        "responses": {
            "200": answer(
                "The keys.", json_content(reference("schemas", "Tokens"), {"items": [_TOKEN]})
            ),
            **problems(*codes),
        },
    } | declared


def _revoke() -> Json:
    declared, codes = needs(_ADMIN, changes=True)
    return {
        "operationId": "revokeToken",
        "tags": ["Access"],
        "summary": "End an API key",
        "description": f"For ever; safe to call twice. Needs `{_ADMIN}`.",
        "parameters": [path_parameter("key_id", {"type": "string"}, "The `id` of the key.")],
        "responses": {
            "204": answer("It is good no longer."),
            **problems(*codes, "no_such_token", "disk_full"),
        },
    } | declared
