"""``tradetrail status``: whether the service is ready, and its shards."""

from __future__ import annotations

import os
from typing import Annotated, Any

import httpx2
import msgspec
import typer

from tradetrail.cli.connection import open_log
from tradetrail.cli.output import print_facts, print_json, print_table
from tradetrail.client.http import HttpService, problem_of, unreachable
from tradetrail.errors import Internal

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status")(_status)


def _status(
    as_json: Annotated[bool, typer.Option("--json", help="The service's own answer.")] = False,
) -> None:
    """Say whether the service is ready; exit code 1 where it is not."""
    with open_log(os.environ, token_needed=False) as log:
        url = log.service.url
        response = _ask(log.service)
    found = _answer(response)
    if as_json:
        print_json(response.content)
    else:
        ready = "ready" if response.status_code == 200 else "not ready"
        lists = {name: value for name, value in found.items() if _is_table(value)}
        facts = {name: value for name, value in found.items() if name not in lists}
        facts.pop("status", None)
        print_facts({"service": url, "status": ready, **facts})
        for name, rows in lists.items():
            print_facts({name: ""})
            print_table(rows)
    if response.status_code != 200:
        raise typer.Exit(1)


def _ask(service: HttpService) -> httpx2.Response:
    try:
        return service.raw("GET", "/readyz")
    except httpx2.TransportError as exc:
        raise unreachable(service.url, exc) from exc


def _answer(response: httpx2.Response) -> dict[str, Any]:
    """The detail, which comes with 200 (ready) and with 503 (not ready)."""
    if response.status_code not in {200, 503}:
        raise problem_of(response)
    try:
        found = msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict):
        return found
    if response.status_code == 503:
        raise problem_of(response)
    raise Internal("not_ours", f"{response.request.url} answered, but it is not TradeTrail")


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
