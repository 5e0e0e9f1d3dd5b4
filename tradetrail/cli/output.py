"""What the commands print: rows, exact JSON, tables of facts, and messages.

Results go to standard output, everything said about them to standard error. On a terminal, rows are
aligned and coloured and user text cannot reach it as control characters; elsewhere rows are
separated by tabs, and JSON is exact to the byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tradetrail.cli.rows import COLUMNS, cells, folded, layout
from tradetrail.cli.visible import json_for_terminal, visible
from tradetrail.client.served import ServedRecord
from tradetrail.record import one_line

__all__ = [
    "RecordPrinter",
    "console",
    "print_facts",
    "print_json",
    "print_table",
    "say",
    "tell_console",
]

_SIDE_STYLES = {"buy": "green", "sell": "red", "short": "red"}


def console() -> Console:
    """Standard output."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def tell_console() -> Console:
    """Standard error: progress and messages."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(message: str) -> None:
    """Says one line to the person at the terminal, on standard error."""
    sys.stderr.write(visible(message) + "\n")
    sys.stderr.flush()


def print_json(raw: bytes) -> None:
    """Prints one JSON text as one line: exact, except that a terminal gets unseen ones escaped."""
    line = one_line(raw)
    if sys.stdout.isatty():
        line = json_for_terminal(line.decode()).encode()
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


class RecordPrinter:
    """Prints records, each as soon as it is there.

    Args:
        as_json: one exact record a line instead of rows.
        with_user: a column for the user, where records of several can occur.
    """

    def __init__(self, *, as_json: bool, with_user: bool) -> None:
        self._as_json = as_json
        self._first_column = 0 if with_user else 1
        self._columns = COLUMNS[self._first_column :]
        self._console = console()
        self._begun = False
        self.count = 0

    def show(self, record: ServedRecord) -> None:
        """Prints one record, after the titles if it is the first."""
        self.count += 1
        if self._as_json:
            print_json(record.raw)
            return
        texts = cells(record)[self._first_column :]
        if not self._begun:
            self._begun = True
            self._line([column.title for column in self._columns], style="bold")
        self._line(texts, style="")

    def _line(self, texts: Sequence[str], style: str) -> None:
        if not self._console.is_terminal:
            sys.stdout.write("\t".join(texts) + "\n")
            sys.stdout.flush()
            return
        widths = layout(self._console.width, self._columns)
        for padded in folded(texts, widths, self._columns):
            line = Text(style=style)
            for column, text in zip(self._columns, padded, strict=True):
                colour = _SIDE_STYLES.get(text.strip(), "") if column.title == "side" else ""
                line.append(text, style=colour)
                line.append(" ")
            line.rstrip()
            self._console.print(line)


def print_table(rows: Iterable[Mapping[str, Any]], first: Sequence[str] = ()) -> None:
    """Prints objects as a table: the named members first, then the others as they come."""
    items = list(rows)
    names = dict.fromkeys(name for name in first if any(name in item for item in items))
    names.update(dict.fromkeys(name for item in items for name in item))
    out = console()
    if not out.is_terminal:
        sys.stdout.write("\t".join(visible(name) for name in names) + "\n")
        for item in items:
            sys.stdout.write("\t".join(_text(item.get(name)) for name in names) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(visible(name), overflow="fold")
    for item in items:
        table.add_row(*(Text(_text(item.get(name))) for name in names))
    out.print(table, soft_wrap=False)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Prints names and values, one pair a line."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        sys.stdout.write(f"{visible(name):<{width}}  {_text(value)}\n")
    sys.stdout.flush()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return visible(" ".join(value))
    return visible(msgspec.json.encode(value).decode())
