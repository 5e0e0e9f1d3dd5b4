"""Where a report's records come from, in which order, and how far it is: over copies of the shards.

One user: by userseq, or for paper by time. Several users: user by user as they were named. All users: log by
log, in each by name. Only users with matching records appear.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from actors.client import call_now
from actors.report.lines import Row
from storage.hashing import shard_of
from storage.secondary import ShardCopy, open_copy
from storage.shard_reads import ReadPlan
from storage.user_records import walk
from tradetrail.errors import Gone
from tradetrail.facts import facts_of
from tradetrail.filters import Filter, HistoryQuery, effective_time_key
from tradetrail.names import CONTROL_ACTOR, shard_actor
from tradetrail.record import Record
from tradetrail.report import ReportRequest, wanted_of

__all__ = ["Progress", "TimedRows", "by_time", "in_order"]

_TELL_S = 0.5
_USERS_AT_ONCE = 500
_ROWS_AT_ONCE = 250


class TimedRows(NamedTuple):
    """Rows in the order of paper, with what has to be known before the first."""

    row_count: int
    first_userseq: int
    last_userseq: int
    rows: Iterator[Row]


class Progress:
    """Counts rows and tells the desk now and then; stops the task where it is no longer wanted."""

    def __init__(self, report_id: str) -> None:
        self._report_id = report_id
        self._told_s = 0.0
        self.done = 0
        #: 0 while it is not known.
        self.total = 0

    def add(self, rows: int) -> None:
        """Count rows; raises ``Gone`` where the report was cancelled."""
        self.done += rows
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_S:
            self._told_s = now_s
            if not call_now(
                CONTROL_ACTOR, "report_progress", self._report_id, self.done, self.total
            ):
                raise Gone("report_cancelled", "The report was cancelled.")


def in_order(
    request: ReportRequest, data: Path, shards: int, progress: Progress
) -> Iterator[list[Record]]:
    """All matching records of the request by userseq, user by user."""
    wanted = wanted_of(request)
    names = request.named_users
    if not names:
        for shard in range(shards):
            with open_copy(data, shard) as copy:
                yield from _all_of(copy, shard, wanted, progress)
        return
    for name in dict.fromkeys(names):
        shard = shard_of(name, shards)
        plan = _plan(name, shard, wanted)
        if plan is not None:
            with open_copy(data, shard) as copy:
                yield from _counted(copy, plan, progress)


def by_time(request: ReportRequest, data: Path, shards: int, progress: Progress) -> TimedRows:
    """One user's matching records by time, then userseq.

    Positions are sorted in memory, 17 bytes a row; the records are read again in that order.
    """
    shard = shard_of(request.user, shards)
    plan = _plan(request.user, shard, wanted_of(request))
    keys: list[int] = []
    numbers: list[int] = []
    if plan is not None:
        with open_copy(data, shard) as copy:
            for records in walk(copy.records_of(plan), plan.question):
                for record in records:
                    time_key = facts_of(record.text).time_key
                    keys.append(effective_time_key(time_key, record.storedtime_ns))
                    numbers.append(record.userseq)
                progress.add(0)
    if plan is None or not numbers:
        return TimedRows(0, 0, 0, iter(()))
    progress.total = len(numbers)
    times, userseqs = np.array(keys, dtype=np.int64), np.array(numbers, dtype=np.int64)
    # Late: a record with a lower number has a later time.
    late = times < np.maximum.accumulate(times)
    order = np.lexsort((userseqs, times))
    rows = _sorted_rows(data, plan, userseqs[order].tolist(), late[order].tolist(), progress)
    return TimedRows(len(numbers), numbers[0], numbers[-1], rows)


def _sorted_rows(
    data: Path, plan: ReadPlan, order: list[int], late: list[bool], progress: Progress
) -> Iterator[Row]:
    with open_copy(data, plan.shard) as copy:
        source = copy.records_of(plan)
        for start in range(0, len(order), _ROWS_AT_ONCE):
            end = start + _ROWS_AT_ONCE
            records = source.read_these(order[start:end])
            yield from map(Row, records, late[start:end])
            progress.add(len(records))


def _all_of(
    copy: ShardCopy, shard: int, wanted: Filter, progress: Progress
) -> Iterator[list[Record]]:
    after = ""
    while plans := _plans(shard, after, wanted):
        # The plans are newer than the copy.
        copy.catch_up()
        for plan in plans:
            yield from _counted(copy, plan, progress)
        after = plans[-1].user


def _counted(copy: ShardCopy, plan: ReadPlan, progress: Progress) -> Iterator[list[Record]]:
    for records in walk(copy.records_of(plan), plan.question):
        yield records
        progress.add(len(records))


def _plan(name: str, shard: int, wanted: Filter) -> ReadPlan | None:
    query = HistoryQuery(name, wanted)
    plan: ReadPlan | None = call_now(shard_actor(shard), "plan", query)
    return plan


def _plans(shard: int, after: str, wanted: Filter) -> list[ReadPlan]:
    plans: list[ReadPlan] = call_now(shard_actor(shard), "plans", after, _USERS_AT_ONCE, wanted)
    return plans
