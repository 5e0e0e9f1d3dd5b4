"""A record as one row: what a person wants to see first of it. Pure.

Digits and identifiers are shown as they came. A code gets its FIX word where we have one, else it
stands for itself; nothing is hidden or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from tradetrail.cli.visible import visible
from tradetrail.client.served import ServedRecord
from tradetrail.event import EXECUTION_REPORT

__all__ = ["COLUMNS", "Column", "cells", "folded", "layout"]


@dataclass(frozen=True)
class Column:
    """A column: its title, and how narrow it may be and how wide it wants to be."""

    title: str
    width_min: int
    width_wanted: int
    right: bool = False


#: In the order in which they stand; ``user`` only where more than one can occur.
COLUMNS: Sequence[Column] = (
    Column("user", 10, 24),
    Column("seq", 5, 8, right=True),
    Column("time (UTC)", 19, 26),
    Column("event", 14, 21),
    Column("symbol", 6, 12),
    Column("side", 4, 5),
    Column("qty", 5, 9, right=True),
    Column("price", 7, 12, right=True),
    Column("order", 10, 24),
    Column("detail", 10, 40),
)

_GAP = 1
_SIDES = {"1": "buy", "2": "sell", "5": "short", "6": "short exempt", "8": "cross"}
_EXECUTIONS = {
    "0": "new",
    "1": "partial fill",
    "2": "fill",
    "3": "done for day",
    "4": "cancelled",
    "5": "replaced",
    "6": "pending cancel",
    "8": "rejected",
    "A": "pending new",
    "C": "expired",
    "E": "pending replace",
    "F": "trade",
}
_UTC_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d(?:\.\d+)?)[Zz]")
_SHORT_TYPE = re.compile(r"tradetrail\.(.+)\.v\d+")


def cells(record: ServedRecord) -> list[str]:
    """The texts of a record's row, one for each of ``COLUMNS``, safe to print."""
    fields = record.fields()
    side = fields.get("Side", "")
    short = _SHORT_TYPE.fullmatch(record.type)
    values = [
        record.user,
        str(record.userseq),
        _time(record),
        short[1] if short else record.type,
        fields.get("Symbol", ""),
        _SIDES.get(side, side),
        fields.get("OrderQty", ""),
        fields.get("Price", ""),
        fields.get("ClOrdID", ""),
        _detail(record, fields),
    ]
    return [visible(value) for value in values]


def layout(width: int, columns: Sequence[Column]) -> list[int]:
    """Widths of the columns in a terminal of this width.

    Space goes first to what each column needs at least, then in order to what it wants. A terminal
    that is too narrow even for the least gets the least and wraps.
    """
    widths = [column.width_min for column in columns]
    left = width - sum(widths) - _GAP * (len(columns) - 1)
    for at, column in enumerate(columns):
        more = max(0, min(left, column.width_wanted - column.width_min))
        widths[at] += more
        left -= more
    return widths


def folded(
    texts: Sequence[str], widths: Sequence[int], columns: Sequence[Column]
) -> list[list[str]]:
    """A row as lines of padded cells: a text that is too wide goes on in the next line."""
    parts = [
        chop_cells(text, width) if cell_len(text) > width else [text]
        for text, width in zip(texts, widths, strict=True)
    ]
    lines = []
    for number in range(max(len(part) for part in parts)):
        line = []
        for part, width, column in zip(parts, widths, columns, strict=True):
            text = part[number] if number < len(part) else ""
            padding = " " * (width - cell_len(text))
            line.append(padding + text if column.right else text + padding)
        lines.append(line)
    return lines


def _time(record: ServedRecord) -> str:
    """The event's time; where it has none, the time it was stored, marked so."""
    text = record.time if record.time is not None else record.storedtime
    utc = _UTC_TIME.fullmatch(text)
    shown = f"{utc[1]} {utc[2]}" if utc else text
    return shown if record.time is not None else f"{shown} stored"


def _detail(record: ServedRecord, fields: dict[str, str]) -> str:
    parts = []
    if record.type == EXECUTION_REPORT:
        code = fields.get("ExecType") or fields.get("OrdStatus", "")
        parts.append(_EXECUTIONS.get(code, code))
    last = fields.get("LastQty") or fields.get("LastShares") or ""
    if last and last != "0":
        parts.append(f"{last} @ {fields.get('LastPx', '?')}")
    original = fields.get("OrigClOrdID", "")
    if original != fields.get("ClOrdID", ""):
        parts.append(f"of {original}" if original else "")
    if "Text" in fields:
        parts.append(fields["Text"])
    if record.onbehalfof:
        parts.append(f"for {record.onbehalfof}")
    return ", ".join(part for part in parts if part)
