"""The PDF of one user's history: A4, every row, page x of y, whatever the texts hold.

Texts go into text objects and are never read as markup. The same input gives the same file to the byte.
Pages stay in memory until the end, compressed, a third of a KiB a row: 100,000 rows take 45 MiB and about
half a minute, a million takes 340 MiB.

    ┌ title, who, what, which range, zone, how many rows ┐   first page only
    │ column heads                                       │   every page
    │ day ── offset                                      │   where the day or the offset changes
    │ rows                                               │   a row that does not fit goes on overleaf
    └ service · user · generated            page x of y ─┘   every page
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from itertools import accumulate
from typing import Protocol
from zoneinfo import ZoneInfo

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFName, PDFStream
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.textobject import PDFTextObject

from actors.report.lettering import MAIN_FONT, Run, lettered, prepare_fonts, width_of, wrapped
from actors.report.lines import Line, Row, line_of, offset_text
from actors.report.words import type_name
from tradetrail.errors import Internal
from tradetrail.times import format_ns

__all__ = ["Heading", "render_pdf"]

_WIDTH, _HEIGHT = landscape(A4)
_LEFT, _TOP, _BOTTOM = 34.0, 30.0, 40.0
_SIZE, _LEADING, _PADDING = 7.0, 9.0, 3.0
_INK, _QUIET, _BAND, _RULE = (
    HexColor(code) for code in ("#14181d", "#5a6570", "#e9edf1", "#c9d1d9")
)
_TOTAL_FORM = "page-count"
_FOOTER_USER_WIDTH = 410.0
#: Lines of a row that are not parted by the end of a page.
_TOGETHER_MAX = 12


@dataclass(frozen=True)
class _Column:
    head: str
    width: float
    is_number: bool = False


#: 29 signs of an order id fit one line; the widths fill the page between its margins.
_COLUMNS = (
    _Column("No.", 38, True),
    _Column("Time", 82),
    _Column("Action", 84),
    _Column("ClOrdID", 146),
    _Column("OrigClOrdID", 146),
    _Column("Symbol", 60),
    _Column("Side", 44),
    _Column("Quantity", 48, True),
    _Column("Price", 48, True),
    _Column("Status and notes", 78),
)
#: Where each column begins.
_EDGES = tuple(accumulate((column.width for column in _COLUMNS[:-1]), initial=_LEFT))


_SIGNS_TEXT = (
    "<U+202E> stands for the sign with that Unicode number, which has no look of its own or is in none of "
    "this document's fonts."
)


@dataclass(frozen=True)
class Heading:
    """What the first page says. Times are RFC 3339 as asked for; ``zone`` is an IANA name."""

    service_name: str
    user: str
    requester: str
    title: str
    from_text: str
    to_text: str
    types: tuple[str, ...]
    zone: str
    generated_ns: int
    rows: int
    first_userseq: int
    last_userseq: int


class Writable(Protocol):
    """Where the document goes."""

    def write(self, content: bytes, /) -> object: ...


def render_pdf(file: Writable, heading: Heading, rows: Iterable[Row]) -> int:
    """Write the document; returns its pages.

    Args:
        file: nothing is written to it before every row is on its page.
        heading: with the number of rows that must come.
        rows: by time, then userseq.

    Raises:
        Internal: fewer or more rows came; nothing was written.
    """
    prepare_fonts()
    document = _Document(file, heading, ZoneInfo(heading.zone))
    document.draw_heading()
    for row in rows:
        if document.rows == heading.rows:
            raise _wrong_count(heading.rows, f"more than {heading.rows}")
        document.draw_row(row)
    if document.rows != heading.rows:
        raise _wrong_count(heading.rows, str(document.rows))
    document.draw_totals()
    return document.finish()


def _wrong_count(told: int, came: str) -> Internal:
    return Internal(
        "report_incomplete", f"The report has {told} rows and {came} came; it was not written."
    )


class _Canvas(Canvas):  # type: ignore[misc]  # published without types
    """Keeps finished pages compressed; they take a tenth of the room."""

    def showPage(self) -> None:  # noqa: N802  # the name of the method it extends
        """Finish the page."""
        super().showPage()
        page = self._doc.Pages.pages[-1]
        content = zlib.compress(page.stream.encode())
        page.Contents = PDFStream(PDFDictionary({"Filter": PDFName("FlateDecode")}), content)
        page.stream = None


class _Text(PDFTextObject):  # type: ignore[misc]  # published without types
    """Lines at places of their own, without the widths that the base class computes for each of them."""

    def put(self, runs: tuple[Run, ...], x: float, y: float, size: float) -> None:
        """Add a line that begins at a place."""
        self._code.append(f"1 0 0 1 {x:.2f} {y:.2f} Tm")
        for run in runs:
            if run.font != self._fontname or size != self._fontsize:
                self.setFont(run.font, size)
            self._textOut(run.text)


class _Document:
    """The page being drawn; ``_y`` is the lower edge of what is on it."""

    def __init__(self, file: Writable, heading: Heading, zone: tzinfo) -> None:
        self._heading = heading
        self._zone = zone
        self._canvas = _Canvas(
            file,
            pagesize=(_WIDTH, _HEIGHT),
            invariant=1,
            lang="en",
            initialFontName=MAIN_FONT,
        )
        generated = format_ns(heading.generated_ns)
        digits = "".join(sign for sign in generated[:19] if sign.isdigit())
        self._canvas.setDateFormatter(lambda *_: f"D:{digits}Z")
        self._canvas.setTitle(heading.title or f"Audit history of {heading.user}")
        self._canvas.setAuthor(heading.service_name)
        self._canvas.setSubject(f"Audit history of {heading.user}")
        self._canvas.setCreator("TradeTrail")
        self._y = _HEIGHT - _TOP
        self._page = 1
        self._day = ""
        self._types: Counter[str] = Counter()
        self.rows = 0

    def draw_heading(self) -> None:
        """The block on the first page, then the heads of the columns."""
        heading = self._heading
        self._paragraph(heading.title or "Audit history", 16, _INK)
        self._y -= 3
        self._paragraph(f"User {heading.user}", 10, _INK)
        self._y -= 6
        types = ", ".join(heading.types) or "all"
        for name, value in (
            ("Range", _range_text(heading)),
            ("Types", types),
            ("Rows", _rows_text(heading)),
            ("Order", "by day, then time, then number; times are those the trading side sent"),
            ("Time zone", f"{heading.zone}; each day states its offset from UTC"),
            ("Generated", f"{format_ns(heading.generated_ns)} for {heading.requester}"),
            ("Service", heading.service_name),
        ):
            self._fact(name, value)
        self._y -= 8
        self._column_heads()

    def draw_row(self, row: Row) -> None:
        """One record."""
        line = line_of(row, self._zone)
        self.rows += 1
        self._types[line.type] += 1
        columns = [
            wrapped(cell, column.width - 2 * _PADDING, _SIZE) if cell else ()
            for cell, column in zip(line.cells, _COLUMNS, strict=True)
        ]
        height = max(len(lines) for lines in columns)
        self._day_heading(line, min(height, _TOGETHER_MAX))
        drawn = 0
        while drawn < height:
            room = int((self._y - _BOTTOM - 2) / _LEADING)
            if room < 1 or (room < height - drawn and height - drawn <= _TOGETHER_MAX):
                self._next_page()
                continue
            count = min(room, height - drawn)
            self._cells([lines[drawn : drawn + count] for lines in columns], count)
            drawn += count

    def draw_totals(self) -> None:
        """What the document holds, behind the last row."""
        needed = _LEADING * (len(self._types) + 6)
        if self._y - needed < _BOTTOM:
            self._next_page(heads=False)
        self._y -= 10
        self._paragraph("Totals", 10, _INK)
        heading = self._heading
        for name, count in sorted(self._types.items()):
            shown = type_name(name)
            label = shown if shown == name else f"{shown} ({name})"
            self._fact(f"{count:,}", label)
        self._fact(f"{self.rows:,}", _closing_text(heading))
        self._y -= 4
        self._fact("Signs", _SIGNS_TEXT)

    def finish(self) -> int:
        """Close the last page and write everything; returns the pages."""
        self._footer()
        self._canvas.showPage()
        self._canvas.beginForm(_TOTAL_FORM)
        self._canvas.setFillColor(_QUIET)
        self._runs(lettered(str(self._page)), 0, 0, _SIZE)
        self._canvas.endForm()
        self._canvas.save()
        return self._page

    def _next_page(self, *, heads: bool = True) -> None:
        self._footer()
        self._canvas.showPage()
        self._page += 1
        self._y = _HEIGHT - _TOP
        if heads:
            self._column_heads()
            if self._day:
                self._band(f"{self._day} (continued)")

    def _day_heading(self, line: Line, lines_below: int) -> None:
        day = line.day.strftime(f"%A {line.day.day} %B {line.day.year:04d}")
        text = f"{day}, {offset_text(line.offset_s)}"
        if text == self._day:
            return
        self._day = ""
        if self._y - (lines_below + 2) * _LEADING < _BOTTOM:
            self._next_page()
        self._day = text
        self._band(text)

    def _band(self, text: str) -> None:
        self._y -= _LEADING + 4
        self._text(text, _LEFT + _PADDING, self._y + 3, _SIZE + 1, _INK)
        self._rule(self._y)

    def _column_heads(self) -> None:
        self._y -= _LEADING + 5
        self._canvas.setFillColor(_BAND)
        self._canvas.rect(_LEFT, self._y, _WIDTH - 2 * _LEFT, _LEADING + 5, stroke=0, fill=1)
        self._canvas.setFillColor(_QUIET)
        for column, x in zip(_COLUMNS, _EDGES, strict=True):
            runs = lettered(column.head)
            self._runs(runs, _start(runs, column, x), self._y + 4, _SIZE)

    def _cells(self, columns: list[tuple[tuple[Run, ...], ...]], count: int) -> None:
        top = self._y - _LEADING + 1.5
        self._canvas.setFillColor(_INK)
        text = _Text(self._canvas)
        for lines, column, x in zip(columns, _COLUMNS, _EDGES, strict=True):
            for number, runs in enumerate(lines):
                text.put(runs, _start(runs, column, x), top - number * _LEADING, _SIZE)
        self._canvas.drawText(text)
        self._y -= count * _LEADING + 1.5
        self._rule(self._y)

    def _fact(self, name: str, value: str) -> None:
        indent = 60.0
        lines = wrapped(value, _WIDTH - 2 * _LEFT - indent, _SIZE + 1)
        for number, runs in enumerate(lines):
            if self._y - _LEADING < _BOTTOM:
                self._next_page(heads=False)
            self._y -= _LEADING + 2
            if number == 0:
                self._text(name, _LEFT, self._y, _SIZE + 1, _QUIET)
            self._canvas.setFillColor(_INK)
            self._runs(runs, _LEFT + indent, self._y, _SIZE + 1)

    def _paragraph(self, text: str, size: float, color: HexColor) -> None:
        for runs in wrapped(text, _WIDTH - 2 * _LEFT, size):
            self._y -= size * 1.3
            self._canvas.setFillColor(color)
            self._runs(runs, _LEFT, self._y, size)

    def _footer(self) -> None:
        y = _BOTTOM - 18
        self._rule(y + _LEADING + 2)
        heading = self._heading
        left = f"{heading.service_name} · user {heading.user}"
        self._canvas.setFillColor(_QUIET)
        lines = wrapped(left, _FOOTER_USER_WIDTH, _SIZE)
        more = lettered(" …") if len(lines) > 1 else ()
        self._runs(lines[0] + more, _LEFT, y, _SIZE)
        generated = lettered(f"generated {format_ns(heading.generated_ns)}")
        self._runs(generated, 470, y, _SIZE)
        place = lettered(f"Page {self._page} of ")
        # Room for six digits of the page count, which is drawn into the form at the end.
        x = _WIDTH - _LEFT - width_of(place, _SIZE) - width_of(lettered("000000"), _SIZE)
        self._runs(place, x, y, _SIZE)
        self._canvas.saveState()
        self._canvas.translate(x + width_of(place, _SIZE), y)
        self._canvas.doForm(_TOTAL_FORM)
        self._canvas.restoreState()

    def _text(self, text: str, x: float, y: float, size: float, color: HexColor) -> None:
        self._canvas.setFillColor(color)
        self._runs(lettered(text), x, y, size)

    def _runs(self, runs: tuple[Run, ...], x: float, y: float, size: float) -> None:
        text = _Text(self._canvas)
        text.put(runs, x, y, size)
        self._canvas.drawText(text)

    def _rule(self, y: float) -> None:
        self._canvas.setStrokeColor(_RULE)
        self._canvas.setLineWidth(0.4)
        self._canvas.line(_LEFT, y, _WIDTH - _LEFT, y)


def _start(runs: tuple[Run, ...], column: _Column, x: float) -> float:
    """Where a line of a cell begins: numbers end at the right edge."""
    if column.is_number:
        return x + column.width - _PADDING - width_of(runs, _SIZE)
    return x + _PADDING


def _range_text(heading: Heading) -> str:
    if not heading.from_text and not heading.to_text:
        return "the whole history"
    first = f"from {heading.from_text}" if heading.from_text else "from the beginning"
    return f"{first}, before {heading.to_text}" if heading.to_text else f"{first} on"


def _rows_text(heading: Heading) -> str:
    if not heading.rows:
        return "0 records; there is nothing in this range"
    numbers = f"numbers {heading.first_userseq} to {heading.last_userseq}"
    return f"{heading.rows:,} records, {numbers} of this user"


def _closing_text(heading: Heading) -> str:
    if not heading.rows:
        return "records. There is nothing in this range."
    if heading.last_userseq - heading.first_userseq + 1 == heading.rows:
        dense = "without a gap"
    else:
        dense = "those that match the range and types above"
    return (
        f"records in all, numbers {heading.first_userseq} to {heading.last_userseq}, {dense}. Every record of "
        "the range is in this document."
    )
