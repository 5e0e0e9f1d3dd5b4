"""The columns of tabular forms: what stands in each for one record as served. Pure.

Values are exact: a string's own characters, a number's own digits, and for anything else its JSON text. A
missing member and an attribute that is null are empty values. ``data`` is the JSON text of the event's data,
with its bytes unchanged (``data_base64`` where the data are binary).
"""

from __future__ import annotations

from operator import attrgetter

import msgspec

__all__ = ["COLUMNS", "column_values"]

_ATTRIBUTES = (
    "userseq",
    "log",
    "logindex",
    "storedtime",
    "time",
    "type",
    "source",
    "id",
    "subject",
    "onbehalfof",
    "initiator",
)
_FIELDS = ("ClOrdID", "OrigClOrdID", "OrderID", "Symbol", "Side", "OrderQty", "Price")
COLUMNS = (*_ATTRIBUTES, *_FIELDS, "data")

_ABSENT = msgspec.Raw()

#: The scan lets these attributes be strings or null, which says the same as leaving them out.
_Record = msgspec.defstruct(
    "_Record",
    [
        *((name, str | None, None) for name in _ATTRIBUTES),
        ("data", msgspec.Raw, _ABSENT),
        ("data_base64", msgspec.Raw, _ABSENT),
    ],
    gc=False,
)
_Data = msgspec.defstruct("_Data", [(name, msgspec.Raw, _ABSENT) for name in _FIELDS], gc=False)

_record = msgspec.json.Decoder(_Record)
_data = msgspec.json.Decoder(_Data)
_string = msgspec.json.Decoder(str)
_attributes_of = attrgetter(*_ATTRIBUTES)
_fields_of = attrgetter(*_FIELDS)


def column_values(served: bytes) -> list[str]:
    """The values of ``COLUMNS`` for one record as served."""
    record = _record.decode(served)
    data = bytes(record.data)  # type: ignore[attr-defined]  # a field of the struct made above
    if data[:1] == b"{":
        fields = [_value(bytes(token)) for token in _fields_of(_data.decode(data))]
    else:
        fields = [""] * len(_FIELDS)
    data = data or bytes(record.data_base64)  # type: ignore[attr-defined]  # likewise
    attributes = [value or "" for value in _attributes_of(record)]
    return [*attributes, *fields, data.decode()]


def _value(token: bytes) -> str:
    return _string.decode(token) if token[:1] == b'"' else token.decode()
