"""Typed façades over actor handles: the one place that touches them.

Ray's errors become ours: an error raised by an actor is unwrapped, a dead or unreachable actor is
``Unavailable``, since whether the call ran is unknown.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import ray
from ray.exceptions import RayActorError, RayTaskError

from actors.shard import Page
from storage.append import Outcome
from tradetrail.errors import TradeTrailError, Unavailable
from tradetrail.event import Event
from tradetrail.filters import Filter
from tradetrail.names import CONTROL_ACTOR, NAMESPACE, shard_actor
from tradetrail.record import Record
from tradetrail.tokens import Principal

__all__ = ["ControlClient", "ShardClient", "call"]

#: Looking an actor up asks the cluster; a handle stays good over the actor's restarts.
_handles: dict[str, Any] = {}

_outcomes = msgspec.msgpack.Decoder(list[Outcome])


async def call(name: str, method: str, *arguments: object) -> Any:
    """One call of a named actor; safe to repeat because every method is idempotent by identity."""
    try:
        if name not in _handles:
            _handles[name] = await asyncio.to_thread(ray.get_actor, name, namespace=NAMESPACE)
        return await getattr(_handles[name], method).remote(*arguments)
    except RayTaskError as error:
        cause = error.cause
        raise cause if isinstance(cause, TradeTrailError) else error from error
    except (RayActorError, ValueError) as error:
        _handles.pop(name, None)
        raise Unavailable(
            "actor_away",
            f"{name} is restarting; whether the call ran is unknown. Send it again.",
            503,
            "",
            1,
        ) from error


class ShardClient:
    """One shard."""

    def __init__(self, shard: int) -> None:
        self._name = shard_actor(shard)

    async def status(self) -> dict[str, int]:
        """See ``ShardActor.status``."""
        found: dict[str, int] = await call(self._name, "status")
        return found

    async def append(self, events: list[Event]) -> list[Outcome]:
        """See ``ShardActor.append``."""
        return _outcomes.decode(await call(self._name, "append", msgspec.msgpack.encode(events)))

    async def history(
        self, user: str, wanted: Filter, start: int, descending: bool, limit: int
    ) -> Page:
        """See ``ShardActor.history``."""
        page: Page = await call(self._name, "history", user, wanted, start, descending, limit)
        return page

    async def users(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """See ``ShardActor.users``."""
        found: list[tuple[str, int]] = await call(self._name, "users", prefix, after, limit)
        return found

    async def record(self, logindex: int) -> tuple[str, Record] | None:
        """See ``ShardActor.record``."""
        found: tuple[str, Record] | None = await call(self._name, "record", logindex)
        return found


class ControlClient:
    """The control actor."""

    async def principal(self, secret: str) -> Principal:
        """See ``ControlActor.principal``."""
        found: Principal = await call(CONTROL_ACTOR, "principal", secret)
        return found

    async def open_session(self, secret: str) -> tuple[str, Principal]:
        """See ``ControlActor.open_session``."""
        found: tuple[str, Principal] = await call(CONTROL_ACTOR, "open_session", secret)
        return found

    async def close_session(self, secret: str) -> None:
        """See ``ControlActor.close_session``."""
        await call(CONTROL_ACTOR, "close_session", secret)
