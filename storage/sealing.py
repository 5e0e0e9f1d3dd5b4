"""The record at rest: compressed, then encrypted under its user's data key.

    format 0x01 (1) ‖ codec (1) ‖ logindex (8) ‖ storedtime ns (8, signed) ‖ nonce (12) ‖ ciphertext ‖ tag (16)

AES-256-GCM. The nonce is random: after a failover one userseq may meet two plaintexts. Authenticated with
it: format, codec, shard (2), user key (16), userseq (8), logindex, storedtime; so a sealed record opens only
in its own place.
"""

from __future__ import annotations

import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.compression import compress, decompress
from tradetrail.errors import Corrupt
from tradetrail.names import log_name
from tradetrail.record import Record

__all__ = ["NONCE_BYTES", "SealedHead", "open_record", "seal_record", "sealed_head"]

NONCE_BYTES = 12
_FORMAT = 1
_HEAD = struct.Struct(">BBQq")
_AAD = struct.Struct(">BBH16sQQq")


class SealedHead(msgspec.Struct, frozen=True):
    """What a sealed record says without its key."""

    logindex: int
    storedtime_ns: int


def seal_record(
    aead: AESGCM,
    shard: int,
    user_key: bytes,
    numbers: tuple[int, int, int],
    text: bytes,
    *,
    nonce: bytes,
) -> bytes:
    """Seal ``text``; ``numbers`` are userseq, logindex and storedtime in ns."""
    userseq, logindex, storedtime_ns = numbers
    codec, packed = compress(text)
    aad = _AAD.pack(_FORMAT, codec, shard, user_key, userseq, logindex, storedtime_ns)
    head = _HEAD.pack(_FORMAT, codec, logindex, storedtime_ns)
    return head + nonce + aead.encrypt(nonce, packed, aad)


def sealed_head(sealed: bytes) -> SealedHead:
    """Raises ``Corrupt`` for another format or a value too short to be a record."""
    if len(sealed) < _HEAD.size + NONCE_BYTES + 16 or sealed[0] != _FORMAT:
        raise Corrupt("record_format", "A stored record is not of format 1, or is cut short.")
    _, _, logindex, storedtime_ns = _HEAD.unpack_from(sealed)
    return SealedHead(logindex, storedtime_ns)


def open_record(aead: AESGCM, shard: int, user_key: bytes, userseq: int, sealed: bytes) -> Record:
    """Open a sealed record.

    Raises:
        Corrupt: ``record_format``, ``record_not_authentic`` (damaged, moved to another place, or another
            user's key), ``record_not_decompressed``.
    """
    head = sealed_head(sealed)
    codec = sealed[1]
    aad = _AAD.pack(_FORMAT, codec, shard, user_key, userseq, head.logindex, head.storedtime_ns)
    start = _HEAD.size + NONCE_BYTES
    try:
        packed = aead.decrypt(sealed[_HEAD.size : start], sealed[start:], aad)
    except InvalidTag as error:
        raise Corrupt(
            "record_not_authentic",
            f"Record {log_name(shard)}/{head.logindex} (userseq {userseq}) does not authenticate: its "
            "bytes were changed or stand in another place. Nothing was altered by reading it.",
        ) from error
    text = decompress(codec, packed)
    return Record(userseq, log_name(shard), head.logindex, head.storedtime_ns, text)
