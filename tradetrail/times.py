"""Times as the trail keeps them: nanoseconds, strict RFC 3339, and leap seconds that sort where they belong.

A time key is ``2 * nanoseconds since 1970 UTC + leap``. A leap second's instants all have the key of the last
nanosecond of their minute with the leap bit set: after every other instant of that minute, before the next.
The received text is kept beside the key, so no digit is lost. Keys fit a signed 64-bit number from 1824 to
2115.
"""

from __future__ import annotations

from calendar import timegm
from datetime import date
from functools import lru_cache
from time import gmtime

from tradetrail.errors import Invalid

__all__ = ["format_key", "format_ns", "parse_rfc3339", "time_key_from_ns"]

_NS = 1_000_000_000
_YEAR_MIN, _YEAR_MAX = 1824, 2115
#: FIX allows picoseconds; digits below the nanosecond stay in the text only.
_FRACTION_DIGITS_MAX = 12
#: Two digits of a second that is no leap second, and what they add to the key of their minute.
_SECOND_KEYS = {f"{second:02d}": second * _NS * 2 for second in range(60)}
#: What one more of the last digit adds to a key, by the number of fractional digits.
_FRACTION_KEYS: tuple[int, ...] = tuple(2 * 10 ** (9 - digits) for digits in range(10))


def parse_rfc3339(text: str) -> int:
    """The time key of an RFC 3339 timestamp with an offset.

    Raises:
        Invalid: ``invalid_time`` for any other form, a day or hour that does not exist, or a year
            outside 1824 to 2115.
    """
    # The usual forms at the cost of a look-up, since the events of a batch share their minutes; all else,
    # with every refusal, is read in full.
    second_key = _SECOND_KEYS.get(text[17:19])
    if second_key is not None:
        if text[-1] == "Z":
            fraction, minute = text[19:-1], text[:17]
        elif len(text) >= 25 and text[-6] in "+-":
            fraction, minute = text[19:-6], text[:17] + text[-6:]
        else:
            return _read(text)
        if not fraction:
            return _minute_key(minute) + second_key
        digits = fraction[1:]
        if fraction[0] == "." and digits.isdigit() and digits.isascii() and len(digits) < 10:
            return _minute_key(minute) + second_key + int(digits) * _FRACTION_KEYS[len(digits)]
    return _read(text)


def _read(text: str) -> int:
    if len(text) < 20 or text[10] not in "Tt" or text[13] != ":" or text[16] != ":":
        raise _invalid("it is not of the form 2026-01-02T03:04:05.123456789Z")
    hour, minute, second = _two(text, 11), _two(text, 14), _two(text, 17)
    if hour > 23 or minute > 59 or second > 60:
        raise _invalid("hours go to 23, minutes to 59 and seconds to 60")
    body = text[19:]
    if body[-1] in "Zz":
        fraction, offset_s = body[:-1], 0
    else:
        fraction, offset_s = body[:-6], _offset_s(body[-6:])
    second_of_day = hour * 3600 + minute * 60 + second - offset_s
    ns = _fraction_ns(fraction)
    days = _days(text[:10])
    if second == 60:
        return ((days * 86_400 + second_of_day) * _NS - 1) * 2 + 1
    return ((days * 86_400 + second_of_day) * _NS + ns) * 2


def time_key_from_ns(ns: int) -> int:
    """The key of an instant that is no leap second."""
    return ns * 2


def format_ns(ns: int) -> str:
    """RFC 3339 in UTC with nine fractional digits."""
    seconds, fraction = divmod(ns, _NS)
    return f"{_second_text(seconds)}.{fraction:09d}Z"


def format_key(key: int) -> str:
    """RFC 3339 in UTC of a time key; a leap second shows as second 60."""
    text = format_ns(key >> 1)
    return text if key & 1 == 0 else f"{text[:17]}60Z"


def _invalid(why: str) -> Invalid:
    return Invalid(
        "invalid_time", f"The time cannot be read: {why}. Use RFC 3339 with an offset.", 422
    )


def _two(text: str, at: int) -> int:
    digits = text[at : at + 2]
    if not (digits.isascii() and digits.isdigit()):
        raise _invalid("hours, minutes and seconds are two digits each")
    return int(digits)


def _fraction_ns(fraction: str) -> int:
    if not fraction:
        return 0
    digits = fraction[1:]
    if fraction[0] != "." or not (digits.isascii() and digits.isdigit()):
        raise _invalid("after the seconds stand a point with digits, then the offset")
    if len(digits) > _FRACTION_DIGITS_MAX:
        raise _invalid(f"it has {len(digits)} fractional digits, and the limit is 12")
    return int(digits[:9].ljust(9, "0"))


def _offset_s(text: str) -> int:
    if len(text) != 6 or text[0] not in "+-" or text[3] != ":":
        raise _invalid("its offset is neither Z nor of the form +01:00")
    hours, minutes = _two(text, 1), _two(text, 4)
    if hours > 23 or minutes > 59:
        raise _invalid("offsets go to 23:59")
    seconds = hours * 3600 + minutes * 60
    return -seconds if text[0] == "-" else seconds


@lru_cache(maxsize=4_096)
def _minute_key(minute: str) -> int:
    """The key of the first instant of ``2026-01-02T03:04:``, which an offset may follow."""
    return _read(f"{minute[:17]}00{minute[17:] or 'Z'}")


@lru_cache(maxsize=4_096)
def _days(text: str) -> int:
    """Days from 1970 to a calendar day."""
    year, month, day = text[:4], text[5:7], text[8:10]
    digits = year + month + day
    if text[4] != "-" or text[7] != "-" or not (digits.isascii() and digits.isdigit()):
        raise _invalid("its date is not of the form 2026-01-02")
    if not _YEAR_MIN <= int(year) <= _YEAR_MAX:
        raise _invalid(f"the year {year} is outside {_YEAR_MIN} to {_YEAR_MAX}")
    try:
        return date(int(year), int(month), int(day)).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError as error:
        raise _invalid(f"{text} is no day of the calendar") from error


@lru_cache(maxsize=4_096)
def _second_text(seconds: int) -> str:
    parts = gmtime(seconds)
    assert timegm(parts) == seconds
    return (
        f"{parts.tm_year:04d}-{parts.tm_mon:02d}-{parts.tm_mday:02d}"
        f"T{parts.tm_hour:02d}:{parts.tm_min:02d}:{parts.tm_sec:02d}"
    )
