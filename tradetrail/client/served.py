"""A record as a reader receives it: the served JSON to the byte, and what is usually asked of it.

``raw`` is never re-encoded, therefore no digit, order or spelling of the event changes on the way.
Pure.
"""

from __future__ import annotations

import msgspec

from tradetrail.errors import Internal
from tradetrail.record import event_text

__all__ = ["ServedRecord"]


class ServedRecord(msgspec.Struct, frozen=True, gc=False):
    """One record of a history, a look-up or a feed."""

    userseq: int
    log: str
    logindex: int
    #: RFC 3339 with nanoseconds, the service's clock.
    storedtime: str
    user: str
    type: str
    source: str
    id: str
    #: The producer's time as it came; ``None`` where the event has none.
    time: str | None
    subject: str | None
    onbehalfof: str | None
    initiator: str | None
    #: JSON text of ``data``; empty where the event has none.
    data: bytes
    #: The record as served: one JSON object.
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> ServedRecord:
        """Reads a served record.

        Raises:
            Internal: the text is not a record; what answered is not this service.
        """
        try:
            found = _attributes.decode(raw)
            return cls(
                int(found.userseq),
                found.log,
                int(found.logindex),
                found.storedtime,
                found.authid,
                found.type,
                found.source,
                found.id,
                found.time,
                _text(found.subject),
                _text(found.onbehalfof),
                _text(found.initiator),
                bytes(found.data),
                raw,
            )
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise Internal("not_a_record", "the service sent something that is no record") from exc

    def event_text(self) -> bytes:
        """The event's own bytes, exactly as its producer sent them."""
        return event_text(self.raw)

    def fields(self) -> dict[str, str]:
        """Members of ``data`` that are strings or numbers, a number with its own digits."""
        if self.data[:1] != b"{":
            return {}
        members = _members.decode(self.data)
        texts = ((name, _text(value)) for name, value in members.items())
        return {name: text for name, text in texts if text is not None}


class _Attributes(msgspec.Struct, gc=False):
    userseq: str
    log: str
    logindex: str
    storedtime: str
    authid: str
    type: str
    source: str
    id: str
    time: str | None = None
    subject: msgspec.Raw = msgspec.Raw()
    onbehalfof: msgspec.Raw = msgspec.Raw()
    initiator: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


_attributes = msgspec.json.Decoder(_Attributes)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)


def _text(raw: msgspec.Raw) -> str | None:
    """A JSON string's value or a number's own digits; ``None`` for other types and absent ones."""
    token = bytes(raw)
    first = token[:1]
    if first == b'"':
        return _string.decode(token)
    if first.isdigit() or first == b"-":
        return token.decode()
    return None
