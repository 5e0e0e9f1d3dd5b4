"""The quick scan of ordinary events: a cheap proof that nothing in the text is inexact.

msgspec reads a text at C speed and is strict about everything but duplicate keys, depth and the size of
numbers. What it leaves open is proved here:

* Duplicate keys: every key and every string value brings two quotation marks. A parsed object holds each key
  once, so the text has just twice as many marks as keys and strings were found only where no key stood twice;
  escaped quotation marks only make the text have more.
* Depth: containers are walked level by level.
* Numbers: one with a point or an exponent keeps its own digits, which are measured; whole ones are compared.

Whatever is not proved is no refusal: the answer is ``None`` and ``tradetrail.scan_event`` decides. So an event
accepted here is one that is accepted there, with the same facts; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

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
#: Names that need no look at their letters.
_KNOWN: Final = _STRINGS | {"authtype", "journalid", "journalseq"}


class _Unproved(Exception):
    """The proof does not reach; the exact scan decides."""


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


def proven_event(text: bytes, limits: Limits, allow_service_user: bool) -> Event | None:
    """The event of a UTF-8 text without white space around it; ``None`` where the proof does not reach."""
    if len(text) > limits.event_bytes:
        return None
    try:
        attributes: dict[str, Any] = _decode(text)
        found = len(attributes)
        data = attributes.pop("data", None)
        if not attributes.keys() <= _KNOWN:
            _check_names(attributes)
        try:
            joined = "".join(attributes.values())
        except TypeError:
            attributes = _strings_of(attributes)
            joined = "".join(attributes.values())
        found += len(attributes)
        inside, lookups = _read_data(data, limits.json_depth - 1)
        if text.count(b'"') != 2 * (found + inside) or "" in attributes.values():
            return None
        if not joined.isprintable() and CONTROL.search(joined):
            return None
        if len(joined) > _ATTRIBUTES_CHARACTERS_SAFE and not _is_short(joined):
            return None
        return _event(attributes, lookups, text, limits, allow_service_user)
    except _FAILURES:
        return None


def _digits(token: str) -> bytes:
    """A number with a point or an exponent as its own digits: bytes, the one type JSON has no value of."""
    exponent = token.lower().partition("e")[2]
    if len(token) > NUMBER_DIGITS_MAX or len(exponent.lstrip("+-")) > _EXPONENT_CHARACTERS_SAFE:
        raise ValueError("not proved")
    return token.encode()


_decode: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=_digits).decode


def _check_names(attributes: dict[str, Any]) -> None:
    for name in attributes:
        if name in _RESERVED or not ATTRIBUTE_NAME.match(name):
            raise _Unproved


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


def _read_data(data: Any, depth_max: int) -> tuple[int, list[tuple[str, str]]]:
    """How many keys and string values are in ``data``, which may have so many levels, and its look-ups."""
    if data is None:
        return 0, []
    if type(data) is not dict or depth_max < 1:
        return _keys_and_strings(data, depth_max), []
    try:
        # Joins strings only: one call tells the usual flat object from all others.
        "".join(data.values())
    except TypeError:
        return _keys_and_strings(data, depth_max), _data_lookups(data)
    field_value = data.get
    return 2 * len(data), [
        (field, item)
        for field in _DATA_FIELDS
        if (item := field_value(field)) is not None
        and (len(item) <= _LOOKUP_CHARACTERS_SAFE or len(item.encode()) <= LOOKUP_VALUE_BYTES_MAX)
    ]


def _keys_and_strings(data: Any, depth_max: int) -> int:
    found = 0
    level: list[Any] = [[data]]
    for _ in range(depth_max + 1):
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                found += len(container) + _strings_in(container.values(), below)
            else:
                found += _strings_in(container, below)
        if not below:
            return found
        level = below
    raise _Unproved


def _strings_in(items: Any, below: list[Any]) -> int:
    """How many of the items are strings; containers among them are put into ``below``."""
    found = 0
    for item in items:
        kind = type(item)
        if kind is str:
            found += 1
        elif kind is dict or kind is list:
            below.append(item)
        elif kind is int and not -_WHOLE_NUMBER_SAFE < item < _WHOLE_NUMBER_SAFE:
            raise _Unproved
    return found


def _is_short(joined: str) -> bool:
    return len(joined) <= _ATTRIBUTES_ASCII_SAFE and joined.isascii()


def _event(
    attributes: dict[str, str],
    lookups: list[tuple[str, str]],
    text: bytes,
    limits: Limits,
    allow_service_user: bool,
) -> Event:
    user, source, identifier = attributes["authid"], attributes["source"], attributes["id"]
    if attributes["specversion"] != "1.0":
        raise _Unproved
    if user[:_PREFIX_CHARACTERS] == SERVICE_USER_PREFIX and not allow_service_user:
        raise _Unproved
    if attributes.get("initiator", "client") not in INITIATORS:
        raise _Unproved
    if (len(user) + len(identifier)) * _BYTES_PER_CHARACTER_MAX > limits.identifier_bytes:
        _check_within(user, limits.identifier_bytes)
        _check_within(identifier, limits.identifier_bytes)
    if len(source) * _BYTES_PER_CHARACTER_MAX > limits.source_bytes:
        _check_within(source, limits.source_bytes)
    time = attributes.get("time")
    time_key = None if time is None else parse_rfc3339(time)
    subject = attributes.get("subject")
    if subject is not None and _can_be_looked_up(subject):
        lookups.append(("subject", subject))
    return Event(user, source, identifier, attributes["type"], time_key, tuple(lookups), text)


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
