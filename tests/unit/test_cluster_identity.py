"""A cluster's identity and its keys: made once, and every other combination is refused unchanged."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.cluster import SHARDS_DEFAULT, SHARDS_MAX, Cluster, open_cluster
from storage.database import DatabaseSettings
from storage.secrets import ClusterSecret, KeyEncryptionKey, KeyFolder
from storage.shard_store import ShardStore
from tradetrail.errors import Corrupt, Invalid, TradeTrailError


class House:
    """A data folder and its keys."""

    def __init__(self, root: Path, name: str = "data") -> None:
        self.data = root / name
        self.keys = root / f"{name}.keys"
        self.file = self.data / "objects" / "cluster.json"

    def open(self, shards: int | None = None, **options: Any) -> Cluster:
        return open_cluster(self.data, self.keys, shards, **options)

    def refusal(self, shards: int | None = None) -> TradeTrailError:
        """The refusal of an open, which must leave everything as it was."""
        before = self.contents()
        with pytest.raises(TradeTrailError) as caught:
            self.open(shards)
        assert self.contents() == before
        return caught.value

    def contents(self) -> dict[str, bytes]:
        folders = (self.data, self.keys)
        return {
            str(path): path.read_bytes()
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
        }

    def change(self, **values: Any) -> None:
        found = json.loads(self.file.read_text())
        found.update(values)
        self.file.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))

    @property
    def key_file(self) -> Path:
        (found,) = self.keys.glob("kek-*.json")
        return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_cluster_is_the_same_each_time_it_is_opened(house: House) -> None:
    first = house.open(3, service_name="firm.example")
    again = house.open(service_name="other.example")
    assert (again.id, again.shards, again.kek.id) == (first.id, 3, first.kek.id)
    assert again.secret.derive("x") == first.secret.derive("x")
    # The origin of the logs was drawn at first start and stays.
    assert again.origin(2) == first.origin(2) == f"firm.example/{first.id}/logs/02"
    assert house.open(3).shards == 3


def test_a_new_cluster_has_the_default_number_of_shards_and_an_id_of_its_own(
    house: House, tmp_path: Path
) -> None:
    first, other = house.open(), House(tmp_path, "other").open()
    assert first.shards == SHARDS_DEFAULT
    assert first.id != other.id
    assert first.secret.derive("x") != other.secret.derive("x")


def test_folders_and_key_files_are_private(house: House) -> None:
    house.open()
    for path, mode in ((house.data, 0o700), (house.keys, 0o700), (house.key_file, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_neither_the_key_nor_the_secret_lies_in_the_data(house: House) -> None:
    house.open()
    key = json.loads(house.key_file.read_text())["key"]
    assert key not in house.file.read_text()
    wrapped = bytes.fromhex(json.loads(house.file.read_text())["secret"])
    assert len(wrapped) == 12 + 32 + 16


@pytest.mark.parametrize("shards", [0, -1, SHARDS_MAX + 1])
def test_a_number_of_shards_out_of_range_makes_nothing(house: House, shards: int) -> None:
    assert house.refusal(shards).code == "shards_out_of_range"
    assert not house.data.exists()


def test_another_number_of_shards_is_refused_and_both_are_named(house: House) -> None:
    house.open(2)
    refused = house.refusal(3)
    assert (refused.code, type(refused)) == ("shards_fixed", Invalid)
    assert "2 shards" in refused.detail
    assert "--shards 3" in refused.detail


def test_a_missing_key_is_refused_and_named(house: House) -> None:
    house.open()
    path = house.key_file
    path.unlink()
    refused = house.refusal()
    assert refused.code == "key_missing"
    assert str(path) in refused.detail


def test_keys_of_another_cluster_are_refused(house: House, tmp_path: Path) -> None:
    house.open()
    other = House(tmp_path, "other")
    other.open()
    mine = house.key_file
    mine.write_bytes(other.key_file.read_bytes())
    refused = house.refusal()
    assert refused.code == "key_file_invalid"
    assert other.key_file.stem.removeprefix("kek-") in refused.detail


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format":1,"id":"x","key":"zz"}',
        b'{"format":1,"id":"x","key":"00"}',
        b'{"format":1,"id":"x"}',
    ],
)
def test_a_damaged_key_file_is_refused(house: House, content: bytes) -> None:
    house.open()
    house.key_file.write_bytes(content)
    assert house.refusal().code == "key_file_invalid"


def test_a_key_file_of_a_later_format_is_refused(house: House) -> None:
    house.open()
    found = json.loads(house.key_file.read_text())
    house.key_file.write_text(json.dumps({**found, "format": 2}))
    refused = house.refusal()
    assert refused.code == "key_file_invalid"
    assert "format 1" in refused.detail


def test_a_key_file_that_cannot_be_read_is_named(house: House) -> None:
    house.open()
    path = house.key_file
    path.unlink()
    path.mkdir()
    refused = house.refusal()
    assert (refused.code, type(refused)) == ("key_unreadable", Invalid)
    assert str(path) in refused.detail


def test_no_message_holds_a_key(house: House) -> None:
    house.open()
    found = json.loads(house.key_file.read_text())
    for change in ({"format": 2}, {"key": found["key"][:62]}, {"key": "ab" * 32}):
        house.key_file.write_text(json.dumps({**found, **change}))
        refused = house.refusal()
        assert str(change.get("key", found["key"]))[:16] not in str(refused)


@pytest.mark.parametrize(
    "change", [{"secret": None}, {"later": 1}, {"secret": None, "secrets": ["x"]}]
)
def test_data_of_a_later_format_is_refused_whatever_its_fields(
    house: House, change: dict[str, Any]
) -> None:
    house.open()
    house.change(format=2, **change)
    refused = house.refusal()
    assert (refused.code, type(refused)) == ("data_format_newer", Invalid)
    assert "format 2" in refused.detail


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-9]),
        lambda file: file.write_bytes(b"[]"),
        lambda file: file.write_bytes(b'{"format":1}'),
        lambda file: file.write_bytes(b'{"format":1,"cluster_id":"\xff\xfe"}'),
        lambda file: file.write_text(file.read_text().replace('"secret": "', '"secret": "zz')),
    ],
    ids=["empty", "cut", "array", "fields", "utf8", "hex"],
)
def test_a_damaged_cluster_file_is_told_and_not_made_anew(
    house: House, damage: Callable[[Path], object]
) -> None:
    house.open()
    damage(house.file)
    refused = house.refusal()
    assert (refused.code, type(refused)) == ("cluster_file_damaged", Corrupt)


def test_a_secret_of_another_cluster_does_not_open(house: House) -> None:
    first = house.open()
    house.change(cluster_id="0" * 16)
    refused = house.refusal()
    assert refused.code == "key_unwrap_failed"
    assert first.kek.id in refused.detail


def test_shards_without_a_cluster_file_are_not_given_a_new_identity(house: House) -> None:
    cluster = house.open(1)
    settings = DatabaseSettings(block_cache_bytes=2**20, write_buffer_bytes=2**20)
    ShardStore(house.data, cluster, 0, settings).close()
    house.file.unlink()
    refused = house.refusal()
    assert (refused.code, type(refused)) == ("cluster_file_missing", Corrupt)
    assert str(house.file) in refused.detail
    assert not house.file.exists()


def test_a_wrapped_secret_opens_under_its_key_and_purpose_only() -> None:
    kek = KeyEncryptionKey(b"k" * 32)
    wrapped = kek.wrap(b"s" * 32, b"purpose")
    assert kek.unwrap(wrapped, b"purpose") == b"s" * 32
    assert kek.wrap(b"s" * 32, b"purpose") != wrapped
    other = KeyEncryptionKey(b"o" * 32)
    attempts = [
        (kek, wrapped, b"other"),
        (other, wrapped, b"purpose"),
        (kek, wrapped[:-1], b"purpose"),
        (kek, b"", b"purpose"),
        (kek, wrapped[:11], b"purpose"),
    ]
    for key, bytes_, purpose in attempts:
        with pytest.raises(Corrupt) as caught:
            key.unwrap(bytes_, purpose)
        assert caught.value.code == "key_unwrap_failed"


def test_derived_keys_differ_by_label_and_by_shard() -> None:
    secret = ClusterSecret(bytes(32))
    derived = [secret.derive("a"), secret.derive("b"), secret.tag_key(0), secret.tag_key(1)]
    assert len(set(derived)) == 4
    assert {len(key) for key in derived} == {32}
    assert ClusterSecret(bytes(32)).derive("a") == derived[0]
    assert ClusterSecret(b"\x01" * 32).derive("a") != derived[0]


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys", bytes)
    kek = folder.create()
    with pytest.raises(FileExistsError):
        folder.create()
    assert folder.load(kek.id).id == kek.id
