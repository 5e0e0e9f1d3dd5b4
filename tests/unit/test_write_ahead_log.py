"""After a crash: an unfinished write is cut off, everything else that does not check out is refused."""

from __future__ import annotations

import os
import random
import shutil
import struct
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.write_ahead_log import cut_torn, find_torn_tail
from tests.unit.crashed import (
    BATCHES,
    copied,
    crashed_database,
    digests,
    fill,
    newest_log,
    opened,
    reopened,
)
from tradetrail.errors import Corrupt


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose log holds twelve batches, as a crash leaves it: never closed."""
    return crashed_database(tmp_path_factory.mktemp("template"))


def test_a_whole_log_is_opened_without_a_judge(template: Path, tmp_path: Path) -> None:
    folder = copied(template, tmp_path, "whole")
    assert reopened(folder) == (list(range(BATCHES)), 0)
    assert not (folder / "torn").exists()


def test_a_log_cut_anywhere_in_its_last_batch_keeps_all_batches_before(
    template: Path, tmp_path: Path
) -> None:
    size = newest_log(template).stat().st_size
    batch, rest = divmod(size, BATCHES)
    assert rest == 0
    judged = tmp_path / "judged"
    judged.mkdir()
    content = newest_log(template).read_bytes()
    for cut in range(1, batch):
        (judged / "000004.log").write_bytes(content[:-cut])
        torn = find_torn_tail(judged)
        assert torn is not None
        assert (torn.offset, torn.dropped_bytes) == (size - batch, batch - cut)
    for cut in (1, batch // 2, batch - 8, batch - 1, batch):
        folder = copied(template, tmp_path, "cut")
        os.truncate(newest_log(folder), size - cut)
        assert reopened(folder) == (list(range(BATCHES - 1)), batch - cut)
        if cut == batch:
            assert not (folder / "torn").exists()
        else:
            (kept,) = (folder / "torn").iterdir()
            assert kept.read_bytes() == content[:-cut]


@pytest.mark.parametrize(
    "tail", [b"\xff" * 3_000, random.Random(1).randbytes(40_000), b"\x00" * 9 + b"\x01" * 90]
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
    content = newest_log(folder).read_bytes()
    newest_log(folder).write_bytes(content + bytes(zeros))
    assert reopened(folder) == (list(range(BATCHES)), zeros)
    batch = len(content) // BATCHES
    # From its middle on, and as a whole: the batch was never finished.
    for kept in (batch - 30, 0):
        folder = copied(template, tmp_path, "zeros")
        lost = batch - kept
        newest_log(folder).write_bytes(content[:-lost] + bytes(lost + zeros))
        assert reopened(folder) == (list(range(BATCHES - 1)), batch + zeros)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_damage_loses_an_acknowledged_batch_in_silence(
    template: Path, tmp_path: Path, data: st.DataObject
) -> None:
    folder = copied(template, tmp_path, "flip")
    log = newest_log(folder)
    content = bytearray(log.read_bytes())
    batch = len(content) // BATCHES
    at = data.draw(st.integers(0, len(content) - 1))
    end = at + 1
    damage = data.draw(st.sampled_from(["flip", "zero", "cut"]))
    if damage == "flip":
        content[at] ^= data.draw(st.integers(1, 255))
    elif damage == "zero":
        end = min(len(content), at + data.draw(st.integers(1, 3 * batch)))
        content[at:end] = bytes(end - at)
    else:
        del content[at:]
    changed = bytes(content) != log.read_bytes()
    log.write_bytes(content)
    before = digests(folder)
    # A batch is behind the damage when it begins at or after its end.
    behind = damage != "cut" and -(-end // batch) < BATCHES
    try:
        found, dropped = reopened(folder)
    except Corrupt:
        assert behind
        assert digests(folder) == before
    else:
        assert not (changed and behind)
        assert found == list(range(at // batch if changed else BATCHES))
        assert dropped == (len(content) - len(found) * batch)


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


def test_a_zeroed_batch_in_front_of_whole_ones_is_refused(template: Path, tmp_path: Path) -> None:
    """RocksDB opens such a log in its strictest mode, without the batches behind."""
    folder = copied(template, tmp_path, "hole")
    log = newest_log(folder)
    content = bytearray(log.read_bytes())
    batch = len(content) // BATCHES
    for end in (5 * batch + 7, 6 * batch):
        holed = bytearray(content)
        holed[5 * batch : end] = bytes(end - 5 * batch)
        log.write_bytes(holed)
        before = digests(folder)
        with pytest.raises(Corrupt, match=f"at byte {5 * batch}:.*behind it at byte {6 * batch}"):
            opened(folder)
        assert digests(folder) == before


@pytest.mark.parametrize("damage", ["cut", "flip", "zeros"])
def test_damage_in_an_older_log_is_refused(tmp_path: Path, damage: str) -> None:
    folder, older = two_logs(tmp_path)
    content = bytearray(older.read_bytes())
    if damage == "cut":
        del content[-3:]
    elif damage == "flip":
        content[-3] ^= 1
    else:
        content[-60:] = bytes(60)
        content += bytes(200)
    older.write_bytes(content)
    before = digests(folder)
    with pytest.raises(Corrupt, match=older.name) as refusal:
        opened(folder)
    assert refusal.value.code == "write_ahead_log_damaged"
    assert digests(folder) == before


def test_two_whole_logs_are_opened_in_order(tmp_path: Path) -> None:
    folder, _ = two_logs(tmp_path)
    assert reopened(folder) == (list(range(6)), 0)


def two_logs(tmp_path: Path) -> tuple[Path, Path]:
    """A database with three batches in each of two logs that both still count."""
    source = tmp_path / "source"
    source.mkdir()
    database = opened(source)
    fill(database, 0, 3)
    # Writing out one family switches the log, and the other family still needs the old one.
    database._families["ids"].flush()
    fill(database, 3, 6)
    folder = tmp_path / "two"
    shutil.copytree(source, folder)
    database.close()
    older, _ = sorted((folder / "db").glob("*.log"))
    return folder, older


def test_a_torn_log_left_behind_by_an_interrupted_recovery_is_no_obstacle(
    template: Path, tmp_path: Path
) -> None:
    folder = copied(template, tmp_path, "left")
    log = newest_log(folder)
    os.truncate(log, log.stat().st_size - 5)
    torn = log.read_bytes()
    database = opened(folder)
    fill(database, BATCHES, BATCHES + 2)
    crashed = tmp_path / "crashed"
    shutil.copytree(folder, crashed)
    database.close()
    (crashed / "db" / log.name).write_bytes(torn)
    newest = newest_log(crashed)
    os.truncate(newest, newest.stat().st_size - 5)
    found, dropped = reopened(crashed)
    assert found == [*range(BATCHES - 1), BATCHES]
    assert dropped > 0


def test_an_empty_newest_log_and_foreign_files_do_not_matter(
    template: Path, tmp_path: Path
) -> None:
    folder = copied(template, tmp_path, "empty")
    log = newest_log(folder)
    log.with_name(f"{int(log.stem) + 7:06d}.log").write_bytes(b"")
    log.with_name("notes.log").write_bytes(b"by hand")
    os.truncate(log, log.stat().st_size - 5)
    assert reopened(folder)[0] == list(range(BATCHES - 1))
    assert len(list((folder / "torn").iterdir())) == 1


def test_a_copy_of_another_crash_is_never_overwritten(template: Path, tmp_path: Path) -> None:
    """A folder restored from a backup counts its logs from the same number again."""
    folder = copied(template, tmp_path, "one")
    log = newest_log(folder)
    whole = log.read_bytes()
    for tail in (b"\xff" * 90, b"\xfe" * 90):
        log.write_bytes(whole + tail)
        torn = find_torn_tail(folder / "db")
        assert torn is not None
        cut_torn(torn, folder / "torn")
        assert log.read_bytes() == whole
    kept = sorted(path.read_bytes()[-90:] for path in (folder / "torn").iterdir())
    assert kept == [b"\xfe" * 90, b"\xff" * 90]


def test_an_empty_first_part_at_the_end_of_a_block_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    database = opened(source)
    fill(database, 0, 1, size=1_000)
    first = newest_log(source).stat().st_size
    # A batch that leaves exactly a header's 7 bytes of the first block.
    fill(database, 1, 2, size=32_768 - 7 - 2 * first + 1_000 - 1)
    # The length of a value above 16,383 takes three bytes, of one below two.
    size = newest_log(source).stat().st_size
    assert size == 32_768 - 7
    fill(database, 2, 3)
    content = newest_log(source).read_bytes()
    assert content[size + 4 : size + 7] == b"\x00\x00\x02"
    folder = tmp_path / "crashed"
    shutil.copytree(source, folder)
    database.close()
    assert reopened(folder) == ([0, 1, 2], 0)


def test_a_kind_of_record_that_is_never_written_here_is_refused(
    template: Path, tmp_path: Path
) -> None:
    folder = copied(template, tmp_path, "foreign")
    body = bytes((130,)) + b"predecessor"
    crc = google_crc32c.value(body)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    with newest_log(folder).open("ab") as file:
        file.write(struct.pack("<IH", masked, len(body) - 1) + body)
    before = digests(folder)
    with pytest.raises(Corrupt, match="never writes"):
        opened(folder)
    assert digests(folder) == before
