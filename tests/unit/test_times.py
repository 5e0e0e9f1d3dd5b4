"""Times: strict, to the nanosecond, leap seconds in their place."""

from __future__ import annotations

import pytest

from tradetrail.errors import Invalid
from tradetrail.times import format_key, format_ns, parse_rfc3339


def test_nanoseconds_and_offsets_are_exact() -> None:
    key = parse_rfc3339("2026-01-02T03:04:05.123456789Z")
    assert key == 1_767_323_045_123_456_789 * 2
    assert parse_rfc3339("2026-01-02T04:04:05.123456789+01:00") == key
    assert parse_rfc3339("2026-01-01t21:34:05.123456789-05:30") == key
    assert format_ns(key // 2) == "2026-01-02T03:04:05.123456789Z"


def test_a_leap_second_sorts_after_its_minute_and_before_the_next() -> None:
    texts = [
        "2016-12-31T23:59:59.999Z",
        "2016-12-31T23:59:59.999999999Z",
        "2016-12-31T23:59:60Z",
        "2017-01-01T00:00:00Z",
    ]
    keys = [parse_rfc3339(text) for text in texts]
    assert keys == sorted(set(keys))
    assert parse_rfc3339("2016-12-31T23:59:60.500Z") == keys[2]
    assert format_key(keys[2]) == "2016-12-31T23:59:60Z"
    assert parse_rfc3339("2026-05-05T10:10:60Z") & 1 == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "20260102T030405Z000000",
        "2026-W01-1T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "1823-12-31T23:59:59Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890123Z",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05٣Z",
        "２026-01-02T03:04:05Z",
    ],
)
def test_what_is_no_rfc3339_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_rfc3339(text)
    assert caught.value.code == "invalid_time"


def test_digits_below_the_nanosecond_are_accepted_and_floored() -> None:
    assert parse_rfc3339("1970-01-01T00:00:00.000000001999Z") == 2
