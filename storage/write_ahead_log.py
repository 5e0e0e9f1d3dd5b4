"""Reads RocksDB's write-ahead log to tell a torn tail from damage in the middle.

A process that is killed, or a machine that loses power, while a batch is written leaves the end of the newest
log cut off, zero-filled, or garbage: what was never acknowledged. Anything else that does not check out is
damage of something that was, and no open mode may pass over it in silence.

The file is a row of 32 KiB blocks; a physical record is

    masked CRC-32C of type and payload (4, little-endian) ‖ length (2, little-endian) ‖ type (1) ‖ payload

with type 1 for a whole logical record and 2, 3, 4 for its first, middle and last part. What is left of a block
below 7 bytes is zero. (Types 5 to 8, with 4 more header bytes, belong to recycled logs, which are off.)

A torn log is copied aside before its unfinished write is cut off: nothing is lost that anybody could miss.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import google_crc32c
import msgspec
import numpy as np

from tradetrail.errors import Corrupt

__all__ = ["TornTail", "cut_torn", "find_torn_tail"]

_BLOCK = 32_768
_HEAD = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_MASK_DELTA = 0xA282EAD8


class TornTail(msgspec.Struct, frozen=True):
    """The newest log ends in an unfinished write: ``dropped_bytes`` from ``offset`` on."""

    path: Path
    offset: int
    dropped_bytes: int


class _Damage(msgspec.Struct, frozen=True):
    #: Where the unfinished logical record begins.
    begin: int
    #: Where the first physical record that does not check out stands.
    at: int


def find_torn_tail(folder: Path) -> TornTail | None:
    """The torn tail of a database's logs; ``None`` where every write is whole.

    Raises:
        Corrupt: whole records stand behind the damage.
    """
    logs = sorted(folder.glob("*.log"), key=lambda path: int(path.stem))
    for number, path in enumerate(logs):
        content = path.read_bytes()
        damage = _first_damage(content)
        if damage is None:
            continue
        follows = _any_record(content, damage.at + 1) or any(
            _any_record(later.read_bytes(), 0) for later in logs[number + 1 :]
        )
        if follows:
            raise Corrupt(
                "write_ahead_log_damaged",
                f"{path} is damaged at byte {damage.at}, and whole records stand behind it: acknowledged "
                "events may be among what cannot be read. Nothing was changed. Keep the folder, and restore "
                "this shard from a backup.",
            )
        return TornTail(path, damage.begin, len(content) - damage.begin)
    return None


def cut_torn(torn: TornTail, folder: Path) -> None:
    """Keep a durable copy of the torn log in ``folder``, then cut its unfinished write off.

    A crash at any moment leaves the log as it was or cut; the same tail is kept once.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    copy = folder / f"{torn.path.name}.{torn.offset}.{torn.dropped_bytes}"
    if not copy.exists():
        part = folder / f"{copy.name}.part"
        with part.open("wb") as file:
            file.write(torn.path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        part.rename(copy)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    with torn.path.open("r+b") as log:
        log.truncate(torn.offset)
        os.fsync(log.fileno())


def _first_damage(content: bytes) -> _Damage | None:
    """The first place that does not check out; ``None`` where all logical records are whole."""
    position = 0
    #: Start of the logical record that is being put together; -1 between records.
    begin = -1
    while position < len(content):
        left = _BLOCK - position % _BLOCK
        if left < _HEAD.size:
            if any(content[position : position + left]):
                return _Damage(position if begin < 0 else begin, position)
            position += left
            continue
        kind, length = _record_at(content, position)
        expected = (_MIDDLE, _LAST) if begin >= 0 else (_FULL, _FIRST)
        if kind not in expected:
            return _Damage(position if begin < 0 else begin, position)
        if kind == _FIRST:
            begin = position
        elif kind == _LAST:
            begin = -1
        position += _HEAD.size + length
    return None if begin < 0 else _Damage(begin, len(content))


def _record_at(content: bytes, position: int) -> tuple[int, int]:
    """Type and length of the physical record at a position; type 0 where there is none."""
    if position + _HEAD.size > len(content):
        return 0, 0
    crc, length, kind = _HEAD.unpack_from(content, position)
    end = position + _HEAD.size + length
    fits = end <= len(content) and position % _BLOCK + _HEAD.size + length <= _BLOCK
    if not (length and _FULL <= kind <= _LAST and fits):
        return 0, 0
    if _masked(google_crc32c.value(content[position + 6 : end])) != crc:
        return 0, 0
    return kind, length


def _any_record(content: bytes, start: int) -> bool:
    """Whether a physical record checks out anywhere from ``start`` on, at whatever byte."""
    count = len(content) - _HEAD.size - start
    if count <= 0:
        return False
    octets = np.frombuffer(content, dtype=np.uint8)[start:].astype(np.int64)
    positions = np.arange(start, start + count)
    lengths = octets[4 : 4 + count] | octets[5 : 5 + count] << 8
    kinds = octets[6 : 6 + count]
    ends = positions + _HEAD.size + lengths
    possible = (
        (kinds >= _FULL)
        & (kinds <= _LAST)
        & (lengths > 0)
        & (ends <= len(content))
        & (positions % _BLOCK + _HEAD.size + lengths <= _BLOCK)
    )
    return any(_record_at(content, int(position))[0] for position in positions[possible])


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
