"""Pages, look-ups and orders' lives against a plain walk over everything that was stored."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.cluster import open_cluster
from storage.database import DatabaseSettings
from storage.indexer import Indexer
from storage.secondary import open_copy
from storage.shard_reads import ShardReads
from storage.shard_store import ShardStore
from storage.user_records import PageBounds, Question, walk
from tradetrail.event import Event, Limits
from tradetrail.facts import facts_of
from tradetrail.filters import Filter, HistoryQuery
from tradetrail.record import Record
from tradetrail.scan import scan_batch
from tradetrail.times import parse_rfc3339

SETTINGS = DatabaseSettings(block_cache_bytes=2**20, write_buffer_bytes=2**20)
WIDE = PageBounds(1_000, 2**23, 20_000)
TYPES = ("tradetrail.order.new.v1", "tradetrail.order.cancel_request.v1", "tradetrail.fix.D.v1")


class House:
    """One shard with its reads, reopened at will."""

    def __init__(self, root: Path) -> None:
        self.data, self.keys = root / "data", root / "data.keys"
        open_cluster(self.data, self.keys, 1)
        self.open()

    def open(self) -> None:
        cluster = open_cluster(self.data, self.keys)
        self.store = ShardStore(self.data, cluster, 0, SETTINGS)
        self.indexer = Indexer(self.store.database, self.store, self.store.hasher)
        self.reads = ShardReads(self.store, self.indexer)

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def add(self, events: list[Event], *, hand_over: bool = True) -> None:
        group = self.store.append(events)
        self.store.flush()
        self.store.publish(group)
        if hand_over:
            self.indexer.offer(group.stored, group.storedtime_ns)

    def index(self) -> None:
        while self.indexer.advance(1_000):
            pass


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.store.close()


def scan(events: list[dict[str, object]]) -> list[Event]:
    found = scan_batch(json.dumps(events).encode(), Limits())
    assert all(isinstance(item, Event) for item in found), found
    return [item for item in found if isinstance(item, Event)]


def order(number: int, user: str, time: str | None, **data: str) -> dict[str, object]:
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": str(number),
        "source": "/oms",
        "type": TYPES[number % 3],
        "authid": user,
        "data": data,
    }
    if time:
        event["time"] = time
    return event


def made_up(count: int, seed: int) -> list[Event]:
    """Orders of three users; times wander, some have none."""
    rng = random.Random(seed)
    events = []
    for number in range(count):
        minute = (number // 60 + rng.randrange(3)) % 60
        time = f"2026-01-02T{10 + number // 3600:02d}:{minute:02d}:{rng.randrange(60):02d}Z"
        events.append(
            order(
                number,
                rng.choice(("ann", "ann", "ben", "cy")),
                None if rng.random() < 0.02 else time,
                ClOrdID=f"C{number}",
                Symbol=rng.choice(("AAA", "BBB", "CCC")),
                Account=rng.choice(("1", "2")),
            )
        )
    return scan(events)


def plain(house: House, query: HistoryQuery) -> list[int]:
    """The userseqs of a query by looking at everything."""
    user = house.store.user(query.user)
    assert user is not None
    records = house.store.records_of(user).read(1, user.published)
    found = [
        record.userseq
        for record in records
        if query.wanted.matches(facts_of(record.text), record.storedtime_ns)
    ]
    return found[::-1] if query.descending else found


def paged(house: House, query: HistoryQuery, bounds: PageBounds) -> list[int]:
    found: list[int] = []
    position, first = 0, True
    while first or position:
        page = house.reads.page(query, position, bounds)
        found.extend(record.userseq for record in page.records)
        position, first = page.next_userseq, False
    return found


FILTERS = (
    Filter(),
    Filter(types=("tradetrail.order.*",)),
    Filter(types=("tradetrail.fix.D.v1",)),
    Filter(types=("nothing.like.it",)),
    Filter(fields=(("Symbol", "AAA"),)),
    Filter(fields=(("Symbol", "AAA"), ("Account", "2"))),
    Filter(fields=(("ClOrdID", "C77"),)),
    Filter(parse_rfc3339("2026-01-02T10:10:00Z"), parse_rfc3339("2026-01-02T10:20:00Z")),
    Filter(
        parse_rfc3339("2026-01-02T10:10:00Z"),
        None,
        ("tradetrail.order.*",),
        (("Symbol", "BBB"),),
    ),
)


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_any_size_give_what_a_plain_walk_gives(
    house: House, wanted: Filter, descending: bool
) -> None:
    events = made_up(3_000, 1)
    for start in range(0, 2_500, 500):
        house.add(events[start : start + 500])
    house.index()
    house.add(events[2_500:])
    for user in ("ann", "ben"):
        query = HistoryQuery(user, wanted, "", descending)
        expected = plain(house, query)
        for bounds in (WIDE, PageBounds(7, 2**23, 50), PageBounds(100, 2_000, 20_000)):
            assert paged(house, query, bounds) == expected


def test_zones_spare_reading_and_are_the_same_however_they_were_built(house: House) -> None:
    events = made_up(2_000, 2)
    house.add(events[:1_000])
    house.index()
    house.add(events[1_000:], hand_over=False)
    house.index()
    house.indexer.flush()
    kept = dict(house.store.database.scan("zones", b""))
    assert len(kept) == sum(
        summary.count // 128 for summary in house.reads.users("", "", 100, False)
    )
    # From the log alone, beginning in the middle of runs: the same zones.
    batch = house.store.database.batch()
    for key in kept:
        batch.delete("zones", key)
    batch.put("meta", b"indexed-to", (1).to_bytes(8, "big"))
    house.store.database.write(batch)
    house.reopen()
    while house.indexer.advance(37):
        pass
    house.indexer.flush()
    assert dict(house.store.database.scan("zones", b"")) == kept


def test_a_coarse_zone_covers_its_runs(house: House) -> None:
    for start in range(0, 17_000, 1_000):
        numbers = range(start, start + 1_000)
        time = f"2026-01-{2 + start // 1_000:02d}T00:00:00Z"
        house.add(scan([order(n, "ann", time, ClOrdID=f"C{n}") for n in numbers]))
        house.index()
    house.indexer.flush()
    late = Filter(parse_rfc3339("2026-01-18T00:00:00Z"))
    assert paged(house, HistoryQuery("ann", late), WIDE) == list(range(16_001, 17_001))
    # One look at the coarse zone, 4 fine ones, and 616 records behind them: far below one page's budget.
    page = house.reads.page(HistoryQuery("ann", late), 0, PageBounds(1_000, 2**23, 1_300))
    assert len(page.records) >= 384


def test_a_lookup_finds_records_of_all_users_and_says_how_far_the_index_is(house: House) -> None:
    events = made_up(500, 3)
    house.add(events)
    house.index()
    wanted = Filter(fields=(("ClOrdID", "C123"),))
    page = house.reads.lookup(wanted, 0, WIDE)
    assert [record.text for record in page.records] == [events[123].text]
    assert (page.next_logindex, page.indexed_to) == (0, 501)
    wanted = Filter(fields=(("Symbol", "AAA"), ("Account", "1")))
    expected = [
        event.text
        for event in events
        if {("Symbol", "AAA"), ("Account", "1")} <= set(event.lookups)
    ]
    found: list[Record] = []
    position, first = 0, True
    while first or position:
        page = house.reads.lookup(wanted, position, PageBounds(10, 2**23, 37))
        found.extend(page.records)
        position, first = page.next_logindex, False
    assert [record.text for record in found] == expected


def test_the_index_survives_a_reopen_and_goes_on_where_it_was(house: House) -> None:
    events = made_up(600, 4)
    house.add(events[:300])
    house.index()
    house.indexer.flush()
    house.add(events[300:])
    house.reopen()
    assert house.indexer.position == 301
    house.index()
    for number in (10, 299, 300, 599):
        page = house.reads.lookup(Filter(fields=(("ClOrdID", f"C{number}"),)), 0, WIDE)
        assert [record.text for record in page.records] == [events[number].text]


def test_runs_of_the_lookup_index_are_merged_and_keep_every_pair(house: House) -> None:
    events = made_up(1_200, 5)
    for start in range(0, 1_200, 60):
        house.add(events[start : start + 60])
        house.index()
        house.indexer.flush()
    house.reopen()
    for number in range(0, 1_200, 17):
        page = house.reads.lookup(Filter(fields=(("ClOrdID", f"C{number}"),)), 0, WIDE)
        assert [record.text for record in page.records] == [events[number].text]


def test_an_orders_life_is_followed_through_all_its_ids(house: House) -> None:
    rows = [
        order(1, "ann", None, ClOrdID="A1"),
        order(2, "ann", None, ClOrdID="B1"),
        order(3, "ann", None, ClOrdID="A1", OrderID="O1"),
        order(4, "ann", None, ClOrdID="A2", OrigClOrdID="A1"),
        order(5, "ann", None, ClOrdID="A3", OrigClOrdID="A2"),
        order(6, "ann", None, OrderID="O1", ExecID="E9"),
        order(7, "ann", None, ClOrdID="X1", OrderID="NONE"),
        order(8, "ann", None, ClOrdID="A3", OrderID="NONE"),
        order(9, "ben", None, ClOrdID="A1"),
    ]
    events = scan(rows)
    house.add(events[:4])
    house.index()
    house.add(events[4:])
    for start in ("A1", "A2", "A3"):
        query = HistoryQuery("ann", Filter(), start)
        assert paged(house, query, WIDE) == [1, 3, 4, 5, 6, 8]
        assert paged(house, HistoryQuery("ann", Filter(), start, True), WIDE) == [8, 6, 5, 4, 3, 1]
    assert paged(house, HistoryQuery("ann", Filter(), "B1"), WIDE) == [2]
    assert paged(house, HistoryQuery("ann", Filter(), "unknown"), WIDE) == []
    house.index()
    assert paged(house, HistoryQuery("ann", Filter(), "A1"), WIDE) == [1, 3, 4, 5, 6, 8]


def test_users_are_listed_by_name_and_by_how_lately_they_acted(house: House) -> None:
    times = ("2026-01-02T10:00:00Z", "2026-01-02T09:00:00Z", None)
    names = ("ann", "ben", "anna", "ann", "tradetrail:reader/x")
    for number, name in enumerate(names):
        if name.startswith("tradetrail:"):
            continue
        house.add(scan([order(number, name, times[number % 3], ClOrdID=str(number))]))
    by_name = house.reads.users("ann", "", 10, False)
    assert [(row.user, row.count) for row in by_name] == [("ann", 2), ("anna", 1)]
    assert by_name[0].first_key == by_name[0].last_key == parse_rfc3339("2026-01-02T10:00:00Z")
    assert [row.user for row in house.reads.users("ann", "ann", 10, False)] == ["anna"]
    assert [row.user for row in house.reads.recent_users(10, False)] == ["ann", "anna", "ben"]
    house.reopen()
    assert [row.user for row in house.reads.recent_users(2, False)] == ["ann", "anna"]


def test_a_copy_reads_what_was_published_and_nothing_above_it(house: House) -> None:
    events = made_up(400, 6)
    house.add(events)
    house.index()
    wanted = Filter(types=("tradetrail.order.*",))
    query = HistoryQuery("ann", wanted)
    plan = house.reads.plan(query)
    assert plan is not None
    house.store.append(made_up(800, 6)[400:])  # written, neither flushed nor published
    with open_copy(house.data, 0) as copy:
        source = copy.records_of(plan)
        found = [record.userseq for part in walk(source, plan.question) for record in part]
        assert found == plain(house, query)
        newest = copy.records_of(plan).read(1, 10_000)
        assert len(newest) == plan.head
    assert not list((house.data / "run" / "secondary").iterdir())
    assert house.reads.plan(HistoryQuery("nobody")) is None


def test_whoever_begins_above_the_newest_record_gets_everything_below(house: House) -> None:
    house.add(made_up(300, 7))
    house.index()
    for wanted in (Filter(), Filter(types=("tradetrail.order.*",))):
        query = HistoryQuery("ann", wanted, "", True)
        for start in (10_000, 2**62):
            page = house.reads.page(query, start, WIDE)
            assert [record.userseq for record in page.records] == plain(house, query)
    user = house.store.user("ann")
    assert user is not None
    source = house.store.records_of(user)
    walked = walk(source, Question(Filter()), 2**62, descending=True)
    assert [record.userseq for part in walked for record in part] == list(
        range(user.published, 0, -1)
    )
