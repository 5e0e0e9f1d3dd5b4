"""Counters and gauges of one process, as plain numbers that can be sent and added up.

Names and units follow the Prometheus conventions; what each means stands in ``tradetrail.meter.METRICS``.
Labels never hold user ids. Pure: no clock, no exposition format.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum

import msgspec

__all__ = ["BUCKETS_S", "METRICS", "Kind", "Meter", "Metric", "Sample"]

#: Seconds; OpenTelemetry's buckets for HTTP requests.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Kind(StrEnum):
    """How samples of several processes are put together, and how they are shown."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True):
    """One metric: what it counts, and the names of its labels."""

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


#: Every metric of the service.
METRICS: dict[str, Metric] = {
    "http_server_request_duration_seconds": Metric(
        Kind.HISTOGRAM,
        "Time from a request to the first byte of its answer.",
        ("http_request_method", "http_route", "http_response_status_code"),
    ),
    "http_server_active_requests": Metric(Kind.GAUGE, "Requests being answered.", ("app",)),
    "tradetrail_feed_viewers": Metric(Kind.GAUGE, "Open live feeds."),
    "tradetrail_feed_records_total": Metric(Kind.COUNTER, "Records sent to live feeds."),
    "tradetrail_ingest_events_total": Metric(
        Kind.COUNTER, "Events answered, by what became of them.", ("status",)
    ),
    "tradetrail_ingest_refusals_total": Metric(Kind.COUNTER, "Refused events by code.", ("code",)),
    "tradetrail_ingest_body_bytes_total": Metric(Kind.COUNTER, "Bytes of bodies, inflated."),
    "tradetrail_shard_log_entries": Metric(Kind.GAUGE, "Published log entries.", ("log",)),
    "tradetrail_shard_indexed_entries": Metric(
        Kind.GAUGE, "Log entries that look-ups can find.", ("log",)
    ),
    "tradetrail_shard_users": Metric(Kind.GAUGE, "Users with records.", ("log",)),
    "tradetrail_shard_queued_events": Metric(
        Kind.GAUGE, "Events that wait for the shard's writer.", ("log",)
    ),
    "tradetrail_shard_groups_total": Metric(Kind.COUNTER, "Groups committed.", ("log",)),
    "tradetrail_shard_stored_events_total": Metric(Kind.COUNTER, "Events stored.", ("log",)),
    "tradetrail_shard_flush_duration_seconds": Metric(
        Kind.HISTOGRAM, "Time of one flush to the disk.", ("log",)
    ),
    "tradetrail_shard_disk_free_bytes": Metric(
        Kind.GAUGE, "Free space where the data lies.", ("log",)
    ),
    "tradetrail_shard_clock_doubted": Metric(
        Kind.GAUGE, "1 where the wall clock runs ahead of what can be believed.", ("log",)
    ),
    "tradetrail_shard_torn_tail_bytes": Metric(
        Kind.GAUGE, "Bytes cut off behind the last whole write at the last start.", ("log",)
    ),
    "tradetrail_reports": Metric(Kind.GAUGE, "Reports by status.", ("status",)),
}


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One value. ``labels`` are in the order of the metric's own, a bucket's bound last."""

    name: str
    labels: tuple[str, ...]
    value: float


class Meter:
    """The numbers of one process; used by one thread at a time."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, tuple[str, ...]], float] = {}

    def add(self, name: str, labels: tuple[str, ...] = (), value: float = 1) -> None:
        """Count up, or change a gauge by a difference."""
        key = (name, labels)
        self._values[key] = self._values.get(key, 0) + value

    def set(self, name: str, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        self._values[(name, labels)] = value

    def observe(self, name: str, labels: tuple[str, ...], value_s: float) -> None:
        """Take one duration into a histogram."""
        position = bisect_left(BUCKETS_S, value_s)
        bound = str(BUCKETS_S[position]) if position < len(BUCKETS_S) else "+Inf"
        self.add(f"{name}_bucket", (*labels, bound))
        self.add(f"{name}_sum", labels, value_s)

    def samples(self) -> list[Sample]:
        """Everything so far; buckets are not cumulative here."""
        return [Sample(name, labels, value) for (name, labels), value in self._values.items()]
