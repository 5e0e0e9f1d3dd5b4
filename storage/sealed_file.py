"""A file that is unreadable at rest, written and read in one pass with bounded memory: finished reports.

    "TTSF" (4) ‖ format 0x01 (1) ‖ salt (16) ‖ chunks x { length (4) ‖ ciphertext ‖ tag (16) }

Chunks hold up to 256 KiB and are AES-256-GCM under HMAC-SHA256(file's key, salt); the nonce is the chunk's
number, with the last chunk marked in it, so that no chunk can be moved, left out or cut off unseen. The salt is
fresh for each writing: a file made again never meets a nonce twice.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.folders import sync_folder
from tradetrail.errors import Corrupt

__all__ = ["SealedWriter", "read_sealed"]

_MAGIC = b"TTSF\x01"
_SALT_BYTES = 16
_CHUNK_BYTES = 256 * 1024
_TAG_BYTES = 16
_LENGTH = struct.Struct(">I")
_NONCE = struct.Struct(">BxxxQ")


class SealedWriter:
    """Writes one file; it stands under its name only after ``finish``, whole and durable.

    Args:
        path: of the file; its folder must exist.
        key: 32 bytes.
        random: of the salt.
    """

    def __init__(self, path: Path, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{random(8).hex()}.part")
        salt = random(_SALT_BYTES)
        self._aead = _aead(key, salt)
        self._pending = bytearray()
        self._chunks = 0
        self._digest = hashlib.sha256()
        #: Bytes of content so far.
        self.size_bytes = 0
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(_MAGIC + salt)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._file.closed:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def write(self, content: bytes) -> None:
        """Add content."""
        self._digest.update(content)
        self.size_bytes += len(content)
        self._pending += content
        while len(self._pending) > _CHUNK_BYTES:
            self._put(bytes(self._pending[:_CHUNK_BYTES]), last=False)
            del self._pending[:_CHUNK_BYTES]

    def finish(self) -> bytes:
        """Make the file durable under its name; returns the SHA-256 of its content."""
        self._put(bytes(self._pending), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._path)
        sync_folder(self._path.parent)
        return self._digest.digest()

    def _put(self, content: bytes, *, last: bool) -> None:
        sealed = self._aead.encrypt(_NONCE.pack(last, self._chunks), content, None)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._chunks += 1


def read_sealed(path: Path, key: bytes) -> Iterator[bytes]:
    """The content in chunks.

    Raises:
        Corrupt: the file is missing, cut short, changed, or sealed under another key; what was handed out
            before is authentic.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC) + _SALT_BYTES)
            if len(head) != len(_MAGIC) + _SALT_BYTES or not head.startswith(_MAGIC):
                raise _damaged(path)
            aead = _aead(key, head[len(_MAGIC) :])
            number = 0
            sealed = _next_chunk(path, file.read)
            while sealed:
                following = _next_chunk(path, file.read)
                yield aead.decrypt(_NONCE.pack(not following, number), sealed, None)
                sealed = following
                number += 1
            if number == 0:
                raise _damaged(path)
    except FileNotFoundError as error:
        raise Corrupt("file_missing", f"{path.name} is not where it was put.") from error
    except InvalidTag as error:
        raise _damaged(path) from error


def _next_chunk(path: Path, read: Callable[[int], bytes]) -> bytes:
    """The next sealed chunk; empty at the end of the file."""
    head = read(_LENGTH.size)
    if not head:
        return b""
    if len(head) != _LENGTH.size:
        raise _damaged(path)
    (length,) = _LENGTH.unpack(head)
    if not _TAG_BYTES <= length <= _CHUNK_BYTES + _TAG_BYTES:
        raise _damaged(path)
    sealed = read(length)
    if len(sealed) != length:
        raise _damaged(path)
    return sealed


def _aead(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, salt, "sha256"))


def _damaged(path: Path) -> Corrupt:
    return Corrupt(
        "file_damaged", f"{path.name} was changed, cut short, or sealed under another key."
    )
