"""Every key, every folder and every object name, built in this one module.

RocksDB keys are big-endian, so that their order is the order of the numbers in them. No user id, source or
event id stands in a key in clear: what names a user or an identity is a keyed BLAKE2b hash (see
``storage.secrets`` for the keys).

| family    | key                                        | value                                   |
|-----------|--------------------------------------------|-----------------------------------------|
| `records` | user key (16) ‖ userseq (8)                | sealed record (``storage.sealing``)     |
| `log`     | first logindex (8)                         | log chunk (``storage.log_chunk``)       |
| `ids`     | identity hash (16)                         | userseq (8)                             |
| `zones`   | level (1) ‖ user key (16) ‖ first userseq (8) | zone (``storage.zones``)             |
| `lookup`  | level (1) ‖ run (8) ‖ first hash (8) ‖ its logindex (8) | block (``storage.lookup_index``) |
| `users`   | user key (16)                              | user row (``storage.users``)            |
| `meta`    | name                                       | see ``storage.shard_store``             |
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = [
    "FAMILIES",
    "MAX_U64",
    "USER_KEY_BYTES",
    "block_key",
    "chunk_key",
    "control_dir",
    "objects_dir",
    "pack_u64",
    "record_key",
    "run_dir",
    "run_range",
    "shard_dir",
    "shard_object_prefix",
    "unpack_u64",
    "userseq_of",
    "zone_key",
]

FAMILIES = ("records", "log", "ids", "zones", "lookup", "users", "meta")
USER_KEY_BYTES = 16
MAX_U64 = 2**64 - 1

_U64 = struct.Struct(">Q")
_BLOCK = struct.Struct(">BQQQ")
_RUN = struct.Struct(">BQ")

pack_u64 = _U64.pack


def unpack_u64(data: bytes) -> int:
    """The number in 8 big-endian bytes."""
    number: int = _U64.unpack(data)[0]
    return number


def record_key(user_key: bytes, userseq: int) -> bytes:
    """Key of one record in `records`."""
    return user_key + _U64.pack(userseq)


def userseq_of(key: bytes) -> int:
    """The userseq in a key of `records` or `zones`: its last 8 bytes."""
    return unpack_u64(key[-8:])


def chunk_key(first_logindex: int) -> bytes:
    """Key of one chunk in `log`."""
    return _U64.pack(first_logindex)


def zone_key(level: int, user_key: bytes, first_userseq: int) -> bytes:
    """Key of one zone; level 1 spans 128 records, level 2 spans 16,384."""
    return bytes((level,)) + user_key + _U64.pack(first_userseq)


def block_key(level: int, run: int, first_hash: int, first_logindex: int) -> bytes:
    """Key of one block of the lookup index, named by its first pair."""
    return _BLOCK.pack(level, run, first_hash, first_logindex)


def run_range(level: int, run: int) -> tuple[bytes, bytes]:
    """First key and end (exclusive) of a run's blocks."""
    return _RUN.pack(level, run), _RUN.pack(level, run + 1)


def shard_dir(data: Path, shard: int) -> Path:
    """Folder of a shard's database and local copies."""
    return data / "shards" / f"{shard:02d}"


def control_dir(data: Path) -> Path:
    """Folder of the control store."""
    return data / "control"


def objects_dir(data: Path) -> Path:
    """Root of the local object store."""
    return data / "objects"


def run_dir(data: Path) -> Path:
    """Folder of what lives only while the service runs."""
    return data / "run"


def shard_object_prefix(kind: str, shard: int) -> str:
    """Prefix of a shard's objects of one kind, for instance ``keys/03/``."""
    return f"{kind}/{shard:02d}/"
