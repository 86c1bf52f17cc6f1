"""Progress of a solver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Progress of a solver after a part of an iteration.

    Parameters
    ----------
    iteration, iterations
        Number of the iteration, from 1, and the maximum number of iterations.
    loss
        Loss at the current estimate; NaN where there is none.
    within
        Fraction of this iteration that is done.
    resumable
        Whether a solver that is `napari_diner.solvers.solver.Resumable` can tell its state now.
    """

    iteration: int
    iterations: int
    loss: float = float("nan")
    within: float = 1.0
    resumable: bool = False

    @property
    def done(self) -> float:
        """Fraction of all iterations that is done, 0 to 1."""
        return (self.iteration - 1 + self.within) / self.iterations
