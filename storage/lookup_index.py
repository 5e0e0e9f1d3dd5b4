"""The lookup index: hashed values over all users → logindexes, in sorted runs.

Pairs (hash, logindex) gather in memory and are written as a sorted run of blocks; eight runs of a level are
merged into one of the next (levels 0 to 2). One search asks each run for the pairs of one hash, so it costs a
seek a run. Two values may share a hash: every hit is a candidate that the record itself decides.

Block, big-endian: format 0x01 (1) ‖ count (2) ‖ hashes, byte plane by byte plane (8 x count) ‖ logindexes
likewise. Sorted columns in byte planes are mostly runs of equal bytes, which RocksDB's compression removes.
"""

from __future__ import annotations

import struct
import threading
from array import array

import msgspec
import numpy as np
import numpy.typing as npt

from storage.database import Batch, Database
from storage.layout import MAX_U64, block_key, run_range
from tradetrail.errors import Corrupt

__all__ = ["LookupIndex", "Run", "pack_block", "parse_block"]

Column = npt.NDArray[np.uint64]

_RUNS = b"lookup-runs"
_BLOCK_PAIRS = 512
_MERGE_RUNS = 8
#: A level-2 run holds 64 flushes; merging more at once would cost a shard too much memory.
_LEVEL_MAX = 2
_HEAD = struct.Struct(">BH")


class Run(msgspec.Struct, frozen=True, array_like=True):
    """One sorted run on disk."""

    level: int
    id: int
    pairs: int


class LookupIndex:
    """The index of one shard. ``add`` and ``flush`` belong to the indexing thread; ``find`` to any."""

    def __init__(self, database: Database) -> None:
        self._db = database
        #: Guards ``_runs`` and the buffers: a search must not see a run half replaced.
        self._lock = threading.Lock()
        stored = database.get("meta", _RUNS)
        self._runs = msgspec.msgpack.decode(stored, type=list[Run]) if stored else []
        self._hashes: array[int] = array("Q")
        self._logindexes: array[int] = array("Q")

    @property
    def pending(self) -> int:
        """Pairs that stand in memory only."""
        return len(self._hashes)

    def add(self, hashes: list[int], logindex: int) -> None:
        """File one record under its hashes."""
        with self._lock:
            for value in hashes:
                self._hashes.append(value)
                self._logindexes.append(logindex)

    def find(self, value: int, after: int, limit: int) -> list[int]:
        """Up to ``limit`` logindexes above ``after`` that were filed under a hash, ascending."""
        with self._lock:
            found = set()
            for run in self._runs:
                found.update(self._find_in_run(run, value, after, limit))
            if self._hashes:
                hashes = np.array(self._hashes, dtype=np.uint64)
                numbers = np.array(self._logindexes, dtype=np.uint64)[hashes == np.uint64(value)]
                found.update(int(number) for number in numbers if number > after)
        return sorted(found)[:limit]

    def flush(self, batch: Batch, also: dict[bytes, bytes]) -> None:
        """Write the buffered pairs as a run, with ``also`` in `meta` in the same batch, and merge."""
        with self._lock:
            runs = list(self._runs)
            if self._hashes:
                hashes = np.array(self._hashes, dtype=np.uint64)
                logindexes = np.array(self._logindexes, dtype=np.uint64)
                runs.append(self._put_run(batch, 0, runs, hashes, logindexes))
            for key, value in also.items():
                batch.put("meta", key, value)
            batch.put("meta", _RUNS, msgspec.msgpack.encode(runs))
            self._db.write(batch)
            self._runs = runs
            self._hashes = array("Q")
            self._logindexes = array("Q")
        for level in range(_LEVEL_MAX):
            self._merge(level)

    def _merge(self, level: int) -> None:
        merged = [run for run in self._runs if run.level == level]
        if len(merged) < _MERGE_RUNS:
            return
        columns = [self._read_run(run) for run in merged]
        batch = self._db.batch()
        kept = [run for run in self._runs if run.level != level]
        hashes = np.concatenate([column[0] for column in columns])
        logindexes = np.concatenate([column[1] for column in columns])
        kept.append(self._put_run(batch, level + 1, self._runs, hashes, logindexes))
        for run in merged:
            batch.delete_range("lookup", *run_range(run.level, run.id))
        batch.put("meta", _RUNS, msgspec.msgpack.encode(kept))
        with self._lock:
            self._db.write(batch)
            self._runs = kept

    def _put_run(
        self, batch: Batch, level: int, runs: list[Run], hashes: Column, logindexes: Column
    ) -> Run:
        run_id = max((run.id for run in runs), default=0) + 1
        order = np.lexsort((logindexes, hashes))
        hashes, logindexes = hashes[order], logindexes[order]
        for start in range(0, len(hashes), _BLOCK_PAIRS):
            part = slice(start, start + _BLOCK_PAIRS)
            key = block_key(level, run_id, int(hashes[start]), int(logindexes[start]))
            batch.put("lookup", key, pack_block(hashes[part], logindexes[part]))
        return Run(level, run_id, len(hashes))

    def _read_run(self, run: Run) -> tuple[Column, Column]:
        blocks = [
            parse_block(value)
            for _, value in self._db.scan("lookup", *run_range(run.level, run.id))
        ]
        if sum(len(block[0]) for block in blocks) != run.pairs:
            raise Corrupt(
                "lookup_run_incomplete",
                f"Run {run.id} of the lookup index does not hold its {run.pairs} pairs; rebuild the index.",
            )
        return (
            np.concatenate([block[0] for block in blocks]),
            np.concatenate([block[1] for block in blocks]),
        )

    def _find_in_run(self, run: Run, value: int, after: int, limit: int) -> list[int]:
        begin, end = run_range(run.level, run.id)
        wanted = block_key(run.level, run.id, value, min(after + 1, MAX_U64))
        first = self._db.last_at_or_before("lookup", wanted)
        start = first[0] if first is not None and first[0] >= begin else begin
        found: list[int] = []
        for _, block in self._db.scan("lookup", start, end):
            hashes, logindexes = parse_block(block)
            if int(hashes[0]) > value or len(found) >= limit:
                break
            low = int(np.searchsorted(hashes, np.uint64(value), side="left"))
            high = int(np.searchsorted(hashes, np.uint64(value), side="right"))
            found.extend(int(number) for number in logindexes[low:high] if number > after)
        return found[:limit]


def pack_block(hashes: Column, logindexes: Column) -> bytes:
    """The stored form of up to 65,535 pairs."""
    return _HEAD.pack(1, len(hashes)) + _planes(hashes) + _planes(logindexes)


def parse_block(value: bytes) -> tuple[Column, Column]:
    """Raises ``Corrupt`` for another format or length."""
    if len(value) < _HEAD.size:
        raise Corrupt("lookup_block_format", "A block of the lookup index is cut short.")
    version, count = _HEAD.unpack_from(value)
    if version != 1 or len(value) != _HEAD.size + 16 * count:
        raise Corrupt("lookup_block_format", "A block of the lookup index is not of format 1.")
    middle = _HEAD.size + 8 * count
    return _column(value[_HEAD.size : middle], count), _column(value[middle:], count)


def _planes(column: Column) -> bytes:
    return column.astype(">u8").view(np.uint8).reshape(-1, 8).T.tobytes()


def _column(planes: bytes, count: int) -> Column:
    rows = np.frombuffer(planes, dtype=np.uint8).reshape(8, count).T
    return np.ascontiguousarray(rows).view(">u8").reshape(count).astype(np.uint64)
