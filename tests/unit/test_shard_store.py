"""The shard store: dense numbers, identities for ever, readers behind the flush, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.append import Status
from storage.cluster import Cluster, open_cluster
from storage.database import DatabaseSettings
from storage.shard_store import ShardStore
from tradetrail.errors import Corrupt, Invalid, TradeTrailError
from tradetrail.event import Event, Limits
from tradetrail.record import Record
from tradetrail.scan import scan_batch
from tradetrail.tlog.entry import commitment_entry, record_salt, tag_key_entry

SETTINGS = DatabaseSettings(block_cache_bytes=2**20, write_buffer_bytes=2**20)
SECRET_WORD = "Zaphod-Beeblebrox"


def make_event(user: str, number: int, note: str = "") -> Event:
    text = (
        f'{{"specversion":"1.0","id":"{number}","source":"/oms","type":"tradetrail.order.new.v1",'
        f'"authid":"{user}","data":{{"ClOrdID":"C{number}","Text":"{SECRET_WORD}{note}"}}}}'
    )
    (event,) = scan_batch(f"[{text}]".encode(), Limits())
    assert isinstance(event, Event)
    return event


class House:
    """A data folder with its keys beside it, and stores opened in it."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        self.keys = root / "data.keys"
        self._open: list[ShardStore] = []

    def cluster(self, shards: int | None = None) -> Cluster:
        return open_cluster(self.data, self.keys, shards)

    def store(self, shard: int = 0) -> ShardStore:
        store = ShardStore(self.data, self.cluster(), shard, SETTINGS)
        self._open.append(store)
        return store

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    built.cluster(shards=1)
    yield built
    built.close()


def read(store: ShardStore, name: str, first: int, last: int) -> list[Record]:
    user = store.user(name)
    return [] if user is None else store.records_of(user).read(first, last)


def commit(store: ShardStore, events: list[Event]) -> list[tuple[Status, int, int]]:
    group = store.append(events)
    store.flush()
    store.publish(group)
    return [(outcome.status, outcome.userseq, outcome.logindex) for outcome in group.outcomes]


def test_numbers_are_dense_and_records_come_back_byte_exact(house: House) -> None:
    store = house.store()
    events = [make_event("alice", 1), make_event("bob", 2), make_event("alice", 3)]
    assert commit(store, events) == [
        (Status.STORED, 1, 1),
        (Status.STORED, 1, 2),
        (Status.STORED, 2, 3),
    ]
    records = read(store, "alice", 1, 99)
    assert [(record.userseq, record.logindex) for record in records] == [(1, 1), (2, 3)]
    assert [record.text for record in records] == [events[0].text, events[2].text]
    found = store.record(2)
    assert found is not None
    assert (found[0], found[1].text) == ("bob", events[1].text)
    assert store.record(0) is None
    assert store.record(4) is None


def test_a_repeated_event_is_a_duplicate_with_the_first_numbers(house: House) -> None:
    store = house.store()
    commit(store, [make_event("alice", 1)])
    again = commit(store, [make_event("alice", 1), make_event("alice", 2), make_event("alice", 2)])
    assert again == [
        (Status.DUPLICATE, 1, 1),
        (Status.STORED, 2, 2),
        (Status.DUPLICATE, 2, 2),
    ]


def test_an_identity_with_other_bytes_is_a_conflict_and_is_kept_once(house: House) -> None:
    store = house.store()
    commit(store, [make_event("alice", 1)])
    for _ in range(2):
        assert commit(store, [make_event("alice", 1, note="!")]) == [(Status.REJECTED, 1, 1)]
    kept = read(store, "tradetrail:conflict/0", 1, 99)
    assert len(kept) == 1
    assert f"{SECRET_WORD}!".encode() in kept[0].text
    assert [record.userseq for record in read(store, "alice", 1, 99)] == [1]


def test_readers_see_nothing_before_it_is_published(house: House) -> None:
    store = house.store()
    group = store.append([make_event("alice", 1)])
    assert read(store, "alice", 1, 99) == []
    assert store.record(1) is None
    assert store.recent_names(10, bool) == []
    store.flush()
    store.publish(group)
    assert len(read(store, "alice", 1, 99)) == 1
    assert store.recent_names(10, bool) == ["alice"]


def test_everything_is_there_after_a_reopen_and_numbers_go_on(house: House) -> None:
    events = [make_event("alice", number) for number in range(600)]
    store = house.store()
    commit(store, events)
    first = read(store, "alice", 1, 600)
    house.close()
    store = house.store()
    assert read(store, "alice", 1, 600) == first
    assert (store.size, store.published) == (601, 601)
    assert commit(store, [events[5], make_event("alice", 600)]) == [
        (Status.DUPLICATE, 6, 6),
        (Status.STORED, 601, 601),
    ]
    assert [record.logindex for record in read(store, "alice", 250, 260)] == list(range(250, 261))


def test_the_log_commits_to_each_record_in_its_place(house: House) -> None:
    store = house.store()
    events = [make_event("alice", number) for number in range(300)]
    commit(store, events)
    tag_key = house.cluster().secret.tag_key(0)
    user = store.user("alice")
    assert user is not None
    records = read(store, "alice", 1, 300)
    entries = {}
    for logindex in range(301):
        found = store.chunk(logindex)
        assert found is not None
        entries[logindex] = found[1].entries[logindex - found[0]]
    assert entries[0] == tag_key_entry(tag_key)
    for record in records:
        salt = record_salt(user.data_key, record.userseq)
        expected = commitment_entry(
            user.tag, record.userseq, record.storedtime_ns, salt, record.text
        )
        assert entries[record.logindex] == expected


def test_nothing_readable_lies_on_disk(house: House) -> None:
    store = house.store()
    commit(store, [make_event("alice-the-trader", number) for number in range(50)])
    house.close()
    for path in house.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET_WORD.encode() not in content, path.name
            assert b"alice-the-trader" not in content, path.name


def test_a_second_owner_is_refused(house: House) -> None:
    house.store()
    with pytest.raises(TradeTrailError) as caught:
        house.store()
    assert caught.value.code == "database_locked"


def test_another_number_of_shards_is_refused(house: House) -> None:
    with pytest.raises(Invalid) as caught:
        house.cluster(shards=3)
    assert caught.value.code == "shards_fixed"


def test_a_missing_key_is_refused_and_named(house: House) -> None:
    house.store()
    house.close()
    shutil.rmtree(house.keys)
    with pytest.raises(Invalid) as caught:
        house.cluster()
    assert caught.value.code == "key_missing"
    assert "--keys" in caught.value.detail


def test_a_lost_shard_folder_is_not_started_empty(house: House) -> None:
    commit(house.store(), [make_event("alice", 1)])
    house.close()
    shutil.rmtree(house.data / "shards")
    with pytest.raises(Corrupt) as caught:
        house.store()
    assert caught.value.code == "shard_missing"


def test_a_database_of_another_cluster_is_refused(house: House, tmp_path: Path) -> None:
    house.store()
    house.close()
    other = House(tmp_path / "other")
    other.cluster(shards=1)
    shutil.copytree(house.data / "shards", other.data / "shards")
    with pytest.raises(Invalid) as caught:
        other.store()
    assert caught.value.code == "wrong_database"
