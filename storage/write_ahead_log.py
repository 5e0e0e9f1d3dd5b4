"""Reads RocksDB's write-ahead logs to tell an unfinished write from damage of what was acknowledged.

A process that is killed, or a machine that loses power, while a batch is written leaves the end of the newest
log cut off, zero-filled or garbage: what was never acknowledged. Anything else that does not check out is
damage of something that was, and no open mode may pass over it in silence. RocksDB's strictest one does: it
takes a zeroed header for space set aside and skips to the end of that block. So the logs are judged before
each opening, not only after a refusal.

A log is a row of 32 KiB blocks; a physical record is

    masked CRC-32C of type and payload (4, little-endian) ‖ length (2, little-endian) ‖ type (1) ‖ payload

with type 1 for a whole logical record and 2, 3, 4 for its first, middle and last part. What is left of a block
below 7 bytes is zero; where exactly 7 are left, an empty first part stands there. A logical record begins with
the sequence number of its first change (8) and their count (4), little-endian. Other types belong to features
that are off here (recycled logs, compression, timestamps); one whose sum is right is refused, not guessed at.

A torn log is copied aside before its unfinished write is cut off: RocksDB was seen to read a tail of garbage
for ever. Whoever cuts holds the database's lock, or it would cut a write that its owner is about to finish.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import google_crc32c
import msgspec
import numpy as np

from storage.folders import sync_folder
from tradetrail.errors import Corrupt

__all__ = ["TornTail", "cut_torn", "find_torn_tail", "sole_owner"]

_BLOCK = 32_768
_HEAD = struct.Struct("<IHB")
_BATCH = struct.Struct("<QI")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
#: Types of features that are off here, with the bytes by which a recycled log's header is longer.
_FOREIGN = {5: 4, 6: 4, 7: 4, 8: 4, 9: 0, 10: 0, 11: 4, 130: 0, 131: 4}
_MASK_DELTA = 0xA282EAD8
#: How many positions are weighed at once while looking for a record at any byte: bounds the memory.
_WINDOW = 1 << 20


class TornTail(msgspec.Struct, frozen=True):
    """The newest log that holds records ends in an unfinished write."""

    #: That log, and any newer ones that hold bytes but no record.
    paths: tuple[Path, ...]
    #: Where the unfinished write begins in the first of them.
    offset: int
    #: Bytes from there on, over all of them.
    dropped_bytes: int


class _Survey(msgspec.Struct, frozen=True):
    """One log: its whole records from the start on, and where they end."""

    path: Path
    size_bytes: int
    #: Sequence number of the first whole record; 0 where there is none.
    first_sequence: int
    next_sequence: int
    #: Where the unfinished logical record begins; the size where all records are whole.
    begin: int
    #: Where the first physical record that does not check out stands.
    damage: int

    @property
    def whole(self) -> bool:
        return self.begin >= self.size_bytes


def find_torn_tail(folder: Path) -> TornTail | None:
    """The unfinished write at the end of the logs in ``folder``; ``None`` where every record is whole.

    Raises:
        Corrupt: something that was acknowledged may be damaged. Nothing was changed.
        OSError: a log cannot be read.
    """
    surveys = [_survey(path) for path in _logs(folder)]
    for number, log in enumerate(surveys):
        if log.whole:
            continue
        newer = surveys[number + 1 :]
        following = next((later for later in newer if later.first_sequence), None)
        if following is None:
            paths = (log.path, *(later.path for later in newer if later.size_bytes))
            dropped = log.size_bytes - log.begin + sum(later.size_bytes for later in newer)
            return TornTail(paths, log.begin, dropped)
        if following.first_sequence != log.next_sequence:
            raise _damaged(
                log.path,
                log.damage,
                f"records follow in {following.path.name} that do not continue it",
            )
        # The next log takes up where this one ends: its torn tail was judged and cut off at an earlier start.
    return None


def cut_torn(torn: TornTail, folder: Path) -> None:
    """Keep durable copies of the torn logs in ``folder``, then cut the unfinished write off.

    A copy is named by log and content, made once and never overwritten. A crash at any moment leaves each log
    as it was or cut, and the next call does the rest.

    Raises:
        OSError: a copy cannot be made; the logs are as they were.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    for path in torn.paths:
        content = path.read_bytes()
        copy = folder / f"{path.name}.{hashlib.sha256(content).hexdigest()[:32]}"
        if not copy.exists():
            part = folder / f"{copy.name}.part"
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(copy)
    sync_folder(folder)
    sync_folder(folder.parent)
    # The newest first: until the oldest is cut, the judge finds the same tail again.
    for path in reversed(torn.paths):
        with path.open("r+b") as log:
            log.truncate(torn.offset if path == torn.paths[0] else 0)
            os.fsync(log.fileno())


@contextmanager
def sole_owner(folder: Path) -> Iterator[bool]:
    """RocksDB's own lock on the database in ``folder`` while inside; false where another process holds it.

    Never for a database that is open in this process: closing the file would let go of that lock too.
    """
    with (folder / "LOCK").open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            yield False
        else:
            yield True


def _logs(folder: Path) -> list[Path]:
    """The logs by number; RocksDB's own names only."""
    found = [path for path in folder.glob("*.log") if path.stem.isascii() and path.stem.isdigit()]
    return sorted(found, key=lambda path: int(path.stem))


def _survey(path: Path) -> _Survey:
    """One log read from the start; raises ``Corrupt`` where a record stands behind its first damage."""
    content = path.read_bytes()
    position = first_sequence = next_sequence = 0
    #: Start and first bytes of the logical record that is being put together; -1 between records.
    begin, head = -1, b""
    while position < len(content):
        left = _BLOCK - position % _BLOCK
        if left < _HEAD.size:
            if any(content[position : position + left]):
                break
            position += left
            continue
        kind, length = _record_at(content, position)
        if kind not in ((_MIDDLE, _LAST) if begin >= 0 else (_FULL, _FIRST)):
            break
        if begin < 0:
            begin, head = position, b""
        payload = position + _HEAD.size
        head += content[payload : payload + min(length, _BATCH.size - len(head))]
        position = payload + length
        if kind in (_FULL, _LAST):
            if len(head) < _BATCH.size:
                raise _damaged(path, begin, "a record too short to be a batch stands there")
            sequence, count = _BATCH.unpack(head)
            first_sequence = first_sequence or sequence
            next_sequence, begin = sequence + count, -1
    size = len(content)
    damage = min(position, size)
    if damage < size:
        _refuse_records_behind(path, content, damage)
    unfinished = begin if begin >= 0 else damage
    return _Survey(path, size, first_sequence, next_sequence, unfinished, damage)


def _refuse_records_behind(path: Path, content: bytes, damage: int) -> None:
    if _is_foreign(content, damage):
        raise _damaged(path, damage, "a kind of record stands there that this service never writes")
    behind = _next_record(content, damage)
    if behind >= 0:
        raise _damaged(path, damage, f"a whole record stands behind it at byte {behind}")


def _record_at(content: bytes, position: int) -> tuple[int, int]:
    """Type and length of the physical record at a position; type 0 where there is none."""
    if position + _HEAD.size > len(content):
        return 0, 0
    crc, length, kind = _HEAD.unpack_from(content, position)
    end = position + _HEAD.size + length
    fits = end <= len(content) and position % _BLOCK + _HEAD.size + length <= _BLOCK
    if not (_FULL <= kind <= _LAST and fits and (length or kind == _FIRST)):
        return 0, 0
    if _masked(google_crc32c.value(content[position + 6 : end])) != crc:
        return 0, 0
    return kind, length


def _is_foreign(content: bytes, position: int) -> bool:
    if position + _HEAD.size > len(content):
        return False
    crc, length, kind = _HEAD.unpack_from(content, position)
    end = position + _HEAD.size + _FOREIGN.get(kind, 0) + length
    fits = kind in _FOREIGN and end <= len(content)
    return fits and _masked(google_crc32c.value(content[position + 6 : end])) == crc


def _next_record(content: bytes, start: int) -> int:
    """Where from ``start`` on, at whatever byte, a physical record checks out; -1 where none does."""
    octets = np.frombuffer(content, dtype=np.uint8)
    stop = len(content) - _HEAD.size + 1
    for low in range(start, stop, _WINDOW):
        count = min(_WINDOW, stop - low)
        kinds = octets[low + 6 : low + 6 + count]
        positions = np.flatnonzero((kinds >= _FULL) & (kinds <= _LAST)) + low
        lengths = (
            octets[positions + 4].astype(np.int64) | octets[positions + 5].astype(np.int64) << 8
        )
        room = np.minimum(_BLOCK - positions % _BLOCK, len(content) - positions) - _HEAD.size
        for position in positions[lengths <= room].tolist():
            if _record_at(content, position)[0]:
                return int(position)
    return -1


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _damaged(path: Path, position: int, found: str) -> Corrupt:
    return Corrupt(
        "write_ahead_log_damaged",
        f"{path} is damaged at byte {position}: {found}. Acknowledged events may be among what cannot be read. "
        "Nothing was changed. Keep the folder: move it aside, and restore it from a backup.",
    )
