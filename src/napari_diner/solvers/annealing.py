"""How far a run is, by its iterations or by its time limit, and the learning rate that goes with it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

_FINAL_RATE = 0.01


class Annealing:
    """The part of a run that is done: of its iterations, or of its time if that is further gone.

    Parameters
    ----------
    schedule
        ``"cosine"`` lets the learning rate fall to a hundredth over the run, ``"constant"`` does not.
    max_seconds
        Time for the run; None for no limit.
    elapsed
        Clock by which that time is counted, in seconds.
    """

    def __init__(
        self,
        schedule: Literal["cosine", "constant"],
        max_seconds: float | None = None,
        elapsed: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.schedule = schedule
        self.max_seconds = max_seconds
        self.elapsed = elapsed
        self._started = elapsed()

    def done(self, part: float) -> float:
        """Return the part of the run that is done, 0 to 1, if `part` of its iterations are."""
        if self.max_seconds is not None:
            part = max(part, (self.elapsed() - self._started) / max(self.max_seconds, 1e-9))
        return min(part, 1.0)

    def factor(self, done: float) -> float:
        """Return the factor of the learning rate when a part of the run is done."""
        if self.schedule == "constant":
            return 1.0
        return _FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2
