"""One user action as a CloudEvents 1.0 event, and what the service knows of it after one full scan.

Lives here: the values. The scanner that makes them from bytes is ``tradetrail.scan``; the record that is
served is ``tradetrail.record``. Pure: no clock, no IO.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "EXECUTION_REPORT",
    "LOOKUP_FIELDS",
    "MARKETDATA_REQUEST",
    "ORDER_CANCEL_REJECT",
    "ORDER_CANCEL_REQUEST",
    "ORDER_NEW",
    "ORDER_REPLACE_REQUEST",
    "ORDER_STATUS_REQUEST",
    "RESERVED_ATTRIBUTES",
    "SERVICE_USER_PREFIX",
    "SESSION_LOGOFF",
    "SESSION_LOGON",
    "Event",
    "Limits",
    "Refusal",
]

ORDER_NEW = "tradetrail.order.new.v1"
ORDER_CANCEL_REQUEST = "tradetrail.order.cancel_request.v1"
ORDER_REPLACE_REQUEST = "tradetrail.order.replace_request.v1"
ORDER_STATUS_REQUEST = "tradetrail.order.status_request.v1"
ORDER_CANCEL_REJECT = "tradetrail.order.cancel_reject.v1"
EXECUTION_REPORT = "tradetrail.execution.report.v1"
MARKETDATA_REQUEST = "tradetrail.marketdata.request.v1"
SESSION_LOGON = "tradetrail.session.logon.v1"
SESSION_LOGOFF = "tradetrail.session.logoff.v1"

#: Fields of ``data`` that can be looked up over all users; ``subject`` is an attribute and joins them.
LOOKUP_FIELDS = ("ClOrdID", "OrigClOrdID", "OrderID", "ExecID", "Account", "Symbol", "subject")

#: Attributes the service itself adds to a record; a producer may not send them.
RESERVED_ATTRIBUTES = ("userseq", "log", "logindex", "storedtime")

#: Users that begin so are the service's own.
SERVICE_USER_PREFIX = "tradetrail:"


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted event: the received text and the facts the service files it under.

    ``time_key`` is the event's ``time`` as ``2 * nanoseconds since 1970 + leap`` (see ``tradetrail.times``),
    ``None`` where the event has none. ``lookups`` are ``(field, value)`` pairs of ``LOOKUP_FIELDS``.
    """

    user: str
    source: str
    id: str
    type: str
    time_key: int | None
    lookups: tuple[tuple[str, str], ...]
    #: The event exactly as received: one JSON object, first byte ``{``, last byte ``}``.
    text: bytes


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Why one event was not stored. ``pointer`` is relative to the event (``/authid``)."""

    code: str
    detail: str
    pointer: str = ""
    retry: bool = False


class Limits(msgspec.Struct, frozen=True):
    """Bounds of what is accepted; each refusal names the one it broke."""

    #: After inflating. 5 MiB keeps one request's memory small and 5,000 usual events fit.
    body_bytes: int = 5 * 1024 * 1024
    #: CloudEvents asks consumers to accept at least 64 KiB.
    event_bytes: int = 65_536
    batch_events: int = 10_000
    #: Levels of objects and arrays in one event, the event itself being the first.
    json_depth: int = 64
    #: UTF-8 bytes of ``authid`` and of ``id``.
    identifier_bytes: int = 256
    source_bytes: int = 1_024
