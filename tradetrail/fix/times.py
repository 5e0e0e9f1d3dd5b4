"""Times of FIX as times of CloudEvents.

FIX writes UTCTimestamp as ``20180223-19:16:24.424``, always UTC, with no or up to twelve digits of
a second. The event's ``time`` keeps the digits that stand there, none added; digits past the
nanosecond, which the service does not order by, stay in ``data`` only.

Invariant: what comes out is a time the service files under; its own reader has the last word.
"""

from __future__ import annotations

import re

from tradetrail.errors import Invalid
from tradetrail.times import parse_rfc3339

__all__ = ["event_time"]

_FRACTION_DIGITS_MAX = 9
_UTC_TIMESTAMP = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})-([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,12}))?", re.ASCII
)


def event_time(text: str) -> str | None:
    """RFC 3339 in ``Z`` for a FIX UTCTimestamp; ``None`` where the text is none the service takes.

    A leap second (``23:59:60``) is kept as it is.
    """
    found = _UTC_TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    year, month, day, clock, fraction = found.groups()
    if clock.endswith("60") and clock != "23:59:60":
        return None
    tail = f".{fraction[:_FRACTION_DIGITS_MAX]}" if fraction else ""
    time = f"{year}-{month}-{day}T{clock}{tail}Z"
    try:
        parse_rfc3339(time)
    except Invalid:
        return None
    return time
