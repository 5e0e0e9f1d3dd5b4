"""The process that sends: prepares requests, then sends them as fast as they are answered, or at a rate.

Closed loop: each connection sends its next request when the last was answered, which finds the rate a service
can hold. Open loop: each request has a moment when it is due, whatever the answers do; a request that had to
wait for a free connection is late, and its lateness is a figure of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import zstandard

from benchmarks.payloads import Material, Template, load_templates, payloads
from benchmarks.wire import Answer, HttpConnection, Target

__all__ = ["Prepare", "Run", "SendReport", "Sender", "SenderSpecification", "Sent", "make_sender"]

_PATH = "/v1/events"
_BATCH = "application/cloudevents-batch+json"
_SINGLE = "application/cloudevents+json"


class SenderSpecification(msgspec.Struct, frozen=True):
    """How one sender works.

    Args:
        target: the service.
        material: which events.
        connections: of this sender.
        batch_events: events a request; 0 sends one event in structured mode.
        zstd: compress bodies.
        minimal: ask for counts only (``Prefer: return=minimal``).
        users: only events of these; empty takes all.
    """

    target: Target
    material: Material
    connections: int
    batch_events: int = 0
    zstd: bool = False
    minimal: bool = False
    users: tuple[str, ...] = ()


class Prepare(msgspec.Struct, frozen=True):
    """Make requests and open connections; answered with the bytes of all bodies."""

    edition: str
    requests: int


class Run(msgspec.Struct, frozen=True):
    """Send what is prepared, from ``start_s`` of the monotonic clock on.

    ``rate`` is requests a second of this sender; 0 sends as fast as they are answered.
    """

    start_s: float
    seconds: float
    rate: float = 0.0


class Sent(msgspec.Struct, frozen=True, gc=False):
    """One answered request of an open loop; moments in seconds of the monotonic clock."""

    identity: str
    user: str
    due_s: float
    sent_s: float


class SendReport(msgspec.Struct):
    """What became of one run."""

    #: Moment of the last answer.
    ended_s: float = 0.0
    cpu_s: float = 0.0
    latencies_s: list[float] = []
    statuses: dict[str, int] = {}
    counts: dict[str, int] = {}
    #: Only of an open loop, and only what was stored.
    sent: list[Sent] = []


class _Counts(msgspec.Struct):
    """The part of an answer that is counted."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0


class _Request(msgspec.Struct, frozen=True, gc=False):
    wire: bytes
    identity: str
    user: str


_counts = msgspec.json.Decoder(_Counts)


class Sender:
    """One sender; see ``Prepare`` and ``Run``."""

    def __init__(self, specification: SenderSpecification, templates: Sequence[Template]) -> None:
        self._specification = specification
        self._templates = templates
        self._connections = [
            HttpConnection(specification.target) for _ in range(specification.connections)
        ]
        self._requests: list[_Request] = []

    async def answer(self, command: Prepare | Run) -> object:
        """One command."""
        if isinstance(command, Prepare):
            return await self.prepare(command)
        return await self.run(command)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    async def prepare(self, command: Prepare) -> int:
        """Everything that must not cost anything once the clock runs."""
        self._requests = []
        size_bytes = 0
        specification = self._specification
        compressor = zstandard.ZstdCompressor(level=3)
        headers = {"Content_Type": _BATCH if specification.batch_events else _SINGLE}
        if specification.zstd:
            headers["Content_Encoding"] = "zstd"
        if specification.minimal:
            headers["Prefer"] = "return=minimal"
        for payload in payloads(
            self._templates,
            command.edition,
            command.requests,
            batch_events=specification.batch_events,
        ):
            body = compressor.compress(payload.body) if specification.zstd else payload.body
            size_bytes += len(body)
            wire = specification.target.request("POST", _PATH, body, **headers)
            identity, user = payload.identities[0]
            self._requests.append(_Request(wire, identity, user))
        await asyncio.gather(*(connection.open() for connection in self._connections))
        return size_bytes

    async def run(self, command: Run) -> SendReport:
        """Send; requests that are not sent within the time are left."""
        report = SendReport()
        statuses: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        await asyncio.sleep(max(0.0, command.start_s - time.monotonic()))
        cpu_start_s = time.process_time()
        requests = iter(enumerate(self._requests))
        if command.rate:
            wanted = min(len(self._requests), round(command.rate * command.seconds))
            requests = iter(enumerate(self._requests[:wanted]))
        await asyncio.gather(
            *(
                self._send(connection, requests, command, report, (statuses, counts))
                for connection in self._connections
            )
        )
        report.ended_s = time.monotonic()
        report.cpu_s = time.process_time() - cpu_start_s
        # With none left the load ended before its time: the rate is right, the round is short.
        counts["left_over"] = sum(1 for _ in requests)
        report.statuses, report.counts = dict(statuses), dict(counts)
        self._requests = []
        return report

    async def _send(
        self,
        connection: HttpConnection,
        requests: Iterator[tuple[int, _Request]],
        command: Run,
        report: SendReport,
        tallies: tuple[Counter[str], Counter[str]],
    ) -> None:
        """One connection's part; all take from the same iterator."""
        statuses, counts = tallies
        ends_s = command.start_s + command.seconds
        while command.rate or time.monotonic() < ends_s:
            number, request = next(requests, (0, None))
            if request is None:
                return
            due_s = command.start_s + number / command.rate if command.rate else 0.0
            if command.rate:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            sent_s = time.monotonic()
            counts["requests"] += 1
            try:
                answer = await connection.exchange(request.wire)
            except (OSError, TimeoutError) as error:
                statuses[type(error).__name__] += 1
                continue
            report.latencies_s.append(time.monotonic() - sent_s)
            statuses[str(answer.status)] += 1
            if _take(answer, counts) and command.rate:
                report.sent.append(Sent(request.identity, request.user, due_s, sent_s))


def _take(answer: Answer, counts: Counter[str]) -> int:
    """Adds an answer's counts; returns how many events it stored."""
    if answer.status not in {200, 207, 422}:
        return 0
    found = _counts.decode(answer.body)
    counts["stored"] += found.stored
    counts["duplicates"] += found.duplicates
    counts["rejected"] += found.rejected
    return found.stored


async def make_sender(specification: SenderSpecification) -> Sender:
    """A sender with its events loaded.

    Raises:
        Invalid: there is nothing to send.
    """
    templates = load_templates(specification.material)
    if specification.users:
        chosen = set(specification.users)
        templates = [one for one in templates if one.user in chosen]
    return Sender(specification, templates)
