"""Names of actors and their namespace, in one place, so that a Ray client needs no server code."""

from __future__ import annotations

__all__ = ["CONTROL_ACTOR", "NAMESPACE", "log_name", "shard_actor"]

#: Ray namespace of every actor of the service.
NAMESPACE = "tradetrail"
#: The actor that holds what belongs to no shard.
CONTROL_ACTOR = "control"


def log_name(shard: int) -> str:
    """Name of a shard's log: the shard number in at least two digits."""
    return f"{shard:02d}"


def shard_actor(shard: int) -> str:
    """Name of the actor that owns a shard."""
    return f"shard-{log_name(shard)}"
