"""The numbers of every process, gathered in one place and put together. Pure.

Counters and histograms of a process that is gone stay in the sum, since a counter never goes back; its gauges
are left out once it has been silent for ``SILENT_S``.
"""

from __future__ import annotations

from collections.abc import Callable

from tradetrail.meter import METRICS, Kind, Sample

__all__ = ["SILENT_S", "Gauges"]

#: Processes tell their numbers every 5 s.
SILENT_S = 20.0
#: Replicas come and go; the oldest of so many has long been added up.
_PROCESSES_MAX = 1_000


class Gauges:
    """Latest samples by process; ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._processes: dict[str, tuple[float, list[Sample]]] = {}
        #: What processes counted that are no longer kept apart.
        self._past: dict[tuple[str, tuple[str, ...]], float] = {}

    def put(self, process: str, samples: list[Sample]) -> None:
        """Replace a process's numbers. A process that starts anew has a new name."""
        self._processes.pop(process, None)
        self._processes[process] = (self._clock(), samples)
        if len(self._processes) > _PROCESSES_MAX:
            oldest = next(iter(self._processes))
            for sample in self._processes.pop(oldest)[1]:
                if _kind(sample.name) is not Kind.GAUGE:
                    key = (sample.name, sample.labels)
                    self._past[key] = self._past.get(key, 0) + sample.value

    def merged(self) -> list[Sample]:
        """All numbers, equal names and labels added up, sorted."""
        total = dict(self._past)
        oldest_s = self._clock() - SILENT_S
        for told_s, samples in self._processes.values():
            for sample in samples:
                if told_s >= oldest_s or _kind(sample.name) is not Kind.GAUGE:
                    key = (sample.name, sample.labels)
                    total[key] = total.get(key, 0) + sample.value
        return [Sample(name, labels, total[name, labels]) for name, labels in sorted(total)]


def _kind(name: str) -> Kind:
    metric = METRICS.get(name)
    return Kind.HISTOGRAM if metric is None else metric.kind
