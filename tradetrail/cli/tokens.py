"""``tradetrail token create | list | revoke``: the API keys of the service."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

import msgspec
import typer

from tradetrail.cli.connection import open_log
from tradetrail.cli.options import duration_s
from tradetrail.cli.output import print_json, print_table, say
from tradetrail.errors import Internal

__all__ = ["register"]

_TOKEN_ID = re.compile(r"[a-z2-7]{12}")
_COLUMNS = ("id", "name", "scopes", "users", "sources", "created", "expires", "revoked")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
    group.command("create")(_create)
    group.command("list")(_list)
    group.command("revoke")(_revoke)
    app.add_typer(group, name="token")


def _create(
    name: Annotated[str, typer.Argument(help="Whose or what for; shown in lists and reads.")],
    *,
    scopes: Annotated[
        list[str],
        typer.Option(
            "--scope",
            help="audit:read, audit:write, audit:export, audit:admin, …; may be repeated.",
        ),
    ],
    users: Annotated[
        list[str] | None,
        typer.Option("--user", help="User it may read; may be repeated; by default all users."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", help="Source it may send as; may be repeated; by default any."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="90d, 12h, …; by default never.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The service's own answer.")] = False,
) -> None:
    """Make an API key; the key itself is shown this once and never again."""
    request: dict[str, Any] = {"name": name, "scopes": scopes, "users": users or "all"}
    if sources:
        request["sources"] = sources
    if expires is not None:
        request["expires_in_s"] = duration_s(expires)
    with open_log(os.environ) as log:
        response = log.service.send(
            "POST",
            "/v1/tokens",
            msgspec.json.encode(request),
            {"Content-Type": "application/json"},
        )
    made = _decode(response.content)
    if as_json:
        print_json(response.content)
    else:
        typer.echo(made.get("token", ""))
        say(f"token {made.get('id', '')} for {name}; keep it, it cannot be shown again")


def _list(
    as_json: Annotated[bool, typer.Option("--json", help="The service's own answer.")] = False,
) -> None:
    """List API keys, without the keys themselves."""
    with open_log(os.environ) as log:
        response = log.service.get("/v1/tokens")
    if as_json:
        print_json(response.content)
        return
    items = _decode(response.content).get("items")
    print_table([item for item in items or [] if isinstance(item, dict)], _COLUMNS)


def _revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As list shows it.")],
) -> None:
    """Revoke an API key; it stops working within seconds."""
    if not _TOKEN_ID.fullmatch(token_id):
        raise typer.BadParameter("an id has 12 characters of a to z and 2 to 7; see token list")
    with open_log(os.environ) as log:
        log.service.send("DELETE", f"/v1/tokens/{token_id}")
    say(f"token {token_id} is revoked")


def _decode(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise Internal("not_json", "the service answered with something that is not JSON") from exc
