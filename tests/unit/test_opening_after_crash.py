"""Opening a database whose log is torn: locks, full disks, copies, killed writers."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rocksdict import Rdict

from storage.database import Database
from storage.write_ahead_log import cut_torn, find_torn_tail
from tests.unit.crashed import (
    BATCHES,
    SETTINGS,
    copied,
    crashed_database,
    fill,
    newest_log,
    opened,
    reopened,
)
from tradetrail.errors import Corrupt, StorageFull, TradeTrailError, Unavailable


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose log holds twelve batches, as a crash leaves it: never closed."""
    return crashed_database(tmp_path_factory.mktemp("template"))


def test_damage_outside_the_log_is_no_torn_tail_and_the_refusal_lets_go_of_the_lock(
    template: Path, tmp_path: Path
) -> None:
    folder = copied(template, tmp_path, "manifest")
    (manifest,) = (folder / "db").glob("MANIFEST-*")
    content = manifest.read_bytes()
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    manifest.write_bytes(flipped)
    with pytest.raises(Corrupt) as refusal:
        opened(folder)
    assert not (folder / "torn").exists()
    manifest.write_bytes(content)
    # The error is still held, and its traceback with it.
    assert refusal.value.code == "database_corrupt"
    assert reopened(folder) == (list(range(BATCHES)), 0)


def test_a_family_that_cannot_be_had_lets_go_of_the_lock(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(template, tmp_path, "family")

    class Refusing:
        def __init__(self, *arguments: object) -> None:
            self._db = Rdict(*arguments)  # type: ignore[arg-type]  # handed through as they come

        def get_column_family(self, name: str) -> Rdict:
            return self._db.get_column_family(name)

        def get_column_family_handle(self, name: str) -> object:
            raise OSError("IO error: no handle")

        def close(self) -> None:
            self._db.close()

    with monkeypatch.context() as patch:
        patch.setattr("storage.database.Rdict", Refusing)
        with pytest.raises(TradeTrailError) as refusal:
            opened(folder)
    assert reopened(folder)[0] == list(range(BATCHES))
    assert refusal.value.code == "database_error"


def test_a_disk_too_full_for_the_copy_is_said_and_nothing_changes(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(template, tmp_path, "full")
    log = newest_log(folder)
    os.truncate(log, log.stat().st_size - 5)
    content = log.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("storage.write_ahead_log.os.fsync", full)
        with pytest.raises(StorageFull):
            opened(folder)
    assert log.read_bytes() == content
    assert reopened(folder)[0] == list(range(BATCHES - 1))


OWNER = """
import sys
from pathlib import Path
from tests.unit.crashed import fill, opened
database = opened(Path(sys.argv[1]))
fill(database, 0, 4)
print("up", flush=True)
sys.stdin.readline()
fill(database, 4, 8)
print("acknowledged", flush=True)
sys.stdin.readline()
"""


def test_a_second_owner_leaves_the_log_of_the_first_alone(tmp_path: Path) -> None:
    """Whoever comes in the middle of the owner's write reads a torn tail that is none."""
    folder = tmp_path / "owned"
    folder.mkdir()
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "up\n"
        log = newest_log(folder)
        # Half a write at the end, as another process would see it.
        size = log.stat().st_size
        os.truncate(log, size + 100)
        with pytest.raises(Unavailable) as refusal:
            opened(folder)
        assert refusal.value.code == "database_locked"
        assert log.stat().st_size == size + 100
        assert not (folder / "torn").exists()
        os.truncate(log, size)
        owner.stdin.write("\n")
        owner.stdin.flush()
        assert owner.stdout.readline() == "acknowledged\n"
    finally:
        owner.kill()
        owner.wait(20)
        owner.stdin.close()
        owner.stdout.close()
    assert reopened(folder) == (list(range(8)), 0)


def test_a_second_opening_in_the_owners_process_keeps_the_lock_held(tmp_path: Path) -> None:
    folder = tmp_path / "twice"
    folder.mkdir()
    database = opened(folder)
    fill(database, 0, 2)
    with pytest.raises(Unavailable, match="this process"):
        opened(folder)
    # Another process still finds it locked.
    other = subprocess.run(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert "database_locked" in other.stderr
    database.close()
    assert reopened(folder) == ([0, 1], 0)


def test_a_reader_beside_the_owner_judges_and_copies_nothing(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(template, tmp_path, "secondary")
    log = newest_log(folder)
    os.truncate(log, log.stat().st_size - 5)

    def judged(path: Path) -> None:
        raise AssertionError(f"{path} was judged")

    monkeypatch.setattr("storage.database.find_torn_tail", judged)
    with contextlib.suppress(TradeTrailError):
        Database(
            folder / "db", SETTINGS, names=("records", "ids"), secondary=folder / "reader"
        ).close()
    assert not (folder / "torn").exists()


def test_an_unfinished_batch_of_many_blocks_is_cut_off_whole(tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    database = opened(folder)
    fill(database, 0, 3)
    fill(database, 3, 4, size=3_000_000)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    database.close()
    size = newest_log(copy).stat().st_size
    for cut in (1, 50_000, 1_500_000, 2_990_000):
        target = copied(copy, tmp_path, "cut")
        os.truncate(newest_log(target), size - cut)
        found, dropped = reopened(target)
        assert found == [0, 1, 2]
        assert dropped > 3_000_000 - cut - 1_000


def test_a_crash_while_the_torn_log_is_kept_aside_is_no_obstacle(
    template: Path, tmp_path: Path
) -> None:
    folder = copied(template, tmp_path, "again")
    log = newest_log(folder)
    os.truncate(log, log.stat().st_size - 5)
    torn = find_torn_tail(folder / "db")
    (folder / "torn").mkdir()
    assert torn is not None
    content = log.read_bytes()
    name = f"{log.name}.{hashlib.sha256(content).hexdigest()[:32]}"
    (folder / "torn" / f"{name}.part").write_bytes(b"half")
    cut_torn(torn, folder / "torn")
    # Copied, and the crash came before the cut: all of it once more.
    log.write_bytes(content)
    assert reopened(folder)[0] == list(range(BATCHES - 1))
    assert [path.name for path in (folder / "torn").iterdir()] == [name]
    assert (folder / "torn" / name).read_bytes() == content


WRITER = """
import sys
from pathlib import Path
from tests.unit.crashed import fill, opened
database = opened(Path(sys.argv[1]))
first = int(sys.argv[2])
while True:
    fill(database, first, first + 3, size=400_000)
    first += 3
    print(first, flush=True)
"""


def test_a_writer_killed_again_and_again_keeps_every_acknowledged_batch(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    first = 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(first)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        acknowledged = first
        for _ in range(5):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.stdout.close()
        writer.wait(20)
        acknowledged = int(rest[-1]) if rest else acknowledged
        found, _ = reopened(folder)
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged
        first = len(found)
