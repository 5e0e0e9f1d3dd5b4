"""A chunk of the log: up to 256 entries that one append wrote, never across an entry bundle's border.

Value: format 0x01 (1) ‖ count (2) ‖ count x user key (16) ‖ the entries as an entry bundle holds them
(big-endian uint16 length ‖ entry). The userseq of an entry stands in its commitment, once. Entry 0 of the log
(the tag key's commitment) has a user key of zeros.
"""

from __future__ import annotations

import struct

import msgspec

from storage.layout import USER_KEY_BYTES
from tradetrail.errors import Corrupt

__all__ = ["BUNDLE_ENTRIES", "NO_USER", "LogChunk", "pack_chunk", "parse_chunk"]

#: Entries of one tile and one entry bundle (C2SP tlog-tiles).
BUNDLE_ENTRIES = 256
NO_USER = bytes(USER_KEY_BYTES)

_HEAD = struct.Struct(">BH")
_LENGTH = struct.Struct(">H")


class LogChunk(msgspec.Struct, frozen=True):
    """User keys and entries of consecutive log positions."""

    user_keys: list[bytes]
    entries: list[bytes]


def pack_chunk(user_keys: list[bytes], entries: list[bytes]) -> bytes:
    """Raises ``AssertionError`` where the two lists differ or hold more than a bundle."""
    assert len(user_keys) == len(entries) <= BUNDLE_ENTRIES
    parts = [_HEAD.pack(1, len(entries)), *user_keys]
    for entry in entries:
        parts.append(_LENGTH.pack(len(entry)))
        parts.append(entry)
    return b"".join(parts)


def parse_chunk(value: bytes) -> LogChunk:
    """Raises ``Corrupt`` where the value is not a chunk of format 1 to the last byte."""
    try:
        version, count = _HEAD.unpack_from(value)
        if version != 1:
            raise Corrupt(
                "log_chunk_format", f"A log chunk has format {version}; this version reads 1."
            )
        position = _HEAD.size + count * USER_KEY_BYTES
        keys = [
            value[at : at + USER_KEY_BYTES] for at in range(_HEAD.size, position, USER_KEY_BYTES)
        ]
        entries = []
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(value, position)
            position += 2 + length
            entries.append(value[position - length : position])
    except struct.error as error:
        raise Corrupt(
            "log_chunk_damaged", "A log chunk ends before its count is reached."
        ) from error
    if position != len(value):
        raise Corrupt("log_chunk_damaged", "A log chunk's length differs from what its count says.")
    return LogChunk(keys, entries)
