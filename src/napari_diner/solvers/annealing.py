"""The learning rate over a run that is limited by iterations or by time."""

from __future__ import annotations

import math
from typing import Literal

from napari_diner.solvers.solver import Budget, Resumable

Schedule = Literal["cosine", "constant"]

_FINAL_RATE = 0.01


class Annealing(Resumable):
    """The completed fraction of a run, by iterations or by time, whichever is larger, and the learning rate.

    Parameters
    ----------
    schedule
        ``"cosine"`` lowers the learning rate to a hundredth over the run, ``"constant"`` keeps it.
    budget
        Time for the run.
    """

    kept = ("_began",)

    def __init__(self, schedule: Schedule, budget: Budget) -> None:
        self.schedule = schedule
        self._budget = budget
        self._began = budget.elapsed()

    def done(self, part: float) -> float:
        """Return the completed fraction of the run, 0 to 1, for a completed part of its iterations."""
        if self._budget.ends_at is not None:
            span = max(self._budget.ends_at - self._began, 1e-9)
            part = max(part, (self._budget.elapsed() - self._began) / span)
        return min(part, 1.0)

    def factor(self, done: float) -> float:
        """Return the factor of the learning rate for a completed fraction of the run."""
        if self.schedule == "constant":
            return 1.0
        return _FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2
