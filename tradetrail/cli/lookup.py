"""``tradetrail lookup FIELD=VALUE``: records of any user, by an order id, account or symbol."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tradetrail.cli.connection import open_log
from tradetrail.cli.options import AsJson, From, Limit, To, pairs
from tradetrail.cli.output import RecordPrinter, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("lookup")(_lookup)


def _lookup(
    field: Annotated[
        str, typer.Argument(metavar="FIELD=VALUE", help="For instance ClOrdID=A100042-000017-1.")
    ],
    *,
    from_: From = None,
    to: To = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Find records of all users by ClOrdID, OrderID, ExecID, Account, Symbol or subject."""
    ((name, value),) = pairs([field]).items()
    printer = RecordPrinter(as_json=as_json, with_user=True)
    with open_log(os.environ) as log:
        for record in log.lookup(name, value, from_=from_, to=to, limit=limit):
            printer.show(record)
    if printer.count == 0:
        say(f"no records with {name}={value} found")
