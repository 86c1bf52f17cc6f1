"""How far to follow the conjugate gradients of a linearised problem: as far as the loss itself falls."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.solvers.lensless.problem import PhaseProblem

# part of the whole gain that is worth more steps, whatever the linearised model has erred by
_LARGE = 0.1
# looks at the loss until one of them must have seen a gain
_TRIES = 3


class Course:
    """The loss along the conjugate gradients of one Gauss-Newton step, compared with that of the linearised model.

    Further steps pay off while they gain more than the linearised model has erred by, of which a new linearisation
    gets at least a part back, and more than what is worth the time.

    Parameters
    ----------
    problem
        The problem that was linearised.
    field
        The complex field about which it was, (Y, X).
    scaling
        Factor from the scaled unknowns to log-amplitude and phase, (Y, X).
    loss
        Loss of the field.
    tolerance
        Smallest relative decrease of the loss that is worth the time.
    """

    def __init__(self, problem: PhaseProblem, field: Tensor, scaling: Tensor, loss: float, tolerance: float) -> None:
        self._problem, self._field, self._scaling = problem, field, scaling
        self._first = self._loss = loss
        self._tolerance = tolerance
        self._failed = 0
        self._best: Tensor | None = None
        self.solved = False
        """Whether neither further steps nor a new linearisation would gain what is worth the time."""

    def goes_on(self, solution: Tensor, predicted: float) -> bool:
        """Return whether further steps pay off.

        Parameters
        ----------
        solution
            The present solution for the scaled unknowns, complex, (Y, X).
        predicted
            The decrease of the loss that the linearised model predicts for it.
        """
        loss = self._problem.value(self._field * torch.exp(solution * self._scaling))
        gain = self._loss - loss
        if gain <= 0:
            # near the limit of rounding, a first look may see nothing but rounding errors
            self._failed += 1
            return self._best is None and self._failed < _TRIES
        self._loss, self._best = loss, solution.clone()
        fall = self._first - loss
        error, least = abs(predicted - fall), self._tolerance * loss
        self.solved = gain < least and error < least
        return gain > least and (gain > error or gain > _LARGE * fall)

    def furthest(self, solution: Tensor) -> Tensor:
        """Return the solution with the least loss of those seen; the present one if none was."""
        return solution if self._best is None else self._best
