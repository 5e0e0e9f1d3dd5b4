"""One FIX message of a log: its bytes, its fields, and what it claims and does not hold.

Splitting: a piece between separators is ``tag=value`` with the tag in digits, no leading zero. A
    piece that
is not belongs to the value before it, separator included, and is the problem ``field``; so joining
the fields always gives the bytes again. A data field is as long as the length field before it
says, when a separator stands there; simplefix splits such messages. Where a length is wrong
(problem ``data_length``), or simplefix gives up, the split here stands alone. Plain messages are
split here too, the same way and several times faster.
"""

from __future__ import annotations

import msgspec
import simplefix
from simplefix.errors import ParsingError

from tradetrail.fix.dictionary import data_fields

__all__ = [
    "BODY_LENGTH",
    "CHECKSUM",
    "DATA_LENGTH",
    "FIELD",
    "SOH",
    "Field",
    "RawMessage",
    "join_fields",
    "read_message",
]

SOH = b"\x01"

#: Problem: CheckSum is absent, malformed or not the sum of the bytes before it.
CHECKSUM = "checksum"
#: Problem: BodyLength is absent, malformed or not the length of the body.
BODY_LENGTH = "body_length"
#: Problem: a data field does not end where its length field says.
DATA_LENGTH = "data_length"
#: Problem: something between two separators is not tag=value.
FIELD = "field"

#: Longer digits are no tag: the standard's own stay below 100,000 and private ones below ten
#: digits.
_TAG_DIGITS_MAX = 9
_LENGTH_DIGITS_MAX = 6

#: Tag and value.
Field = tuple[int, bytes]


class RawMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as found.

    ``raw`` are its bytes from ``8=`` to the separator after the checksum, if one is there.
    ``line`` counts from 1 and is where the message begins. ``delimiter`` is one byte. ``fields``
    are in order.
    """

    raw: bytes
    line: int
    delimiter: bytes
    fields: tuple[Field, ...]
    problems: tuple[str, ...]


def read_message(raw: bytes, line: int, delimiter: bytes) -> RawMessage:
    """Splits and checks; any bytes that begin with ``8=`` give a message."""
    fields, problems = _split(raw.removesuffix(delimiter), delimiter)
    if not _body_length_holds(raw, fields, delimiter):
        problems.append(BODY_LENGTH)
    if not _checksum_holds(raw, fields, delimiter):
        problems.append(CHECKSUM)
    return RawMessage(raw, line, delimiter, tuple(fields), tuple(problems))


def join_fields(fields: tuple[Field, ...], delimiter: bytes) -> bytes:
    """The inverse of splitting, without the last separator."""
    return delimiter.join([b"%d=%b" % field for field in fields])


#: Tags by their digits: filled as they are met, bounded, saves most of the work of splitting.
_known_tags: dict[bytes, int] = {}
_KNOWN_TAGS_MAX = 20_000


def _tag(digits: bytes) -> int:
    """The number, 0 where the bytes are no tag."""
    known = _known_tags.get(digits)
    if known is not None:
        return known
    if not digits.isdigit() or digits.startswith(b"0") or len(digits) > _TAG_DIGITS_MAX:
        return 0
    if len(_known_tags) < _KNOWN_TAGS_MAX:
        _known_tags[digits] = int(digits)
    return int(digits)


def _split(body: bytes, delimiter: bytes) -> tuple[list[Field], list[str]]:
    fields: list[Field] = []
    lengths = data_fields()
    malformed = False
    for piece in body.split(delimiter):
        digits, equals, value = piece.partition(b"=")
        tag = _tag(digits) if equals else 0
        if tag in lengths:
            return _split_with_data(body, delimiter)
        if tag:
            fields.append((tag, value))
        else:
            malformed = True
            _continue_value(fields, delimiter + piece)
    return fields, [FIELD] if malformed else []


def _continue_value(fields: list[Field], more: bytes) -> None:
    tag, value = fields[-1]
    fields[-1] = (tag, value + more)


def _split_with_data(body: bytes, delimiter: bytes) -> tuple[list[Field], list[str]]:
    fields = _simplefix_split(body, delimiter)
    if fields is not None:
        return fields, []
    return _mended(body, delimiter)


def _simplefix_split(body: bytes, delimiter: bytes) -> list[Field] | None:
    """simplefix's split, ``None`` where it raises, stops early or misses that a length is wrong."""
    if delimiter != SOH and SOH in body:
        return None
    parser = simplefix.FixParser(allow_empty_values=True, stop_byte=b"\n")
    # Its own table lacks some pairs of 5.0SP2 and holds one by which a length is its own data.
    parser.raw_len_tags = data_fields().keys()
    parser.raw_data_tags = frozenset(data_fields().values())
    parser.append_buffer(body.replace(delimiter, SOH) + SOH + b"\n")
    try:
        message = parser.get_message()
    except (ParsingError, ValueError):
        return None
    if message is None:
        return None
    fields = [(int(tag), value.replace(SOH, delimiter)) for tag, value in message.pairs]
    if delimiter.join([b"%d=%b" % field for field in fields]) != body or not _lengths_hold(fields):
        return None
    return fields


def _lengths_hold(fields: list[Field]) -> bool:
    """Whether each length field is followed by its data field of that length."""
    lengths = data_fields()
    for (tag, value), (after, data) in zip(fields, [*fields[1:], (0, b"")], strict=True):
        if tag in lengths and (after != lengths[tag] or _length(value) != len(data)):
            return False
    return True


def _mended(body: bytes, delimiter: bytes) -> tuple[list[Field], list[str]]:
    """A data field ends by its length where a separator stands there, else by the separator."""
    lengths = data_fields()
    fields: list[Field] = []
    problems: dict[str, None] = {}
    position = 0
    while position <= len(body):
        stop = body.find(delimiter, position)
        stop = len(body) if stop < 0 else stop
        digits, equals, value = body[position:stop].partition(b"=")
        tag = _tag(digits) if equals else 0
        before, length = fields[-1] if fields else (0, b"")
        if tag and lengths.get(before) == tag:
            start = position + len(digits) + 1
            end = start + (_length(length) or 0)
            if (
                _length(length) is not None
                and body[end : end + 1] in {b"", delimiter}
                and end <= len(body)
            ):
                stop, value = end, body[start:end]
            else:
                problems[DATA_LENGTH] = None
        elif before in lengths:
            problems[DATA_LENGTH] = None
        if tag:
            fields.append((tag, value))
        else:
            problems[FIELD] = None
            _continue_value(fields, body[max(position - 1, 0) : stop])
        position = stop + 1
    return fields, list(problems)


def _length(digits: bytes) -> int | None:
    if digits.isdigit() and len(digits) <= _LENGTH_DIGITS_MAX:
        return int(digits)
    return None


def _body_length_holds(raw: bytes, fields: list[Field], delimiter: bytes) -> bool:
    """BodyLength counts from behind its own separator up to the checksum field."""
    if len(fields) < 3 or fields[1][0] != 9 or fields[-1][0] != 10:
        return False
    claimed = fields[1][1]
    head = len(b"8==9") + 2 * len(delimiter) + len(fields[0][1]) + len(claimed)
    return _length(claimed) == _checksum_position(raw, fields, delimiter) - head


def _checksum_position(raw: bytes, fields: list[Field], delimiter: bytes) -> int:
    return len(raw.removesuffix(delimiter)) - len(b"10=") - len(fields[-1][1])


def _checksum_holds(raw: bytes, fields: list[Field], delimiter: bytes) -> bool:
    """The sum of all bytes before the checksum field, modulo 256, each separator counted as SOH."""
    tag, claimed = fields[-1]
    if tag != 10 or len(claimed) != 3 or not claimed.isdigit():
        return False
    total = sum(raw[: _checksum_position(raw, fields, delimiter)])
    if delimiter != SOH:
        total -= (delimiter[0] - SOH[0]) * (len(fields) - 1)
    return total % 256 == int(claimed)
