"""The sender: every event ends as stored, duplicate or refused; the unclear is sent again."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fake_service import TOKEN, URL, FakeService, FakeTiming, problem
from tradetrail.client.batches import BatchBounds, Outgoing, Packer, body_of
from tradetrail.client.http import HttpService
from tradetrail.client.sender import BatchSender, SendCounts
from tradetrail.errors import Forbidden, Internal, Invalid, TradeTrailError, Unavailable
from tradetrail.event import Refusal


def event(number: int, user: str = "jane", **data: Any) -> bytes:
    body = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "test:sender",
        "type": "tradetrail.order.new.v1",
        "authid": user,
        "data": {"ClOrdID": f"C{number}", **data},
    }
    return json.dumps(body).encode()


class Sending:
    """A sender, the service it talks to, and what it told its listeners."""

    def __init__(self, bounds: BatchBounds | None = None, deadline_s: float | None = None) -> None:
        self.service = FakeService()
        self.time = FakeTiming()
        self.refused: list[tuple[Outgoing, Refusal]] = []
        self.waits: list[str] = []
        self.sender = BatchSender(
            HttpService(URL, TOKEN, transport=self.service.transport, timing=self.time.timing),
            bounds,
            on_refused=lambda event, refusal: self.refused.append((event, refusal)),
            on_wait=lambda reason, wait_s: self.waits.append(reason),
            deadline_s=deadline_s,
        )

    def send(self, *texts: bytes) -> SendCounts:
        for text in texts:
            self.sender.add(Outgoing(text))
        self.sender.flush()
        return self.sender.counts


def test_a_batch_is_zstd_json_that_asks_for_the_short_answer() -> None:
    sending = Sending()
    counts = sending.send(event(1), event(2))
    assert counts == SendCounts(sent=2, stored=2)
    (request,) = sending.service.requests
    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    assert request.headers["content-encoding"] == "zstd"
    assert request.headers["prefer"] == "return=minimal"
    frame = zstandard.get_frame_parameters(request.content)
    assert frame.window_size <= 8 * 1024 * 1024
    assert sending.service.texts == [event(1), event(2)]


def test_an_empty_batch_is_never_sent() -> None:
    sending = Sending()
    assert sending.send() == SendCounts()
    sending.sender.flush()
    assert sending.service.requests == []


def test_sending_twice_stores_nothing_new() -> None:
    sending = Sending()
    sending.send(event(1), event(2))
    assert sending.send(event(1), event(2)) == SendCounts(sent=4, stored=2, duplicates=2)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_passing_refusals_are_sent_again_until_they_pass(status: int) -> None:
    sending = Sending()
    sending.service.failures += [problem(status, "busy", "too busy")] * 3
    assert sending.send(event(1)) == SendCounts(sent=1, stored=1, repeats=3)
    assert sending.waits == ["too busy"] * 3
    assert sending.time.sleeps == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("cut"),
        httpx2.WriteError("reset"),
    ],
)
def test_broken_connections_are_sent_again(failure: Exception) -> None:
    sending = Sending()
    sending.service.failures += [failure] * 2
    assert sending.send(event(1)) == SendCounts(sent=1, stored=1, repeats=2)


def test_retry_after_is_the_least_wait() -> None:
    sending = Sending()
    sending.service.failures.append(problem(503, "full", **{"Retry-After": "9"}))
    sending.send(event(1))
    assert sending.time.sleeps == [9.1]


def test_waits_grow_to_a_bound_and_never_end_without_a_deadline() -> None:
    sending = Sending()
    sending.service.failures += [httpx2.ConnectError("refused")] * 50
    assert sending.send(event(1)).stored == 1
    assert max(sending.time.sleeps) == 15.0


def test_a_deadline_gives_up_and_says_what_is_safe() -> None:
    sending = Sending(deadline_s=20.0)
    sending.service.failures += [httpx2.ConnectError("refused")] * 50
    with pytest.raises(Unavailable, match="sending all again is safe"):
        sending.send(event(1))
    assert sending.time.now_s <= 20.0


def test_only_the_events_that_may_be_retried_are_sent_again() -> None:
    sending = Sending()
    away = {"code": "shard_unavailable", "detail": "shard 3 is away", "retry": True}
    sending.service.passing_refusals = {"e2": away}
    assert sending.send(event(1), event(2), event(3)) == SendCounts(sent=3, stored=3, repeats=1)
    again = zstandard.ZstdDecompressor().decompress(sending.service.requests[1].content)
    assert again == b"[" + event(2) + b"]"
    assert sending.refused == []


def test_final_refusals_are_reported_and_the_rest_goes_on() -> None:
    sending = Sending()
    sending.service.refusals = {
        "e2": {"code": "missing_attribute", "detail": "no", "pointer": "#/1/authid", "retry": False}
    }
    assert sending.send(event(1), event(2), event(3)) == SendCounts(sent=3, stored=2, refused=1)
    assert sending.refused == [
        (Outgoing(event(2)), Refusal("missing_attribute", "no", "#/1/authid"))
    ]


def test_all_refused_is_an_answer_too() -> None:
    sending = Sending()
    sending.service.refusals = {"e1": {"code": "bad", "detail": "no", "retry": False}}
    assert sending.send(event(1)) == SendCounts(sent=1, refused=1)


def test_a_conflict_is_a_refusal_and_of_a_resend_a_duplicate() -> None:
    sending = Sending()
    sending.send(event(1), event(2))
    sending.sender.add(Outgoing(event(1, other="x"), resend=True))
    sending.sender.add(Outgoing(event(2, other="x")))
    sending.sender.flush()
    assert sending.sender.counts == SendCounts(sent=4, stored=2, duplicates=1, refused=1)
    assert [refusal.code for _, refusal in sending.refused] == ["conflict"]


def test_too_large_a_body_is_halved_and_a_single_event_refused() -> None:
    sending = Sending()
    sending.service.body_bytes_max = 2 * len(event(1)) + 10
    large = event(3, text="x" * 500)
    counts = sending.send(event(1), event(2), large, event(4), event(5))
    assert counts == SendCounts(sent=5, stored=4, refused=1)
    assert sending.service.texts == [event(1), event(2), event(4), event(5)]
    assert sending.refused[0][1].code == "body_too_large"


def test_one_broken_text_does_not_cost_its_neighbours() -> None:
    sending = Sending()
    counts = sending.send(event(1), b'{"id":', event(2))
    assert counts == SendCounts(sent=3, stored=2, refused=1)
    assert sending.refused[0][0].text == b'{"id":'


def test_a_token_without_the_right_raises_and_is_not_retried() -> None:
    sending = Sending()
    sending.service.failures.append(problem(403, "missing_scope", "needs audit:write"))
    with pytest.raises(Forbidden, match="audit:write"):
        sending.send(event(1))
    assert len(sending.service.requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(200, text="<html>welcome</html>"),
        httpx2.Response(200, json={"stored": 5, "duplicates": 0, "rejected": 0, "results": []}),
        httpx2.Response(
            207,
            json={
                "stored": 0,
                "duplicates": 0,
                "rejected": 1,
                "results": [{"index": 7, "status": "rejected"}],
            },
        ),
        httpx2.Response(302, headers={"Location": "/login"}),
    ],
)
def test_an_answer_that_is_not_about_this_batch_raises(response: httpx2.Response) -> None:
    sending = Sending()
    sending.service.failures.append(response)
    with pytest.raises(TradeTrailError) as caught:
        sending.send(event(1))
    assert isinstance(caught.value, Internal)


def test_a_batch_is_full_at_its_number_or_its_bytes() -> None:
    sending = Sending(BatchBounds(events=2))
    sending.send(*(event(number) for number in range(5)))
    assert len(sending.service.requests) == 3
    small = Sending(BatchBounds(body_bytes=len(event(1)) + 2))
    small.send(event(1), event(2))
    assert len(small.service.requests) == 2


def test_bounds_that_hold_nothing_are_refused() -> None:
    with pytest.raises(Invalid, match="at least one event"):
        BatchBounds(events=0)


@given(
    lengths=st.lists(st.integers(2, 30)), events=st.integers(1, 5), body_bytes=st.integers(2, 60)
)
def test_packing_keeps_order_loses_nothing_and_respects_the_bounds(
    lengths: list[int], events: int, body_bytes: int
) -> None:
    packer = Packer(BatchBounds(events, body_bytes))
    given_events = [Outgoing(b"x" * length, str(at)) for at, length in enumerate(lengths)]
    batches = [packer.add(item) for item in given_events]
    batches.append(packer.take())
    batches = [batch for batch in batches if batch]
    assert [item for batch in batches for item in batch] == given_events
    for batch in batches:
        assert len(batch) <= events
        assert len(batch) == 1 or len(body_of(batch)) <= body_bytes
