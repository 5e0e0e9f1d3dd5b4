"""How a foreground process is asked to stop, and how long each step of stopping may take.

starting --first signal--> Stopped is raised at once, the start is undone
serving  --first signal--> the wait ends, steps run in order, each with its bound
stopping --another one---> the step under way is left, the remaining ones are skipped
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

__all__ = ["StartTimeout", "StopSignals", "Stopped"]

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """A signal came while the service was starting; not an ``Exception``, nothing may swallow it."""


class StartTimeout(BaseException):
    """The start took longer than allowed; not an ``Exception``, nothing may swallow it."""


class StopSignals:
    """Takes SIGTERM, SIGINT and SIGHUP for the whole life of the process. For the main thread only."""

    def __init__(self) -> None:
        #: Signals received so far.
        self.count = 0
        #: Whether a signal interrupts what runs (true only while starting).
        self.interrupting = False
        #: Set when the step under way is over, or is left because of a second signal.
        self._over = threading.Event()
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def hurried(self) -> bool:
        """Whether the remaining steps are to be skipped."""
        return self.count > 1

    def install(self) -> None:
        """Puts the handlers in place, also again after a library has taken them."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def start_clock(self, timeout_s: float) -> None:
        """``StartTimeout`` is raised in the main thread after ``timeout_s``; 0 stops the clock."""
        signal.signal(signal.SIGALRM, self._expire)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)

    def wait(self, descriptors: Sequence[int]) -> None:
        """Returns when a signal has come or one of ``descriptors`` is readable."""
        if self.count == 0:
            select.select([self._read_end, *descriptors], [], [])

    def run_step(self, step: Callable[[], object], timeout_s: float) -> bool:
        """Runs ``step`` in a thread of its own for at most ``timeout_s``; whether it ended by itself.

        An error inside counts as ended: stopping goes on whatever happens.
        """
        if self.hurried:
            return False
        over = self._over = threading.Event()
        ended: list[bool] = []

        def run() -> None:
            try:
                step()
            except Exception:
                # What is being stopped may be half gone; the sweep of processes has the last word.
                _log.debug("a step of stopping failed", exc_info=True)
            ended.append(True)
            over.set()

        threading.Thread(target=run, name="stop-step", daemon=True).start()
        over.wait(timeout_s)
        return bool(ended)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        os.write(self._write_end, b"s")
        if self.interrupting:
            self.interrupting = False
            raise Stopped
        if self.hurried:
            self._over.set()

    def _expire(self, number: int, frame: FrameType | None) -> None:
        if self.interrupting:
            self.interrupting = False
            raise StartTimeout
