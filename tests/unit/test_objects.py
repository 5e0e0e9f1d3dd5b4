"""The object store in a folder: races, durability, no partial object, no way out of its root."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.objects import LocalFolder
from tradetrail.errors import Internal, NotFound, StorageFull


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> LocalFolder:
    return LocalFolder(root)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ``fsync`` was called on, by path, in order."""
    paths: list[str] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return paths


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_what_was_put_is_there(store: LocalFolder) -> None:
    assert store.put_if_absent("keys/00/00000001", b"one")
    assert store.get("keys/00/00000001") == b"one"
    assert store.exists("keys/00/00000001")
    assert not store.exists("keys/00/00000002")
    assert not store.exists("keys/00")


def test_the_first_content_stands(store: LocalFolder) -> None:
    assert store.put_if_absent("a", b"first")
    assert not store.put_if_absent("a", b"second")
    assert store.get("a") == b"first"


def test_of_many_writers_exactly_one_wins_and_all_see_its_content(
    store: LocalFolder, root: Path
) -> None:
    writers = 8
    for number in range(20):
        gate = threading.Barrier(writers)
        wins: list[bytes] = []
        seen: list[bytes] = []

        def write(
            content: bytes,
            key: str = f"race/{number}",
            gate: threading.Barrier = gate,
            wins: list[bytes] = wins,
            seen: list[bytes] = seen,
        ) -> None:
            gate.wait()
            if LocalFolder(root).put_if_absent(key, content):
                wins.append(content)
            seen.append(store.get(key))

        threads = [
            threading.Thread(target=write, args=(b"%d" % writer * 1_000,))
            for writer in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1
        assert seen == wins * writers
    assert len(files(root)) == 20


def test_put_replaces(store: LocalFolder, root: Path) -> None:
    store.put("a", b"first")
    store.put("a", b"second")
    assert store.get("a") == b"second"
    assert files(root) == ["a"]


def test_the_content_then_every_new_name_is_synced(
    store: LocalFolder, root: Path, synced: list[str]
) -> None:
    store.put_if_absent("keys/00/one", b"x")
    folders, (content, last) = synced[:-2], synced[-2:]
    # Each folder that was made is synced into the one above it.
    assert folders == [str(root.parent), str(root), str(root / "keys")]
    assert Path(content).parent == root / "keys" / "00"
    assert Path(content).name.startswith(".one.")
    assert last == str(root / "keys" / "00")
    synced.clear()
    store.put("keys/00/one", b"y")
    assert [Path(path).name.split(".")[-2:-1] for path in synced] == [["one"], []]
    assert synced[-1] == str(root / "keys" / "00")


def test_the_loser_of_a_race_waits_for_the_name_to_be_durable(
    store: LocalFolder, root: Path, synced: list[str]
) -> None:
    store.put_if_absent("a", b"first")
    synced.clear()
    assert not store.put_if_absent("a", b"second")
    assert synced[-1] == str(root)


def test_a_deletion_is_durable_and_may_be_repeated(
    store: LocalFolder, root: Path, synced: list[str]
) -> None:
    store.put("keys/a", b"x")
    synced.clear()
    store.delete("keys/a")
    assert synced == [str(root / "keys")]
    store.delete("keys/a")
    store.delete("nowhere/at/all")
    assert not store.exists("keys/a")


class Broken:
    """A call that fails with an errno."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, *_arguments: object, **_options: object) -> None:
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("put", ["put", "put_if_absent"])
@pytest.mark.parametrize("call", ["fsync", "link"])
@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EIO, Internal)])
def test_a_write_that_fails_leaves_nothing_visible(
    store: LocalFolder,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    put: str,
    call: str,
    number: int,
    kind: type[Exception],
) -> None:
    store.put("kept", b"old")
    if put == "put" and call == "link":
        monkeypatch.setattr(Path, "replace", Broken(number))
    else:
        monkeypatch.setattr(os, call, Broken(number))
    with pytest.raises(kind, match="object"):
        getattr(store, put)("fresh", b"half")
    with pytest.raises(kind):
        store.put("kept", b"new") if put == "put" else store.put_if_absent("b", b"new")
    monkeypatch.undo()
    assert files(root) == ["kept"]
    assert store.get("kept") == b"old"


def test_listing_is_sorted_below_its_prefix_and_shows_no_temporary_file(
    store: LocalFolder, root: Path
) -> None:
    for key in ("keys/01/00000010", "keys/01/00000002", "keys/00/1", "keys/010/x", "cluster.json"):
        store.put(key, b"")
    (root / "keys" / "01" / ".00000003.abcdef").write_bytes(b"half")
    assert store.list("keys/01/") == ["keys/01/00000002", "keys/01/00000010"]
    assert store.list("keys/") == [
        "keys/00/1",
        "keys/01/00000002",
        "keys/01/00000010",
        "keys/010/x",
    ]
    assert store.list("nothing/") == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "..",
        "../outside",
        "a/../../outside",
        "a/./b",
        "a//b",
        "a/",
        ".hidden",
        "a/.hidden",
        "a\0b",
        "a\n",
        "a b",
        "ä",
        "a\\b",
    ],
)
def test_a_key_cannot_leave_the_root(store: LocalFolder, root: Path, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.put(key, b"x"),
        lambda: store.put_if_absent(key, b"x"),
        lambda: store.get(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ]
    if key != "a/":
        calls.append(lambda: store.list(key))
    for call in calls:
        with pytest.raises(AssertionError, match="not an object key"):
            call()
    assert not root.exists()


def test_an_absent_object_is_named(store: LocalFolder) -> None:
    reads: list[Callable[[], bytes]] = [
        lambda: store.get("a/b"),
        lambda: store.get_range("a/b", 0, 1),
    ]
    for read in reads:
        with pytest.raises(NotFound) as caught:
            read()
        assert (caught.value.code, "a/b" in caught.value.detail) == ("object_missing", True)


def test_a_range_is_what_there_is_of_it(store: LocalFolder) -> None:
    store.put("a", b"0123456789")
    assert store.get_range("a", 2, 3) == b"234"
    assert store.get_range("a", 8, 10) == b"89"
    assert store.get_range("a", 20, 1) == b""
    assert store.get_range("a", 0, 0) == b""
