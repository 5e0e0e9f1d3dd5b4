"""Server-sent events as WHATWG HTML 9.2 defines them: bytes in, messages out.

Pure: no IO, no clock; reconnecting is ``tradetrail.client.feed``. However the bytes are cut into
chunks, the same messages come out. What follows the last blank line is never a message: a
connection that breaks in the middle of one loses nothing, because its id was not taken either.
"""

from __future__ import annotations

import re

import msgspec

from tradetrail.errors import Internal

__all__ = ["Message", "SseParser"]

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Milliseconds; more digits are no sensible pause and are ignored.
_RETRY = re.compile(r"[0-9]{1,9}")
#: A record is far smaller; a stream without line ends must not fill the memory.
_MESSAGE_BYTES_MAX = 16 * 1024 * 1024


class Message(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event. ``event`` is ``message`` where the stream named none."""

    event: str
    data: str
    last_event_id: str


class SseParser:
    """Parser of one stream; a new connection needs a new one.

    Args:
        last_event_id: what earlier connections left; it holds until the stream names another.
        message_bytes_max: bound of one message in bytes.
    """

    def __init__(
        self, last_event_id: str = "", message_bytes_max: int = _MESSAGE_BYTES_MAX
    ) -> None:
        #: Id of the last finished block, also of one without data.
        self.last_event_id = last_event_id
        #: The pause before reconnecting that the stream asked for last, in milliseconds.
        self.retry_ms: int | None = None
        self._message_bytes_max = message_bytes_max
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._id = last_event_id
        self._event = ""
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that this chunk finishes.

        Raises:
            Internal: a message is larger than the bound.
        """
        if not chunk:
            return []
        if self._after_cr and chunk[0] == 0x0A:
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        messages: list[Message] = []
        *ended, rest = _LINE_END.split(chunk)
        for piece in ended:
            self._line += piece
            line = bytes(self._line)
            self._line.clear()
            message = self._take(line)
            if message is not None:
                messages.append(message)
        self._line += rest
        if len(self._line) + self._data_bytes > self._message_bytes_max:
            raise Internal(
                "feed_message_too_large",
                f"the feed sent a message of more than {self._message_bytes_max} bytes",
            )
        return messages

    def _take(self, line: bytes) -> Message | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name:
            self._set(name, value.removeprefix(b" ").decode(errors="replace"))
        return None

    def _set(self, name: bytes, value: str) -> None:
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if "\0" not in value:
                self._id = value
        elif name == b"retry" and _RETRY.fullmatch(value):
            self.retry_ms = int(value)

    def _dispatch(self) -> Message | None:
        self.last_event_id = self._id
        message = None
        if self._data:
            message = Message(self._event or "message", "\n".join(self._data), self._id)
        self._event = ""
        self._data = []
        self._data_bytes = 0
        return message
