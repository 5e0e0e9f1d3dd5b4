"""The live feed: resume, seam, several users, whole logs, refusals, and how it ends."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.cluster.calls import feed, make_event, send, take
from tests.cluster.conftest import Service


def numbers(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["userseq"]) for record in records]


def test_a_feed_begins_with_where_it_stands_and_goes_on_live(service: Service) -> None:
    send(service, [make_event("live", number) for number in range(3)])
    with feed(service, user="live") as events:
        first = next(events)
        assert (first.id, first.data) == ("3", "")
        assert first.retry is not None
        send(service, [make_event("live", number) for number in range(3, 6)])
        assert numbers(take(events, 3)) == [4, 5, 6]
    with feed(service, user="live", **{"from": "earliest"}) as events:
        assert numbers(take(events, 6)) == [1, 2, 3, 4, 5, 6]


def test_a_user_that_does_not_exist_yet_can_be_followed(service: Service) -> None:
    with feed(service, user="not-yet") as events:
        assert next(events).id == "0"
        send(service, [make_event("not-yet", 1)])
        assert numbers(take(events, 1)) == [1]


def test_two_viewers_that_come_and_go_under_load_both_see_everything(service: Service) -> None:
    count = 1_500
    seen: list[list[int]] = [[], []]

    def view(index: int) -> None:
        last = "0"
        while len(seen[index]) < count:
            with feed(service, last, user="seam") as events:
                share = min(100 + 37 * index, count - len(seen[index]))
                seen[index] += numbers(take(events, share))
                last = str(seen[index][-1])

    viewers = [threading.Thread(target=view, args=(index,)) for index in range(2)]
    for viewer in viewers:
        viewer.start()
    for start in range(0, count, 50):
        send(service, [make_event("seam", number) for number in range(start, start + 50)])
    for viewer in viewers:
        viewer.join(60)
        assert not viewer.is_alive()
    assert seen == [list(range(1, count + 1))] * 2


def test_several_users_come_over_one_connection_and_resume_by_one_cursor(service: Service) -> None:
    users = [f"joint-{number}" for number in range(5)]
    for user in users:
        send(service, [make_event(user, number) for number in range(4)])
    seen: dict[str, list[int]] = {user: [] for user in users}
    with feed(service, user=users, **{"from": "earliest"}) as events:
        for _ in range(11):
            event = next(event for event in events if event.data)
            record = event.json()
            seen[record["authid"]].append(int(record["userseq"]))
            last = event.id
    with feed(service, last, user=users) as events:
        for record in take(events, 9):
            seen[record["authid"]].append(int(record["userseq"]))
        send(service, [make_event(user, 4) for user in users])
        for record in take(events, 5):
            seen[record["authid"]].append(int(record["userseq"]))
    assert seen == {user: [1, 2, 3, 4, 5] for user in users}


def test_a_whole_log_is_followed_by_its_positions(service: Service) -> None:
    (result,) = send(service, [make_event("whole-log", 1)])
    log, before = result["log"], int(result["logindex"])
    with feed(service, str(before - 1), log=log) as events:
        (record,) = take(events, 1)
        assert (record["log"], record["logindex"]) == (log, str(before))
        send(service, [make_event("whole-log", 2)])
        (record,) = take(events, 1)
        assert record["logindex"] == str(before + 1)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"user": "refused", "last_event_id": "3"}, 400, "event_id_ahead"),
        ({"user": "refused", "last_event_id": "garbage"}, 400, "invalid_event_id"),
        ({"user": ["refused", "b"], "last_event_id": "1"}, 400, "invalid_cursor"),
        ({}, 400, "invalid_parameter"),
        ({"user": ""}, 400, "invalid_parameter"),
        ({"user": [f"u{number}" for number in range(51)]}, 400, "invalid_parameter"),
        ({"log": "99"}, 400, "no_such_log"),
        ({"log": "00", "user": "a"}, 400, "invalid_parameter"),
        ({"user": "refused", "from": "yesterday"}, 400, "invalid_parameter"),
        ({"user": "refused", "since": "1"}, 400, "unknown_parameter"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    service: Service, query: dict[str, Any], status: int, code: str
) -> None:
    send_once(service)
    answer = service.request("GET", "/v1/feed", params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def send_once(service: Service) -> None:
    service.request(
        "POST",
        "/v1/events",
        json=make_event("refused", 1),
        headers={"Content-Type": "application/cloudevents+json"},
    )


def test_a_feed_ends_when_its_token_expires(service: Service) -> None:
    made = service.request(
        "POST",
        "/v1/tokens",
        json={"name": "brief", "scopes": ["audit:read"], "expires_in_s": 3},
    ).json()
    with feed(service, user="brief", token=made["token"]) as events:
        opened_s = time.monotonic()
        ends = [event for event in events if event.event == "end"]
    assert [event.json()["reason"] for event in ends] == ["token_expired"]
    assert time.monotonic() - opened_s < 3 + 5
