"""What the routes need of the rest of the house, as Protocols: no Ray behind this door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tradetrail.event import Event, Limits, Refusal
from tradetrail.filters import Filter
from tradetrail.record import Record
from tradetrail.tokens import Principal

__all__ = ["Control", "EventOutcome", "RecordPage", "Services", "Shard"]


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


class RecordPage(Protocol):
    """Records in order and where the next page begins (0: nowhere)."""

    @property
    def records(self) -> list[Record]: ...  # noqa: D102 - fields of ``actors.shard.Page``
    @property
    def next_userseq(self) -> int: ...  # noqa: D102


class Shard(Protocol):
    """One shard; raises ``Unavailable``, ``Backpressure``, ``StorageFull``, ``Corrupt``."""

    async def status(self) -> dict[str, int]: ...  # noqa: D102 - see ``actors.shard``
    async def append(self, events: list[Event]) -> Sequence[EventOutcome]: ...  # noqa: D102
    async def history(  # noqa: D102
        self, user: str, wanted: Filter, start: int, descending: bool, limit: int
    ) -> RecordPage: ...
    async def users(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]: ...  # noqa: D102
    async def record(self, logindex: int) -> tuple[str, Record] | None: ...  # noqa: D102


class Control(Protocol):
    """Credentials; raises ``Unauthenticated``."""

    async def principal(self, secret: str) -> Principal: ...  # noqa: D102 - see ``actors.control``
    async def open_session(self, secret: str) -> tuple[str, Principal]: ...  # noqa: D102
    async def close_session(self, secret: str) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Services:
    """Everything a route may touch."""

    shards: Sequence[Shard]
    control: Control
    limits: Limits
    cursor_key: bytes
