"""RocksDB as a shard uses it: families, options bounded by settings, and errors translated in one place.

``write`` goes without sync and ``flush`` follows on another thread: rocksdict holds the GIL through a synced
write and releases it in ``flush_wal``. Nothing is acknowledged before ``flush`` returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    ColumnFamily,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
)

from storage.layout import FAMILIES
from storage.write_ahead_log import cut_torn, find_torn_tail, sole_owner
from tradetrail.errors import Corrupt, Internal, StorageFull, TradeTrailError, Unavailable

__all__ = ["Batch", "Database", "DatabaseSettings", "classify"]

#: Point reads that miss are the rule here (a new identity, a new user): a bloom answers them from memory.
_BLOOMED = ("ids", "users")
#: The rest is encrypted or hashed and does not compress.
_COMPRESSED = ("lookup", "zones")


#: Databases this process owns: a second opening must not touch the lock file of the first.
_OWNED: WeakValueDictionary[Path, Database] = WeakValueDictionary()


class DatabaseSettings(msgspec.Struct, frozen=True):
    """Memory and files of one database."""

    #: Shared by all families.
    block_cache_bytes: int = 64 * 1024 * 1024
    #: One family's memtable; the sum over families stays below 4 of these.
    write_buffer_bytes: int = 16 * 1024 * 1024
    #: Beyond it the oldest memtables are written out, so that a restart replays little.
    wal_bytes_max: int = 128 * 1024 * 1024
    open_files_max: int = 512


def classify(error: Exception, doing: str) -> TradeTrailError:
    """Our error for one of rocksdict's, which are told apart by their text only."""
    text = str(error)
    if "No space left" in text or "IO error: While appending" in text:
        return StorageFull(
            "disk_full",
            f"{doing} failed: the disk is full. Free space; nothing acknowledged is lost.",
        )
    if "Corruption" in text or "corrupt" in text.lower():
        return Corrupt("database_corrupt", f"{doing} found damaged data: {text[:300]}")
    if "lock" in text.lower() and "LOCK" in text:
        return _locked(doing, "another process")
    return Internal("database_error", f"{doing} failed: {text[:300]}")


def _locked(doing: str, holder: str) -> Unavailable:
    return Unavailable(
        "database_locked",
        f"{doing}: {holder} holds this database; only one may own a shard.",
    )


class Batch:
    """One atomic write over several families. Rebuild it after a failed write."""

    __slots__ = ("_batch", "_handles")

    def __init__(self, handles: dict[str, ColumnFamily]) -> None:
        self._batch = WriteBatch(raw_mode=True)
        self._handles = handles

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set one key."""
        self._batch.put(key, value, self._handles[family])

    def delete(self, family: str, key: bytes) -> None:
        """Remove one key."""
        self._batch.delete(key, self._handles[family])

    def delete_range(self, family: str, begin: bytes, end: bytes) -> None:
        """Remove the keys from ``begin`` up to, not including, ``end``."""
        self._batch.delete_range(begin, end, self._handles[family])

    def __len__(self) -> int:
        return self._batch.len()


class Database:
    """One open RocksDB. Reads are safe from any thread; one thread writes at a time by agreement."""

    def __init__(
        self,
        path: Path,
        settings: DatabaseSettings,
        *,
        names: tuple[str, ...] = FAMILIES,
        secondary: Path | None = None,
    ) -> None:
        """Open, creating where absent; with ``secondary`` as a reader beside the owner.

        Raises:
            Corrupt: the write-ahead log or a file is damaged, other than by a write that never finished.
            Unavailable: another process owns the database.
        """
        self.path = path
        #: Bytes of an unfinished write that were cut off behind the last whole one at this opening.
        self.torn_tail_bytes = 0
        self._families: dict[str, Rdict] = {}
        self._handles: dict[str, ColumnFamily] = {}
        self._names = names
        self._settings = settings
        self._secondary = secondary
        if secondary is None:
            if path.resolve() in _OWNED:
                raise _locked(f"Opening {path.name}", "this process")
            self._cut_unfinished_write()
        self._open()
        if secondary is None:
            _OWNED[path.resolve()] = self

    def _cut_unfinished_write(self) -> None:
        """Judge the logs under the lock: RocksDB's strictest mode passes over zeroed records in silence."""
        if not self.path.is_dir():
            return
        doing = f"Judging the write-ahead log of {self.path.name}"
        try:
            with sole_owner(self.path) as alone:
                if not alone:
                    raise _locked(doing, "another process")
                torn = find_torn_tail(self.path)
                if torn is not None:
                    # By our own hand: RocksDB was seen to read a tail of garbage for ever.
                    cut_torn(torn, self.path.with_name("torn"))
                    self.torn_tail_bytes = torn.dropped_bytes
        except OSError as error:
            raise classify(error, doing) from error

    def _open(self) -> None:
        cache = Cache(self._settings.block_cache_bytes)
        secondary = self._secondary is not None
        main, *others = (
            _options(name, self._settings, cache, secondary) for name in ("default", *self._names)
        )
        main.set_wal_recovery_mode(DBRecoveryMode.absolute_consistency())
        families = dict(zip(self._names, others, strict=True))
        try:
            if self._secondary is not None:
                access = AccessType.secondary(str(self._secondary))
                self._db = Rdict(str(self.path), main, families, access)
            else:
                self._db = Rdict(str(self.path), main, families)
        except Exception as error:
            raise classify(error, f"Opening {self.path.name}") from error
        try:
            for name in self._names:
                self._families[name] = self._db.get_column_family(name)
                self._handles[name] = self._db.get_column_family_handle(name)
        except Exception as error:
            # The error's traceback keeps this object alive, and with it the lock.
            self.close()
            raise classify(error, f"Opening {self.path.name}") from error

    def batch(self) -> Batch:
        """An empty batch for this database."""
        return Batch(self._handles)

    def write(self, batch: Batch) -> None:
        """Apply a batch; visible to reads at once, durable after the next ``flush``."""
        try:
            self._db.write(batch._batch)
        except Exception as error:
            raise classify(error, "A write") from error

    def flush(self) -> None:
        """Return once everything written before this call survives a power loss.

        A failed flush is final: pages may be lost and a later one succeed, so the owner must exit.
        """
        try:
            self._db.flush_wal(True)
        except Exception as error:
            raise classify(error, "A flush") from error

    def get(self, family: str, key: bytes) -> bytes | None:
        """The value of one key."""
        try:
            value: bytes | None = self._families[family].get(key)
        except Exception as error:
            raise classify(error, f"A read in {family}") from error
        return value

    def get_many(self, family: str, keys: list[bytes]) -> list[bytes | None]:
        """The values of several keys, in their order; releases the GIL."""
        if not keys:
            return []
        try:
            values: list[bytes | None] = self._families[family].get([*keys])  # type: ignore[assignment]  # a list in gives a list out
        except Exception as error:
            raise classify(error, f"A read in {family}") from error
        return values

    def last_at_or_before(self, family: str, key: bytes) -> tuple[bytes, bytes] | None:
        """The entry with the greatest key that is not above ``key``."""
        cursor = self._families[family].iter(ReadOptions())
        cursor.seek_for_prev(key)
        return self._entry(cursor, family)

    def scan(
        self, family: str, begin: bytes, end: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries from ``begin`` up to, not including, ``end``; raises ``Corrupt`` rather than end early."""
        cursor = self._families[family].iter(ReadOptions())
        cursor.seek(begin)
        while (entry := self._entry(cursor, family)) is not None:
            if end is not None and entry[0] >= end:
                return
            yield entry
            cursor.next()

    def property(self, family: str, name: str) -> int:
        """A numeric RocksDB property; 0 where it has none."""
        return self._families[family].property_int_value(name) or 0

    def catch_up(self) -> None:
        """A secondary takes in what its owner wrote meanwhile."""
        try:
            self._db.try_catch_up_with_primary()
        except Exception as error:
            raise classify(error, "Catching up with the owner") from error

    def close(self) -> None:
        """Let go of the database; children first, or the lock stays held."""
        self._handles.clear()
        for family in self._families.values():
            family.close()
        self._families.clear()
        try:
            self._db.close()
        finally:
            if _OWNED.get(self.path.resolve()) is self:
                del _OWNED[self.path.resolve()]

    def _entry(self, cursor: RdictIter, family: str) -> tuple[bytes, bytes] | None:
        if not cursor.valid():
            try:
                cursor.status()
            except Exception as error:
                raise classify(error, f"A scan of {family}") from error
            return None
        return bytes(cursor.key()), bytes(cursor.value())


def _options(name: str, settings: DatabaseSettings, cache: Cache, secondary: bool) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size(settings.write_buffer_bytes)
    options.set_db_write_buffer_size(settings.write_buffer_bytes * 4)
    options.set_max_total_wal_size(settings.wal_bytes_max)
    # A secondary may read files its owner has removed: it has to hold them open.
    options.set_max_open_files(-1 if secondary else settings.open_files_max)
    options.set_keep_log_file_num(5)
    options.set_recycle_log_file_num(0)
    options.set_max_background_jobs(2)
    compressed = name in _COMPRESSED
    options.set_compression_type(
        DBCompressionType.lz4() if compressed else DBCompressionType.none()
    )
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_cache_index_and_filter_blocks(True)
    if name in _BLOOMED:
        table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
