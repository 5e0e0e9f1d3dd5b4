"""A record: an event plus what the service adds.

A record as served is one JSON object: ``userseq``, ``log``, ``logindex`` and ``storedtime`` first, then the
received text of the event after its opening brace, unchanged to the byte.
"""

from __future__ import annotations

import msgspec

from tradetrail.times import format_ns

__all__ = ["Record", "event_text", "one_line", "record_text"]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One stored event with its numbers.

    ``storedtime_ns`` is nanoseconds since 1970 UTC; ``text`` the event exactly as received.
    """

    userseq: int
    log: str
    logindex: int
    storedtime_ns: int
    text: bytes


def record_text(record: Record) -> bytes:
    """The record as served: the four attributes first, then the event's own bytes."""
    head = (
        f'{{"userseq":"{record.userseq}","log":"{record.log}","logindex":"{record.logindex}",'
        f'"storedtime":"{format_ns(record.storedtime_ns)}",'
    )
    return head.encode() + record.text[1:]


def event_text(served: bytes) -> bytes:
    """The event's own bytes from a record as served: the inverse of ``record_text``."""
    mark = b'"storedtime":"'
    start = served.index(mark) + len(mark)
    return b"{" + served[served.index(b'",', start) + 2 :]


def one_line(served: bytes) -> bytes:
    """The same JSON without raw line breaks, for line-based forms (SSE, NDJSON).

    A raw CR or LF is legal in JSON only between tokens, so a space in its place changes no value.
    """
    if b"\n" in served or b"\r" in served:
        return served.replace(b"\r", b" ").replace(b"\n", b" ")
    return served
