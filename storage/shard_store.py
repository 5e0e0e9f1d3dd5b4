"""A shard's durable state: append, flush, publish, and the reads that see only what is durable.

Invariants: userseq is dense per user and logindex dense per shard (I2); a record, its identity and its log
entry are in one batch; readers see nothing above what was published after a flush (I3). One thread appends
and one flushes; reads may come from any thread.

`meta` holds ``identity`` (JSON: format, cluster, shard, number of shards) and ``next-slot`` (8 bytes).
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.append import Drafting, Group, conflict_event
from storage.clock import StoredClock
from storage.cluster import Cluster
from storage.database import Batch, Database, DatabaseSettings
from storage.hashing import Hasher, shard_of
from storage.key_bundles import KeyBundles
from storage.layout import MAX_U64, chunk_key, pack_u64, record_key, shard_dir, unpack_u64
from storage.log_chunk import NO_USER, LogChunk, pack_chunk, parse_chunk
from storage.sealing import open_record, sealed_head
from storage.user_records import UserRecords, missing_record
from storage.users import Era, User, pack_user_row, parse_user_row
from tradetrail.errors import Corrupt, Invalid
from tradetrail.event import Event
from tradetrail.record import Record
from tradetrail.tlog.entry import parse_commitment, tag_key_entry, user_tag

__all__ = ["ShardStore"]

_FORMAT = 1
_IDENTITY = b"identity"
_NEXT_SLOT = b"next-slot"


class _Identity(msgspec.Struct):
    format: int
    cluster_id: str
    shard: int
    shards: int


class ShardStore:
    """The open store of one shard."""

    def __init__(
        self,
        data: Path,
        cluster: Cluster,
        shard: int,
        settings: DatabaseSettings,
        clock: StoredClock | None = None,
    ) -> None:
        """Open the shard, making it where it was never made.

        Raises:
            Corrupt: the folder is gone although the shard was made, or its content contradicts itself.
            Invalid: the database is of another cluster, shard, number of shards or format.
            Unavailable: another process owns it.
        """
        self.shard = shard
        self._cluster = cluster
        self.hasher = Hasher(cluster.secret)
        self._tag_key = cluster.secret.tag_key(shard)
        folder = shard_dir(data, shard)
        self._refuse_lost_folder(folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys = KeyBundles(cluster.objects, folder / "keys", cluster.kek, shard)
        self._keys_lock = threading.Lock()
        self.database = Database(folder / "db", settings)
        try:
            self._check_identity()
            self._next_slot = unpack_u64(self.database.get("meta", _NEXT_SLOT) or pack_u64(0))
            #: Entries written; ``published`` of them are durable.
            self.size, last_ns = self._log_end()
            self.published = self.size
            self._clock = clock or StoredClock(last_ns)
            self._users: dict[str, User] = {}
            self._by_key: dict[bytes, User] = {}
            #: Sorted, for prefixes.
            self.names: list[str] = []
            #: The same names, least recently active first; guarded by its lock.
            self._recent: dict[str, None] = {}
            self._recent_lock = threading.Lock()
            self._load_users()
        except BaseException:
            self.database.close()
            raise
        self._conflict_user = self._own_user("tradetrail:conflict")

    def append(self, events: Sequence[Event]) -> Group:
        """Write a group: visible in the store, not yet durable, not yet published.

        On an error nothing was numbered, and the same group may be appended again after a reopen.
        """
        batch = self.database.batch()
        storedtime_ns = self._clock.stamp()
        made: dict[str, User] = {}
        slot = self._next_slot

        def user_of(name: str, into: Batch) -> User:
            nonlocal slot
            user = self._users.get(name) or made.get(name)
            if user is None:
                user = made[name] = self._make_user(name, slot, into)
                slot += 1
            return user

        draft = Drafting(batch, self.shard, self.size, storedtime_ns, user_of)
        outcomes = draft.take(events, *self._known(events))
        if draft.conflicts:
            source = f"tradetrail:shard/{self.shard:02d}"
            kept = [
                conflict_event(event, original.userseq, self._conflict_user, source)
                for event, original in draft.conflicts
            ]
            draft.take(kept, *self._known(kept))
        if draft.stored:
            draft.finish()
            batch.put("meta", _NEXT_SLOT, pack_u64(slot))
            self.database.write(batch)
            self._next_slot = slot
            draft.adopt()
            self._adopt_users(made)
            self.size = draft.size
        return Group(outcomes, draft.stored, storedtime_ns, self.size)

    def flush(self) -> None:
        """Everything appended before this call is durable on return; an error is final."""
        self.database.flush()

    def publish(self, group: Group) -> None:
        """Let readers see a flushed group; call in the order of the appends."""
        with self._recent_lock:
            for record in group.stored:
                user = record.user
                user.published = record.userseq
                user.active_ns = group.storedtime_ns
                self._recent.pop(user.name, None)
                self._recent[user.name] = None
        self.published = max(self.published, group.size)

    def user(self, name: str) -> User | None:
        """A known user."""
        return self._users.get(name)

    def recent_names(self, limit: int, wanted: Callable[[str], bool]) -> list[str]:
        """Up to ``limit`` wanted names, most recently active first."""
        with self._recent_lock:
            return list(islice(filter(wanted, reversed(self._recent)), limit))

    def records_of(self, user: User) -> UserRecords:
        """A user's published records."""
        return UserRecords(self.database, self.shard, user.key, user.aead, user.published)

    def entries(self, first: int, limit: int) -> list[tuple[int, User | None, int]]:
        """Published log positions from ``first`` on: logindex, user and userseq, at most one chunk.

        The user is ``None`` for entry 0 and where the user's key was destroyed.
        """
        found = self.chunk(first)
        if found is None:
            return []
        start, chunk = found
        last = min(start + len(chunk.entries), first + limit, self.published)
        rows: list[tuple[int, User | None, int]] = []
        for logindex in range(first, last):
            user = self._by_key.get(chunk.user_keys[logindex - start])
            entry = chunk.entries[logindex - start]
            rows.append((logindex, user, parse_commitment(entry).userseq if logindex else 0))
        return rows

    def chunk(self, logindex: int) -> tuple[int, LogChunk] | None:
        """The log chunk that holds a published position, and its first logindex."""
        if not 0 <= logindex < self.published:
            return None
        found = self.database.last_at_or_before("log", chunk_key(logindex))
        if found is None:
            raise Corrupt("log_gap", f"Log {self.shard:02d} has no entry {logindex}.")
        first, chunk = unpack_u64(found[0]), parse_chunk(found[1])
        if logindex >= first + len(chunk.entries):
            raise Corrupt("log_gap", f"Log {self.shard:02d} has no entry {logindex}.")
        return first, chunk

    def record(self, logindex: int) -> tuple[str, Record] | None:
        """The user and the record at a log position; ``None`` where nobody may see one."""
        for _, user, userseq in self.entries(logindex, 1):
            if user is not None:
                return user.name, self.records_of(user).read_these([userseq])[0]
        return None

    @property
    def torn_tail_bytes(self) -> int:
        """Bytes of an unfinished write that were cut off at this opening."""
        return self.database.torn_tail_bytes

    @property
    def clock_doubted(self) -> bool:
        """Whether the wall clock runs ahead of what can be believed."""
        return self._clock.doubted

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def _refuse_lost_folder(self, folder: Path) -> None:
        if (
            self._cluster.objects.exists(self._born_key())
            and not (folder / "db" / "CURRENT").exists()
        ):
            raise Corrupt(
                "shard_missing",
                f"Shard {self.shard:02d} was made in this cluster and {folder} does not hold it. Bring the "
                "folder back or restore a backup; starting empty would lose acknowledged records.",
            )

    def _born_key(self) -> str:
        return f"shards/{self.shard:02d}/born"

    def _check_identity(self) -> None:
        wanted = _Identity(_FORMAT, self._cluster.id, self.shard, self._cluster.shards)
        stored = self.database.get("meta", _IDENTITY)
        if stored is None:
            batch = self.database.batch()
            batch.put("meta", _IDENTITY, msgspec.json.encode(wanted))
            batch.put("log", chunk_key(0), pack_chunk([NO_USER], [tag_key_entry(self._tag_key)]))
            self.database.write(batch)
            self.database.flush()
            self._cluster.objects.put_if_absent(self._born_key(), b"")
            return
        found = msgspec.json.decode(stored, type=_Identity)
        if found != wanted:
            raise Invalid(
                "wrong_database",
                f"{self.database.path} is shard {found.shard} of {found.shards} of cluster {found.cluster_id}, "
                f"format {found.format}; expected shard {wanted.shard} of {wanted.shards} of cluster "
                f"{wanted.cluster_id}, format {wanted.format}. Nothing was changed.",
            )
        self._cluster.objects.put_if_absent(self._born_key(), b"")

    def _log_end(self) -> tuple[int, int]:
        """Size of the log and the last storedtime, from its last chunk."""
        found = self.database.last_at_or_before("log", chunk_key(MAX_U64))
        if found is None:
            raise Corrupt("log_empty", f"Log {self.shard:02d} lost its entry 0.")
        first, chunk = unpack_u64(found[0]), parse_chunk(found[1])
        size = first + len(chunk.entries)
        if size == 1:
            return size, 0
        last = parse_commitment(chunk.entries[-1])
        if self.database.get("records", record_key(chunk.user_keys[-1], last.userseq)) is None:
            raise missing_record(self.shard, chunk.user_keys[-1], last.userseq)
        return size, last.storedtime_ns

    def _load_users(self) -> None:
        loaded = []
        for user_key, value in self.database.scan("users", b""):
            row = parse_user_row(value)
            data_key = self._data_key(row.eras[-1].slot)
            if data_key is None:
                continue
            name = row.name(AESGCM(data_key), user_key)
            tag = user_tag(self._tag_key, name)
            loaded.append(User(name, user_key, data_key, tag, self._last_record(user_key)))
        self._users = {user.name: user for user in loaded}
        self._by_key = {user.key: user for user in loaded}
        self.names = sorted(self._users)
        loaded.sort(key=lambda user: user.active_ns)
        self._recent = {user.name: None for user in loaded if user.published}

    def _last_record(self, user_key: bytes) -> tuple[int, int]:
        """Userseq and storedtime of a user's newest record."""
        found = self.database.last_at_or_before("records", record_key(user_key, MAX_U64))
        if found is None or found[0][:-8] != user_key:
            return 0, 0
        return unpack_u64(found[0][-8:]), sealed_head(found[1]).storedtime_ns

    def _data_key(self, slot: int) -> bytes | None:
        with self._keys_lock:
            return self._keys.data_key(slot)

    def _make_user(self, name: str, slot: int, batch: Batch) -> User:
        with self._keys_lock:
            self._keys.ensure(slot)
        data_key = self._data_key(slot)
        assert data_key is not None, "a slot that was never given cannot be destroyed"
        user_key = self.hasher.user_key(name)
        user = User(name, user_key, data_key, user_tag(self._tag_key, name))
        batch.put("users", user_key, pack_user_row((Era(1, slot),), name, user.aead, user_key))
        return user

    def _adopt_users(self, made: dict[str, User]) -> None:
        for name, user in made.items():
            self._users[name] = user
            self._by_key[user.key] = user
            insort(self.names, name)

    def _known(
        self, events: Sequence[Event]
    ) -> tuple[list[bytes], list[tuple[int, int, bytes | None] | None]]:
        identities = [self.hasher.identity(event.user, event.source, event.id) for event in events]
        stored = self.database.get_many("ids", identities)
        known: list[tuple[int, int, bytes | None] | None] = []
        for event, value in zip(events, stored, strict=True):
            known.append(None if value is None else self._original(event.user, unpack_u64(value)))
        return identities, known

    def _original(self, name: str, userseq: int) -> tuple[int, int, bytes | None]:
        user = self._users[name]
        sealed = self.database.get("records", record_key(user.key, userseq))
        if sealed is None:
            raise missing_record(self.shard, user.key, userseq)
        record = open_record(user.aead, self.shard, user.key, userseq, sealed)
        return userseq, record.logindex, record.text

    def _own_user(self, name: str) -> str:
        """A service user that belongs to this shard: the first numbered name that hashes to it."""
        number = 0
        while shard_of(f"{name}/{number}", self._cluster.shards) != self.shard:
            number += 1
        return f"{name}/{number}"
