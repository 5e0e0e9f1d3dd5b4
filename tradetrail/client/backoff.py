"""How long to wait before the next try: full jitter below a bound that doubles.

Pure but for ``SYSTEM_TIMING``, the one place where the client meets the real clock and real
randomness; everything else takes a ``Timing``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SYSTEM_TIMING", "Backoff", "Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, sleep and randomness of a client.

    ``sleep`` takes seconds, ``clock`` gives monotonic seconds, ``random`` gives a number in [0, 1).
    """

    sleep: Callable[[float], None]
    clock: Callable[[], float]
    random: Callable[[], float]


SYSTEM_TIMING = Timing(time.sleep, time.monotonic, secrets.SystemRandom().random)


class Backoff:
    """The waits of one series of tries.

    Full jitter (a wait drawn evenly from zero to the bound) keeps many clients that failed at one
    moment from coming back at one moment.
    """

    def __init__(
        self, random: Callable[[], float], first_bound_s: float = 0.2, bound_s_max: float = 30.0
    ) -> None:
        self._random = random
        self._first_bound_s = first_bound_s
        self._bound_s_max = bound_s_max
        self._bound_s = first_bound_s

    def next_s(self, retry_after_s: float = 0.0) -> float:
        """Seconds to wait now, never less than the server asked for; doubles the next bound."""
        wait_s = retry_after_s + self._random() * self._bound_s
        self._bound_s = min(self._bound_s_max, self._bound_s * 2)
        return wait_s

    def reset(self) -> None:
        """Begins a new series: something went well."""
        self._bound_s = self._first_bound_s
