"""The two Serve applications around ``create_ingest`` and ``create_query``: the only Serve code there is.

Ingest and query are apart, so that a reader never takes a slot from a writer.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.schema import LoggingConfig

from actors.client import ControlClient, ShardClient, push_numbers
from actors.tasks import Exports
from actors.wiring import cluster_facts
from serve_app.access import PrincipalCache
from serve_app.ingest import create_ingest
from serve_app.query import create_query
from serve_app.services import Services
from serve_app.settings import ServiceSettings
from storage.clock import wall_ns
from tradetrail.event import Limits

__all__ = ["deploy"]

#: Requests one ingest replica works on at once; a thousand more may wait, the next gets 503.
_INGEST_ONGOING = 128
_INGEST_QUEUED = 1_000


class _Application:
    """Builds its FastAPI application in the replica: nothing but settings is pickled."""

    def __init__(
        self, kind: str, settings: ServiceSettings, shards: int, cursor_key: bytes
    ) -> None:
        self._kind = kind
        control = ControlClient()
        self._services = Services(
            shards=[ShardClient(shard) for shard in range(shards)],
            control=control,
            principals=PrincipalCache(control, time.monotonic, wall_ns),
            exports=Exports(settings.data),
            limits=Limits(
                settings.body_bytes,
                settings.event_bytes,
                settings.batch_events,
                settings.json_depth,
            ),
            cursor_key=cursor_key,
            process=f"{kind}/{secrets.token_hex(8)}",
            push=push_numbers,
            viewer_cap=-(-settings.viewer_cap // settings.query_replicas),
            stream_age_s=settings.stream_age_s,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        if self._kind == "ingest":
            return create_ingest(self._services)
        return create_query(self._services)


def deploy(settings: ServiceSettings) -> None:
    """Start Serve and both applications; returns when they serve."""
    facts = cluster_facts(settings)
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": settings.host, "port": settings.port},
    )
    ingress = serve.ingress()(_Application)
    # Overloads of the decorator hide its plain form from the type checker.
    make: Any = serve.deployment
    for kind, prefix, replicas, ongoing, queued in (
        ("ingest", "/v1/events", settings.ingest_replicas, _INGEST_ONGOING, _INGEST_QUEUED),
        ("query", "/", settings.query_replicas, settings.viewer_cap + 100, 1_000),
    ):
        deployment = make(
            ingress,
            name=kind,
            num_replicas=replicas,
            max_ongoing_requests=ongoing,
            max_queued_requests=queued,
            ray_actor_options={"num_cpus": 0},
            # Request lines hold user ids, and a line for each request costs a tenth of a small one.
            logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"),
        )
        bound = deployment.bind(kind, settings, facts.shards, facts.cursor_key)
        serve.run(bound, name=kind, route_prefix=prefix)
