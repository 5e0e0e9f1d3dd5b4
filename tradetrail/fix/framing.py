"""Where a FIX message begins and ends in a window of bytes: pure, and bounded by the window.

    8=FIX.4.2|9=65|35=A|...|10=062|
    ^ start   ^              ^     ^ end
              BodyLength says where the checksum stands; only where none stands there is it
              searched for.

The caller keeps at least ``MESSAGE_BYTES_MAX`` bytes behind a start in the window (or all there
are), so an answer never depends on how much happened to be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tradetrail.fix.dictionary import data_fields

__all__ = [
    "INCOMPLETE",
    "MESSAGE_BYTES_MAX",
    "START_BYTES_MAX",
    "TOO_LONG",
    "Broken",
    "Start",
    "end_of_message",
    "find_start",
]

#: An event may have 65,536 bytes and holds the message twice; what is longer could never be stored.
MESSAGE_BYTES_MAX = 60_000
#: Reason: no checksum field before the next message or the end of the log.
INCOMPLETE = "incomplete"
#: Reason: no checksum field within ``MESSAGE_BYTES_MAX``.
TOO_LONG = "too_long"

_VERSION_BYTES_MAX = 12
#: ``8=FIX``, the version, one separator.
START_BYTES_MAX = 5 + _VERSION_BYTES_MAX + 1
_START = re.compile(rb"8=FIX[A-Z0-9.]{1,%d}([\x01|])" % _VERSION_BYTES_MAX)
#: What makes text inside a message the start of another: BodyLength behind it and the same separator;
#: with the other separator a line break before it too, since a text may quote a message.
_NEXT_START = {
    delimiter: re.compile(
        rb"8=FIX[A-Z0-9.]{1,%d}%b9=|\n[^\x01|\n]{0,256}?8=FIX[A-Z0-9.]{1,%d}%b9="
        % (_VERSION_BYTES_MAX, re.escape(delimiter), _VERSION_BYTES_MAX, re.escape(other))
    )
    for delimiter, other in ((b"\x01", b"|"), (b"|", b"\x01"))
}
_BODY_LENGTH = re.compile(rb"9=([0-9]{1,6})[\x01|]")
_CHECKSUM = re.compile(rb"10=([^\x01|\r\n]{0,16})")
_LENGTH_FIELD = re.compile(rb"([1-9][0-9]{0,8})=([0-9]{1,6})\Z")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a message begins, where its second field does, and its separator."""

    position: int
    body: int
    delimiter: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """A start without a message: why, and where to look on, which is behind the start itself."""

    reason: str
    resume: int


def find_start(window: bytes, position: int) -> Start | None:
    """The first start at or behind ``position``."""
    found = _START.search(window, position)
    if found is None:
        return None
    return Start(found.start(), found.end(), found.group(1))


def end_of_message(window: bytes, start: Start) -> int | Broken:
    """The position behind the message, its last separator included where there is one."""
    limit = min(len(window), start.position + MESSAGE_BYTES_MAX)
    claimed = _BODY_LENGTH.match(window, start.body, limit)
    if claimed is not None:
        position = claimed.end() + int(claimed.group(1))
        if window[position - 1 : position] == start.delimiter:
            end = _checksum_end(window, position, limit, start.delimiter)
            if end is not None:
                return end
    return _searched_end(window, start, limit)


def _checksum_end(window: bytes, position: int, limit: int, delimiter: bytes) -> int | None:
    """Where the checksum field at ``position`` ends; ``None`` where none stands there."""
    found = _CHECKSUM.match(window, position, limit)
    if found is None:
        return None
    return found.end() + (window[found.end() : found.end() + 1] == delimiter)


def _searched_end(window: bytes, start: Start, limit: int) -> int | Broken:
    """Walks to the first checksum, stepping over data fields, not into the next message."""
    delimiter = start.delimiter
    position = start.body
    # Without this a log full of starts and without ends would be walked once for each of them.
    if window.find(delimiter + b"10=", position - 1, limit) < 0:
        return _endless(start, limit)
    while position < limit:
        end = _checksum_end(window, position, limit, delimiter)
        if end is not None:
            return end
        stop = window.find(delimiter, position, limit)
        if _begins_another(
            window, position, limit if stop < 0 else min(stop + 3, limit), delimiter
        ):
            return Broken(INCOMPLETE, start.body)
        if stop < 0:
            break
        position = _behind_data(window, position, stop, limit, delimiter)
    return _endless(start, limit)


def _begins_another(window: bytes, position: int, end: int, delimiter: bytes) -> bool:
    """Whether the field at ``position`` is or holds the start of another message.

    ``end`` lies two bytes behind the field's separator: there stands the BodyLength of a message that
    begins at the field's end. So each field is looked at once, however many starts there are.
    """
    if window.startswith(b"8=", position):
        return True
    return _NEXT_START[delimiter].search(window, position, end) is not None


def _endless(start: Start, limit: int) -> Broken:
    full = limit - start.position >= MESSAGE_BYTES_MAX
    return Broken(TOO_LONG if full else INCOMPLETE, start.body)


def _behind_data(window: bytes, position: int, stop: int, limit: int, delimiter: bytes) -> int:
    """The next field's position; behind the data field where this one is its length and it fits."""
    found = _LENGTH_FIELD.match(window[position:stop])
    data_tag = data_fields().get(int(found.group(1))) if found is not None else None
    if found is None or data_tag is None:
        return stop + 1
    head = b"%d=" % data_tag
    end = stop + 1 + len(head) + int(found.group(2))
    if window.startswith(head, stop + 1) and end < limit and window[end : end + 1] == delimiter:
        return end + 1
    return stop + 1
