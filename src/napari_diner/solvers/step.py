"""Where a solver stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Where a solver stands.

    Parameters
    ----------
    iteration, iterations
        Number of the iteration, from 1, and the most that there will be.
    loss
        Misfit at the current estimate.
    within
        Fraction of this iteration that is done.
    """

    iteration: int
    iterations: int
    loss: float
    within: float = 1.0

    @property
    def done(self) -> float:
        """The part of all iterations that is done, 0 to 1."""
        return (self.iteration - 1 + self.within) / self.iterations
