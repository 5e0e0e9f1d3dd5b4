"""The kinds of load. A new kind is a function here and a line in ``KINDS``.

    batches   many events a request, closed loop
    singles   one event a request, closed loop, few and many connections
    viewers   live feeds, while single events arrive at a fixed rate

Each kind warms up, then runs its rounds. Before a round everything is prepared; its processes begin at one
moment of the monotonic clock, which on Linux is the same in all processes.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.crew import Crew
from benchmarks.measurements import Result, Round, latency, median_round, summed
from benchmarks.payloads import Material, load_templates
from benchmarks.processes import cpu_between, machine_use, rss_by_kind, service_processes
from benchmarks.senders import Prepare, Run, SenderSpecification, SendReport, make_sender
from benchmarks.service import Subject
from benchmarks.viewers import Collect, Open, ViewerSpecification, ViewReport, make_viewers
from tradetrail.errors import Invalid

__all__ = ["KINDS", "Options", "check", "closed_round", "delivered_round", "share_out"]

_BATCH_CONNECTIONS = 16
_SINGLES_CONNECTIONS = (16, 64)
_VIEWERS_CONNECTIONS = 16
#: Processes answer "ready" at different moments; the start lies after the last.
_LEAD_S = 0.2
#: Prepared before the warm-up has told the rate; with fewer left the warm-up is short, which is no harm.
_WARM_UP_BATCHES = 60
_WARM_UP_SINGLES = 4_000
#: A round prepares this many times what the rate before needs, so that it rarely runs dry.
_SURPLUS = 1.5
#: Of one sender's bodies: a fast service must not fill the memory of the machine.
_PREPARED_BYTES_MAX = 384 * 1024 * 1024
#: What has not arrived at a viewer by then is missing.
_ARRIVAL_S = 5.0


class Options(msgspec.Struct, frozen=True):
    """How a run is set; times in seconds."""

    rounds: int = 3
    seconds: float = 5.0
    warm_up_s: float = 2.0
    #: Processes that send, and as many that watch.
    workers: int = 2
    batch_events: int = 1_000
    zstd: bool = False
    minimal: bool = False
    viewers: int = 500
    watched_users: int = 50
    #: Events a second while viewers watch.
    rate: float = 100.0
    material: Material = Material()
    #: Tells this run's events from those of any other run.
    run: str = "run"


def _batches(subject: Subject, options: Options) -> list[Result]:
    return [_closed("batches", subject, options, _BATCH_CONNECTIONS, options.batch_events)]


def _singles(subject: Subject, options: Options) -> list[Result]:
    return [_closed("singles", subject, options, count, 0) for count in _SINGLES_CONNECTIONS]


def _viewers(subject: Subject, options: Options) -> list[Result]:
    material = msgspec.structs.replace(options.material, users=options.watched_users)
    names = dict.fromkeys(one.user for one in load_templates(material))
    users = tuple(names)[: options.watched_users]
    crowd = [users[number % len(users)] for number in range(options.viewers)]
    shares = [tuple(crowd[start :: options.workers]) for start in range(options.workers)]
    sender = SenderSpecification(
        subject.target, material, _VIEWERS_CONNECTIONS, minimal=True, users=users
    )
    specifications = [ViewerSpecification(subject.target, share) for share in shares]
    rounds: list[Round] = []
    with Crew(make_viewers, specifications) as viewers, Crew(make_sender, [sender]) as senders:
        opened_s = max(viewers.ask(Open()))
        for number in range(options.rounds + 1):
            # The first is the warm-up.
            seconds = options.seconds if number else options.warm_up_s
            edition = f"{options.run}-viewers{options.viewers}-{number}"
            senders.ask(Prepare(edition, math.ceil(options.rate * seconds)))
            watch = _Watch(subject)
            start_s = time.monotonic() + _LEAD_S
            (sent,) = senders.ask(Run(start_s, seconds, options.rate))
            deadline_s = time.monotonic() + _ARRIVAL_S
            seen = viewers.ask(
                [Collect(_expected(sent, share).total(), deadline_s) for share in shares]
            )
            watch.stop()
            if number:
                one = delivered_round(start_s, sent, seen, _expected(sent, crowd).total())
                rounds.append(watch.added_to(one))
    settings: dict[str, str | int | float | bool] = {
        "viewers": options.viewers,
        "users": len(users),
        "rate": options.rate,
        "connections": _VIEWERS_CONNECTIONS,
        "opened_s": round(opened_s, 3),
    }
    return [Result("viewers", settings, rounds, median_round(rounds))]


#: What can be asked for, by name, in the order in which it runs.
KINDS: dict[str, Callable[[Subject, Options], list[Result]]] = {
    "batches": _batches,
    "singles": _singles,
    "viewers": _viewers,
}


def share_out(total: int, parts: int) -> list[int]:
    """``total`` in at most so many nearly equal parts, none of them 0."""
    parts = min(total, parts)
    return [total // parts + (index < total % parts) for index in range(parts)]


def closed_round(start_s: float, reports: Sequence[SendReport]) -> Round:
    """One round of a closed loop from what its senders report."""
    return Round(
        duration_s=max(report.ended_s for report in reports) - start_s,
        counts=summed(report.counts for report in reports),
        statuses=summed(report.statuses for report in reports),
        latencies={"answer": latency([s for report in reports for s in report.latencies_s])},
        cpu_s={"generator": sum(report.cpu_s for report in reports)},
        rss_bytes={},
    )


def delivered_round(
    start_s: float, sent: SendReport, seen: Sequence[ViewReport], expected: int
) -> Round:
    """One round with viewers: each arrival is matched with the request that brought the event.

    ``unmatched`` arrivals belong to no request that was answered as stored.
    """
    sent_s = {one.identity: one.sent_s for one in sent.sent}
    delivered_s: list[float] = []
    unmatched = 0
    for report in seen:
        for identity, arrived_s in zip(report.identities, report.arrived_s, strict=True):
            if identity in sent_s:
                delivered_s.append(arrived_s - sent_s[identity])
            else:
                unmatched += 1
    one = closed_round(start_s, [sent])
    counts = {
        "deliveries": len(delivered_s),
        "missing": expected - len(delivered_s),
        "unmatched": unmatched,
        "feeds_ended": sum(report.ended for report in seen),
    }
    latencies = {
        "delivery": latency(delivered_s),
        "lateness": latency([one.sent_s - one.due_s for one in sent.sent]),
    }
    generator_s = sent.cpu_s + sum(report.cpu_s for report in seen)
    return msgspec.structs.replace(
        one,
        counts=one.counts | counts,
        latencies=one.latencies | latencies,
        cpu_s={"generator": generator_s},
    )


def _closed(
    kind: str, subject: Subject, options: Options, connections: int, batch_events: int
) -> Result:
    specifications = [
        SenderSpecification(
            subject.target,
            options.material,
            share,
            batch_events,
            options.zstd and batch_events > 0,
            options.minimal,
        )
        for share in share_out(connections, options.workers)
    ]
    rounds: list[Round] = []
    with Crew(make_sender, specifications) as crew:
        requests = _WARM_UP_BATCHES if batch_events else _WARM_UP_SINGLES
        for number in range(options.rounds + 1):
            # The first is the warm-up; each tells the next how much to prepare.
            seconds = options.seconds if number else options.warm_up_s
            prepared = [
                Prepare(f"{options.run}-{kind}{connections}-{number}-{worker}", requests)
                for worker in range(len(specifications))
            ]
            size_bytes = max(crew.ask(prepared))
            watch = _Watch(subject)
            start_s = time.monotonic() + _LEAD_S
            one = closed_round(start_s, crew.ask(Run(start_s, seconds)))
            watch.stop()
            if number:
                rounds.append(watch.added_to(one))
            rate = one.rate("requests") / len(specifications)
            most = _PREPARED_BYTES_MAX * requests // max(size_bytes, 1)
            requests = max(1, min(math.ceil(rate * options.seconds * _SURPLUS) + connections, most))
    settings: dict[str, str | int | float | bool] = {
        "connections": connections,
        "events_per_request": max(batch_events, 1),
        "zstd": options.zstd and batch_events > 0,
        "minimal": options.minimal,
        "senders": len(specifications),
    }
    return Result(kind, settings, rounds, median_round(rounds))


def _expected(sent: SendReport, viewers: Sequence[str]) -> Counter[str]:
    """How many arrivals the stored events must give, by user."""
    watching = Counter(viewers)
    expected: Counter[str] = Counter()
    for one in sent.sent:
        expected[one.user] += watching[one.user]
    return expected


class _Watch:
    """What the service and the machine use, from construction to ``stop``."""

    def __init__(self, subject: Subject) -> None:
        self._pid = subject.pid
        self._service = service_processes(self._pid) if self._pid else []
        self._machine = machine_use()
        self._cpu_s: dict[str, float] = {}
        self._rss_bytes: dict[str, int] = {}
        self._busy_s = self._stolen_s = 0.0

    def stop(self) -> None:
        """The round is over."""
        use = machine_use()
        self._busy_s = use.busy_s - self._machine.busy_s
        self._stolen_s = use.stolen_s - self._machine.stolen_s
        if self._pid:
            after = service_processes(self._pid)
            self._cpu_s = cpu_between(self._service, after)
            self._rss_bytes = rss_by_kind(after)

    def added_to(self, one: Round) -> Round:
        """The round with it; what is neither service nor load shows how noisy the machine was."""
        cpu_s = one.cpu_s | self._cpu_s
        if self._pid:
            cpu_s["(not ours)"] = max(0.0, self._busy_s - sum(cpu_s.values()))
            cpu_s["(stolen)"] = self._stolen_s
        return msgspec.structs.replace(one, cpu_s=cpu_s, rss_bytes=self._rss_bytes)


def check(options: Options) -> None:
    """Raises ``Invalid`` where the options cannot be run."""
    for name in (
        "rounds",
        "seconds",
        "workers",
        "batch_events",
        "viewers",
        "watched_users",
        "rate",
    ):
        if getattr(options, name) <= 0:
            raise Invalid("invalid_option", f"{name} must be above 0.")
