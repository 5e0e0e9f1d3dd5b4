"""The feed iterator: resumes by itself, loses and repeats nothing, and stops where it must."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx2
import pytest

from tests.unit.fake_service import TOKEN, URL, FakeService, FakeTiming, problem, served, sse
from tradetrail.client.audit_log import AuditLog
from tradetrail.client.feed import FeedState, Gap
from tradetrail.errors import (
    Forbidden,
    Gone,
    Internal,
    Invalid,
    TradeTrailError,
    Unauthenticated,
    Unavailable,
)


def record(number: int) -> bytes:
    text = (
        f'{{"specversion":"1.0","id":"e{number}","source":"s","type":"t",'
        '"authid":"jane","data":{}}'
    )
    return b"id: %d\ndata: %s\n\n" % (number, served(text.encode(), number))


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def timing() -> FakeTiming:
    return FakeTiming()


@pytest.fixture
def log(service: FakeService, timing: FakeTiming) -> Iterator[AuditLog]:
    with AuditLog(URL, TOKEN, transport=service.transport, timing=timing.timing) as opened:
        yield opened


def test_resumes_strictly_after_the_last_whole_record(log: AuditLog, service: FakeService) -> None:
    service.streams += [
        sse(b"retry: 100\nid: 0\n\n", record(1), record(2)[:-1]),
        sse(record(2), record(3)),
    ]
    feed = log.feed("jane")
    assert [item.userseq for item in itertools.islice(feed, 3)] == [1, 2, 3]
    first, second = service.requests
    assert "last-event-id" not in first.headers
    assert first.url.params["from"] == "latest"
    assert second.headers["last-event-id"] == "1"
    assert "from" not in second.url.params


def test_a_drop_before_the_first_record_resumes_at_the_announced_position(
    log: AuditLog, service: FakeService
) -> None:
    service.streams += [sse(b"id: 41\n\n"), sse(record(42))]
    assert next(log.feed("jane")).userseq == 42
    assert service.requests[1].headers["last-event-id"] == "41"


def test_twenty_drops_give_each_record_once(log: AuditLog, service: FakeService) -> None:
    for number in range(1, 21):
        service.streams.append(sse(record(number), record(number + 1)[:30]))
    feed = log.feed("jane", from_="earliest")
    assert [item.userseq for item in itertools.islice(feed, 20)] == list(range(1, 21))


def test_waits_as_the_stream_asked_and_longer_with_each_failure(
    log: AuditLog, service: FakeService, timing: FakeTiming
) -> None:
    def ask() -> None:
        service.streams.append(sse(b"retry: 1000\n\n", record(1)))
        service.streams.append(lambda: problem(503, "full", **{"Retry-After": "7"}))
        service.streams.append(lambda: httpx2.Response(502))
        service.streams.append(sse(record(2)))

    ask()
    states: list[tuple[FeedState, float]] = []
    feed = log.feed("jane", on_state=lambda state, reason, wait_s: states.append((state, wait_s)))
    assert [next(feed).userseq, next(feed).userseq] == [1, 2]
    assert timing.sleeps == [0.75, 7 + 1.5, 3.0]
    assert [state for state, _ in states] == [
        FeedState.LIVE,
        FeedState.WAITING,
        FeedState.WAITING,
        FeedState.WAITING,
        FeedState.LIVE,
    ]


def test_a_named_end_connects_again_and_tells_the_reason(
    log: AuditLog, service: FakeService
) -> None:
    service.streams += [
        sse(record(1), b'event: end\ndata: {"reason":"shutdown"}\n\n', record(9)),
        sse(record(2)),
    ]
    reasons: list[str] = []
    feed = log.feed("jane", on_state=lambda state, reason, wait_s: reasons.append(reason))
    assert [next(feed).userseq, next(feed).userseq] == [1, 2]
    assert "shutdown" in reasons


def test_a_gap_ends_the_iteration_unless_someone_takes_it(
    log: AuditLog, service: FakeService
) -> None:
    gap = b'event: gap\nid: 5\ndata: {"from":"1","to":"5"}\n\n'
    service.streams += [sse(gap, record(6)), sse(gap, record(6))]
    with pytest.raises(Gone, match="last_event_id='5'"):
        next(log.feed("jane", from_="earliest"))
    gaps: list[Gap] = []
    assert next(log.feed("jane", from_="earliest", on_gap=gaps.append)).userseq == 6
    assert gaps == [Gap('{"from":"1","to":"5"}', "5")]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Invalid), (401, Unauthenticated), (403, Forbidden), (410, Gone)]
)
def test_stops_where_connecting_again_is_no_help(
    log: AuditLog, service: FakeService, status: int, kind: type[TradeTrailError]
) -> None:
    service.streams += [sse(record(1)), lambda: problem(status, "no", "not for you")]
    feed = log.feed("jane")
    assert next(feed).userseq == 1
    with pytest.raises(kind, match="not for you"):
        next(feed)
    assert feed.last_event_id == "1"


def test_204_ends_the_iteration(log: AuditLog, service: FakeService) -> None:
    service.streams += [lambda: httpx2.Response(204)]
    assert list(log.feed("jane")) == []


def test_an_answer_that_is_no_event_stream_is_an_error(log: AuditLog, service: FakeService) -> None:
    service.streams += [lambda: httpx2.Response(200, text="<html>")]
    with pytest.raises(Internal, match="text/plain"):
        next(log.feed("jane"))


def test_a_service_that_is_not_there_is_an_error_at_once_unless_asked_to_wait(
    log: AuditLog, service: FakeService, timing: FakeTiming
) -> None:
    service.failures.append(httpx2.ConnectError("refused"))
    with pytest.raises(Unavailable, match="is it running"):
        next(log.feed("jane"))
    assert timing.sleeps == []
    service.failures += [httpx2.ConnectError("refused")] * 3
    service.streams.append(sse(record(1)))
    assert next(log.feed("jane", wait=True)).userseq == 1


def test_a_connection_that_breaks_in_the_middle_is_resumed(
    log: AuditLog, service: FakeService
) -> None:
    def broken() -> httpx2.Response:
        def stream() -> Iterator[bytes]:
            yield record(1)
            raise httpx2.ReadTimeout("silence")

        return httpx2.Response(
            200, headers={"Content-Type": "text/event-stream; charset=utf-8"}, content=stream()
        )

    service.streams += [broken, sse(record(2))]
    feed = log.feed("jane")
    assert [next(feed).userseq, next(feed).userseq] == [1, 2]


def test_several_users_and_whole_logs_are_asked_for_on_one_connection(
    log: AuditLog, service: FakeService
) -> None:
    service.streams += [sse(record(1)), sse(record(1))]
    next(log.feed(["jane", "a/b?%ß"]))
    assert service.requests[0].url.params.get_list("user") == ["jane", "a/b?%ß"]
    next(log.feed(log="03"))
    assert service.requests[1].url.params["log"] == "03"


def test_a_feed_of_nothing_or_of_too_many_is_refused(log: AuditLog) -> None:
    for users in ((), ["u"] * 51):
        with pytest.raises(Invalid, match="1 to 50"):
            log.feed(users)
    with pytest.raises(Invalid, match="one log"):
        log.feed("jane", log="03")


def test_closing_ends_the_iteration_and_keeps_the_position(
    log: AuditLog, service: FakeService
) -> None:
    service.streams.append(sse(record(1), record(2)))
    with log.feed("jane") as feed:
        assert next(feed).userseq == 1
    assert list(feed) == []
    assert feed.last_event_id == "1"
