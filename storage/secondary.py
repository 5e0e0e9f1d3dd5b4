"""A shard's records for a reader beside the owner: a RocksDB secondary, which the owner does not feel.

A secondary also sees what is written but not yet flushed; a plan names the position the shard had published,
and nothing above it is read (I3). It needs no key but the data keys of its plans.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.database import Database, DatabaseSettings
from storage.layout import run_dir, shard_dir
from storage.shard_reads import ReadPlan
from storage.user_records import UserRecords

__all__ = ["ShardCopy", "open_copy"]

_SETTINGS = DatabaseSettings(block_cache_bytes=8 * 1024 * 1024)


class ShardCopy:
    """An open secondary of one shard."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def records_of(self, plan: ReadPlan) -> UserRecords:
        """The records a plan names."""
        aead = AESGCM(plan.data_key)
        return UserRecords(self._db, plan.shard, plan.user_key, aead, plan.head)

    def catch_up(self) -> None:
        """Take in what the owner wrote since; call before reading a plan that was made later."""
        self._db.catch_up()


@contextmanager
def open_copy(data: Path, shard: int) -> Iterator[ShardCopy]:
    """A secondary of a shard, closed and removed at the end."""
    folder = run_dir(data) / "secondary" / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    try:
        database = Database(shard_dir(data, shard) / "db", _SETTINGS, secondary=folder)
        try:
            yield ShardCopy(database)
        finally:
            database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
