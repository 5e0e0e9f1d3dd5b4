"""One user's records as a reader walks them: candidates by zones, decided by the filter, in order.

The walk sees nothing above ``head``, the position the shard has published for the user, whether the database
under it is the owner's or a secondary's that has already taken in more (I3). It works the same in the shard
and in a task that was handed the one data key it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.database import Database
from storage.layout import record_key, zone_key
from storage.sealing import open_record
from storage.zones import COARSE, COARSE_RUN, FINE, FINE_RUN, Zone, ZoneQuery, parse_zone, run_start
from tradetrail.errors import Corrupt
from tradetrail.facts import facts_of
from tradetrail.filters import Filter
from tradetrail.record import Record

__all__ = [
    "Page",
    "PageBounds",
    "Question",
    "Span",
    "UserRecords",
    "candidate_spans",
    "matches",
    "missing_record",
    "read_page",
    "walk",
]

#: Rows asked of RocksDB in one multi-get; it releases the GIL meanwhile.
_READ_ROWS = 250


class Question(msgspec.Struct, frozen=True):
    """A filter with what zones are asked by: hashes of its types and of its values.

    ``only`` restricts the walk to these userseqs (ascending), where an index has named them already.
    """

    wanted: Filter
    types: tuple[int, ...] = ()
    fields: tuple[int, ...] = ()
    only: tuple[int, ...] | None = None


class Page(msgspec.Struct, frozen=True):
    """Matching records in order; ``next_userseq`` is where the next page begins, 0 at the end."""

    records: list[Record]
    next_userseq: int


class PageBounds(msgspec.Struct, frozen=True):
    """Where a page ends: records in it, bytes of text, and records or zones looked at."""

    limit: int
    text_bytes: int
    scan: int


class Span(NamedTuple):
    """Userseqs ``first`` to ``last``, both included; only a candidate can hold a match."""

    first: int
    last: int
    candidate: bool


class UserRecords:
    """Records ``1`` to ``head`` of one user in one database."""

    def __init__(
        self, database: Database, shard: int, user_key: bytes, aead: AESGCM, head: int
    ) -> None:
        self._db = database
        self._shard = shard
        self._user_key = user_key
        self._aead = aead
        self.head = head

    def read(self, first: int, last: int) -> list[Record]:
        """Records ``first`` to ``last``, both included, as far as ``head``, in order."""
        return self.read_these(range(max(first, 1), min(last, self.head) + 1))

    def read_these(self, numbers: range | list[int]) -> list[Record]:
        """The records of these userseqs, in the order given.

        Raises:
            Corrupt: one is missing or does not authenticate.
        """
        records: list[Record] = []
        for start in range(0, len(numbers), _READ_ROWS):
            part = numbers[start : start + _READ_ROWS]
            keys = [record_key(self._user_key, number) for number in part]
            for number, sealed in zip(part, self._db.get_many("records", keys), strict=True):
                if sealed is None:
                    raise missing_record(self._shard, self._user_key, number)
                records.append(open_record(self._aead, self._shard, self._user_key, number, sealed))
        return records

    def zone(self, level: int, first_userseq: int) -> Zone | None:
        """The zone of a full run, where it has been written."""
        value = self._db.get("zones", zone_key(level, self._user_key, first_userseq))
        return None if value is None else parse_zone(value)


def missing_record(shard: int, user_key: bytes, userseq: int) -> Corrupt:
    """The error for a number that was given and leads nowhere."""
    return Corrupt(
        "record_missing",
        f"Shard {shard:02d}: record {userseq} of user key {user_key.hex()} is numbered and not there. "
        "Nothing was changed; restore the shard from a backup.",
    )


def candidate_spans(
    source: UserRecords, question: Question, start: int, descending: bool
) -> Iterator[Span]:
    """Spans that cover every userseq from ``start`` to the end once, in reading order."""
    if descending:
        # Whoever begins above the newest record asks for all that is there.
        start = min(start, source.head)
    if question.only is not None:
        numbers = reversed(question.only) if descending else iter(question.only)
        for number in numbers:
            if number <= source.head and (number <= start if descending else number >= start):
                yield Span(number, number, True)
        return
    judge = _judge(question)
    position = start
    #: Start of the coarse run that may match: not asked again for each of its fine runs.
    passed = 0
    while 1 <= position <= source.head:
        coarse_first = run_start(position, COARSE_RUN)
        run_first, run = run_start(position, FINE_RUN), FINE_RUN
        candidate = True
        if judge is not None:
            if coarse_first != passed:
                candidate = judge(source.zone(COARSE, coarse_first))
                passed = coarse_first
            if not candidate:
                run_first, run = coarse_first, COARSE_RUN
            else:
                candidate = judge(source.zone(FINE, run_first))
        if descending:
            yield Span(run_first, position, candidate)
            position = run_first - 1
        else:
            last = min(run_first + run - 1, source.head)
            yield Span(position, last, candidate)
            position = last + 1


def read_page(
    source: UserRecords, question: Question, start: int, descending: bool, bounds: PageBounds
) -> Page:
    """Matching records from userseq ``start`` on (0: from the end the order begins at)."""
    found: list[Record] = []
    size = scanned = 0
    position = start or (source.head if descending else 1)
    step = -1 if descending else 1
    for span in candidate_spans(source, question, position, descending):
        if scanned >= bounds.scan:
            return Page(found, span.last if descending else span.first)
        scanned += 1
        if not span.candidate:
            continue
        first, last = span.first, span.last
        if question.wanted.is_empty and last - first >= bounds.limit - len(found):
            # Every record matches: what would lie beyond the page is not read.
            room = bounds.limit - len(found)
            first, last = (last - room + 1, last) if descending else (first, first + room - 1)
        records = source.read(first, last)
        scanned += len(records)
        for record in reversed(records) if descending else records:
            if matches(question.wanted, record):
                found.append(record)
                size += len(record.text)
            if len(found) == bounds.limit or size >= bounds.text_bytes:
                return Page(found, _onward(record.userseq + step, source.head))
    return Page(found, 0)


def matches(wanted: Filter, record: Record) -> bool:
    """Whether a record is asked for; exact."""
    return wanted.is_empty or wanted.matches(facts_of(record.text), record.storedtime_ns)


def _onward(position: int, head: int) -> int:
    return position if 1 <= position <= head else 0


def _judge(question: Question) -> Callable[[Zone | None], bool] | None:
    """Whether a run may hold a match; ``None`` where every run does."""
    if question.wanted.is_empty:
        return None
    query = ZoneQuery(question.types, question.fields)

    def may_match(zone: Zone | None) -> bool:
        if zone is None:
            return True
        wanted = question.wanted
        return wanted.may_overlap(zone.least_key, zone.greatest_key) and query.may_match(zone)

    return may_match


def walk(
    source: UserRecords, question: Question, start: int = 0, descending: bool = False
) -> Iterator[list[Record]]:
    """All matching records in order from userseq ``start`` on (0: from the end the order begins at).

    They come in small lists; an empty one says that a stretch held none.
    """
    start = start or (source.head if descending else 1)
    for span in candidate_spans(source, question, start, descending):
        if not span.candidate:
            continue
        records = source.read(span.first, span.last)
        if descending:
            records.reverse()
        yield [record for record in records if matches(question.wanted, record)]
