"""The service as the browser tests call it from outside the page, and the events they send."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2
from playwright.sync_api import Route

__all__ = ["Endpoint", "order", "orders", "problem"]


@dataclass(frozen=True)
class Endpoint:
    """Where the service is, the token that opens it, and the code of its one-time sign-in link."""

    url: str
    token: str
    code: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a call from outside the page."""
        return {"Authorization": f"Bearer {self.token}"}

    def send(self, events: list[dict[str, Any]] | str) -> list[dict[str, Any]]:
        """Stores events and returns the results; a string is sent as the batch's exact text."""
        body = events if isinstance(events, str) else json.dumps(events)
        response = httpx2.post(
            f"{self.url}/v1/events",
            content=body.encode(),
            headers={**self.headers, "Content-Type": "application/cloudevents-batch+json"},
            timeout=60,
        )
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        return results

    def get(self, path: str, **query: str) -> httpx2.Response:
        """A GET from outside the page."""
        return httpx2.get(f"{self.url}{path}", params=query, headers=self.headers, timeout=60)


def problem(route: Route, status: int, title: str, detail: str, code: str) -> None:
    """Answers a call of the page with a problem document."""
    route.fulfill(
        status=status,
        headers={"Content-Type": "application/problem+json"},
        body=json.dumps({"title": title, "detail": detail, "code": code, "status": status}),
    )


def order(user: str, number: int, **data: Any) -> dict[str, Any]:
    """A new order of a user; ``data`` adds to its fields or replaces them."""
    second, millisecond = divmod(number, 1000)
    minute, second = divmod(second, 60)
    return {
        "specversion": "1.0",
        "id": f"order-{number}",
        "source": "test:page",
        "type": "tradetrail.order.new.v1",
        "authid": user,
        "time": f"2026-03-02T09:{minute:02d}:{second:02d}.{millisecond:03d}Z",
        "data": {
            "ClOrdID": f"C{number}",
            "Symbol": "DEMO",
            "Side": "1",
            "OrderQty": "100",
            "Price": "99.50",
            **data,
        },
    }


def orders(user: str, first: int, last: int) -> list[dict[str, Any]]:
    """Orders numbered ``first`` to ``last``."""
    return [order(user, number) for number in range(first, last + 1)]
