"""Calls and values that the tests of this room share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx_sse

from tests.cluster.conftest import Service

BATCH = "application/cloudevents-batch+json"


def make_event(user: str, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "/oms",
        "type": "tradetrail.order.new.v1",
        "authid": user,
        "time": f"2026-01-02T03:04:{number % 60:02d}Z",
        "data": {"ClOrdID": f"C{number}", "Price": "0.10"},
        **changes,
    }


def post(service: Service, body: bytes, **headers: str) -> Any:
    return service.request(
        "POST", "/v1/events", content=body, headers={"Content-Type": BATCH, **headers}
    )


def walk(service: Service, user: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = {"user": user, "limit": limit, **query}
        if cursor:
            asked["cursor"] = cursor
        page = service.request("GET", "/v1/history", params=asked).json()
        items += page["items"]
        cursor = page["next_cursor"]
        assert page["complete"] is (cursor is None)
        if cursor is None:
            return items


def send(service: Service, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Post events in batches of 1,000; every one must be stored."""
    waiting = list(events)
    results: list[dict[str, Any]] = []
    for start in range(0, len(waiting), 1_000):
        part = waiting[start : start + 1_000]
        answer = post(service, json.dumps(part).encode())
        assert (answer.status_code, answer.json()["stored"]) == (200, len(part)), answer.text
        results += answer.json()["results"]
    return results


@contextmanager
def feed(
    service: Service, last_event_id: str = "", token: str = "", **query: Any
) -> Iterator[Iterator[httpx_sse.ServerSentEvent]]:
    """An independent SSE client on the live feed."""
    headers = {"Authorization": f"Bearer {token or service.token}"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    with (
        httpx.Client(timeout=30, headers=headers) as client,
        httpx_sse.connect_sse(client, "GET", f"{service.url}/v1/feed", params=query) as source,
    ):
        assert source.response.status_code == 200, source.response.read()
        yield source.iter_sse()


def take(events: Iterator[httpx_sse.ServerSentEvent], count: int) -> list[dict[str, Any]]:
    """The next records; control events are an error."""
    records: list[dict[str, Any]] = []
    while len(records) < count:
        event = next(events)
        if event.data:
            assert event.event == "message", event
            records.append(json.loads(event.data))
    return records
