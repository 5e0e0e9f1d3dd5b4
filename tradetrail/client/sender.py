"""Sends events in batches until each is stored, a duplicate, or refused for good.

Every unclear answer means "send again": the identity of an event makes that safe, on the service's
side.

    batch ── answered per event ──> done; refusals with retry are sent again, alone
      │ ├── connection, timeout, 408 429 500 502 503 504 507 ──> wait (full jitter, Retry-After),
      again ├── 400 or 413 as a whole ──> two halves; a single event is refused for good └── any
      other answer (401, 403, 404, …) ──> raises: the same call can never succeed

What is not here: where events come from and where they are kept meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import httpx2
import msgspec
import zstandard

from tradetrail.client.backoff import Backoff
from tradetrail.client.batches import BatchBounds, Outgoing, Packer, body_of
from tradetrail.client.http import (
    RETRY_STATUSES,
    HttpService,
    problem_of,
    retry_after_s,
    unreachable,
)
from tradetrail.errors import Internal, TradeTrailError, Unavailable
from tradetrail.event import Refusal

__all__ = ["BatchSender", "Outgoing", "SendCounts"]

_HEADERS = {
    "Content-Type": "application/cloudevents-batch+json",
    "Content-Encoding": "zstd",
    "Prefer": "return=minimal",
}
#: RFC 9659 allows a window of 8 MiB; level 3 uses 2 MiB at most.
_COMPRESSION_LEVEL = 3
#: Whole-batch refusals that may be the fault of one event.
_HALVE_STATUSES = frozenset({400, 413})
_SERVED_STATUSES = frozenset({200, 207, 422})


class SendCounts(msgspec.Struct):
    """What became of the events so far; ``sent`` is the sum of the next three."""

    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    #: Batches that were sent once more.
    repeats: int = 0


class BatchSender:
    """One sender: order is kept and one batch is in flight. Not safe to share between threads.

    Args:
        service: where the events go.
        bounds: of one batch.
        on_refused: told about each event that is refused for good.
        on_wait: told the reason and the seconds before each new try.
        deadline_s: greatest time without success for one batch; ``None`` tries for ever.
    """

    def __init__(
        self,
        service: HttpService,
        bounds: BatchBounds | None = None,
        *,
        on_refused: Callable[[Outgoing, Refusal], None] = lambda event, refusal: None,
        on_wait: Callable[[str, float], None] = lambda reason, wait_s: None,
        deadline_s: float | None = None,
    ) -> None:
        self.counts = SendCounts()
        self._service = service
        self._packer = Packer(bounds or BatchBounds())
        self._on_refused = on_refused
        self._on_wait = on_wait
        self._deadline_s = deadline_s
        self._compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)
        self._backoff = Backoff(service.timing.random)
        self._last_success_s = 0.0

    def add(self, event: Outgoing) -> None:
        """Takes an event; sends a batch first where it would be too full.

        Raises:
            Unavailable: the deadline passed.
            TradeTrailError: the service refuses to listen at all.
        """
        self._deliver(self._packer.add(event))

    def flush(self) -> None:
        """Returns when everything that was added is stored, a duplicate or refused.

        Raises:
            Unavailable: the deadline passed.
            TradeTrailError: the service refuses to listen at all.
        """
        self._deliver(self._packer.take())

    def _deliver(self, events: list[Outgoing]) -> None:
        self._succeeded()
        waiting = deque([events] if events else [])
        while waiting:
            batch = waiting.popleft()
            answer = self._post_until_answered(batch)
            if isinstance(answer, TradeTrailError):
                if len(batch) == 1:
                    self._refuse(batch[0], Refusal(answer.code, answer.detail, answer.pointer))
                else:
                    middle = len(batch) // 2
                    waiting.extendleft([batch[middle:], batch[:middle]])
                continue
            again, reason = self._settle(batch, answer)
            if again:
                waiting.appendleft(again)
                self._wait(reason, 0.0)

    def _post_until_answered(self, batch: list[Outgoing]) -> _Answer | TradeTrailError:
        """The per-event answer, or the refusal of the batch as a whole that halving may cure."""
        body = self._compressor.compress(body_of(batch))
        while True:
            try:
                response = self._service.raw("POST", "/v1/events", content=body, headers=_HEADERS)
            except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as exc:
                raise unreachable(self._service.url, exc) from exc
            except (httpx2.TransportError, httpx2.DecodingError) as exc:
                self._wait(unreachable(self._service.url, exc).detail, 0.0)
                continue
            status = response.status_code
            if status in RETRY_STATUSES:
                self._wait(problem_of(response).detail, retry_after_s(response))
                continue
            answer = _parse(response.content) if status in _SERVED_STATUSES else None
            if answer is not None:
                return _checked(answer, batch)
            problem = problem_of(response)
            if status in _HALVE_STATUSES:
                return problem
            if response.is_success:
                raise Internal(
                    "not_an_answer",
                    f"{self._service.url} answered with HTTP status {status} and no counts;"
                    " is that address TradeTrail's?",
                )
            raise problem

    def _settle(self, batch: list[Outgoing], answer: _Answer) -> tuple[list[Outgoing], str]:
        """Counts what is final; returns what must be sent again and why."""
        again: list[Outgoing] = []
        reason = ""
        for item in answer.results:
            if item.status != "rejected":
                continue
            event = batch[item.index]
            if item.retry:
                again.append(event)
                reason = item.detail or item.code
            elif event.resend and item.code == "conflict":
                self.counts.duplicates += 1
                self.counts.sent += 1
            else:
                self._refuse(event, Refusal(item.code, item.detail, item.pointer))
        self.counts.stored += answer.stored
        self.counts.duplicates += answer.duplicates
        self.counts.sent += answer.stored + answer.duplicates
        if len(again) < len(batch):
            self._succeeded()
        return again, reason

    def _refuse(self, event: Outgoing, refusal: Refusal) -> None:
        self.counts.refused += 1
        self.counts.sent += 1
        self._on_refused(event, refusal)

    def _succeeded(self) -> None:
        self._backoff.reset()
        self._last_success_s = self._service.timing.clock()

    def _wait(self, reason: str, asked_s: float) -> None:
        """Pauses before the same events are sent again."""
        wait_s = self._backoff.next_s(asked_s)
        waited_s = self._service.timing.clock() - self._last_success_s
        if self._deadline_s is not None and waited_s + wait_s > self._deadline_s:
            raise Unavailable(
                "deadline",
                f"gave up after {waited_s:.0f} s: {reason} "
                f"({self.counts.stored} stored, {self.counts.duplicates} duplicates before that;"
                " sending all again is safe)",
            )
        self.counts.repeats += 1
        self._on_wait(reason, wait_s)
        self._service.timing.sleep(wait_s)


class _Item(msgspec.Struct):
    index: int
    status: str
    code: str = "refused"
    detail: str = ""
    pointer: str = ""
    retry: bool = False


class _Answer(msgspec.Struct):
    stored: int
    duplicates: int
    rejected: int
    results: list[_Item]


_answer = msgspec.json.Decoder(_Answer)


def _parse(content: bytes) -> _Answer | None:
    try:
        return _answer.decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _checked(answer: _Answer, batch: list[Outgoing]) -> _Answer:
    """The answer, if it speaks of exactly these events; counting a wrong one would hide a loss."""
    rejected = [item.index for item in answer.results if item.status == "rejected"]
    named = set(rejected)
    if (
        answer.stored + answer.duplicates + answer.rejected != len(batch)
        or len(rejected) != answer.rejected
        or len(named) != len(rejected)
        or not named <= set(range(len(batch)))
    ):
        raise Internal(
            "answer_mismatch",
            f"the service's counts do not add up to the {len(batch)} events of the batch",
        )
    return answer
