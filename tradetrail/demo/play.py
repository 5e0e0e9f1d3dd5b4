"""Plays events in their own time, or faster. The clock and the sleep are the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tradetrail.client.backoff import Timing
from tradetrail.client.sender import BatchSender, Outgoing
from tradetrail.demo.events import DemoEvent

__all__ = ["play", "start_of_day_ns"]

#: Events that fall due within so long of each other travel together.
_TICK_S = 0.1


def start_of_day_ns(now_ns: int, day_s: float, speed: float) -> int:
    """When a day must begin so that, played from now at this speed, its end is the present.

    At speed 1 that is now; faster, it lies back, so that no event is ever in the future.
    """
    lead_s = day_s * (1 - 1 / speed)
    return now_ns - max(0, int(lead_s * 1_000_000_000))


def play(
    events: Iterable[DemoEvent],
    sender: BatchSender,
    *,
    speed: float,
    seconds: float | None,
    timing: Timing,
    on_progress: Callable[[float], None],
) -> None:
    """Sends each event when it falls due; after a stall it catches up.

    Args:
        events: in order of their offset.
        sender: that sends them.
        speed: how many seconds of the day pass in one.
        seconds: end after so many real seconds; ``None`` plays all.
        timing: clock and sleep.
        on_progress: told the offset that was reached, in seconds of the day.
    """
    start_s = timing.clock()
    for event in events:
        due_s = event.offset_s / speed
        if seconds is not None and due_s > seconds:
            break
        while (early_s := due_s - (timing.clock() - start_s)) > 0:
            sender.flush()
            on_progress(event.offset_s)
            timing.sleep(max(early_s, _TICK_S))
        sender.add(Outgoing(event.text))
    sender.flush()
