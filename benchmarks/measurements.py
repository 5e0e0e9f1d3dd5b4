"""Numbers of a run: percentiles of one round, and the middle of several rounds.

Pure. A round keeps named figures, so that a new kind of load adds names and no new types. Not here: how they
are printed (``benchmarks.table``).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

__all__ = ["Latency", "Result", "Round", "latency", "median_round", "percentile", "summed"]

_MS_PER_S = 1_000.0


class Latency(msgspec.Struct, frozen=True):
    """Spread of one latency in one round. All times in milliseconds; zero where ``count`` is."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Round(msgspec.Struct, frozen=True):
    """Everything measured in one round."""

    #: From the common start to the last answer that was waited for.
    duration_s: float
    #: Of what happened in the round: requests, stored, duplicates, rejected, deliveries, missing …
    counts: dict[str, int]
    #: Answers by HTTP status; what broke instead of being answered, by the name of its error.
    statuses: dict[str, int]
    #: By name of what was timed: ``answer``, ``delivery``, ``lateness``.
    latencies: dict[str, Latency]
    #: CPU seconds used in the round by kind of process; ``generator`` is the load's own.
    cpu_s: dict[str, float]
    #: Resident bytes at the round's end by kind of process, shared pages counted in each process.
    rss_bytes: dict[str, int]

    def rate(self, name: str) -> float:
        """How many of a count a second."""
        return self.counts.get(name, 0) / self.duration_s if self.duration_s > 0 else 0.0


class Result(msgspec.Struct, frozen=True):
    """One kind of load: how it was set, each round, and the middle of the rounds."""

    kind: str
    settings: dict[str, str | int | float | bool]
    rounds: list[Round]
    median: Round


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that at least ``share`` of all do not exceed.

    Args:
        ordered: values, least first; not empty.
        share: above 0, at most 1.
    """
    assert ordered, "a percentile of nothing"
    assert 0 < share <= 1, share
    # Shares such as 0.95 are no binary fractions: without the slack 0.95 * 100 could round up to rank 96.
    rank = math.ceil(share * len(ordered) - 1e-9)
    return ordered[max(rank, 1) - 1]


def latency(times_s: Sequence[float]) -> Latency:
    """Spread of times given in seconds."""
    if not times_s:
        return Latency(0, 0.0, 0.0, 0.0, 0.0)
    ordered = sorted(times_s)
    p50, p95, p99 = (percentile(ordered, share) * _MS_PER_S for share in (0.50, 0.95, 0.99))
    return Latency(len(ordered), p50, p95, p99, ordered[-1] * _MS_PER_S)


def median_round(rounds: Sequence[Round]) -> Round:
    """The median of each figure over the rounds; of the greatest latencies the greatest.

    Statuses are summed, since a single failed answer in one round must not vanish in a median.
    """
    assert rounds, "a median of no rounds"
    timed = {name for one in rounds for name in one.latencies}
    return Round(
        duration_s=statistics.median(one.duration_s for one in rounds),
        counts=_medians_int([one.counts for one in rounds]),
        statuses=summed(one.statuses for one in rounds),
        latencies={
            name: _median_latency([one.latencies[name] for one in rounds if name in one.latencies])
            for name in sorted(timed)
        },
        cpu_s=_medians([one.cpu_s for one in rounds]),
        rss_bytes=_medians_int([one.rss_bytes for one in rounds]),
    )


def summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up over all parts."""
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def _median_latency(parts: Sequence[Latency]) -> Latency:
    return Latency(
        count=round(statistics.median(part.count for part in parts)),
        p50_ms=statistics.median(part.p50_ms for part in parts),
        p95_ms=statistics.median(part.p95_ms for part in parts),
        p99_ms=statistics.median(part.p99_ms for part in parts),
        max_ms=max(part.max_ms for part in parts),
    )


def _medians(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name; a name that a round lacks counts as zero there."""
    names = {name for part in parts for name in part}
    return {name: statistics.median(part.get(name, 0) for part in parts) for name in sorted(names)}


def _medians_int(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {name: round(value) for name, value in _medians(parts).items()}
