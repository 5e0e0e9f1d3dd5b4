"""A real trading log goes in while a viewer that keeps dropping looks on; then every way out is asked."""

from __future__ import annotations

import csv
import io
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.cluster.calls import feed, take, walk
from tests.cluster.conftest import Service
from tradetrail.columns import COLUMNS
from tradetrail.fix.mapping import Left, Mapper, MappingOptions, Refused
from tradetrail.fix.reader import Junk, read_messages
from tradetrail.fix.sample import sample_log
from tradetrail.record import event_text
from tradetrail.times import parse_rfc3339

FIX_LOG = Path(__file__).parents[3] / "shared" / "data" / "fix" / "fix42-orders.log"
CONNECTIONS = 21


@dataclass
class Import:
    """What the first import said, and what the viewer saw meanwhile."""

    log: Path
    user: str
    records: int
    counts: dict[str, str]
    seen: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0


@pytest.fixture(scope="module")
def imported(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Import:
    log, user, records = FIX_LOG, "BONT", 2_408
    if not log.exists():
        log = tmp_path_factory.mktemp("fix") / "sample.log"
        log.write_bytes(sample_log())
        user, records = "", 0
    found = Import(log, user, records, {})
    viewer = threading.Thread(target=_watch, args=(service, found))
    viewer.start()
    done = service.command("import", "fix", str(log))
    assert done.returncode == 0, done.stdout + done.stderr
    found.counts = _counts(done.stdout)
    viewer.join(60)
    assert not viewer.is_alive()
    if not user:
        pytest.skip("the recorded log is not on this machine; the sample was imported instead")
    return found


def _watch(service: Service, found: Import) -> None:
    """Follow the user over many connections, each cut after some records."""
    last_event_id = "0"
    share = -(-found.records // CONNECTIONS)
    while len(found.seen) < found.records:
        with feed(service, last_event_id, user=found.user) as events:
            found.connections += 1
            found.seen += take(events, min(share, found.records - len(found.seen)))
            last_event_id = found.seen[-1]["userseq"]


def _counts(text: str) -> dict[str, str]:
    return {
        line.split(None, 1)[0]: line.split(None, 1)[1].strip()
        for line in text.splitlines()
        if len(line.split(None, 1)) == 2
    }


def stream(service: Service, accept: str, **query: Any) -> bytes:
    answer = service.request("GET", "/v1/history", params=query, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(accept)
    return answer.content


def test_the_log_is_counted_and_a_second_import_stores_nothing(
    service: Service, imported: Import
) -> None:
    counts = imported.counts
    assert counts["read"] == "2,486 messages"
    assert (counts["sent"], counts["stored"]) == ("2,410", "2,410")
    again = service.command("import", "fix", str(imported.log))
    assert again.returncode == 0
    counts = _counts(again.stdout)
    assert (counts["stored"], counts["duplicate"]) == ("0", "2,410")


@pytest.mark.parametrize("limit", [1_000, 997, 250])
def test_pages_of_any_size_give_the_same_history(
    service: Service, imported: Import, limit: int
) -> None:
    items = walk(service, "BONT", limit)
    assert [int(item["userseq"]) for item in items] == list(range(1, 2_409))
    types = [item["type"] for item in items]
    assert types.count("tradetrail.order.new.v1") == 602
    assert types.count("tradetrail.order.cancel_request.v1") == 602
    assert types.count("tradetrail.execution.report.v1") == 1_204


def test_a_viewer_that_drops_twenty_times_sees_each_record_once_and_in_order(
    service: Service, imported: Import
) -> None:
    assert imported.connections >= CONNECTIONS
    assert imported.seen == walk(service, "BONT", 1_000)


def test_streams_give_the_same_records_as_pages(service: Service, imported: Import) -> None:
    items = walk(service, "BONT", 1_000)
    lines = stream(service, "application/x-ndjson", user="BONT").splitlines()
    assert [json.loads(line) for line in lines] == items
    rows = list(
        csv.reader(io.StringIO(stream(service, "text/csv", user="BONT").decode(), newline=""))
    )
    assert rows[0] == list(COLUMNS)
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]
    for row, item in zip(named, items, strict=True):
        for name in ("userseq", "log", "logindex", "storedtime", "time", "type", "source", "id"):
            assert row[name] == item[name]
        assert row["ClOrdID"] == item["data"].get("ClOrdID", "")
        assert row["Price"] == item["data"].get("Price", "")
        assert json.loads(row["data"]) == item["data"]
    content = stream(service, "application/vnd.apache.arrow.stream", user="BONT")
    table = pa.ipc.open_stream(content).read_all()
    assert table.column("userseq").to_pylist() == list(range(1, 2_409))
    assert table.column("data").to_pylist() == [row["data"] for row in named]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_ranges_of_time_are_exact_in_pages_and_streams(
    service: Service, imported: Import, order: str
) -> None:
    everything = walk(service, "BONT", 1_000)
    start, end = "2018-02-23T19:16:28.352Z", "2018-02-23T19:17:00Z"
    first, last = parse_rfc3339(start), parse_rfc3339(end)
    expected = [item for item in everything if first <= parse_rfc3339(item["time"]) < last]
    assert 10 < len(expected) < 2_000
    expected = expected if order == "asc" else expected[::-1]
    query = {"from": start, "to": "2018-02-23T20:17:00+01:00", "order": order}
    assert walk(service, "BONT", 100, **query) == expected
    lines = stream(service, "application/x-ndjson", user="BONT", **query).splitlines()
    assert [json.loads(line) for line in lines] == expected


def test_an_order_is_found_without_its_user_and_its_life_is_told(
    service: Service, imported: Import
) -> None:
    everything = walk(service, "BONT", 1_000)
    order_id = everything[500]["data"]["ClOrdID"]
    answer = service.request("GET", "/v1/lookup", params={"ClOrdID": order_id}).json()
    expected = [item for item in everything if item["data"].get("ClOrdID") == order_id]
    assert answer["items"] == expected
    assert set(answer["indexed_to"]) == {"00", "01"}
    found = service.command("lookup", f"ClOrdID={order_id}")
    assert found.returncode == 0
    assert order_id in found.stdout
    life = walk(service, "BONT", 100, chain=order_id)
    assert {item["userseq"] for item in expected} <= {item["userseq"] for item in life}
    assert any(item["data"].get("OrigClOrdID") == order_id for item in life)


def test_the_summary_counts_every_record(service: Service, imported: Import) -> None:
    query = {"user": "BONT", "bucket": "PT1M"}
    answer = service.request("GET", "/v1/history/summary", params=query).json()
    assert answer["total"] == "2408"
    counted: dict[str, int] = {}
    for item in walk(service, "BONT", 1_000):
        minute = item["time"][:16] + ":00.000000000Z"
        counted[minute] = counted.get(minute, 0) + 1
    told = {row["start"]: sum(map(int, row["types"].values())) for row in answer["items"]}
    assert told == counted


def test_each_event_comes_back_as_it_was_sent_to_the_byte(
    service: Service, imported: Import
) -> None:
    mapper = Mapper(MappingOptions())
    with imported.log.open("rb") as log:
        mapped = [
            mapper.to_event(found) for found in read_messages(log) if not isinstance(found, Junk)
        ]
    sent = [item.text for item in mapped if not isinstance(item, Left | Refused)]
    own = [text for text in sent if json.loads(text)["authid"] == "BONT"]
    lines = stream(service, "application/x-ndjson", user="BONT").splitlines()
    assert [event_text(line) for line in lines] == own
