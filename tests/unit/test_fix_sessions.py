"""Which side of a session is the client, and the times of FIX."""

from __future__ import annotations

import pytest

from tradetrail.errors import Invalid
from tradetrail.fix.sessions import ClientSides
from tradetrail.fix.times import event_time
from tradetrail.times import parse_rfc3339


def test_the_sender_of_the_first_logon_is_the_client_in_both_directions() -> None:
    sides = ClientSides()
    assert sides.sent_by_client("A", "LARK", "VENUE")
    assert not sides.sent_by_client("A", "VENUE", "LARK")
    assert not sides.sent_by_client("D", "VENUE", "LARK")
    assert sides.sent_by_client("8", "LARK", "VENUE")


def test_a_firm_may_log_on_first_and_is_then_the_client() -> None:
    sides = ClientSides()
    assert sides.sent_by_client("A", "VENUE", "LARK")
    assert not sides.sent_by_client("D", "LARK", "VENUE")


@pytest.mark.parametrize(
    ("message_type", "sender_is_client"),
    [("D", True), ("F", True), ("V", True), ("8", False), ("9", False), ("W", False)],
)
def test_a_log_that_begins_in_the_middle_is_decided_by_what_only_one_side_sends(
    message_type: str, sender_is_client: bool
) -> None:
    sides = ClientSides()
    assert sides.sent_by_client(message_type, "ONE", "TWO") is sender_is_client
    assert sides.sent_by_client("A", "TWO", "ONE") is not sender_is_client
    assert sides.sent_by_client("j", "ONE", "TWO") is sender_is_client


def test_while_nothing_is_decided_the_sender_counts_and_decides_nothing() -> None:
    sides = ClientSides()
    assert sides.sent_by_client("5", "VENUE", "LARK")
    assert sides.sent_by_client("A", "LARK", "VENUE")
    assert not sides.sent_by_client("5", "VENUE", "LARK")


def test_pairs_are_told_apart() -> None:
    sides = ClientSides()
    assert sides.sent_by_client("A", "LARK", "VENUE")
    assert sides.sent_by_client("A", "VENUE", "CLEARING")
    assert not sides.sent_by_client("8", "VENUE", "LARK")


def test_a_named_client_overrides_every_sign() -> None:
    sides = ClientSides("VENUE")
    assert not sides.sent_by_client("A", "LARK", "VENUE")
    assert sides.sent_by_client("8", "VENUE", "LARK")
    assert sides.sent_by_client("D", "LARK", "OTHER")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20180223-19:16:24", "2018-02-23T19:16:24Z"),
        ("20180223-19:16:24.424", "2018-02-23T19:16:24.424Z"),
        ("20180223-19:16:24.000", "2018-02-23T19:16:24.000Z"),
        ("20180223-19:16:24.123456789", "2018-02-23T19:16:24.123456789Z"),
        ("20180223-19:16:24.123456789012", "2018-02-23T19:16:24.123456789Z"),
        ("20161231-23:59:60", "2016-12-31T23:59:60Z"),
        ("20200229-00:00:00", "2020-02-29T00:00:00Z"),
    ],
)
def test_times_keep_their_digits_to_the_nanosecond(text: str, expected: str) -> None:
    assert event_time(text) == expected
    parse_rfc3339(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "20180223",
        "19:16:24",
        "20180229-00:00:00",
        "20181301-00:00:00",
        "20180223-24:00:00",
        "20180223-23:60:00",
        "20180223-12:00:60",
        "20180223-19:16:24.",
        "20180223-19:16:24Z",
        " 20180223-19:16:24",
        "20180223-19:16:24\n",
        "２0180223-19:16:24",
        "00000101-00:00:00",
    ],
)
def test_what_is_no_fix_time_gives_none(text: str) -> None:
    assert event_time(text) is None


@pytest.mark.parametrize("text", ["00010101-00:00:00", "18231231-23:59:59", "99991231-23:59:59"])
def test_a_time_the_service_would_refuse_is_no_time(text: str) -> None:
    with pytest.raises(Invalid):
        parse_rfc3339(f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:]}Z")
    assert event_time(text) is None
