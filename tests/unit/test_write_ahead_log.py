"""After a crash: an unfinished write is cut off, everything else that does not check out is refused."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database import Database, DatabaseSettings
from storage.write_ahead_log import find_torn_tail
from tradetrail.errors import Corrupt

SETTINGS = DatabaseSettings(block_cache_bytes=2**20, write_buffer_bytes=2**24)
BATCHES = 12


def opened(folder: Path) -> Database:
    return Database(folder / "db", SETTINGS, names=("records", "ids"))


def fill(database: Database, first: int, last: int, size: int = 200) -> None:
    """Batches of two keys each, so that half a batch would show."""
    for number in range(first, last):
        batch = database.batch()
        batch.put("records", b"r%06d" % number, bytes((number % 251,)) * size)
        batch.put("ids", b"i%06d" % number, b"x")
        database.write(batch)
    database.flush()


def whole_batches(database: Database) -> list[int]:
    records = [int(key[1:]) for key, _ in database.scan("records", b"")]
    assert records == [int(key[1:]) for key, _ in database.scan("ids", b"")]
    return records


def newest_log(folder: Path) -> Path:
    return max((folder / "db").glob("*.log"), key=lambda path: int(path.stem))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "db").iterdir()
        if path.suffix in (".log", ".sst") or path.name in ("CURRENT", "IDENTITY")
    }


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose log holds twelve batches, as a crash leaves it: never closed."""
    folder = tmp_path_factory.mktemp("template")
    database = opened(folder)
    fill(database, 0, BATCHES)
    copy = folder / "copy"
    copy.mkdir()
    shutil.copytree(folder / "db", copy / "db")
    database.close()
    return copy


def copied(template: Path, tmp_path: Path, name: str) -> Path:
    target = tmp_path / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template, target)
    return target


def reopened(folder: Path) -> tuple[list[int], int]:
    database = opened(folder)
    try:
        return whole_batches(database), database.torn_tail_bytes
    finally:
        database.close()


def test_a_whole_log_is_opened_without_a_judge(template: Path, tmp_path: Path) -> None:
    folder = copied(template, tmp_path, "whole")
    assert reopened(folder) == (list(range(BATCHES)), 0)
    assert not (folder / "torn").exists()


def test_a_log_cut_anywhere_in_its_last_batch_keeps_all_batches_before(
    template: Path, tmp_path: Path
) -> None:
    size = newest_log(template).stat().st_size
    batch = (size - 20) // BATCHES
    for cut in range(1, batch, 7):
        folder = copied(template, tmp_path, "cut")
        os.truncate(newest_log(folder), size - cut)
        found, dropped = reopened(folder)
        assert found == list(range(BATCHES - 1))
        assert 0 < dropped < batch + 20
        (kept,) = (folder / "torn").iterdir()
        assert kept.stat().st_size == size - cut
        # What was cut off stays cut off, and the next start has nothing to judge.
        assert reopened(folder) == (list(range(BATCHES - 1)), 0)


@pytest.mark.parametrize(
    "tail", [b"\xff" * 3_000, *(random.Random(seed).randbytes(40_000) for seed in range(8))]
)
def test_a_tail_of_garbage_is_cut_off(template: Path, tmp_path: Path, tail: bytes) -> None:
    folder = copied(template, tmp_path, "tail")
    with newest_log(folder).open("ab") as file:
        file.write(tail)
    assert reopened(folder) == (list(range(BATCHES)), len(tail))


@pytest.mark.parametrize("zeros", [1, 100, 5_000, 100_000])
def test_zeros_where_a_batch_was_to_be_written_are_cut_off(
    template: Path, tmp_path: Path, zeros: int
) -> None:
    folder = copied(template, tmp_path, "zeros")
    log = newest_log(folder)
    content = log.read_bytes()
    log.write_bytes(content + bytes(zeros))
    assert reopened(folder) == (list(range(BATCHES)), zeros)
    # From its middle on, the batch was never finished.
    folder = copied(template, tmp_path, "zeros")
    newest_log(folder).write_bytes(content[:-30] + bytes(30 + zeros))
    found, dropped = reopened(folder)
    assert found == list(range(BATCHES - 1))
    assert dropped > 30 + zeros


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_loses_an_acknowledged_batch_in_silence(
    template: Path, tmp_path: Path, data: st.DataObject
) -> None:
    folder = copied(template, tmp_path, "flip")
    log = newest_log(folder)
    content = bytearray(log.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    log.write_bytes(content)
    before = digests(folder)
    try:
        found, _ = reopened(folder)
    except Corrupt:
        assert digests(folder) == before
    else:
        # Only the very last batch can look like a write that never finished.
        assert found in (list(range(BATCHES - 1)), list(range(BATCHES)))


def test_damage_in_front_of_whole_records_is_refused_and_nothing_changes(
    template: Path, tmp_path: Path
) -> None:
    folder = copied(template, tmp_path, "middle")
    log = newest_log(folder)
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    before = digests(folder)
    with pytest.raises(Corrupt) as refusal:
        opened(folder)
    assert refusal.value.code == "write_ahead_log_damaged"
    assert str(log) in refusal.value.detail
    assert digests(folder) == before
    assert not (folder / "torn").exists()


def test_damage_in_an_older_log_is_refused(template: Path, tmp_path: Path) -> None:
    folder = copied(template, tmp_path, "older")
    log = newest_log(folder)
    later = log.with_name(f"{int(log.stem) + 7:06d}.log")
    shutil.copy(log, later)
    os.truncate(log, log.stat().st_size - 3)
    with pytest.raises(Corrupt) as refusal:
        find_torn_tail(folder / "db")
    assert refusal.value.code == "write_ahead_log_damaged"


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
    assert torn is not None
    (folder / "torn").mkdir()
    name = f"{log.name}.{torn.offset}.{torn.dropped_bytes}"
    (folder / "torn" / f"{name}.part").write_bytes(b"half")
    assert reopened(folder)[0] == list(range(BATCHES - 1))
    assert (folder / "torn" / name).exists()


WRITER = """
import sys
from pathlib import Path
from tests.unit.test_write_ahead_log import fill, opened
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
