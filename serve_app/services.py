"""What the routes need of the rest of the house, as Protocols: no Ray behind this door."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.control_store import Credential
from storage.shard_reads import LookupPage, ReadPlan, UserSummary
from storage.user_records import Page
from tradetrail.event import Event, Limits, Refusal
from tradetrail.filters import Filter, HistoryQuery
from tradetrail.meter import Meter, Sample
from tradetrail.record import Record
from tradetrail.report import ReportRequest, ReportRow
from tradetrail.tokens import Principal

__all__ = [
    "Control",
    "EventOutcome",
    "Exports",
    "FeedBatch",
    "FeedShard",
    "Principals",
    "RememberedPrincipals",
    "Reports",
    "Services",
    "Shard",
    "SummaryRow",
]


class EventOutcome(Protocol):
    """One event's answer: status 0 stored, 1 duplicate, 2 rejected."""

    @property
    def status(self) -> int: ...  # noqa: D102 - fields of ``storage.append.Outcome``
    @property
    def userseq(self) -> int: ...  # noqa: D102
    @property
    def logindex(self) -> int: ...  # noqa: D102
    @property
    def refusal(self) -> Refusal | None: ...  # noqa: D102


class FeedBatch(Protocol):
    """One answer to a poll; see ``actors.feed.FeedBatch``."""

    @property
    def records(self) -> list[tuple[str, int, bytes]]: ...  # noqa: D102
    @property
    def heads(self) -> dict[str, int]: ...  # noqa: D102
    @property
    def closing(self) -> bool: ...  # noqa: D102


class FeedShard(Protocol):
    """What the live feed needs of a shard; see ``actors.shard``."""

    async def history(self, query: HistoryQuery, start: int, limit: int) -> Page: ...  # noqa: D102
    async def log_page(self, first: int, limit: int) -> list[Record]: ...  # noqa: D102
    async def watch(self, session_id: str, channels: list[str]) -> dict[str, int]: ...  # noqa: D102
    async def unwatch(self, session_id: str, channels: list[str]) -> None: ...  # noqa: D102
    async def poll(self, session_id: str, wait_s: float) -> FeedBatch: ...  # noqa: D102


class Shard(FeedShard, Protocol):
    """One shard; raises ``Unavailable``, ``Backpressure``, ``StorageFull``, ``Corrupt``."""

    async def status(self) -> dict[str, int]: ...  # noqa: D102 - see ``actors.shard``
    async def append(self, events: list[Event]) -> Sequence[EventOutcome]: ...  # noqa: D102
    async def plan(self, query: HistoryQuery) -> ReadPlan | None: ...  # noqa: D102
    async def lookup(self, wanted: Filter, first: int, limit: int) -> LookupPage: ...  # noqa: D102
    async def users(  # noqa: D102
        self, prefix: str, after: str, limit: int, system: bool
    ) -> list[UserSummary]: ...
    async def recent_users(self, limit: int, system: bool) -> list[UserSummary]: ...  # noqa: D102
    async def record(self, logindex: int) -> tuple[str, Record] | None: ...  # noqa: D102


class Principals(Protocol):
    """Who holds a secret; raises ``Unauthenticated``."""

    async def principal(self, secret: str) -> Principal: ...  # noqa: D102


class RememberedPrincipals(Principals, Protocol):
    """The same with a short memory; see ``serve_app.access.PrincipalCache``."""

    def forget(self) -> None: ...  # noqa: D102


class Reports(Protocol):
    """Reports; see ``actors.reports.ReportDesk`` for what each does and raises."""

    async def create_report(  # noqa: D102
        self, principal: Principal, request: ReportRequest, claim_key: str
    ) -> ReportRow: ...
    async def report(self, principal: Principal, report_id: str) -> ReportRow: ...  # noqa: D102
    async def reports(self, principal: Principal) -> list[ReportRow]: ...  # noqa: D102
    async def report_content(  # noqa: D102
        self, principal: Principal, report_id: str
    ) -> tuple[ReportRow, AsyncGenerator[bytes, None]]: ...
    async def remove_report(self, principal: Principal, report_id: str) -> ReportRow | None: ...  # noqa: D102


class Control(Principals, Reports, Protocol):
    """Credentials, reports and numbers; see ``actors.control``."""

    async def open_session(self, secret: str) -> tuple[str, Principal]: ...  # noqa: D102
    async def close_session(self, secret: str) -> None: ...  # noqa: D102
    async def create_key(  # noqa: D102
        self, name: str, scopes: tuple[str, ...], lifetime_s: int
    ) -> tuple[str, str]: ...
    async def keys(self) -> list[Credential]: ...  # noqa: D102
    async def revoke_key(self, key_id: str) -> None: ...  # noqa: D102
    async def numbers(self) -> list[Sample]: ...  # noqa: D102


class SummaryRow(Protocol):
    """Records of one type in one stretch of time."""

    @property
    def start_ns(self) -> int: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102


class Exports(Protocol):
    """Whole documents, made beside the shards; see ``actors.tasks.Exports``."""

    def stream(  # noqa: D102
        self, plan: ReadPlan | None, form: str, profile: str, start: int, descending: bool
    ) -> AsyncGenerator[bytes, None]: ...
    async def summary(self, plan: ReadPlan | None, bucket: str) -> Sequence[SummaryRow]: ...  # noqa: D102


@dataclass(frozen=True)
class Services:
    """Everything a route may touch."""

    shards: Sequence[Shard]
    control: Control
    #: ``control`` with a short memory.
    principals: RememberedPrincipals
    exports: Exports
    limits: Limits
    cursor_key: bytes
    #: Names this process among those whose numbers are gathered.
    process: str
    push: Callable[[str, list[Sample]], Awaitable[None]]
    #: Open live feeds of this replica.
    viewer_cap: int = 2_000
    stream_age_s: int = 600
    meter: Meter = field(default_factory=Meter)
