"""One record as a line of a report: its cells, its day, and what has to be said beside it."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

import msgspec

from actors.report.words import order_status, side, type_name
from tradetrail.event import EXECUTION_REPORT
from tradetrail.filters import effective_time_key
from tradetrail.record import Record
from tradetrail.times import format_ns, parse_rfc3339

__all__ = ["Line", "Row", "line_of", "offset_text"]


class Row(NamedTuple):
    """A record, and whether it was stored after one with a later time."""

    record: Record
    is_late: bool


class Line(NamedTuple):
    """What one row of the table shows; ``cells`` in the order of the columns."""

    day: date
    offset_s: int
    type: str
    cells: tuple[str, ...]


_ABSENT = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    type: str
    time: str | None = None
    onbehalfof: str | None = None
    initiator: str | None = None
    # Extension attributes may be strings, numbers, true or false; any attribute may be null.
    fixproblem: msgspec.Raw = _ABSENT
    corrects: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT


_FIELDS = ("ClOrdID", "OrigClOrdID", "Symbol", "Side", "OrderQty", "Price", "OrdStatus", "Text")
_Data = msgspec.defstruct("_Data", [(name, msgspec.Raw, _ABSENT) for name in _FIELDS], gc=False)

_event = msgspec.json.Decoder(_Event)
_data = msgspec.json.Decoder(_Data)
_string = msgspec.json.Decoder(str)


def line_of(row: Row, zone: tzinfo) -> Line:
    """The line of one record in a time zone."""
    record = row.record
    event = _event.decode(record.text)
    data = bytes(event.data)
    fields = dict.fromkeys(_FIELDS, "")
    if data[:1] == b"{":
        found = _data.decode(data)
        fields = {name: _value(bytes(getattr(found, name))) for name in _FIELDS}
    time_text = event.time or format_ns(record.storedtime_ns)
    time_key = parse_rfc3339(event.time) if event.time else None
    key = effective_time_key(time_key, record.storedtime_ns)
    day, clock, offset_s = _local(key >> 1, bool(key & 1), zone)
    cells = (
        str(record.userseq),
        clock + _fraction(time_text),
        type_name(event.type),
        fields["ClOrdID"],
        fields["OrigClOrdID"],
        fields["Symbol"],
        side(fields["Side"]),
        fields["OrderQty"],
        fields["Price"],
        "; ".join(_notes(row, event, fields)),
    )
    return Line(day, offset_s, event.type, cells)


def offset_text(offset_s: int) -> str:
    """``UTC+01:00``."""
    sign = "-" if offset_s < 0 else "+"
    hours, rest = divmod(abs(offset_s), 3_600)
    minutes, seconds = divmod(rest, 60)
    text = f"UTC{sign}{hours:02d}:{minutes:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


def _notes(row: Row, event: _Event, fields: dict[str, str]) -> list[str]:
    notes = [order_status(fields["OrdStatus"])] if fields["OrdStatus"] else []
    if event.time is None:
        notes.append("time of storing")
    if row.is_late:
        notes.append("arrived late")
    if event.onbehalfof:
        notes.append(f"for {event.onbehalfof}")
    if event.initiator not in (None, "client") and event.type != EXECUTION_REPORT:
        notes.append(f"by {event.initiator}")
    for name, label in (("corrects", "corrects"), ("fixproblem", "FIX problem:")):
        token = bytes(getattr(event, name))
        if token not in (b"", b"null"):
            notes.append(f"{label} {_value(token)}")
    if fields["Text"]:
        notes.append(fields["Text"])
    return notes


def _value(token: bytes) -> str:
    return _string.decode(token) if token[:1] == b'"' else token.decode()


def _fraction(text: str) -> str:
    """The fraction of the second with every digit that was sent."""
    rest = text[19:]
    if rest[:1] != ".":
        return ""
    digits = len(rest[1:]) - len(rest[1:].lstrip("0123456789"))
    return rest[: 1 + digits]


def _local(ns: int, is_leap: bool, zone: tzinfo) -> tuple[date, str, int]:
    day, clock, offset_s = _second(ns // 1_000_000_000, zone)
    return day, f"{clock[:6]}60" if is_leap else clock, offset_s


@lru_cache(maxsize=4_096)
def _second(second: int, zone: tzinfo) -> tuple[date, str, int]:
    local = datetime.fromtimestamp(second, UTC).astimezone(zone)
    offset = local.utcoffset()
    assert offset is not None, "a zone was given"
    return local.date(), local.strftime("%H:%M:%S"), int(offset.total_seconds())
