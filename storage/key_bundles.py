"""Data keys: one per user, drawn in advance in bundles of 1,000, wrapped, outside RocksDB.

Rows deleted from RocksDB survive in old files, segments, checkpoints and backups; a key that must be
destroyable never enters them. A bundle is durable, on the object store and in a local copy, before the first
of its slots is given to a user, so a new user costs no write of its own here: the user's row names the slot.

Object ``keys/NN/<n, 8 digits>``, big-endian:

    "TTKB" (4) ‖ format 0x01 (1) ‖ shard (2) ‖ bundle (4)
    ‖ wrappings (1) x { key-encryption key id (8) ‖ wrapped bundle key (60) }
    ‖ slots (2) x { nonce (12) ‖ encrypted data key (32) ‖ tag (16) }

A slot is AES-256-GCM under the bundle key with ``data-key/<shard>/<bundle>/<slot>`` authenticated; 60 zero
bytes are a destroyed key. Rotation of the key-encryption key rewrites wrappings only; several wrappings may
stand side by side.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.layout import shard_object_prefix
from storage.objects import LocalFolder, ObjectStore
from storage.secrets import WrappingKey
from tradetrail.errors import Corrupt

__all__ = ["SLOTS_PER_BUNDLE", "KeyBundles"]

SLOTS_PER_BUNDLE = 1_000
_MAGIC = b"TTKB"
_HEAD = struct.Struct(">4sBHIB")
_WRAPPED_BYTES = 60
_WRAPPING = struct.Struct(f">8s{_WRAPPED_BYTES}s")
_COUNT = struct.Struct(">H")
_DESTROYED = bytes(_WRAPPED_BYTES)


class KeyBundles:
    """The data keys of one shard.

    A slot number is ``bundle * 1,000 + slot``. Not safe for concurrent use: the shard's writer thread
    and its readers take turns under the store's lock.
    """

    def __init__(
        self,
        objects: ObjectStore,
        local: Path,
        kek: WrappingKey,
        shard: int,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._objects = objects
        self._local = LocalFolder(local)
        self._kek = kek
        self._shard = shard
        self._random = random
        #: bundle number -> (its key, its slots)
        self._bundles: dict[int, tuple[AESGCM, list[bytes]]] = {}

    def ensure(self, slot_number: int) -> None:
        """Return once the bundle of this slot is durable; makes it where it is absent."""
        bundle = slot_number // SLOTS_PER_BUNDLE
        if bundle in self._bundles:
            return
        if self._local.exists(self._name(bundle)) or self._objects.exists(self._key(bundle)):
            self._open(bundle)
        else:
            self._create(bundle)

    def data_key(self, slot_number: int) -> bytes | None:
        """The 32-byte key in a slot; ``None`` where it was destroyed.

        Raises:
            Corrupt: the bundle is missing, damaged, or wrapped by another key.
        """
        bundle, slot = divmod(slot_number, SLOTS_PER_BUNDLE)
        if bundle not in self._bundles:
            self._open(bundle)
        aead, slots = self._bundles[bundle]
        wrapped = slots[slot]
        if wrapped == _DESTROYED:
            return None
        try:
            return aead.decrypt(wrapped[:12], wrapped[12:], self._slot_purpose(bundle, slot))
        except InvalidTag as error:
            raise Corrupt(
                "data_key_damaged",
                f"Slot {slot} of key bundle {self._key(bundle)} does not authenticate; restore the "
                "bundle from the object store or a backup.",
            ) from error

    def _create(self, bundle: int) -> None:
        bundle_key = self._random(32)
        aead = AESGCM(bundle_key)
        slots = []
        for slot in range(SLOTS_PER_BUNDLE):
            nonce = self._random(12)
            data_key = self._random(32)
            slots.append(nonce + aead.encrypt(nonce, data_key, self._slot_purpose(bundle, slot)))
        wrapped = self._kek.wrap(bundle_key, self._bundle_purpose(bundle))
        parts = [
            _HEAD.pack(_MAGIC, 1, self._shard, bundle, 1),
            _WRAPPING.pack(bytes.fromhex(self._kek.id), wrapped),
            _COUNT.pack(len(slots)),
            *slots,
        ]
        content = b"".join(parts)
        if not self._objects.put_if_absent(self._key(bundle), content):
            # Another owner made it first: its keys are the ones that count.
            content = self._objects.get(self._key(bundle))
        self._local.put(self._name(bundle), content)
        self._bundles[bundle] = self._parse(bundle, content)

    def _open(self, bundle: int) -> None:
        if self._local.exists(self._name(bundle)):
            content = self._local.get(self._name(bundle))
        elif self._objects.exists(self._key(bundle)):
            content = self._objects.get(self._key(bundle))
            self._local.put(self._name(bundle), content)
        else:
            raise Corrupt(
                "key_bundle_missing",
                f"Key bundle {self._key(bundle)} is neither on the object store nor in the local copy; "
                "restore it from a backup. Records under its keys cannot be read without it.",
            )
        self._bundles[bundle] = self._parse(bundle, content)

    def _parse(self, bundle: int, content: bytes) -> tuple[AESGCM, list[bytes]]:
        try:
            magic, version, shard, number, wrappings = _HEAD.unpack_from(content)
            if (magic, version, shard, number) != (_MAGIC, 1, self._shard, bundle):
                raise self._damaged(bundle)
            position = _HEAD.size
            wrapped = b""
            for _ in range(wrappings):
                kek_id, candidate = _WRAPPING.unpack_from(content, position)
                position += _WRAPPING.size
                if kek_id.hex() == self._kek.id:
                    wrapped = candidate
            (count,) = _COUNT.unpack_from(content, position)
        except struct.error as error:
            raise self._damaged(bundle) from error
        position += _COUNT.size
        whole = count == SLOTS_PER_BUNDLE and len(content) == position + count * _WRAPPED_BYTES
        if not wrapped or not whole:
            raise self._damaged(bundle)
        key = self._kek.unwrap(wrapped, self._bundle_purpose(bundle))
        slots = [
            content[at : at + _WRAPPED_BYTES]
            for at in range(position, len(content), _WRAPPED_BYTES)
        ]
        return AESGCM(key), slots

    def _damaged(self, bundle: int) -> Corrupt:
        return Corrupt(
            "key_bundle_damaged",
            f"Key bundle {self._key(bundle)} is not one of format 1 of this shard under key "
            f"{self._kek.id}; restore it from the object store or a backup.",
        )

    def _name(self, bundle: int) -> str:
        return f"{bundle:08d}"

    def _key(self, bundle: int) -> str:
        return shard_object_prefix("keys", self._shard) + self._name(bundle)

    def _bundle_purpose(self, bundle: int) -> bytes:
        return f"key-bundle/{self._shard}/{bundle}".encode()

    def _slot_purpose(self, bundle: int, slot: int) -> bytes:
        return f"data-key/{self._shard}/{bundle}/{slot}".encode()
