"""Answers that come in pages, handed out item by item.

A page ends at a limit, a size or a scan budget, therefore an empty page may be followed by a full
one; only ``complete`` ends the reading. A page that names no way on is an error, never a short
answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tradetrail.client.http import HttpService, Query
from tradetrail.client.served import ServedRecord
from tradetrail.errors import Internal

__all__ = ["PAGE_RECORDS_MAX", "Records", "UserSummary", "Users"]

#: The service's own bound of one page.
PAGE_RECORDS_MAX = 1_000


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next_cursor: str | None = None
    complete: bool | None = None
    indexed_to: msgspec.Raw = msgspec.Raw()


_page = msgspec.json.Decoder(_Page)


class _Pages(Iterator[bytes]):
    """The items of all pages, each as its own JSON text.

    Args:
        service: that is asked.
        path: of the route.
        query: without ``limit`` and ``cursor``.
        limit: greatest number of items over all pages; ``None`` for all.
    """

    def __init__(self, service: HttpService, path: str, query: Query, limit: int | None) -> None:
        #: JSON text of how far the index has come, of the newest page; empty where it says nothing.
        self.indexed_to = b""
        self._service = service
        self._path = path
        self._query = query
        self._limit = limit
        self._items = self._read()

    def __next__(self) -> bytes:
        return next(self._items)

    def _read(self) -> Iterator[bytes]:
        left = self._limit
        cursor = ""
        while left is None or left > 0:
            size = PAGE_RECORDS_MAX if left is None else min(left, PAGE_RECORDS_MAX)
            page = self._page(size, cursor)
            self.indexed_to = bytes(page.indexed_to)
            items = page.items if left is None else page.items[:left]
            for item in items:
                # A copy, so that one kept item does not keep its whole page.
                yield bytes(item)
            left = None if left is None else left - len(items)
            following = page.next_cursor or ""
            if page.complete or (page.complete is None and not following):
                return
            if not following or (following == cursor and not page.items):
                raise Internal("no_next_page", "the service says there is more and not where")
            cursor = following

    def _page(self, size: int, cursor: str) -> _Page:
        query = [*self._query, ("limit", str(size))]
        if cursor:
            query.append(("cursor", cursor))
        response = self._service.get(self._path, query)
        try:
            return _page.decode(response.content)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
            raise Internal(
                "not_a_page", f"{self._service.url}{self._path} answered with no page of ours"
            ) from exc


class Records(Iterator[ServedRecord]):
    """Records of a history or a look-up, read page by page while they are taken."""

    def __init__(self, service: HttpService, path: str, query: Query, limit: int | None) -> None:
        self._pages = _Pages(service, path, query, limit)

    def __next__(self) -> ServedRecord:
        return ServedRecord.parse(next(self._pages))

    @property
    def indexed_to(self) -> bytes:
        """How far the look-up index had come: JSON text of the newest page read, else empty."""
        return self._pages.indexed_to


class UserSummary(msgspec.Struct, frozen=True):
    """One user and how much there is of it; times as RFC 3339."""

    user: str
    count: int
    first_time: str | None = None
    last_time: str | None = None


class Users(Iterator[UserSummary]):
    """Users, read page by page while they are taken."""

    def __init__(self, service: HttpService, query: Query, limit: int | None) -> None:
        self._pages = _Pages(service, "/v1/users", query, limit)

    def __next__(self) -> UserSummary:
        try:
            # Counts may travel as strings.
            return msgspec.json.decode(next(self._pages), type=UserSummary, strict=False)
        except msgspec.MsgspecError as exc:
            raise Internal("not_a_user", "the service sent something that is no user") from exc
