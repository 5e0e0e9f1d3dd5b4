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


class _Attributes(msgspec.Struct, gc=False):
    type: str
    time: str | None = None
    subject: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Data(msgspec.Struct, gc=False):
    ClOrdID: msgspec.Raw = msgspec.Raw()
    OrigClOrdID: msgspec.Raw = msgspec.Raw()
    OrderID: msgspec.Raw = msgspec.Raw()
    ExecID: msgspec.Raw = msgspec.Raw()
    Account: msgspec.Raw = msgspec.Raw()
    Symbol: msgspec.Raw = msgspec.Raw()


_attributes = msgspec.json.Decoder(_Attributes)
_data = msgspec.json.Decoder(_Data)
_string = msgspec.json.Decoder(str)


def facts_of(text: bytes) -> Facts:
    """The facts of a stored event's text."""
    found = _attributes.decode(text)
    lookups: list[tuple[str, str]] = []
    raw = bytes(found.data)
    if raw[:1] == b"{":
        data = _data.decode(raw)
        for field in _DATA_FIELDS:
            token = bytes(getattr(data, field))
            if token:
                _add(lookups, field, token)
    if found.subject and len(found.subject.encode()) <= LOOKUP_VALUE_BYTES_MAX:
        lookups.append(("subject", found.subject))
    time_key = None if found.time is None else parse_rfc3339(found.time)
    return Facts(found.type, time_key, tuple(lookups))


def _add(lookups: list[tuple[str, str]], field: str, token: bytes) -> None:
    """A string's value or a number's own digits; nothing for other JSON types and overlong values."""
    first = token[0]
    if first == 0x22:
        value = _string.decode(token)
    elif first == 0x2D or 0x30 <= first <= 0x39:
        value = token.decode()
    else:
        return
    if len(value.encode()) <= LOOKUP_VALUE_BYTES_MAX:
        lookups.append((field, value))
