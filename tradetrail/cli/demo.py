"""``tradetrail demo``: plays a made-up trading day, so that the page and the feed have life."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from tradetrail.cli.connection import open_log
from tradetrail.cli.output import print_facts, say, tell_console
from tradetrail.client.backoff import SYSTEM_TIMING
from tradetrail.client.sender import BatchSender, Outgoing
from tradetrail.demo.day import DAY_S, trading_day
from tradetrail.demo.play import play, start_of_day_ns
from tradetrail.event import Refusal

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(_demo)


def _demo(
    *,
    users: Annotated[int, typer.Option(min=1, max=100_000, help="How many people trade.")] = 300,
    speed: Annotated[
        float, typer.Option(min=0.1, max=100_000, help="Seconds of the day in each real second.")
    ] = 60,
    seed: Annotated[int, typer.Option(help="The same seed plays the same day.")] = 1,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many real seconds.")
    ] = None,
) -> None:
    """Play a made-up trading day into the service."""
    start_ns = start_of_day_ns(time.time_ns(), DAY_S, speed)
    status = tell_console().status("")
    with open_log(os.environ) as log:
        log.service.get("/livez")
        sender = BatchSender(log.service, on_refused=_say_refused, on_wait=_say_wait)
        quiet = not tell_console().is_terminal

        def on_progress(offset_s: float) -> None:
            if not quiet:
                minutes = int(offset_s // 60)
                sent = sender.counts.sent
                status.update(f"{minutes // 60}:{minutes % 60:02d} of the day, {sent:,} events")

        say(f"playing {users} users at {speed:g} times real time into {log.service.url}")
        if not quiet:
            status.start()
        try:
            play(
                trading_day(seed, users, start_ns),
                sender,
                speed=speed,
                seconds=seconds,
                timing=SYSTEM_TIMING,
                on_progress=on_progress,
            )
        finally:
            status.stop()
            counts = sender.counts
            print_facts(
                {
                    "sent": counts.sent,
                    "stored": counts.stored,
                    "duplicate": counts.duplicates,
                    "refused": counts.refused,
                }
            )


def _say_refused(event: Outgoing, refusal: Refusal) -> None:
    say(f"refused: {refusal.code}: {refusal.detail}")


def _say_wait(reason: str, wait_s: float) -> None:
    say(f"{reason}; sending again in {wait_s:.1f} s")
