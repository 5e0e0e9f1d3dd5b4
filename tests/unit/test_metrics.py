"""Numbers of several processes, put together and shown as Prometheus reads them."""

from __future__ import annotations

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from actors.gauges import SILENT_S, Gauges
from serve_app.health import _Gathered
from tradetrail.meter import BUCKETS_S, METRICS, Kind, Meter, Sample

DURATION = "http_server_request_duration_seconds"


def exposed(samples: list[Sample]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gathered(samples))
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_add_up_over_processes_and_outlive_them() -> None:
    now_s = 0.0
    gauges = Gauges(lambda: now_s)
    for process, value in (("a", 3.0), ("b", 4.0), ("a", 5.0)):
        gauges.put(
            process,
            [
                Sample("tradetrail_ingest_events_total", ("stored",), value),
                Sample("tradetrail_feed_viewers", (), value),
            ],
        )
    found = exposed(gauges.merged())
    assert found["tradetrail_ingest_events_total", (("status", "stored"),)] == 9
    assert found["tradetrail_feed_viewers", ()] == 9
    now_s = SILENT_S + 1
    gauges.put("b", [Sample("tradetrail_feed_viewers", (), 1)])
    found = exposed(gauges.merged())
    assert found["tradetrail_ingest_events_total", (("status", "stored"),)] == 5
    assert found["tradetrail_feed_viewers", ()] == 1


def test_a_histogram_shows_every_bucket_and_they_only_grow() -> None:
    meter = Meter()
    for duration_s in (0.001, 0.02, 0.02, 0.3, 99.0):
        meter.observe(DURATION, ("GET", "/v1/history", "200"), duration_s)
    found = exposed(meter.samples())
    labels = {
        "http_request_method": "GET",
        "http_route": "/v1/history",
        "http_response_status_code": "200",
    }
    counts = [
        found[f"{DURATION}_bucket", tuple(sorted({**labels, "le": str(bound)}.items()))]
        for bound in (*BUCKETS_S, "+Inf")
    ]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 5)
    assert found[f"{DURATION}_count", tuple(sorted(labels.items()))] == 5


def test_every_metric_is_named_for_its_kind_and_none_has_a_user_in_its_labels() -> None:
    for name, metric in METRICS.items():
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER), name
        assert name.endswith("_seconds") == (metric.kind is Kind.HISTOGRAM), name
        assert not {"user", "authid", "token"} & set(metric.labels), name
