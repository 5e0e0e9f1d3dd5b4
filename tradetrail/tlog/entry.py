"""The entries of a shard's log: small commitments, never events.

Entry 0 commits to the log's tag key: ``0x00 ‖ SHA-256(tag key)``, 33 bytes, so that an operator cannot keep
two tags for one user. Every other entry commits to one record, 65 bytes, big-endian:

    version 0x01 (1) ‖ user tag (16) ‖ userseq (8) ‖ storedtime ns (8) ‖ SHA-256(salt (16) ‖ event text) (32)

The user tag is HMAC-SHA256(tag key, user id)[:16]; the salt HMAC-SHA256(data key, userseq)[:16], so it is
gone when the user's data key is destroyed, and the digest alone then says nothing of the text.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

import msgspec

from tradetrail.errors import Corrupt

__all__ = [
    "ENTRY_BYTES",
    "Commitment",
    "commitment_entry",
    "parse_commitment",
    "record_salt",
    "tag_key_entry",
    "user_tag",
]

ENTRY_BYTES = 65
_HEAD = struct.Struct(">B16sQq")


class Commitment(msgspec.Struct, frozen=True):
    """One parsed entry: who (by tag), which number, when, and the salted digest of the text."""

    user_tag: bytes
    userseq: int
    storedtime_ns: int
    digest: bytes


def tag_key_entry(tag_key: bytes) -> bytes:
    """Entry 0 of a log."""
    return b"\x00" + hashlib.sha256(tag_key).digest()


def user_tag(tag_key: bytes, user: str) -> bytes:
    """16 bytes that stand for a user in one log."""
    return hmac.digest(tag_key, user.encode(), "sha256")[:16]


def record_salt(data_key: bytes, userseq: int) -> bytes:
    """16 bytes that make a record's digest unguessable; needs the user's data key."""
    return hmac.digest(data_key, userseq.to_bytes(8, "big"), "sha256")[:16]


def commitment_entry(
    tag: bytes, userseq: int, storedtime_ns: int, salt: bytes, text: bytes
) -> bytes:
    """The entry of one record."""
    return _HEAD.pack(1, tag, userseq, storedtime_ns) + hashlib.sha256(salt + text).digest()


def parse_commitment(entry: bytes) -> Commitment:
    """Raises ``Corrupt`` for anything that is not a record's entry of version 1."""
    if len(entry) != ENTRY_BYTES or entry[0] != 1:
        raise Corrupt(
            "entry_format",
            f"A log entry of {len(entry)} bytes is not a record's commitment (65 bytes).",
        )
    _, tag, userseq, storedtime_ns = _HEAD.unpack_from(entry)
    return Commitment(tag, userseq, storedtime_ns, entry[_HEAD.size :])
