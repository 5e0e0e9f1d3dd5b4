"""Data keys in bundles: durable before use, one maker, refused under another key or in another place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import objects as objects_module
from storage.folders import sync_folder
from storage.key_bundles import SLOTS_PER_BUNDLE, KeyBundles
from storage.objects import LocalFolder
from storage.secrets import KeyEncryptionKey
from tradetrail.errors import Corrupt, StorageFull

KEK = KeyEncryptionKey(b"k" * 32)
BUNDLE = "keys/03/00000000"


class Drawn:
    """Bytes that look random and are the same each time."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_128(f"{self._seed}/{self._count}".encode()).digest(size)


class Folders:
    def __init__(self, root: Path) -> None:
        self.objects = LocalFolder(root / "objects")
        self.local = root / "local"

    def open(
        self,
        kek: KeyEncryptionKey = KEK,
        shard: int = 3,
        local: Path | None = None,
        seed: str = "",
    ) -> KeyBundles:
        return KeyBundles(self.objects, local or self.local, kek, shard, Drawn(seed))

    def damage(self, change: Callable[[bytes], bytes]) -> None:
        """Changes the bundle in both places."""
        content = change(self.objects.get(BUNDLE))
        self.objects.put(BUNDLE, content)
        LocalFolder(self.local).put("00000000", content)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_a_slot_gives_its_key_again_after_a_reopen(folders: Folders) -> None:
    bundles = folders.open()
    bundles.ensure(0)
    keys = [bundles.data_key(slot) for slot in (0, 1, SLOTS_PER_BUNDLE - 1)]
    assert len(set(keys)) == 3
    assert all(key is not None and len(key) == 32 for key in keys)
    again = folders.open(seed="other")
    again.ensure(0)
    assert [again.data_key(slot) for slot in (0, 1, SLOTS_PER_BUNDLE - 1)] == keys


def test_a_bundle_is_durable_in_both_places_before_its_first_slot_is_used(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = sync_folder

    def record(folder: Path) -> None:
        real(folder)
        order.append(folder.name)

    monkeypatch.setattr(objects_module, "sync_folder", record)
    bundles = folders.open()
    bundles.ensure(0)
    # The last thing synced in each place is the folder that got the bundle's name.
    assert order.index("03") < len(order) - 1
    assert order[-1] == "local"
    assert folders.objects.exists(BUNDLE)
    assert LocalFolder(folders.local).get("00000000") == folders.objects.get(BUNDLE)


def test_where_the_bundle_could_not_be_kept_no_slot_is_given(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = folders.open()

    def full(*_arguments: object) -> bool:
        raise StorageFull("disk_full", "full")

    monkeypatch.setattr(folders.objects, "put_if_absent", full)
    with pytest.raises(StorageFull):
        bundles.ensure(0)
    with pytest.raises(Corrupt) as caught:
        bundles.data_key(0)
    assert caught.value.code == "key_bundle_missing"
    monkeypatch.undo()
    bundles.ensure(0)
    assert bundles.data_key(0) is not None


def test_a_local_copy_that_could_not_be_written_gives_no_slot_either(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = folders.open()

    def full(_folder: LocalFolder, _key: str, _content: bytes) -> None:
        raise StorageFull("disk_full", "full")

    monkeypatch.setattr(LocalFolder, "put", full)
    with pytest.raises(StorageFull):
        bundles.ensure(0)
    monkeypatch.undo()
    again = folders.open(seed="other")
    again.ensure(0)
    bundles.ensure(0)
    assert again.data_key(0) == bundles.data_key(0)


def test_each_thousand_users_have_a_bundle_of_their_own(folders: Folders) -> None:
    bundles = folders.open()
    for slot in (0, SLOTS_PER_BUNDLE - 1, SLOTS_PER_BUNDLE):
        bundles.ensure(slot)
    assert folders.objects.list("keys/03/") == [BUNDLE, "keys/03/00000001"]
    assert bundles.data_key(0) != bundles.data_key(SLOTS_PER_BUNDLE)


def test_of_two_makers_the_first_ones_keys_count_for_both(folders: Folders, tmp_path: Path) -> None:
    first, second = folders.open(seed="1"), folders.open(seed="2", local=tmp_path / "other")
    first.ensure(0)
    # The second one did not see the bundle when it looked, and loses the race for its name.
    second._create(0)
    assert second.data_key(7) == first.data_key(7)
    third = folders.open(seed="3", local=tmp_path / "other")
    assert third.data_key(7) == first.data_key(7)


def test_the_local_copy_and_the_object_store_each_suffice(folders: Folders, tmp_path: Path) -> None:
    bundles = folders.open()
    bundles.ensure(0)
    key = bundles.data_key(0)
    fresh = folders.open(local=tmp_path / "fresh")
    assert fresh.data_key(0) == key
    assert LocalFolder(tmp_path / "fresh").exists("00000000")
    folders.objects.delete(BUNDLE)
    alone = folders.open()
    alone.ensure(0)
    assert alone.data_key(0) == key


def test_a_bundle_that_is_nowhere_is_named(folders: Folders) -> None:
    with pytest.raises(Corrupt) as caught:
        folders.open().data_key(5_000)
    assert (caught.value.code, "keys/03/00000005" in caught.value.detail) == (
        "key_bundle_missing",
        True,
    )


def test_another_key_encryption_key_is_refused_and_named(folders: Folders) -> None:
    folders.open().ensure(0)
    other = KeyEncryptionKey(b"o" * 32)
    with pytest.raises(Corrupt) as caught:
        folders.open(other).ensure(0)
    assert caught.value.code == "key_bundle_damaged"
    assert other.id in caught.value.detail


def test_a_bundle_of_another_shard_is_refused(folders: Folders) -> None:
    folders.open(shard=4).ensure(0)
    LocalFolder(folders.local).delete("00000000")
    folders.objects.put(BUNDLE, folders.objects.get("keys/04/00000000"))
    with pytest.raises(Corrupt) as caught:
        folders.open().ensure(0)
    assert caught.value.code == "key_bundle_damaged"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:11],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"XXXX" + content[4:],
        lambda content: content[:4] + b"\x02" + content[5:],
        # One slot fewer than a bundle has: its users would have no key.
        lambda content: content[:80] + (999).to_bytes(2, "big") + content[82:-60],
        lambda content: content[:11] + b"\x00" + content[12:],
        lambda content: content[:11] + b"\xff" + content[12:],
    ],
    ids=[
        "empty",
        "cut-head",
        "cut",
        "longer",
        "magic",
        "format",
        "slots",
        "unwrapped",
        "wrappings",
    ],
)
def test_a_bundle_of_another_shape_is_refused(
    folders: Folders, change: Callable[[bytes], bytes]
) -> None:
    folders.open().ensure(0)
    folders.damage(change)
    with pytest.raises(Corrupt) as caught:
        folders.open().ensure(0)
    assert caught.value.code == "key_bundle_damaged"


def test_a_flipped_bit_in_the_wrapping_is_found(folders: Folders) -> None:
    folders.open().ensure(0)
    folders.damage(lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:])
    with pytest.raises(Corrupt) as caught:
        folders.open().ensure(0)
    assert caught.value.code == "key_unwrap_failed"


def test_a_flipped_bit_in_one_slot_costs_that_slot_only(folders: Folders) -> None:
    bundles = folders.open()
    bundles.ensure(0)
    last = bundles.data_key(SLOTS_PER_BUNDLE - 1)
    folders.damage(lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:])
    again = folders.open()
    with pytest.raises(Corrupt) as caught:
        again.data_key(0)
    assert caught.value.code == "data_key_damaged"
    assert again.data_key(SLOTS_PER_BUNDLE - 1) == last


def test_slots_cannot_change_places(folders: Folders) -> None:
    folders.open().ensure(0)
    start = 82
    folders.damage(
        lambda content: (
            content[:start]
            + content[start + 60 : start + 120]
            + content[start : start + 60]
            + content[start + 120 :]
        )
    )
    with pytest.raises(Corrupt):
        folders.open().data_key(0)


def test_a_destroyed_key_is_gone_and_its_neighbours_are_not(folders: Folders) -> None:
    bundles = folders.open()
    bundles.ensure(0)
    neighbour = bundles.data_key(1)
    folders.damage(lambda content: content[:82] + bytes(60) + content[142:])
    again = folders.open()
    assert again.data_key(0) is None
    assert again.data_key(1) == neighbour


def test_no_key_lies_readable_in_a_bundle(folders: Folders) -> None:
    bundles = folders.open()
    bundles.ensure(0)
    content = folders.objects.get(BUNDLE)
    for slot in range(0, SLOTS_PER_BUNDLE, 100):
        key = bundles.data_key(slot)
        assert key is not None
        assert key not in content
    assert b"k" * 32 not in content
