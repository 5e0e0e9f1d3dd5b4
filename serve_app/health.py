"""``/livez``, ``/readyz`` and ``/metrics``: open to everybody, without user ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from fastapi import FastAPI, Request, Response
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from serve_app.answers import json_answer
from serve_app.parameters import check_known, one_of
from serve_app.services import Services
from tradetrail.meter import BUCKETS_S, METRICS, Kind, Metric, Sample
from tradetrail.names import log_name

__all__ = ["add_health", "families"]


def add_health(app: FastAPI, services: Services) -> None:
    """The routes."""

    @app.get("/livez")
    async def livez() -> Response:
        return json_answer({"status": "pass"})

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        check_known(request.query_params, ("strict",))
        strict = one_of(request.query_params, "strict", ("0", "1")) == "1"
        found = await asyncio.gather(
            *(shard.status() for shard in services.shards), return_exceptions=True
        )
        shards = [_shard_body(number, status) for number, status in enumerate(found)]
        serving = [shard["status"] == "pass" for shard in shards]
        ready = all(serving) if strict else any(serving)
        status = "pass" if ready else "fail"
        return json_answer({"status": status, "shards": shards}, 200 if ready else 503)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        samples = await services.control.numbers()
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Gathered(samples))
        return Response(encoder(registry), headers={"Content-Type": content_type})


def _shard_body(number: int, status: dict[str, int] | BaseException) -> dict[str, str]:
    if isinstance(status, BaseException):
        code = getattr(status, "code", "internal_error")
        return {"log": log_name(number), "status": "fail", "code": code}
    numbers = {name: str(value) for name, value in status.items()}
    return {"log": log_name(number), "status": "pass", **numbers}


class _Gathered(Collector):
    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Family]:
        return families(self._samples)


def families(samples: Iterable[Sample]) -> Iterator[Family]:
    """Samples as Prometheus families, in the order of ``METRICS``; unknown names are left out."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    for name, metric in METRICS.items():
        if metric.kind is Kind.HISTOGRAM:
            yield _histogram(name, metric, by_name)
            continue
        if metric.kind is Kind.COUNTER:
            plain = name.removesuffix("_total")
            family: Family = CounterMetricFamily(plain, metric.help, labels=metric.labels)
        else:
            family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
        for sample in by_name.get(name, []):
            family.add_metric(sample.labels, sample.value)  # type: ignore[attr-defined]  # both have it
        yield family


def _histogram(name: str, metric: Metric, by_name: dict[str, list[Sample]]) -> Family:
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    buckets: dict[tuple[str, ...], dict[str, float]] = {}
    for sample in by_name.get(f"{name}_bucket", []):
        key, bound = sample.labels[:-1], sample.labels[-1]
        buckets.setdefault(key, {})[bound] = sample.value
    sums = {sample.labels: sample.value for sample in by_name.get(f"{name}_sum", [])}
    for labels, counts in buckets.items():
        so_far, cumulative = 0.0, []
        for bound in (*map(str, BUCKETS_S), "+Inf"):
            so_far += counts.get(bound, 0)
            cumulative.append((bound, so_far))
        family.add_metric(list(labels), cumulative, sums.get(labels, 0))
    return family
