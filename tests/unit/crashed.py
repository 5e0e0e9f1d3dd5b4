"""Databases as a crash leaves them, for the tests of the write-ahead log."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from storage.database import Database, DatabaseSettings

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
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def crashed_database(folder: Path) -> Path:
    """A database whose log holds twelve batches, as a crash leaves it: never closed."""
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
