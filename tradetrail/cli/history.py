"""``tradetrail history USER``: what a user did."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from tradetrail.cli.connection import open_log
from tradetrail.cli.options import AsJson, From, Limit, To, Types, pairs
from tradetrail.cli.output import RecordPrinter, say

__all__ = ["register"]


class _Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("history")(_history)


def _history(  # noqa: PLR0913 - one parameter for each option
    user: Annotated[str, typer.Argument(help="The user, exactly as events name it.")],
    *,
    from_: From = None,
    to: To = None,
    types: Types = None,
    limit: Limit = None,
    order: Annotated[_Order, typer.Option(help="Oldest or newest first.")] = _Order.ASC,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin behind this number of the user.")
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="FIELD=VALUE", help="For instance Symbol=EUR/USD."),
    ] = None,
    chain: Annotated[
        str | None, typer.Option(metavar="CLORDID", help="All records of this order's life.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a user did."""
    printer = RecordPrinter(as_json=as_json, with_user=False)
    with open_log(os.environ) as log:
        for record in log.history(
            user,
            from_=from_,
            to=to,
            type=types or (),
            order=order.value,
            after=after,
            fields=pairs(fields),
            chain=chain,
            limit=limit,
        ):
            printer.show(record)
    if printer.count == 0:
        say(f"no records of {user} match")
