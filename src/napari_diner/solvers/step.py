"""Progress of a solver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Progress of a solver after a part of an iteration."""

    iteration: int
    """Number of the iteration, from 1; 0 while the iterations are prepared."""
    iterations: int
    """Maximum number of iterations."""
    loss: float = float("nan")
    """Loss at the current estimate; NaN if there is none."""
    within: float = 1.0
    """Fraction of this iteration that is done."""
    preparation: float = 0.0
    """Fraction of all work that precedes the first iteration; during it, `iteration` is 0."""
    resumable: bool = False
    """Whether the state of a `napari_diner.solvers.solver.Resumable` is consistent now."""

    @property
    def done(self) -> float:
        """Fraction of all iterations that is done, 0 to 1."""
        if self.iteration == 0:
            return self.preparation * self.within
        return self.preparation + (1 - self.preparation) * (self.iteration - 1 + self.within) / self.iterations
