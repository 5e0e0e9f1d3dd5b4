"""``tradetrail report USER``: a document of a user's history."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tradetrail.cli.connection import open_log
from tradetrail.cli.options import From, To, Types
from tradetrail.cli.output import say, tell_console
from tradetrail.client.reports import Report

__all__ = ["register"]


class _Format(StrEnum):
    PDF = "pdf"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"
    XLSX = "xlsx"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("report")(_report)


def _report(  # noqa: PLR0913 - one parameter for each option
    users: Annotated[
        list[str], typer.Argument(metavar="USER...", help="One user; several where not PDF.")
    ],
    *,
    format_: Annotated[_Format, typer.Option("--format", help="Of the file.")] = _Format.PDF,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; by default the service's name for it, here."),
    ] = None,
    from_: From = None,
    to: To = None,
    types: Types = None,
    zone: Annotated[str, typer.Option(help="IANA time zone by which days are drawn.")] = "UTC",
    title: Annotated[str | None, typer.Option(help="Printed on the report.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="spreadsheet: a CSV without formulas and with a BOM.")
    ] = None,
) -> None:
    """Have a report made and download it."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
        console=tell_console(),
        disable=not tell_console().is_terminal,
        transient=True,
    )
    with open_log(os.environ) as log, progress:
        task = progress.add_task("asking", total=None)

        def on_progress(report: Report) -> None:
            rows = report.progress
            done, total = (rows.done, rows.total or None) if rows else (0, None)
            progress.update(task, description=report.status, completed=done, total=total)

        made = log.report(
            users[0] if len(users) == 1 else users,
            format_.value,
            out,
            from_=from_,
            to=to,
            type=types or (),
            timezone=zone,
            title=title,
            profile=profile,
            on_progress=on_progress,
        )
    say(f"{made.path}: {made.size_bytes:,} bytes, SHA-256 {made.sha256}")
