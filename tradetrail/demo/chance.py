"""Seeded chance that gives the same draws on every machine and Python version.

Only ``random.Random.random`` is promised to stay the same, so every draw is made from it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Chance"]

T = TypeVar("T")


class Chance:
    """Draws from one seed; a text seed makes independent streams (``"7/orders"``)."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - made-up events need no secret randomness

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def below(self, bound: int) -> int:
        """A whole number from 0 up to ``bound - 1``."""
        return int(self._random.random() * bound)

    def between(self, low: float, high: float) -> float:
        """A number evenly from the range."""
        return low + self._random.random() * (high - low)

    def pick(self, items: Sequence[T]) -> T:
        """One item, each as likely as the others."""
        return items[self.below(len(items))]

    def wait_s(self, mean_s: float) -> float:
        """A waiting time of a memoryless process."""
        return -math.log(1.0 - self._random.random()) * mean_s
