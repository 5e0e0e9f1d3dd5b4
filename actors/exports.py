"""What runs in Ray tasks over a copy of a shard: streamed histories and their summaries.

Plain functions; ``actors.wiring`` makes tasks of them. A task that fails raises, and the stream it feeds
breaks off visibly; it is never run a second time, since a second run would leave out what was delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from actors.forms import encode
from storage.secondary import open_copy
from storage.shard_reads import ReadPlan
from storage.user_records import walk
from tradetrail.errors import Invalid
from tradetrail.facts import facts_of
from tradetrail.filters import effective_time_key

__all__ = ["BUCKETS_NS", "Bucket", "stream_history", "summarise"]

_MINUTE_NS = 60 * 1_000_000_000
#: ISO 8601 durations that a summary may be cut in.
BUCKETS_NS = {
    "PT1M": _MINUTE_NS,
    "PT5M": 5 * _MINUTE_NS,
    "PT15M": 15 * _MINUTE_NS,
    "PT1H": 60 * _MINUTE_NS,
    "P1D": 24 * 60 * _MINUTE_NS,
}
_BUCKETS_MAX = 20_000


class Bucket(msgspec.Struct, frozen=True):
    """Records of one type in one stretch of time that begins at ``start_ns``."""

    start_ns: int
    type: str
    count: int


def stream_history(  # noqa: PLR0917  # the arguments of a Ray task
    plan: ReadPlan | None, data: Path, form: str, profile: str, start: int, descending: bool
) -> Iterator[bytes]:
    """A user's matching records from userseq ``start`` on (0: all) in a form, in pieces.

    A user without records gives an empty document.
    """
    if plan is None:
        yield from encode(form, profile, [])
        return
    with open_copy(data, plan.shard) as copy:
        records = walk(copy.records_of(plan), plan.question, start, descending)
        yield from encode(form, profile, records)


def summarise(plan: ReadPlan | None, data: Path, bucket: str) -> list[Bucket]:
    """Counts by stretch of ``time`` and by type, in order of both.

    Raises:
        Invalid: ``too_many_buckets``; a longer bucket or a shorter range helps.
    """
    if plan is None:
        return []
    width_ns = BUCKETS_NS[bucket]
    counts: Counter[tuple[int, str]] = Counter()
    with open_copy(data, plan.shard) as copy:
        for records in walk(copy.records_of(plan), plan.question):
            for record in records:
                facts = facts_of(record.text)
                key = effective_time_key(facts.time_key, record.storedtime_ns)
                counts[(key >> 1) // width_ns * width_ns, facts.type] += 1
            if len(counts) > _BUCKETS_MAX:
                raise Invalid(
                    "too_many_buckets",
                    f"The summary has more than {_BUCKETS_MAX} rows; take a longer bucket or a shorter range.",
                    pointer="#/bucket",
                )
    return [Bucket(start, name, count) for (start, name), count in sorted(counts.items())]
