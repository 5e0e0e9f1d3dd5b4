"""``tradetrail tail USER…``: what users are doing now, without end."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from tradetrail.cli.connection import open_log, service_url
from tradetrail.cli.options import AsJson
from tradetrail.cli.output import RecordPrinter, say
from tradetrail.client.feed import FeedState, Gap

__all__ = ["register"]


class _Begin(StrEnum):
    LATEST = "latest"
    EARLIEST = "earliest"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("tail")(_tail)


def _tail(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="Up to 50 users.")],
    *,
    from_: Annotated[
        _Begin, typer.Option("--from", help="What happens from now on, or everything.")
    ] = _Begin.LATEST,
    as_json: AsJson = False,
) -> None:
    """Follow users live until Ctrl-C; lost connections are resumed without a gap."""
    printer = RecordPrinter(as_json=as_json, with_user=len(users) > 1)
    url = service_url(os.environ)

    def on_state(state: FeedState, reason: str, wait_s: float) -> None:
        if state is FeedState.LIVE:
            say(f"live from {url}, Ctrl-C ends")
        else:
            say(f"{reason}; connecting again in {wait_s:.1f} s")

    def on_gap(gap: Gap) -> None:
        say(f"GAP: records are no longer kept: {gap.detail}")

    with open_log(os.environ) as log:
        for record in log.feed(users, from_=from_.value, on_gap=on_gap, on_state=on_state):
            printer.show(record)
