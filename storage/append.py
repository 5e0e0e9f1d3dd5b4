"""One append: a group of events drafted into one atomic batch.

A draft numbers, seals and commits in memory; nothing of the shard's state changes until the batch is written,
so a failed write leaves no gap. Identity is (source, id) per user, for ever: the same bytes again are a
duplicate with the first numbers, other bytes a conflict, and what was refused as one is kept as an event of
the shard's conflict user.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from storage.database import Batch
from storage.layout import chunk_key, pack_u64, record_key
from storage.log_chunk import BUNDLE_ENTRIES, pack_chunk
from storage.sealing import NONCE_BYTES, seal_record
from storage.users import User
from tradetrail.event import Event, Refusal
from tradetrail.tlog.entry import commitment_entry, record_salt

__all__ = ["Drafting", "Group", "Outcome", "Status", "Stored", "conflict_event"]

CONFLICT_TYPE = "tradetrail.audit.conflict.v1"


class Status(IntEnum):
    """What became of one event."""

    STORED = 0
    DUPLICATE = 1
    REJECTED = 2


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """One event's answer; the numbers are the first record's for a duplicate or a conflict."""

    status: Status
    userseq: int = 0
    logindex: int = 0
    refusal: Refusal | None = None


class Stored(msgspec.Struct, frozen=True):
    """One new record, for the feed and the index."""

    user: User
    userseq: int
    logindex: int
    event: Event


class Group(msgspec.Struct):
    """A written group that waits for its flush."""

    outcomes: list[Outcome]
    stored: list[Stored]
    storedtime_ns: int
    #: Entries of the log once this group is durable.
    size: int


class _Original(msgspec.Struct, frozen=True):
    userseq: int
    logindex: int
    text: bytes | None


class Drafting:
    """Builds one group's batch. ``find`` gives a known identity's record, ``user`` a user, made if new."""

    def __init__(
        self,
        batch: Batch,
        shard: int,
        size: int,
        storedtime_ns: int,
        user: Callable[[str, Batch], User],
    ) -> None:
        self._batch = batch
        self._shard = shard
        self._storedtime_ns = storedtime_ns
        self._user = user
        self._first = size
        self._next: dict[str, int] = {}
        self._keys: list[bytes] = []
        self._entries: list[bytes] = []
        self._originals: dict[bytes, _Original] = {}
        self.stored: list[Stored] = []
        self.conflicts: list[tuple[Event, _Original]] = []

    @property
    def size(self) -> int:
        """Entries of the log with this draft."""
        return self._first + len(self._entries)

    def take(
        self,
        events: Sequence[Event],
        identities: Sequence[bytes],
        known: Sequence[tuple[int, int, bytes | None] | None],
    ) -> list[Outcome]:
        """Draft events in order.

        Args:
            events: what arrived.
            identities: their identity hashes.
            known: for each, userseq, logindex and text of the record that already has this identity; the
                text is ``None`` where its key was destroyed.
        """
        nonces = os.urandom(NONCE_BYTES * len(events))
        outcomes = []
        for index, event in enumerate(events):
            found = known[index]
            original = _Original(*found) if found else self._originals.get(identities[index])
            if original is not None:
                outcomes.append(self._repeated(event, original))
                continue
            nonce = nonces[index * NONCE_BYTES : (index + 1) * NONCE_BYTES]
            outcomes.append(self._store(event, identities[index], nonce))
        return outcomes

    def finish(self) -> None:
        """Add the log chunks; call once, after the last ``take``."""
        start = 0
        while start < len(self._entries):
            first = self._first + start
            end = min(start + BUNDLE_ENTRIES - first % BUNDLE_ENTRIES, len(self._entries))
            value = pack_chunk(self._keys[start:end], self._entries[start:end])
            self._batch.put("log", chunk_key(first), value)
            start = end

    def adopt(self) -> None:
        """The batch was written: the users' next numbers move on."""
        for record in self.stored:
            record.user.next_userseq = record.userseq + 1

    def _store(self, event: Event, identity: bytes, nonce: bytes) -> Outcome:
        user = self._user(event.user, self._batch)
        userseq = self._next.get(event.user, user.next_userseq)
        self._next[event.user] = userseq + 1
        logindex = self.size
        numbers = (userseq, logindex, self._storedtime_ns)
        sealed = seal_record(user.aead, self._shard, user.key, numbers, event.text, nonce=nonce)
        salt = record_salt(user.data_key, userseq)
        self._entries.append(
            commitment_entry(user.tag, userseq, self._storedtime_ns, salt, event.text)
        )
        self._keys.append(user.key)
        self._batch.put("records", record_key(user.key, userseq), sealed)
        self._batch.put("ids", identity, pack_u64(userseq))
        self._originals[identity] = _Original(userseq, logindex, event.text)
        self.stored.append(Stored(user, userseq, logindex, event))
        return Outcome(Status.STORED, userseq, logindex)

    def _repeated(self, event: Event, original: _Original) -> Outcome:
        if original.text is None or original.text == event.text:
            return Outcome(Status.DUPLICATE, original.userseq, original.logindex)
        self.conflicts.append((event, original))
        refusal = Refusal(
            "conflict",
            f"This source and id stand for another event, stored as userseq {original.userseq}; give a new "
            "event an id of its own.",
            "/id",
        )
        return Outcome(Status.REJECTED, original.userseq, original.logindex, refusal)


def conflict_event(event: Event, userseq: int, user: str, source: str) -> Event:
    """The service's own event that keeps what was refused as a conflict.

    Its id is a digest of what was refused, so the same conflict sent again adds nothing.
    """
    event_id = hashlib.blake2b(event.text, digest_size=16).hexdigest()
    subject = f"user/{event.user}"
    text = msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": CONFLICT_TYPE,
            "authid": user,
            "authtype": "system",
            "subject": subject,
            "data": {"userseq": str(userseq), "refused": event.text.decode()},
        }
    )
    return Event(user, source, event_id, CONFLICT_TYPE, None, (("subject", subject),), text)
