"""The facts a stored event is found by, read back from its text.

The text was scanned in full before it was stored, so this reads only what it needs and trusts the rest.
The same facts come out of ``tradetrail.scan`` when the event arrives; a test holds the two together.
"""

from __future__ import annotations

import msgspec

from tradetrail.event import LOOKUP_FIELDS
from tradetrail.times import parse_rfc3339

__all__ = ["LOOKUP_VALUE_BYTES_MAX", "Facts", "facts_of"]

#: Longer values are kept, shown and exported, and cannot be looked up.
LOOKUP_VALUE_BYTES_MAX = 256
_DATA_FIELDS = LOOKUP_FIELDS[:-1]


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What filters and indexes see of one event; ``time_key`` as in ``tradetrail.times``."""

    type: str
    time_key: int | None
    lookups: tuple[tuple[str, str], ...]


class _Data(msgspec.Struct, gc=False):
    ClOrdID: str | None = None
    OrigClOrdID: str | None = None
    OrderID: str | None = None
    ExecID: str | None = None
    Account: str | None = None
    Symbol: str | None = None


class _Attributes(msgspec.Struct, gc=False):
    """The usual event: ``data`` is an object, and what is looked up in it are strings."""

    type: str
    time: str | None = None
    subject: str | None = None
    data: _Data | None = None


class _AnyData(msgspec.Struct, gc=False):
    ClOrdID: msgspec.Raw = msgspec.Raw()
    OrigClOrdID: msgspec.Raw = msgspec.Raw()
    OrderID: msgspec.Raw = msgspec.Raw()
    ExecID: msgspec.Raw = msgspec.Raw()
    Account: msgspec.Raw = msgspec.Raw()
    Symbol: msgspec.Raw = msgspec.Raw()


class _AnyAttributes(msgspec.Struct, gc=False):
    type: str
    time: str | None = None
    subject: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_attributes = msgspec.json.Decoder(_Attributes)
_any_attributes = msgspec.json.Decoder(_AnyAttributes)
_any_data = msgspec.json.Decoder(_AnyData)
_string = msgspec.json.Decoder(str)


def facts_of(text: bytes) -> Facts:
    """The facts of a stored event's text."""
    found: _Attributes | _AnyAttributes
    try:
        found = _attributes.decode(text)
    except msgspec.ValidationError:
        found = _any_attributes.decode(text)
        lookups = _token_lookups(bytes(found.data))
    else:
        lookups = [] if found.data is None else _string_lookups(found.data)
    subject = found.subject
    if subject and len(subject.encode()) <= LOOKUP_VALUE_BYTES_MAX:
        lookups.append(("subject", subject))
    time_key = None if found.time is None else parse_rfc3339(found.time)
    return Facts(found.type, time_key, tuple(lookups))


def _string_lookups(data: _Data) -> list[tuple[str, str]]:
    return [
        (field, value)
        for field, value in zip(_DATA_FIELDS, msgspec.structs.astuple(data), strict=True)
        if value is not None and len(value.encode()) <= LOOKUP_VALUE_BYTES_MAX
    ]


def _token_lookups(data: bytes) -> list[tuple[str, str]]:
    """From data of any JSON type, with numbers by their own digits."""
    found: list[tuple[str, str]] = []
    if data[:1] == b"{":
        values = _any_data.decode(data)
        for field in _DATA_FIELDS:
            token = bytes(getattr(values, field))
            value = _text_of(token) if token else None
            if value is not None and len(value.encode()) <= LOOKUP_VALUE_BYTES_MAX:
                found.append((field, value))
    return found


def _text_of(token: bytes) -> str | None:
    """A string's value or a number's own digits; nothing for other JSON types."""
    if token[0] == 0x22:
        return _string.decode(token)
    return token.decode() if token[0] == 0x2D or 0x30 <= token[0] <= 0x39 else None
