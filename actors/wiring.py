"""Start and stop of the actors: names, options and ``ray.remote`` stand here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import ray

from actors.control import ControlActor
from actors.shard import ShardActor, ShardSettings
from storage.cluster import open_cluster
from storage.database import DatabaseSettings
from tradetrail.names import CONTROL_ACTOR, NAMESPACE, shard_actor

__all__ = [
    "ClusterFacts",
    "StartSettings",
    "cluster_facts",
    "signin_code",
    "start_actors",
    "stop_actors",
]

#: A shard with a million records opens within seconds; beyond this something is wrong.
_START_TIMEOUT_S = 60


class StartSettings(Protocol):
    """What starting needs of the service's settings; sizes in bytes."""

    @property
    def data(self) -> Path: ...  # noqa: D102 - see ``serve_app.settings``
    @property
    def keys(self) -> Path: ...  # noqa: D102
    @property
    def shards(self) -> int | None: ...  # noqa: D102
    @property
    def service_name(self) -> str: ...  # noqa: D102
    @property
    def block_cache_bytes(self) -> int: ...  # noqa: D102
    @property
    def write_buffer_bytes(self) -> int: ...  # noqa: D102
    @property
    def disk_low_water_bytes(self) -> int: ...  # noqa: D102
    @property
    def append_queue_events(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class ClusterFacts:
    """What a replica must know of the cluster."""

    shards: int
    #: Authenticates page cursors; the same on every replica.
    cursor_key: bytes


def cluster_facts(settings: StartSettings) -> ClusterFacts:
    """Read from the data; makes the cluster where the folder is empty."""
    cluster = open_cluster(settings.data, settings.keys, settings.shards, settings.service_name)
    return ClusterFacts(cluster.shards, cluster.secret.derive("cursor/1"))


def start_actors(settings: StartSettings) -> None:
    """Start control and shards, and return when each serves; raises a shard's own refusal."""
    facts = cluster_facts(settings)
    control = _start(ControlActor, CONTROL_ACTOR, settings.data)
    ray.get(control.__ray_ready__.remote(), timeout=_START_TIMEOUT_S)
    # A family's memtables together stay within four buffers.
    database = DatabaseSettings(
        settings.block_cache_bytes, max(settings.write_buffer_bytes // 4, 1)
    )
    for shard in range(facts.shards):
        shard_settings = ShardSettings(
            settings.data,
            settings.keys,
            shard,
            database,
            settings.disk_low_water_bytes,
            settings.append_queue_events,
        )
        handle = _start(ShardActor, shard_actor(shard), shard_settings)
        ray.get(handle.status.remote(), timeout=_START_TIMEOUT_S)


def stop_actors() -> None:
    """End the actors; what they acknowledged is durable, so nothing has to be said to them first."""
    named = cast("list[Any]", ray.util.list_named_actors(all_namespaces=True))
    for entry in named:
        if entry["namespace"] == NAMESPACE:
            ray.kill(ray.get_actor(entry["name"], namespace=NAMESPACE), no_restart=True)


def signin_code() -> str:
    """A one-time code for the link that ``up`` prints."""
    control: Any = ray.get_actor(CONTROL_ACTOR, namespace=NAMESPACE)
    code: str = ray.get(control.signin_code.remote(), timeout=_START_TIMEOUT_S)
    return code


def _start(actor: type, name: str, *arguments: object) -> Any:
    """A detached actor that Ray restarts for ever; its calls are never repeated by Ray itself."""
    return (
        ray.remote(actor)
        .options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            num_cpus=0,
        )
        .remote(*arguments)
    )
