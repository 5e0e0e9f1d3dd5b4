"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

import re
from typing import Annotated

import typer

__all__ = ["AsJson", "From", "Limit", "To", "Types", "duration_s", "pairs"]

From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="First moment, RFC 3339: 2026-03-02T09:30:00Z."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="First moment that is too late.")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Event type or prefix.*; may be repeated."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Greatest number of records.")]
AsJson = Annotated[bool, typer.Option("--json", help="One exact record a line.")]

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def pairs(texts: list[str] | None) -> dict[str, str]:
    """``name=value`` texts as a mapping.

    Raises:
        typer.BadParameter: one has no name, no ``=``, or a name that was given before.
    """
    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not name or not equals or name in found:
            raise typer.BadParameter("write each as FIELD=VALUE, once, for instance ClOrdID=A1")
        found[name] = value
    return found


def duration_s(text: str) -> int:
    """Seconds of a duration such as ``90d``, ``12h``, ``30m`` or ``60s``.

    Raises:
        typer.BadParameter: it is none.
    """
    parts = _DURATION.fullmatch(text)
    if parts is None or int(parts[1]) == 0:
        raise typer.BadParameter("write a duration as 90d, 12h, 30m or 60s")
    return int(parts[1]) * _SECONDS[parts[2]]
