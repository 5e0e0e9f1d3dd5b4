"""Finds FIX messages in a log, in bounded memory.

A message begins at ``8=FIX...`` with any text before it on its line. Fields are separated by what
follows that first field, SOH or ``|``. ``framing`` tells where it ends, ``message`` splits it.
Several messages may share a line, and a message may hold line breaks.

Nothing is dropped silently: a line without a message, a message that never ends, one that another
begins in, and one that is too long are each reported once as ``Junk``, which holds no text of the
log, since a broken message may hold a password.

Invariants: ``raw`` is a slice of the log; how the stream is cut into reads changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from tradetrail.fix.framing import (
    MESSAGE_BYTES_MAX,
    START_BYTES_MAX,
    Broken,
    end_of_message,
    find_start,
)
from tradetrail.fix.message import RawMessage, read_message

__all__ = ["NO_MESSAGE", "READ_BYTES", "Junk", "read_messages"]

#: Reason: text on a line that holds no message.
NO_MESSAGE = "no_message"
#: One read; memory is a few of these, whatever the log.
READ_BYTES = 256 * 1024
#: Bytes behind a start that must be in the window before the message is framed.
_AHEAD_BYTES = MESSAGE_BYTES_MAX + 64


class Junk(msgspec.Struct, frozen=True, gc=False):
    """Something in the log that is no message: its line, from 1, and a reason."""

    line: int
    reason: str


def read_messages(stream: BinaryIO) -> Iterator[RawMessage | Junk]:
    """All messages of the log in order, and what lies between them.

    Args:
        stream: an open binary file or pipe; it is read to its end and not closed.

    Raises:
        OSError: the stream's own.
    """
    window = _Window(stream)
    lines = _Lines()
    while True:
        start = find_start(window.held, window.position)
        if start is None:
            # A start may be cut by the window's end; everything before that is text between
            # messages.
            keep = 0 if window.ended else START_BYTES_MAX
            stop = max(window.position, len(window.held) - keep)
            yield from lines.between(window.held[window.position : stop])
            window.position = stop
            if window.ended:
                yield from lines.last()
                return
            window.fill()
            continue
        yield from lines.between(window.held[window.position : start.position])
        window.position = start.position
        if window.fill(_AHEAD_BYTES):
            continue
        end = end_of_message(window.held, start)
        line = lines.begin_message()
        if isinstance(end, Broken):
            yield Junk(line, end.reason)
            end = end.resume
        else:
            yield read_message(window.held[start.position : end], line, start.delimiter)
        lines.pass_over(window.held[start.position : end])
        window.position = end


class _Window:
    """The part of the stream that is held."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.held = b""
        #: All before it is done with.
        self.position = 0
        self.ended = False

    def fill(self, ahead_bytes: int = READ_BYTES) -> bool:
        """Reads until that many bytes lie ahead or the stream ends; whether the window moved."""
        if self.ended or len(self.held) - self.position >= ahead_bytes:
            return False
        parts = [self.held[self.position :]]
        ahead = len(parts[0])
        while ahead < ahead_bytes and not self.ended:
            part = self._stream.read(READ_BYTES)
            self.ended = not part
            parts.append(part)
            ahead += len(part)
        self.held = b"".join(parts)
        self.position = 0
        return True


class _Lines:
    """Counts lines and finds those that hold text and no message."""

    def __init__(self) -> None:
        self._line = 1
        #: The current line holds text outside messages.
        self._text = False
        #: The current line holds a message, or something already reported.
        self._accounted = False

    def between(self, text: bytes) -> Iterator[Junk]:
        """Takes text that lies between messages."""
        first, *others = text.split(b"\n")
        self._text = self._text or bool(first.strip())
        for part in others:
            yield from self.last()
            self._line += 1
            self._text = bool(part.strip())
            self._accounted = False

    def begin_message(self) -> int:
        """The line a message begins on; text before it on the line is its prefix."""
        self._accounted = True
        return self._line

    def pass_over(self, message: bytes) -> None:
        """Takes what ``begin_message`` announced."""
        self._line += message.count(b"\n")

    def last(self) -> Iterator[Junk]:
        """Ends the current line."""
        if self._text and not self._accounted:
            yield Junk(self._line, NO_MESSAGE)
