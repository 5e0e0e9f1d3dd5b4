"""Start and stop of the actors: names, options and ``ray.remote`` stand here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import ray

from actors.client import push_numbers
from actors.control import ControlActor, ControlSettings
from actors.shard import ShardActor, ShardSettings
from actors.tasks import make_in_task
from storage.cluster import open_cluster
from storage.database import DatabaseSettings
from tradetrail.names import CONTROL_ACTOR, NAMESPACE, shard_actor

__all__ = [
    "ClusterFacts",
    "StartSettings",
    "cluster_facts",
    "drain_actors",
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
    @property
    def append_queue_bytes(self) -> int: ...  # noqa: D102
    @property
    def feed_window_bytes(self) -> int: ...  # noqa: D102
    @property
    def report_ttl_s(self) -> int: ...  # noqa: D102


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
    control_settings = ControlSettings(
        settings.data, settings.keys, settings.report_ttl_s, settings.service_name
    )
    control = _start(ControlActor, CONTROL_ACTOR, control_settings, make_in_task)
    ray.get(control.start.remote(), timeout=_START_TIMEOUT_S)
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
            settings.append_queue_bytes,
            settings.feed_window_bytes,
        )
        handle = _start(ShardActor, shard_actor(shard), shard_settings, push_numbers)
        ray.get(handle.status.remote(), timeout=_START_TIMEOUT_S)


def drain_actors() -> None:
    """Tell the shards that the service ends, so that live feeds end in good order."""
    handles = [
        ray.get_actor(entry["name"], namespace=NAMESPACE)
        for entry in _own_actors()
        if entry["name"] != CONTROL_ACTOR
    ]
    ray.wait([handle.drain.remote() for handle in handles], num_returns=len(handles), timeout=1)


def stop_actors() -> None:
    """End the actors; what they acknowledged is durable, so nothing has to be said to them first."""
    for entry in _own_actors():
        ray.kill(ray.get_actor(entry["name"], namespace=NAMESPACE), no_restart=True)


def signin_code() -> str:
    """A one-time code for the link that ``up`` prints."""
    control: Any = ray.get_actor(CONTROL_ACTOR, namespace=NAMESPACE)
    code: str = ray.get(control.signin_code.remote(), timeout=_START_TIMEOUT_S)
    return code


def _own_actors() -> list[Any]:
    named = cast("list[Any]", ray.util.list_named_actors(all_namespaces=True))
    return [entry for entry in named if entry["namespace"] == NAMESPACE]


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
