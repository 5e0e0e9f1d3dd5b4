"""The made-up day: the same from one seed, in order, and plausible as trading."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.fake_service import TOKEN, URL, FakeService, FakeTiming
from tradetrail.client.http import HttpService
from tradetrail.client.sender import BatchSender
from tradetrail.demo.chance import Chance
from tradetrail.demo.day import DAY_S, DemoEvent, trading_day
from tradetrail.demo.people import people
from tradetrail.demo.play import play, start_of_day_ns
from tradetrail.event import (
    EXECUTION_REPORT,
    MARKETDATA_REQUEST,
    ORDER_CANCEL_REJECT,
    ORDER_CANCEL_REQUEST,
    ORDER_NEW,
    ORDER_REPLACE_REQUEST,
    SESSION_LOGOFF,
    SESSION_LOGON,
)

START_NS = 1_772_442_000_000_000_000


@pytest.fixture(scope="module")
def day() -> list[DemoEvent]:
    return list(trading_day(7, 60, START_NS))


@pytest.fixture(scope="module")
def events(day: list[DemoEvent]) -> list[dict[str, Any]]:
    return [json.loads(event.text) for event in day]


def test_same_seed_gives_the_same_bytes() -> None:
    first = [event.text for event in itertools.islice(trading_day(3, 20, START_NS), 500)]
    again = [event.text for event in itertools.islice(trading_day(3, 20, START_NS), 500)]
    other = [event.text for event in itertools.islice(trading_day(4, 20, START_NS), 500)]
    assert first == again
    assert first != other


def test_events_come_in_order_of_time_within_the_day(
    day: list[DemoEvent], events: list[dict[str, Any]]
) -> None:
    offsets = [event.offset_s for event in day]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0
    assert offsets[-1] <= DAY_S
    times = [event["time"] for event in events]
    assert times == sorted(times)


def test_no_two_events_share_an_identity(events: list[dict[str, Any]]) -> None:
    identities = Counter((event["source"], event["id"]) for event in events)
    assert max(identities.values()) == 1


def test_days_that_begin_at_different_moments_have_different_sources() -> None:
    first = json.loads(next(trading_day(1, 5, START_NS)).text)
    second = json.loads(next(trading_day(1, 5, START_NS + 1)).text)
    assert first["source"] != second["source"]


def test_every_kind_of_action_occurs(events: list[dict[str, Any]]) -> None:
    assert {event["type"] for event in events} == {
        EXECUTION_REPORT,
        MARKETDATA_REQUEST,
        ORDER_CANCEL_REJECT,
        ORDER_CANCEL_REQUEST,
        ORDER_NEW,
        ORDER_REPLACE_REQUEST,
        SESSION_LOGOFF,
        SESSION_LOGON,
    }


def test_each_user_logs_on_first_and_off_last(events: list[dict[str, Any]]) -> None:
    by_user: dict[str, list[str]] = {}
    for event in events:
        by_user.setdefault(event["authid"], []).append(event["type"])
    assert len(by_user) == 60
    for types in by_user.values():
        assert types[0] == SESSION_LOGON
        assert types[-1] == SESSION_LOGOFF
        assert types.count(SESSION_LOGON) == types.count(SESSION_LOGOFF) == 1


def test_every_order_comes_to_an_end_and_quantities_add_up(events: list[dict[str, Any]]) -> None:
    last: dict[str, dict[str, Any]] = {}
    filled: Counter[str] = Counter()
    for event in events:
        if event["type"] == EXECUTION_REPORT:
            data = event["data"]
            filled[data["OrderID"]] += int(data.get("LastQty", "0"))
            assert int(data["CumQty"]) == filled[data["OrderID"]]
            last[data["OrderID"]] = data
    orders = sum(event["type"] == ORDER_NEW for event in events)
    assert len(last) == orders > 300
    for data in last.values():
        assert data["OrdStatus"] in {"2", "4", "8"}
        assert data["LeavesQty"] == "0"
        if data["OrdStatus"] == "2":
            assert data["CumQty"] == data["OrderQty"]


def test_chains_lead_back_to_an_id_that_was_sent_before(events: list[dict[str, Any]]) -> None:
    sent: set[str] = set()
    chained = 0
    for event in events:
        data = event["data"]
        if "OrigClOrdID" in data:
            chained += 1
            assert data["OrigClOrdID"] in sent
        if event["initiator"] == "client" and "ClOrdID" in data:
            assert data["ClOrdID"] not in sent
            sent.add(data["ClOrdID"])
    assert chained > 100


def test_prices_are_decimal_strings_and_positive(events: list[dict[str, Any]]) -> None:
    for event in events:
        for name in ("Price", "LastPx"):
            if name in event["data"]:
                assert isinstance(event["data"][name], str)
                assert Decimal(event["data"][name]) > 0


def test_some_act_for_others_and_never_for_themselves(events: list[dict[str, Any]]) -> None:
    users = {event["authid"] for event in events}
    acting = [event for event in events if "onbehalfof" in event]
    assert acting
    for event in acting:
        assert event["onbehalfof"] in users - {event["authid"]}


def test_names_differ_and_some_need_unicode() -> None:
    names = [person.user for person in people(Chance("names"), 1_000)]
    assert len(set(names)) == len(names)
    assert sum(not name.isascii() for name in names) == 40


def test_an_event_is_about_as_long_as_a_usual_one(day: list[DemoEvent]) -> None:
    lengths = [len(event.text) for event in day]
    assert 300 < sum(lengths) / len(lengths) < 450
    assert max(lengths) < 1_000


def events_at(*offsets_s: float) -> list[DemoEvent]:
    return [
        DemoEvent(json.dumps(minimal(at)).encode(), "jane", offset_s)
        for at, offset_s in enumerate(offsets_s)
    ]


def minimal(number: int) -> dict[str, Any]:
    return {"specversion": "1.0", "id": str(number), "source": "s", "type": "t", "authid": "jane"}


def play_all(
    offsets_s: list[float], speed: float, seconds: float | None = None
) -> tuple[FakeService, FakeTiming]:
    service, time = FakeService(), FakeTiming()
    sender = BatchSender(HttpService(URL, TOKEN, transport=service.transport, timing=time.timing))
    play(
        events_at(*offsets_s),
        sender,
        speed=speed,
        seconds=seconds,
        timing=time.timing,
        on_progress=lambda offset_s: None,
    )
    return service, time


def test_events_are_sent_when_they_fall_due_and_together_where_they_are_close() -> None:
    service, time = play_all([0.0, 0.01, 0.02, 60.0, 180.0], speed=60)
    assert time.now_s == pytest.approx(3.0)
    assert len(service.texts) == 5
    assert len(service.requests) == 4


def test_playing_ends_after_the_given_seconds() -> None:
    service, time = play_all([0.0, 60.0, 120.0, 180.0], speed=60, seconds=2.0)
    assert len(service.texts) == 3
    assert time.now_s == pytest.approx(2.0)


def test_a_day_played_fast_never_lies_in_the_future() -> None:
    assert start_of_day_ns(10**18, 100.0, 1.0) == 10**18
    assert start_of_day_ns(10**18, 100.0, 0.5) == 10**18
    start_ns = start_of_day_ns(10**18, 100.0, 50.0)
    # After the 2 s that it takes, the day's last event is of that very moment.
    assert start_ns + 100 * 10**9 == 10**18 + 2 * 10**9
