"""Fills zones and the lookup index behind the appends, off the answer's path.

One mechanism: the indexer has a position in the log and moves it forward over what is published. Where the
events that were just published are still at hand it takes their facts, otherwise it reads the records back;
so a full hand-over, a restart and an upgrade are all only "further behind". The position is written together
with what it covers, so after a crash the same records are filed again and a pair never twice on disk.

A run's zone is built while the run fills, or from the run's own records where the indexer did not see it from
its beginning. Nothing here is needed for a right answer: a run without a zone is read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from storage.append import Stored
from storage.database import Database
from storage.hashing import Hasher
from storage.layout import pack_u64, unpack_u64, zone_key
from storage.lookup_index import LookupIndex
from storage.user_records import UserRecords
from storage.users import User
from storage.zones import (
    COARSE,
    COARSE_RUN,
    FINE,
    FINE_RUN,
    OpenZone,
    Zone,
    merge_zones,
    pack_zone,
    parse_zone,
)
from tradetrail.facts import Facts, facts_of
from tradetrail.filters import effective_time_key, field_token, type_tokens

__all__ = ["IndexedLog", "Indexer"]

_POSITION = b"indexed-to"
#: Events kept for the hand-over; beyond, they are read back from the store.
_HANDED_EVENTS_MAX = 20_000
#: Pairs of one run on disk; small runs would multiply the seeks of a search.
_FLUSH_PAIRS = 65_536
_FLUSH_ZONES = 1_024
#: Users whose current run is being gathered; a run is 7 KiB at most.
_OPEN_ZONES_MAX = 4_096


class IndexedLog(Protocol):
    """What the indexer reads back."""

    @property
    def published(self) -> int: ...  # noqa: D102 - fields and methods of ``ShardStore``
    def entries(self, first: int, limit: int) -> list[tuple[int, User | None, int]]: ...  # noqa: D102
    def records_of(self, user: User) -> UserRecords: ...  # noqa: D102


class Indexer:
    """The index of one shard. ``offer`` may come from any thread, ``find`` too; the rest from one."""

    def __init__(self, database: Database, log: IndexedLog, hasher: Hasher) -> None:
        self._db = database
        self._log = log
        self._hasher = hasher
        self._lookup = LookupIndex(database)
        #: Next log position to file; entry 0 is no record.
        self.position = unpack_u64(database.get("meta", _POSITION) or pack_u64(1))
        #: Guards the hand-over and its count.
        self._lock = threading.Lock()
        self._handed: deque[tuple[Sequence[Stored], int]] = deque()
        self._handed_events = 0
        self._open: dict[bytes, OpenZone] = {}
        #: Finished zones that wait for the next flush, by their keys.
        self._zones: dict[bytes, bytes] = {}
        self._type_hashes: dict[str, list[int]] = {}

    def offer(self, stored: Sequence[Stored], storedtime_ns: int) -> None:
        """Hand over what was just published; may be dropped, it is then read back."""
        with self._lock:
            if stored and self._handed_events + len(stored) <= _HANDED_EVENTS_MAX:
                self._handed_events += len(stored)
                self._handed.append((stored, storedtime_ns))

    def advance(self, limit: int) -> bool:
        """File up to about ``limit`` records; whether more wait."""
        filed = 0
        while filed < limit and self.position < self._log.published:
            before = self.position
            if not self._take_handed():
                self._read_back(limit - filed)
            filed += self.position - before
            if self._lookup.pending >= _FLUSH_PAIRS or len(self._zones) >= _FLUSH_ZONES:
                self.flush()
        return self.position < self._log.published

    def flush(self) -> None:
        """Write what was gathered, with the position that covers it."""
        batch = self._db.batch()
        for key, value in self._zones.items():
            batch.put("zones", key, value)
        self._lookup.flush(batch, {_POSITION: pack_u64(self.position)})
        self._zones.clear()

    def find(self, field: str, value: str, after: int, limit: int) -> list[int]:
        """Up to ``limit`` log positions above ``after`` that may hold a value, ascending."""
        return self._lookup.find(self._hasher.token(field_token(field, value)), after, limit)

    def _take_handed(self) -> bool:
        """File the next handed group if it begins at the position."""
        group = self._next_handed()
        if group is None:
            return False
        stored, storedtime_ns = group
        for record in stored:
            event = record.event
            facts = Facts(event.type, event.time_key, event.lookups)
            self._file(record.user, record.userseq, record.logindex, facts, storedtime_ns)
        return True

    def _next_handed(self) -> tuple[Sequence[Stored], int] | None:
        with self._lock:
            while self._handed and self._handed[0][0][0].logindex <= self.position:
                group = self._handed.popleft()
                self._handed_events -= len(group[0])
                if group[0][0].logindex == self.position:
                    return group
        return None

    def _read_back(self, limit: int) -> None:
        for logindex, user, userseq in self._log.entries(self.position, limit):
            if user is None:
                self.position = logindex + 1
                continue
            record = self._log.records_of(user).read_these([userseq])[0]
            facts = facts_of(record.text)
            self._file(user, userseq, logindex, facts, record.storedtime_ns)

    def _file(
        self, user: User, userseq: int, logindex: int, facts: Facts, storedtime_ns: int
    ) -> None:
        fields = [self._hasher.token(field_token(name, value)) for name, value in facts.lookups]
        self._lookup.add(fields, logindex)
        zone = self._open.pop(user.key, None)
        if zone is None or zone.next != userseq:
            zone = OpenZone(userseq)
        key = effective_time_key(facts.time_key, storedtime_ns)
        zone.add(key, self._types(facts.type), fields)
        if userseq % FINE_RUN == 0:
            self._close_run(user, userseq, zone)
        else:
            self._keep_open(user.key, zone)
        self.position = logindex + 1

    def _types(self, name: str) -> list[int]:
        hashes = self._type_hashes.get(name)
        if hashes is None:
            if len(self._type_hashes) >= _OPEN_ZONES_MAX:
                self._type_hashes.clear()
            hashes = [self._hasher.token(token) for token in type_tokens(name)]
            self._type_hashes[name] = hashes
        return hashes

    def _keep_open(self, user_key: bytes, zone: OpenZone) -> None:
        self._open[user_key] = zone
        if len(self._open) > _OPEN_ZONES_MAX:
            del self._open[next(iter(self._open))]

    def _close_run(self, user: User, last: int, zone: OpenZone) -> None:
        first = last - FINE_RUN + 1
        finished = zone.close() if zone.is_whole else self._build(user, first)
        self._zones[zone_key(FINE, user.key, first)] = pack_zone(finished)
        if last % COARSE_RUN == 0:
            first = last - COARSE_RUN + 1
            parts = [self._fine(user, start) for start in range(first, last, FINE_RUN)]
            self._zones[zone_key(COARSE, user.key, first)] = pack_zone(merge_zones(parts))

    def _fine(self, user: User, first: int) -> Zone:
        key = zone_key(FINE, user.key, first)
        value = self._zones.get(key) or self._db.get("zones", key)
        return self._build(user, first) if value is None else parse_zone(value)

    def _build(self, user: User, first: int) -> Zone:
        """A run's zone from its records."""
        zone = OpenZone(first)
        for record in self._log.records_of(user).read(first, first + FINE_RUN - 1):
            facts = facts_of(record.text)
            fields = [self._hasher.token(field_token(name, value)) for name, value in facts.lookups]
            key = effective_time_key(facts.time_key, record.storedtime_ns)
            zone.add(key, self._types(facts.type), fields)
        return zone.close()
