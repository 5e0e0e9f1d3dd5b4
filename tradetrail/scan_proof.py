"""The quick scan of ordinary events: a cheap proof that nothing in the text is inexact.

msgspec reads a text at C speed and is strict about everything but duplicate keys, depth and the size of
numbers. What it leaves open is proved here:

* Duplicate keys: every key and every string value brings two quotation marks. A parsed object holds each key
  once, so the text has just twice as many marks as keys and strings were found only where no key stood twice.
  Escaped marks make the text have more; they are left out where it is certain which they are.
* Depth: containers are walked level by level.
* Numbers: one with a point or an exponent keeps its own digits, which are measured; whole ones are compared.

The usual event, of the contract's own attributes and flat data of strings, is decoded into a type, so that C
checks most of it; any other into plain values, which are checked here.

Whatever is not proved is no refusal: the answer is ``None`` and ``tradetrail.scan_event`` decides. So an event
accepted here is one that is accepted there, with the same facts; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Annotated, Any, Final, Literal

import msgspec

from tradetrail.errors import Invalid
from tradetrail.event import (
    LOOKUP_FIELDS,
    RESERVED_ATTRIBUTES,
    SERVICE_USER_PREFIX,
    Event,
    Limits,
)
from tradetrail.facts import LOOKUP_VALUE_BYTES_MAX
from tradetrail.scan_event import (
    ATTRIBUTE_BYTES_MAX,
    ATTRIBUTE_NAME,
    CONTROL,
    INITIATORS,
    STRING_ATTRIBUTES,
    TYPE_BYTES_MAX,
)
from tradetrail.scan_json import NUMBER_DIGITS_MAX
from tradetrail.times import parse_rfc3339

__all__ = ["proven_event"]

#: A character has at most four bytes of UTF-8: so many characters are within a bound without encoding them.
_BYTES_PER_CHARACTER_MAX: Final = 4
_LOOKUP_CHARACTERS_SAFE: Final = LOOKUP_VALUE_BYTES_MAX // _BYTES_PER_CHARACTER_MAX
#: All attributes together, so that none can be beyond the narrower of the two bounds.
_ATTRIBUTES_ASCII_SAFE: Final = min(TYPE_BYTES_MAX, ATTRIBUTE_BYTES_MAX)
_ATTRIBUTES_CHARACTERS_SAFE: Final = _ATTRIBUTES_ASCII_SAFE // _BYTES_PER_CHARACTER_MAX
#: Whole numbers below this have fewer characters than the limit, their sign included.
_WHOLE_NUMBER_SAFE: Final = 10 ** (NUMBER_DIGITS_MAX - 2)
#: An exponent of more characters may be beyond the range.
_EXPONENT_CHARACTERS_SAFE: Final = 2

_DATA_FIELDS: Final = LOOKUP_FIELDS[:-1]
_PREFIX_CHARACTERS: Final = len(SERVICE_USER_PREFIX)
_RESERVED: Final = frozenset(RESERVED_ATTRIBUTES)
_STRINGS: Final = frozenset(STRING_ATTRIBUTES)


class _Unproved(Exception):
    """The proof does not reach; the exact scan decides."""


class _Unusual(Exception):
    """The text has nulls, escaped quotation marks or keys that the type does not show."""


#: What a text that is no ordinary event brings about: another JSON value than an object has no members, and an
#: attribute may be missing.
_FAILURES: Final = (
    _Unproved,
    Invalid,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    UnicodeDecodeError,
    msgspec.MsgspecError,
)


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The usual event; an attribute that is not given, or null, is ``None``."""

    specversion: Literal["1.0"]
    id: _Text
    source: _Text
    type: _Text
    authid: _Text
    time: _Text | None = None
    subject: _Text | None = None
    onbehalfof: _Text | None = None
    initiator: Literal["client", "firm", "venue"] | None = None
    datacontenttype: _Text | None = None
    dataschema: _Text | None = None
    authtype: _Text | None = None
    journalid: _Text | None = None
    journalseq: _Text | None = None
    #: Last, so that the attributes are the fields before it.
    data: dict[str, str] | None = None


_decode_usual: Final = msgspec.json.Decoder(_Usual).decode
_ATTRIBUTES: Final = _Usual.__struct_fields__[:-1]
_KNOWN: Final = frozenset(_ATTRIBUTES)


def proven_event(text: bytes, limits: Limits, allow_service_user: bool) -> Event | None:
    """The event of a UTF-8 text without white space around it; ``None`` where the proof does not reach."""
    if len(text) > limits.event_bytes:
        return None
    try:
        try:
            usual = _decode_usual(text)
            lookups = _read_usual(usual, text, limits)
        except (msgspec.ValidationError, _Unusual):
            usual, lookups = _read_any(text, limits)
        return _event(usual, lookups, text, limits, allow_service_user)
    except _FAILURES:
        return None


def _read_usual(usual: _Usual, text: bytes, limits: Limits) -> list[tuple[str, str]]:
    """Proves what the type leaves open, and gives the look-ups of ``data``."""
    given = msgspec.structs.astuple(usual)[:-1]
    found = 2 * (len(given) - given.count(None))
    data = usual.data
    lookups: list[tuple[str, str]] = []
    if data is not None:
        if limits.json_depth < 2:
            raise _Unproved
        found += 1 + 2 * len(data)
        field_value = data.get
        lookups = [
            (field, item)
            for field in _DATA_FIELDS
            if (item := field_value(field)) is not None
            and (
                len(item) <= _LOOKUP_CHARACTERS_SAFE or len(item.encode()) <= LOOKUP_VALUE_BYTES_MAX
            )
        ]
    if text.count(b'"') != 2 * found:
        raise _Unusual
    _check_texts("".join(filter(None, given)))
    return lookups


def _read_any(text: bytes, limits: Limits) -> tuple[_Usual, list[tuple[str, str]]]:
    """The same for an event of any shape; the attributes that have no field here are checked and left out."""
    attributes: dict[str, Any] = _decode(text)
    found = len(attributes)
    data = attributes.pop("data", None)
    for name in attributes.keys() - _KNOWN:
        if name in _RESERVED or not ATTRIBUTE_NAME.match(name):
            raise _Unproved
    try:
        joined = "".join(attributes.values())
    except TypeError:
        attributes = _strings_of(attributes)
        joined = "".join(attributes.values())
    found += len(attributes) + _keys_and_strings(data, limits.json_depth - 1)
    if not _stands_each_once(text, found) or "" in attributes.values():
        raise _Unproved
    _check_texts(joined)
    given: list[Any] = [attributes.get(name) for name in _ATTRIBUTES]
    usual = _Usual(*given)
    if usual.specversion != "1.0" or (usual.initiator or "client") not in INITIATORS:
        raise _Unproved
    if None in (usual.id, usual.source, usual.type, usual.authid):
        raise _Unproved
    return usual, _data_lookups(data) if type(data) is dict else []


def _stands_each_once(text: bytes, found: int) -> bool:
    """Whether these keys and strings have all quotation marks of the text, but escaped ones."""
    marks = text.count(b'"')
    if marks == 2 * found:
        return True
    # Without an escaped backslash, every backslash before a mark escapes it.
    return b"\\\\" not in text and marks - text.count(b'\\"') == 2 * found


def _digits(token: str) -> bytes:
    """A number with a point or an exponent as its own digits: bytes, the one type JSON has no value of."""
    exponent = token.lower().partition("e")[2]
    if len(token) > NUMBER_DIGITS_MAX or len(exponent.lstrip("+-")) > _EXPONENT_CHARACTERS_SAFE:
        raise ValueError("not proved")
    return token.encode()


_decode: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=_digits).decode


def _strings_of(attributes: dict[str, Any]) -> dict[str, str]:
    """The attributes that are strings; the others must be null, true, false or a 32-bit integer."""
    strings: dict[str, str] = {}
    for name, item in attributes.items():
        if type(item) is str:
            strings[name] = item
        elif item is not None and (
            name in _STRINGS or not isinstance(item, int) or not -(2**31) <= item < 2**31
        ):
            raise _Unproved
    return strings


def _keys_and_strings(data: Any, depth_max: int) -> int:
    """How many keys and string values are in ``data``, which may have so many levels."""
    found = 0
    items: Sequence[Any] = [data]
    for depth in count():
        inside: list[Any] = []
        deeper = False
        for item in items:
            kind = type(item)
            if kind is str:
                found += 1
            elif kind is dict:
                found += len(item)
                inside.extend(item.values())
                deeper = True
            elif kind is list:
                inside.extend(item)
                deeper = True
            elif kind is int and not -_WHOLE_NUMBER_SAFE < item < _WHOLE_NUMBER_SAFE:
                raise _Unproved
        if not deeper:
            break
        if depth >= depth_max:
            raise _Unproved
        items = inside
    return found


def _check_texts(joined: str) -> None:
    """All attributes together: no control character, and none can be too long."""
    if not joined.isprintable() and CONTROL.search(joined):
        raise _Unproved
    if len(joined) > _ATTRIBUTES_CHARACTERS_SAFE and not (
        len(joined) <= _ATTRIBUTES_ASCII_SAFE and joined.isascii()
    ):
        raise _Unproved


def _event(
    usual: _Usual,
    lookups: list[tuple[str, str]],
    text: bytes,
    limits: Limits,
    allow_service_user: bool,
) -> Event:
    user, source, identifier = usual.authid, usual.source, usual.id
    if user[:_PREFIX_CHARACTERS] == SERVICE_USER_PREFIX and not allow_service_user:
        raise _Unproved
    if (len(user) + len(identifier)) * _BYTES_PER_CHARACTER_MAX > limits.identifier_bytes:
        _check_within(user, limits.identifier_bytes)
        _check_within(identifier, limits.identifier_bytes)
    if len(source) * _BYTES_PER_CHARACTER_MAX > limits.source_bytes:
        _check_within(source, limits.source_bytes)
    time_key = None if usual.time is None else parse_rfc3339(usual.time)
    subject = usual.subject
    if subject is not None and _can_be_looked_up(subject):
        lookups.append(("subject", subject))
    return Event(user, source, identifier, usual.type, time_key, tuple(lookups), text)


def _check_within(text: str, bytes_max: int) -> None:
    if len(text.encode()) > bytes_max:
        raise _Unproved


def _can_be_looked_up(text: str) -> bool:
    return len(text) <= _LOOKUP_CHARACTERS_SAFE or len(text.encode()) <= LOOKUP_VALUE_BYTES_MAX


def _data_lookups(data: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for field in _DATA_FIELDS:
        item = data.get(field)
        if item is None:
            continue
        if type(item) is not str:
            item = _number_digits(item)
        if item is not None and _can_be_looked_up(item):
            found.append((field, item))
    return found


def _number_digits(item: Any) -> str | None:
    """The digits of a number as they were sent; nothing for other JSON types."""
    if type(item) is bytes:
        return item.decode()
    if type(item) is not int:
        return None
    if item == 0:
        # It may have been sent as -0.
        raise _Unproved
    return str(item)
