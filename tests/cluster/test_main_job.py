"""The main job, end to end, on a real service in both proxy modes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard
from cloudevents.core.bindings.http import to_binary_event, to_structured_event  # the official SDK
from cloudevents.core.v1.event import CloudEvent

from tests.cluster.calls import feed, make_event, post, walk
from tests.cluster.conftest import Service
from tradetrail.record import event_text


def test_a_batch_is_stored_once_and_comes_back_byte_exact(service: Service) -> None:
    texts = [json.dumps(make_event("exact", number), indent=1) for number in range(25)]
    body = ("[" + ",".join(texts) + "]").encode()
    first = post(service, body)
    assert (first.status_code, first.json()["stored"]) == (200, 25)
    again = post(service, zstandard.compress(body), **{"Content-Encoding": "zstd"})
    assert (again.json()["stored"], again.json()["duplicates"]) == (0, 25)
    assert [item["userseq"] for item in again.json()["results"]] == [
        item["userseq"] for item in first.json()["results"]
    ]
    for result, text in zip(first.json()["results"], texts, strict=True):
        served = service.request("GET", f"/v1/records/{result['log']}/{result['logindex']}")
        assert event_text(served.content) == text.encode()


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_any_size_give_the_same_records(service: Service, limit: int, order: str) -> None:
    events = [make_event("pages", number) for number in range(23)]
    post(service, json.dumps(events).encode())
    items = walk(service, "pages", limit, order=order)
    numbers = [int(item["userseq"]) for item in items]
    assert numbers == (list(range(1, 24)) if order == "asc" else list(range(23, 0, -1)))


def test_filters_are_exact_and_half_open(service: Service) -> None:
    events = [make_event("filters", number) for number in range(20)]
    events.append(make_event("filters", 20, type="tradetrail.execution.report.v1"))
    post(service, json.dumps(events).encode())
    query = {"from": "2026-01-02T03:04:05Z", "to": "2026-01-02T04:04:10+01:00"}
    assert [item["id"] for item in walk(service, "filters", 2, **query)] == [
        "5",
        "6",
        "7",
        "8",
        "9",
    ]
    found = walk(service, "filters", 3, type="tradetrail.execution.*")
    assert [item["id"] for item in found] == ["20"]
    assert [item["id"] for item in walk(service, "filters", 3, ClOrdID="C7")] == ["7"]


def test_one_bad_event_never_costs_a_good_one(service: Service) -> None:
    body = json.dumps([make_event("mixed", 1), {"id": 5}, make_event("mixed", 2)]).encode()
    for stored in (2, 0, 0):
        answer = post(service, body, Prefer="return=minimal")
        assert answer.status_code == 207
        assert (answer.json()["stored"], answer.json()["rejected"]) == (stored, 1)
        (refused,) = answer.json()["results"]
        assert (refused["index"], refused["code"], refused["retry"]) == (
            1,
            "missing_attribute",
            False,
        )


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "not_a_json_array"),
        (b"null", {}, 400, "not_a_json_array"),
        (b" \r\n", {}, 400, "not_a_json_array"),
        (b'{"events":[]}', {}, 400, "not_a_json_array"),
        (gzip.compress(b""), {"Content-Encoding": "gzip"}, 400, "not_a_json_array"),
        (b'[{"id":"1"},{"id"', {}, 400, "invalid_json"),
        (b'[{"a":"\xff"}]', {}, 400, "invalid_utf8"),
        (b"[]", {"Content-Encoding": "gzip"}, 400, "invalid_content_coding"),
        (b"[]", {"Content-Encoding": "gzip, gzip"}, 415, "unsupported_content_encoding"),
        (b"[]", {"Content-Encoding": "deflate"}, 415, "unsupported_content_encoding"),
        (gzip.compress(b"[]")[:-4], {"Content-Encoding": "gzip"}, 400, "invalid_content_coding"),
        (gzip.compress(bytes(200_000_000), 1), {"Content-Encoding": "gzip"}, 413, "body_too_large"),
        (
            zstandard.compress(bytes(200_000_000)),
            {"Content-Encoding": "zstd"},
            413,
            "body_too_large",
        ),
        (b"[" + b" " * 5_300_000 + b"]", {}, 413, "body_too_large"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused_whole(
    service: Service, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = post(service, body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_batch_is_answered_with_zero_counts(service: Service) -> None:
    answer = post(service, b"[]")
    assert (answer.status_code, answer.json()["stored"], answer.json()["results"]) == (200, 0, [])


@pytest.mark.parametrize(
    "user", ["desk/eu", "..", "a%2Fb", "a b", "a+b", "?x", "#", "👩‍👩‍👧", "аlice", "m\u202egnp"]
)
def test_any_user_id_is_found_under_itself_only(service: Service, user: str) -> None:
    post(service, json.dumps([make_event(user, 1)], ensure_ascii=False).encode())
    assert [item["authid"] for item in walk(service, user, 10)] == [user]
    found = service.request("GET", "/v1/users", params={"prefix": user}).json()["items"]
    assert (user, "1") in [(item["user"], item["count"]) for item in found]


def test_an_empty_user_is_refused_and_an_unknown_one_has_no_events(service: Service) -> None:
    assert service.request("GET", "/v1/history", params={"user": ""}).status_code == 400
    answer = service.request("GET", "/v1/history", params={"user": "nobody"})
    assert answer.json() == {"items": [], "next_cursor": None, "complete": True}


def test_a_cursor_of_another_question_is_refused(service: Service) -> None:
    post(service, json.dumps([make_event("cursors", number) for number in range(5)]).encode())
    page = service.request("GET", "/v1/history", params={"user": "cursors", "limit": 2}).json()
    for query in (
        {"user": "other", "cursor": page["next_cursor"]},
        {"user": "cursors", "cursor": "A" + page["next_cursor"][1:]},
        {"user": "cursors", "cursor": "ü"},
    ):
        answer = service.request("GET", "/v1/history", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/events"),
        ("GET", "/v1/history?user=u"),
        ("GET", "/v1/users"),
        ("GET", "/v1/records/00/1"),
    ],
)
@pytest.mark.parametrize("token", ["", "Bearer", "Bearer tt_x_y", "Basic eDp5"])
def test_nothing_is_open_without_a_token(
    service: Service, method: str, path: str, token: str
) -> None:
    answer = service.request(method, path, headers={"Authorization": token})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("bind", [to_structured_event, to_binary_event])
def test_the_official_sdk_is_understood(service: Service, bind: Any) -> None:
    user = f"sdk-{bind.__name__}"
    attributes = make_event(user, 1)
    data = attributes.pop("data")
    attributes["time"] = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
    message = bind(CloudEvent(attributes=attributes, data=data))
    answer = service.request(
        "POST", "/v1/events", content=message.body, headers=dict(message.headers)
    )
    assert (answer.status_code, answer.json()["stored"]) == (200, 1), answer.text
    (item,) = walk(service, user, 10)
    assert item["data"] == data
    assert item["time"].startswith("2026-01-02T03:04:05.678901")


def test_binary_mode_is_stored_as_the_structured_form(service: Service) -> None:
    headers = {
        f"ce-{name}": str(value)
        for name, value in make_event("binary", 1).items()
        if name != "data"
    }
    answer = post(service, b'{"Price":0.10}', **headers, **{"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    (item,) = walk(service, "binary", 10)
    assert item["data"] == {"Price": 0.1}


def test_a_bomb_without_a_token_is_not_even_opened(service: Service) -> None:
    bomb = gzip.compress(bytes(200_000_000), 1)
    answer = post(service, bomb, **{"Content-Encoding": "gzip", "Authorization": "Bearer tt_x_y"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


DIGITS = (
    '{"ClOrdID":9007199254740993,"OrderID":18446744073709551616,"ExecID":-9223372036854775809,'
    '"Price":0.10,"OrderQty":1E+8,"a":7.3e-7,"b":-0,"c":-0.00,"d":2706.93,'
    '"e":0.1234567890123456789012345678901234567890,"f":"1,5"}'
)


def test_every_digit_comes_out_as_it_went_in(service: Service) -> None:
    event = json.dumps(make_event("digits", 1, data=None, time="2016-12-31T23:59:60.500Z"))
    text = event.replace('"data": null', f'"data":{DIGITS}')
    assert post(service, f"[{text}]".encode()).json()["stored"] == 1
    query = {"user": "digits"}
    page = service.request("GET", "/v1/history", params=query).text
    lines = service.request(
        "GET", "/v1/history", params=query, headers={"Accept": "application/x-ndjson"}
    ).text
    with feed(service, user="digits", **{"from": "earliest"}) as events:
        live = next(event.data for event in events if event.data)
    for answer in (page, lines, live):
        assert DIGITS in answer
        assert "23:59:60.500Z" in answer
    table = service.request("GET", "/v1/history", params=query, headers={"Accept": "text/csv"}).text
    (row,) = csv.DictReader(io.StringIO(table, newline=""))
    assert (row["ClOrdID"], row["OrderID"]) == ("9007199254740993", "18446744073709551616")
    assert (row["Price"], row["OrderQty"], row["data"]) == ("0.10", "1E+8", DIGITS)
    found = service.request("GET", "/v1/lookup", params={"ClOrdID": "9007199254740993"}).json()
    assert [item["authid"] for item in found["items"]] == ["digits"]


def test_a_leap_second_stands_between_its_minute_and_the_next(service: Service) -> None:
    times = ("23:59:59.999", "23:59:60", "23:59:60.500")
    events = [
        make_event("leap", number, time=f"2016-12-31T{time}Z") for number, time in enumerate(times)
    ]
    events.append(make_event("leap", 3, time="2017-01-01T00:00:00Z"))
    events.append(make_event("leap", 4, time="2016-12-31T24:00:00Z"))
    answer = post(service, json.dumps(events).encode())
    assert (answer.status_code, answer.json()["stored"]) == (207, 4)
    assert answer.json()["results"][4]["code"] == "invalid_time"
    before = walk(service, "leap", 10, to="2017-01-01T00:00:00Z")
    assert [item["id"] for item in before] == ["0", "1", "2"]
    since = walk(service, "leap", 10, **{"from": "2016-12-31T23:59:60Z"})
    assert [item["id"] for item in since] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('"note":"ok \\ud83d end"', "invalid_text"),
        ('"data":{"Price":NaN}', "invalid_number"),
        ('"data":{"Price":1e400}', "invalid_number"),
        ('"data":{"a":1,"a":2}', "duplicate_key"),
        ('"\\u0061uthid":"bob"', "duplicate_key"),
        ('"data":' + "[" * 70 + "]" * 70, "too_deep"),
        ('"userseq":null', "reserved_attribute"),
    ],
)
def test_an_inexact_event_is_refused_alone(service: Service, text: str, code: str) -> None:
    good = json.dumps(make_event("exactly", 1))
    bad = json.dumps(make_event("exactly", 2, data=None)).replace('"data": null', text)
    for _ in range(2):
        answer = post(service, f"[{good},{bad}]".encode())
        assert answer.status_code == 207, answer.text
        assert answer.json()["results"][1]["code"] == code
    assert len(walk(service, "exactly", 10)) == 1


def test_normal_forms_of_one_name_are_two_users(service: Service) -> None:
    for number, name in enumerate(("Ame\u0301lie", "Am\u00e9lie")):
        events = [make_event(name, number, note="👩\u200d👩\u200d👧")]
        assert post(service, json.dumps(events).encode()).json()["stored"] == 1
        (item,) = walk(service, name, 10)
        assert (item["authid"], item["note"]) == (name, "👩\u200d👩\u200d👧")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/history?user=a&user=b", "invalid_parameter"),
        ("/v1/history?user=a&limit=1&limit=2", "invalid_parameter"),
        ("/v1/history?user=a&chain=", "invalid_parameter"),
        ("/v1/history?user=a&Symbol=", "invalid_parameter"),
        ("/v1/history?user=a&type=*", "invalid_parameter"),
        ("/v1/history?user=a&type=a.*.v1", "invalid_parameter"),
        ("/v1/history?user=a&form=2026-01-02T00:00:00Z", "unknown_parameter"),
        ("/v1/history?user=a&from=2026-01-02T00:00:00", "invalid_time"),
        ("/v1/history?user=a&limit=0", "invalid_parameter"),
        ("/v1/history?user=a&limit=1001", "invalid_parameter"),
        ("/v1/lookup?from=2026-01-02T00:00:00Z", "missing_parameter"),
        ("/v1/lookup?ClOrdID=", "invalid_parameter"),
    ],
)
def test_a_question_that_is_not_clear_is_not_answered(
    service: Service, path: str, code: str
) -> None:
    answer = service.request("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_walk_down_may_begin_above_the_newest_record(service: Service) -> None:
    post(service, json.dumps([make_event("down", number) for number in range(5)]).encode())
    for after in (6, 7, 1_000, 2**62):
        items = walk(service, "down", 2, order="desc", after=after)
        assert [item["userseq"] for item in items] == ["5", "4", "3", "2", "1"]
    assert [i["userseq"] for i in walk(service, "down", 2, order="desc", after=3)] == ["2", "1"]
    assert walk(service, "down", 2, order="desc", after=1) == []
