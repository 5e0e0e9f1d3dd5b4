"""The stored clock: never back, and not led forward by a clock that jumps.

``storedtime`` is the larger of the wall clock and the last stamp. A wall clock that runs more than 60 s ahead
of the last stamp plus the monotonic time since is not believed: the stamp is then the last one plus 1 ns, and
``doubted`` stays true until an operator confirms the clock. At start the wall clock is taken as it is, since
no monotonic time reaches back before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["AHEAD_NS_MAX", "StoredClock", "boot_ns", "wall_ns"]

#: A leap smear and a stepped clock after a suspend stay below; a wrong date does not.
AHEAD_NS_MAX = 60 * 1_000_000_000


def wall_ns() -> int:
    """Nanoseconds since 1970 UTC by this machine's clock."""
    return time.time_ns()


def boot_ns() -> int:
    """Nanoseconds of the clock that also runs while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class StoredClock:
    """Gives the stamps of one shard; used by its writer thread only."""

    def __init__(
        self,
        last_ns: int,
        wall: Callable[[], int] = wall_ns,
        monotonic: Callable[[], int] = boot_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        #: Wall time and monotonic time that were last believed together.
        self._anchor = (wall(), monotonic())
        self._returned_ns = last_ns
        #: Whether the wall clock runs ahead of what can be believed.
        self.doubted = False
        #: How often the wall clock was found behind the last stamp.
        self.steps_back = 0

    def stamp(self) -> int:
        """The next stamp in ns, never below the one before it."""
        wall = self._wall()
        anchor_wall, anchor_monotonic = self._anchor
        expected = anchor_wall + self._monotonic() - anchor_monotonic
        if wall > expected + AHEAD_NS_MAX:
            self.doubted = True
            self._returned_ns += 1
            return self._returned_ns
        self.doubted = False
        if wall < self._returned_ns:
            self.steps_back += 1
            return self._returned_ns
        self._anchor = (wall, self._monotonic())
        self._returned_ns = wall
        return wall

    def confirm(self) -> None:
        """An operator says that the wall clock is right."""
        self._anchor = (self._wall(), self._monotonic())
        self.doubted = False
