"""CSV as RFC 4180 has it: a header, CRLF, quotes where they are needed, UTF-8, exact values. Pure.

Two profiles. ``exact`` changes nothing and has no byte order mark. ``spreadsheet`` is for programs that take
what a cell holds for a formula: it begins with a byte order mark, and a text that begins with one of the signs
that start a formula (also behind white space, and the full-width forms) gets an apostrophe before it. Plain
decimal numbers stay numbers, ``-12.50`` too. Taking away one leading apostrophe gives the exact value back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tradetrail.columns import COLUMNS, column_values

__all__ = ["PROFILES", "encode_rows", "header"]

PROFILES = ("exact", "spreadsheet")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: An apostrophe of the value's own is doubled, so that one can always be taken away.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\n＝＋－＠']|[\t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z", re.ASCII)
#: What a cell may hold between quotes only.
_QUOTED = re.compile('[",\r\n]')
_ROWS_AT_ONCE = 200


def header(profile: str) -> bytes:
    """What a document begins with: the names of the columns, and the mark where the profile wants it."""
    line = (",".join(COLUMNS) + "\r\n").encode()
    return _BYTE_ORDER_MARK + line if profile == "spreadsheet" else line


def encode_rows(served: Iterable[bytes], profile: str) -> Iterator[bytes]:
    """One row for each record as served, some hundred rows at a time."""
    lines: list[str] = []
    for record in served:
        values = column_values(record)
        if profile == "spreadsheet":
            values = [_neutral(value) for value in values]
        lines.append(",".join([_cell(value) for value in values]))
        if len(lines) == _ROWS_AT_ONCE:
            yield _document_part(lines)
            lines.clear()
    if lines:
        yield _document_part(lines)


def _document_part(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()


def _cell(value: str) -> str:
    # A search and a replacement of whole texts: the writer of the standard library goes sign by sign, which
    # takes four times as long for data of a KiB.
    if _QUOTED.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


def _neutral(value: str) -> str:
    """The value, with an apostrophe before what a spreadsheet would compute."""
    if _FORMULA.match(value) and not _NUMBER.match(value):
        return f"'{value}"
    return value
