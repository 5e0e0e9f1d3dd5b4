"""``AuditLog``: the audit trail as a Python object, over HTTP.

    with AuditLog("http://127.0.0.1:8000", token) as log:
        for record in log.history("jane"):
            print(record.userseq, record.type, record.fields().get("ClOrdID"))

Each call is one question of the HTTP contract; pages, reconnects and digests are taken care of.
What a call raises is in ``tradetrail.errors``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from tradetrail.client import reports
from tradetrail.client.backoff import SYSTEM_TIMING, Timing
from tradetrail.client.feed import Feed, FeedState, Gap, raise_gap
from tradetrail.client.http import HttpService
from tradetrail.client.pages import Records, Users
from tradetrail.client.sender import BatchSender, Outgoing, SendCounts
from tradetrail.client.served import ServedRecord
from tradetrail.errors import Internal, Invalid
from tradetrail.event import LOOKUP_FIELDS, Refusal

__all__ = ["AuditLog"]

#: RFC 3339 text with an offset, or a ``datetime`` that knows its zone.
Moment = str | datetime

_USERS_MAX = 50
_LOG_NAME = re.compile(r"[0-9]{2,9}")


class AuditLog:
    """One service's audit trail. Not safe to share between threads.

    Args:
        url: address of the service, ``http://…`` or ``https://…``.
        token: bearer token with the rights that the calls need.
        transport: replaces the network in tests.
        timing: clock, sleep and randomness.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        timing: Timing = SYSTEM_TIMING,
    ) -> None:
        self._service = HttpService(url, token, transport=transport, timing=timing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._service.close()

    @property
    def service(self) -> HttpService:
        """The HTTP calls underneath, for routes that have no call of their own here."""
        return self._service

    def history(  # noqa: PLR0913 - the contract's filters, all by name
        self,
        user: str,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        type: str | Sequence[str] = (),  # noqa: A002 - the contract's own name
        order: str = "asc",
        after: int | None = None,
        fields: Mapping[str, str] | None = None,
        chain: str | None = None,
        limit: int | None = None,
    ) -> Records:
        """A user's records, in order of userseq.

        Args:
            user: the user.
            from_: first moment of the event's ``time``.
            to: first moment that is too late.
            type: event types, exact or a prefix such as ``tradetrail.order.*``.
            order: ``asc`` or ``desc``.
            after: userseq to begin behind, in the chosen order.
            fields: values of looked-up fields, all of which must match.
            chain: a ``ClOrdID``; all records of that order's chain.
            limit: greatest number of records; ``None`` for all.
        """
        query = [("user", user), ("order", order), *_range(from_, to), *_types(type)]
        query += _fields(fields or {})
        if after is not None:
            query.append(("after", str(after)))
        if chain is not None:
            query.append(("chain", chain))
        return Records(self._service, "/v1/history", query, limit)

    def summary(self, user: str, *, bucket: str | None = None) -> Any:
        """Counts per time bucket and type, as the decoded answer of ``/v1/history/summary``."""
        query = [("user", user)]
        if bucket is not None:
            query.append(("bucket", bucket))
        return _json(self._service.get("/v1/history/summary", query))

    def lookup(
        self,
        field: str,
        value: str,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        limit: int | None = None,
    ) -> Records:
        """Records of all visible users by one field; see ``Records.indexed_to``."""
        query = [*_fields({field: value}), *_range(from_, to)]
        return Records(self._service, "/v1/lookup", query, limit)

    def users(self, prefix: str = "", *, limit: int | None = None, system: bool = False) -> Users:
        """Users whose name begins so; without a prefix the most recently active ones."""
        query = [("prefix", prefix)] if prefix else []
        if system:
            query.append(("system", "true"))
        return Users(self._service, query, limit)

    def record(self, log: str, logindex: int) -> ServedRecord:
        """One record by its place.

        Raises:
            NotFound: there is none that this token may see.
        """
        if not _LOG_NAME.fullmatch(log) or logindex < 0:
            raise Invalid("bad_place", "a place is a log such as 03 and an index from 0")
        return ServedRecord.parse(self._service.get(f"/v1/records/{log}/{logindex}").content)

    def feed(
        self,
        users: str | Sequence[str] = (),
        *,
        log: str | None = None,
        from_: str = "latest",
        last_event_id: str | None = None,
        on_gap: Callable[[Gap], None] = raise_gap,
        on_state: Callable[[FeedState, str, float], None] | None = None,
        wait: bool = False,
    ) -> Feed:
        """Records as they become visible, without end; see ``tradetrail.client.feed.Feed``.

        Args:
            users: one user or up to 50; or
            log: a whole log, for tokens with the right to all users.
            from_: ``latest`` or ``earliest``.
            last_event_id: position of an earlier feed over the same users, to go on behind it.
            on_gap: told about records that are no longer kept; by default they end the feed.
            on_state: told when the feed is live and when it waits to connect again.
            wait: whether to wait for a service that is not there yet.
        """
        names = [users] if isinstance(users, str) else list(users)
        if (log is None) == (not names) or len(names) > _USERS_MAX:
            raise Invalid("bad_feed", f"a feed follows 1 to {_USERS_MAX} users, or one log")
        query = [("log", log)] if log is not None else [("user", name) for name in names]
        listening = {} if on_state is None else {"on_state": on_state}
        return Feed(
            self._service,
            query,
            from_=from_,
            last_event_id=last_event_id,
            on_gap=on_gap,
            wait=wait,
            **listening,
        )

    def report(  # noqa: PLR0913 - the contract's members, all by name
        self,
        user: str | Sequence[str],
        format: str,  # noqa: A002 - the contract's own name
        path: str | Path | None = None,
        *,
        from_: Moment | None = None,
        to: Moment | None = None,
        type: str | Sequence[str] = (),  # noqa: A002
        timezone: str = "UTC",
        title: str | None = None,
        profile: str | None = None,
        on_progress: Callable[[reports.Report], None] = lambda report: None,
    ) -> reports.ReportFile:
        """Has a report made and downloads it.

        Args:
            user: one user or several (several: not PDF).
            format: ``pdf``, ``csv``, ``ndjson``, ``parquet``, ``arrow`` or ``xlsx``.
            path: of the file; ``None`` takes the service's name for it in the current folder.
            from_: first moment of the event's ``time``.
            to: first moment that is too late.
            type: event types, exact or a prefix such as ``tradetrail.order.*``.
            timezone: IANA name, by which days are drawn and times are written.
            title: printed on the report.
            profile: ``spreadsheet`` for a CSV that programs cannot take for formulas.
            on_progress: told what the service says while it is being made.

        Returns:
            The file, complete and with the digest that the service named.
        """
        request: dict[str, object] = {"format": format, "timezone": timezone}
        request.update({"user": user} if isinstance(user, str) else {"users": list(user)})
        request.update(_range(from_, to))
        types = [name for _, name in _types(type)]
        optional = {"type": types or None, "title": title, "profile": profile}
        request.update({name: value for name, value in optional.items() if value is not None})
        key = secrets.token_urlsafe(16)
        report = reports.create(self._service, request, key)
        report = reports.wait(self._service, report, on_progress)
        target = Path(path) if path is not None else _own_name(report, format)
        return reports.fetch(self._service, report, target, key)

    def send(
        self,
        events: Iterable[bytes],
        *,
        on_refused: Callable[[Outgoing, Refusal], None] = lambda event, refusal: None,
        deadline_s: float | None = None,
    ) -> SendCounts:
        """Sends CloudEvents in JSON form, in order, and returns when each is stored or refused.

        Args:
            events: one JSON object each.
            on_refused: told about each event that is refused for good.
            deadline_s: give up when one batch found no answer for so long; ``None``: never.

        Raises:
            Unavailable: the deadline passed. Sending all again is safe: identity makes it so.
            TradeTrailError: the service refuses to listen at all, for instance to this token.
        """
        sender = BatchSender(self._service, on_refused=on_refused, deadline_s=deadline_s)
        for text in events:
            sender.add(Outgoing(text))
        sender.flush()
        return sender.counts


def _moment(moment: Moment) -> str:
    if isinstance(moment, str):
        return moment
    if moment.utcoffset() is None:
        raise Invalid("naive_time", "a datetime must know its zone, for instance timezone.utc")
    return moment.isoformat()


def _range(from_: Moment | None, to: Moment | None) -> list[tuple[str, str]]:
    bounds = (("from", from_), ("to", to))
    return [(name, _moment(moment)) for name, moment in bounds if moment is not None]


def _types(types: str | Sequence[str]) -> list[tuple[str, str]]:
    return [("type", name) for name in ([types] if isinstance(types, str) else types)]


def _fields(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    for name in fields:
        if name not in LOOKUP_FIELDS:
            known = ", ".join(LOOKUP_FIELDS)
            raise Invalid("unknown_field", f"{name} cannot be looked up; there are {known}")
    return list(fields.items())


def _own_name(report: reports.Report, format_name: str) -> Path:
    """The service's name for the file, without any folder, never over a file that is there."""
    name = Path((report.filename or "").replace("\\", "/")).name
    if not name or name.startswith(".") or not name.isprintable():
        name = f"report-{report.id}.{format_name}"
    if Path(name).exists():
        raise Invalid("file_exists", f"{name} is there already; name the file to write")
    return Path(name)


def _json(response: httpx2.Response) -> Any:
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise Internal("not_json", "the service answered with something that is not JSON") from exc
