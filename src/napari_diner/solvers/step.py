"""Progress of a solver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Progress of a solver after a part of an iteration."""

    iteration: int
    """Number of the iteration, from 1."""
    iterations: int
    """Maximum number of iterations."""
    loss: float = float("nan")
    """Loss at the current estimate; NaN if there is none."""
    within: float = 1.0
    """Fraction of this iteration that is done."""
    resumable: bool = False
    """Whether the state of a `napari_diner.solvers.solver.Resumable` is consistent now."""

    @property
    def done(self) -> float:
        """Fraction of all iterations that is done, 0 to 1."""
        return (self.iteration - 1 + self.within) / self.iterations
