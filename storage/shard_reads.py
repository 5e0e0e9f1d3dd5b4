"""What readers ask of one shard: pages, look-ups, users, orders' lives, and plans for readers elsewhere.

Everything here sees published records only and is decided exactly by ``Filter.matches``; indexes and zones
only say where to look. Reads may come from any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from heapq import merge

import msgspec

from storage.indexer import Indexer
from storage.order_chain import Link, follow_chain
from storage.shard_store import ShardStore
from storage.user_records import Page, PageBounds, Question, matches, read_page
from storage.users import User
from tradetrail.event import LOOKUP_FIELDS, SERVICE_USER_PREFIX
from tradetrail.facts import Facts, facts_of
from tradetrail.filters import Filter, HistoryQuery, effective_time_key
from tradetrail.record import Record

__all__ = ["LookupPage", "ReadPlan", "ShardReads", "UserSummary"]

#: Positions asked of the index at once.
_HITS = 1_000


class LookupPage(msgspec.Struct, frozen=True):
    """Matching records by log position; ``next_logindex`` 0 at the end.

    Records at and above ``indexed_to`` are not in the index yet and may be missing here.
    """

    records: list[Record]
    next_logindex: int
    indexed_to: int


class UserSummary(msgspec.Struct, frozen=True):
    """One user: records, ``time`` keys of the first and the newest, storedtime of the newest in ns."""

    user: str
    count: int
    first_key: int
    last_key: int
    active_ns: int


class ReadPlan(msgspec.Struct, frozen=True):
    """What a task needs to walk one user's records over a secondary, and nothing more."""

    shard: int
    user: str
    user_key: bytes
    data_key: bytes
    head: int
    question: Question


class ShardReads:
    """Questions to one shard's store and index."""

    def __init__(self, store: ShardStore, indexer: Indexer) -> None:
        self._store = store
        self._indexer = indexer

    def page(self, query: HistoryQuery, start: int, bounds: PageBounds) -> Page:
        """One page of matching records from userseq ``start`` on (0: the end the order begins at)."""
        user = self._store.user(query.user)
        if user is None:
            return Page([], 0)
        question = self._question(user, query)
        source = self._store.records_of(user)
        return read_page(source, question, start, query.descending, bounds)

    def plan(self, query: HistoryQuery) -> ReadPlan | None:
        """The same question for a reader in another process; ``None`` for a user without records."""
        user = self._store.user(query.user)
        if user is None or not user.published:
            return None
        question = self._question(user, query)
        return ReadPlan(
            self._store.shard, user.name, user.key, user.data_key, user.published, question
        )

    def plans(self, after: str, limit: int, wanted: Filter) -> list[ReadPlan]:
        """Plans for users by name from the one after ``after``, the service's own left out."""
        names = self._names("", after, limit, False)
        found = [self.plan(HistoryQuery(name, wanted)) for name in names]
        return [plan for plan in found if plan is not None]

    def head(self, name: str) -> int:
        """The newest published userseq of a user; 0 where there is none."""
        user = self._store.user(name)
        return user.published if user else 0

    def log_page(self, first: int, bounds: PageBounds) -> list[Record]:
        """Published records by log position from ``first`` on; fewer only at the end or the bounds."""
        records: list[Record] = []
        size, position = 0, max(first, 1)
        while len(records) < bounds.limit and size < bounds.text_bytes:
            entries = self._store.entries(position, bounds.limit - len(records))
            if not entries:
                break
            for logindex, user, userseq in entries:
                position = logindex + 1
                if user is not None:
                    records.extend(self._store.records_of(user).read_these([userseq]))
                    size += len(records[-1].text)
        return records

    def users(self, prefix: str, after: str, limit: int, system: bool) -> list[UserSummary]:
        """Users whose name begins with ``prefix`` and comes after ``after``, by name."""
        return [self._summary(name) for name in self._names(prefix, after, limit, system)]

    def recent_users(self, limit: int, system: bool) -> list[UserSummary]:
        """The most recently active users, newest first."""
        names = self._store.recent_names(limit, lambda name: _is_listed(name, system))
        return [self._summary(name) for name in names]

    def lookup(self, wanted: Filter, first: int, bounds: PageBounds) -> LookupPage:
        """Records of any user that have the filter's values, from log position ``first`` on."""
        indexed_to = self._indexer.position
        # The rarest field leads: order ids stand before accounts and symbols in this order.
        field, value = min(wanted.fields, key=lambda pair: LOOKUP_FIELDS.index(pair[0]))
        found: list[Record] = []
        size = scanned = 0
        after = first - 1
        while hits := self._indexer.find(field, value, after, _HITS):
            for logindex in hits:
                if (
                    len(found) == bounds.limit
                    or size >= bounds.text_bytes
                    or scanned >= bounds.scan
                ):
                    return LookupPage(found, logindex, indexed_to)
                after = logindex
                scanned += 1
                stored = self._store.record(logindex)
                if stored is not None and matches(wanted, stored[1]):
                    found.append(stored[1])
                    size += len(stored[1].text)
            if len(hits) < _HITS:
                break
        return LookupPage(found, 0, indexed_to)

    def _names(self, prefix: str, after: str, limit: int, system: bool) -> list[str]:
        names: list[str] = []
        known = self._store.names
        position = bisect_left(known, max(prefix, after))
        while position < len(known) and len(names) < limit:
            name = known[position]
            position += 1
            if not name.startswith(prefix):
                break
            if name != after and _is_listed(name, system) and self.head(name):
                names.append(name)
        return names

    def _question(self, user: User, query: HistoryQuery) -> Question:
        token = self._store.hasher.token
        types = tuple(token(text) for text in query.wanted.type_group())
        fields = tuple(token(text) for text in query.wanted.field_tokens())
        only = None
        if query.chain:
            only = follow_chain(query.chain, _ChainFinder(self._store, self._indexer, user))
        return Question(query.wanted, types, fields, only)

    def _summary(self, name: str) -> UserSummary:
        user = self._store.user(name)
        assert user is not None, "listed names are known"
        first, last = self._store.records_of(user).read_these([1, user.published])
        return UserSummary(name, last.userseq, _key(first), _key(last), user.active_ns)


class _ChainFinder:
    """Finds one user's records by values: the index up to its position, then the records above it."""

    def __init__(self, store: ShardStore, indexer: Indexer, user: User) -> None:
        self._store = store
        self._indexer = indexer
        self._user = user
        # The position first: what is filed while the tail is read is then found twice, not missed.
        position = indexer.position
        self._tail = [
            (record.userseq, facts_of(record.text)) for record in self._unindexed(position)
        ]

    def __call__(self, links: list[Link]) -> Iterable[tuple[int, tuple[Link, ...]]]:
        wanted = frozenset(links)
        hits = merge(*(self._indexer.find(field, value, 0, 2**31) for field, value in links))
        for logindex in dict.fromkeys(hits):
            stored = self._store.record(logindex)
            if stored is not None and stored[0] == self._user.name:
                facts = facts_of(stored[1].text)
                if _has(facts, wanted):
                    yield stored[1].userseq, facts.lookups
        for userseq, facts in self._tail:
            if _has(facts, wanted):
                yield userseq, facts.lookups

    def _unindexed(self, position: int) -> Iterable[Record]:
        source = self._store.records_of(self._user)
        last = source.head
        while last >= 1:
            records = source.read(last - 127, last)
            for record in reversed(records):
                if record.logindex < position:
                    return
                yield record
            last -= 128


def _has(facts: Facts, wanted: frozenset[Link]) -> bool:
    return any(pair in wanted for pair in facts.lookups)


def _key(record: Record) -> int:
    return effective_time_key(facts_of(record.text).time_key, record.storedtime_ns)


def _is_listed(name: str, system: bool) -> bool:
    return system or not name.startswith(SERVICE_USER_PREFIX)
