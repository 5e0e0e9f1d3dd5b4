"""What one cluster is: its id, its fixed number of shards, the key it was made under.

Written once, put-if-absent, as the object ``cluster.json``; the wrapped cluster secret stands in it. A start
with another number of shards, with a missing key, or on data of a newer format is refused, and nothing is
changed by a refusal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from storage.layout import objects_dir
from storage.objects import LocalFolder, ObjectStore
from storage.secrets import ClusterSecret, KeyFolder, WrappingKey
from tradetrail.errors import Corrupt, Invalid

__all__ = ["Cluster", "open_cluster"]

_OBJECT = "cluster.json"
_FORMAT = 1
#: 99 keeps every log name at two digits; a larger cluster is a decision of its own.
SHARDS_MAX = 99
SHARDS_DEFAULT = 2


class _Format(msgspec.Struct):
    format: int


class _ClusterFile(msgspec.Struct):
    format: int
    cluster_id: str
    shards: int
    service_name: str
    kek_id: str
    #: hex of the cluster secret wrapped by the key-encryption key
    secret: str


class Cluster:
    """An opened cluster: identity, number of shards, keys, object store."""

    def __init__(
        self, file: _ClusterFile, secret: ClusterSecret, kek: WrappingKey, objects: ObjectStore
    ) -> None:
        self.id = file.cluster_id
        self.shards = file.shards
        self.service_name = file.service_name
        self.secret = secret
        self.kek = kek
        self.objects = objects

    def origin(self, shard: int) -> str:
        """Origin line of a shard's log; drawn at first start, kept in the data."""
        return f"{self.service_name}/{self.id}/logs/{shard:02d}"


def open_cluster(
    data: Path,
    keys: Path,
    shards: int | None = None,
    service_name: str = "tradetrail.local",
    random: Callable[[int], bytes] = os.urandom,
) -> Cluster:
    """Open the cluster in ``data``, making it where the store is empty.

    Args:
        data: the data folder; made with mode 0700 where it is absent.
        keys: the folder of key files.
        shards: the number asked for; ``None`` takes what the data says, or 2 for an empty store.
        service_name: first part of the origin of the logs; kept from the first start.
        random: source of randomness.

    Raises:
        Invalid: ``shards_fixed``, ``shards_out_of_range``, ``key_missing``, ``data_format_newer``.
        Corrupt: the data is there and its cluster file is not, or does not open.
    """
    if shards is not None and not 1 <= shards <= SHARDS_MAX:
        raise Invalid(
            "shards_out_of_range", f"--shards {shards}: take a number from 1 to {SHARDS_MAX}."
        )
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    objects = LocalFolder(objects_dir(data))
    folder = KeyFolder(keys, random)
    if not objects.exists(_OBJECT):
        _refuse_headless_data(data)
        _create(objects, folder, shards or SHARDS_DEFAULT, service_name, random)
    return _load(objects, folder, shards, data)


def _refuse_headless_data(data: Path) -> None:
    if any((data / "shards").glob("*/db/CURRENT")):
        raise Corrupt(
            "cluster_file_missing",
            f"{data} holds shards and {objects_dir(data) / _OBJECT} is gone. Restore it from a backup; "
            "a new one would give the same users other keys.",
        )


def _create(
    objects: ObjectStore,
    folder: KeyFolder,
    shards: int,
    service_name: str,
    random: Callable[[int], bytes],
) -> None:
    kek = folder.create()
    cluster_id = random(8).hex()
    file = _ClusterFile(
        format=_FORMAT,
        cluster_id=cluster_id,
        shards=shards,
        service_name=service_name,
        kek_id=kek.id,
        secret=kek.wrap(random(32), _purpose(cluster_id)).hex(),
    )
    objects.put_if_absent(_OBJECT, msgspec.json.format(msgspec.json.encode(file), indent=1))


def _load(objects: ObjectStore, folder: KeyFolder, shards: int | None, data: Path) -> Cluster:
    content = objects.get(_OBJECT)
    try:
        # The format first: a later one may have other fields.
        written = msgspec.json.decode(content, type=_Format).format
        if written != _FORMAT:
            raise Invalid(
                "data_format_newer",
                f"{data} was written in format {written}; this version reads format {_FORMAT}. "
                "Start it with the version that wrote it.",
            )
        file = msgspec.json.decode(content, type=_ClusterFile)
        wrapped = bytes.fromhex(file.secret)
    except (msgspec.DecodeError, ValueError) as error:
        raise Corrupt(
            "cluster_file_damaged", f"{_OBJECT} in {data} cannot be read; restore it from a backup."
        ) from error
    if shards is not None and shards != file.shards:
        raise Invalid(
            "shards_fixed",
            f"{data} was made with {file.shards} shards, and --shards {shards} was asked for. The number "
            "is fixed at first start: leave the option out or choose another folder.",
        )
    kek = folder.load(file.kek_id)
    secret = kek.unwrap(wrapped, _purpose(file.cluster_id))
    return Cluster(file, ClusterSecret(secret), kek, objects)


def _purpose(cluster_id: str) -> bytes:
    return f"cluster-secret/{cluster_id}".encode()
