"""Times of FIX as times of CloudEvents.

FIX writes UTCTimestamp as ``20180223-19:16:24.424``, always UTC, with no or up to twelve digits of
a second. The event's ``time`` keeps the digits that stand there, none added; digits past the
nanosecond, which the service does not order by, stay in ``data`` only.
"""

from __future__ import annotations

import re
from datetime import date

__all__ = ["event_time"]

_FRACTION_DIGITS_MAX = 9
_UTC_TIMESTAMP = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})-([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,12}))?", re.ASCII
)


def event_time(text: str) -> str | None:
    """RFC 3339 in ``Z`` for a FIX UTCTimestamp; ``None`` where the text is none.

    A leap second (``23:59:60``) is kept as it is.
    """
    found = _UTC_TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction = found.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return None
    if hour > "23" or minute > "59" or not _second_exists(hour, minute, second):
        return None
    tail = f".{fraction[:_FRACTION_DIGITS_MAX]}" if fraction else ""
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{tail}Z"


def _second_exists(hour: str, minute: str, second: str) -> bool:
    return second <= "59" or (hour, minute, second) == ("23", "59", "60")
