"""Users of one shard: their row on disk, and what the shard keeps of them in memory.

Row: format 0x01 (1) ‖ eras (1) x { first userseq (8) ‖ key slot (8) } ‖ nonce (12) ‖ encrypted user id ‖ tag.
An era is the stretch of userseq under one data key; a new one begins when a key was destroyed and the user
acts again. The id is encrypted under the newest key, so it goes with the key.
"""

from __future__ import annotations

import os
import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradetrail.errors import Corrupt

__all__ = ["Era", "User", "UserRow", "pack_user_row", "parse_user_row"]

_ERA = struct.Struct(">QQ")


class Era(msgspec.Struct, frozen=True):
    """From ``first_userseq`` on the user's records lie under the key in ``slot``."""

    first_userseq: int
    slot: int


class UserRow(msgspec.Struct, frozen=True):
    """A parsed row; the id still encrypted."""

    eras: tuple[Era, ...]
    sealed_name: bytes

    def name(self, aead: AESGCM, user_key: bytes) -> str:
        """The user id; raises ``Corrupt`` under another key."""
        try:
            return aead.decrypt(self.sealed_name[:12], self.sealed_name[12:], user_key).decode()
        except InvalidTag as error:
            raise Corrupt("user_row_damaged", "A user's row does not authenticate.") from error


class User:
    """One user in memory. Numbers in ``next_userseq`` belong to the writer; ``published`` to readers."""

    __slots__ = (
        "active_ns",
        "aead",
        "data_key",
        "key",
        "name",
        "next_userseq",
        "published",
        "tag",
    )

    def __init__(
        self, name: str, key: bytes, data_key: bytes, tag: bytes, last: tuple[int, int] = (0, 0)
    ) -> None:
        """``last`` is userseq and storedtime in ns of the newest record."""
        self.name = name
        self.key = key
        self.data_key = data_key
        self.aead = AESGCM(data_key)
        self.tag = tag
        last_userseq, self.active_ns = last
        self.next_userseq = last_userseq + 1
        #: The last userseq that is durable; readers see nothing above it.
        self.published = last_userseq


def pack_user_row(eras: tuple[Era, ...], name: str, aead: AESGCM, user_key: bytes) -> bytes:
    """The stored row."""
    nonce = os.urandom(12)
    parts = [bytes((1, len(eras)))]
    parts.extend(_ERA.pack(era.first_userseq, era.slot) for era in eras)
    parts.append(nonce + aead.encrypt(nonce, name.encode(), user_key))
    return b"".join(parts)


def parse_user_row(value: bytes) -> UserRow:
    """Raises ``Corrupt`` for another format or a row cut short."""
    if len(value) < 2 or value[0] != 1 or len(value) < 2 + value[1] * _ERA.size + 28:
        raise Corrupt("user_row_format", "A user's row is not of format 1, or is cut short.")
    end = 2 + value[1] * _ERA.size
    eras = tuple(Era(*_ERA.unpack_from(value, at)) for at in range(2, end, _ERA.size))
    return UserRow(eras, value[end:])
