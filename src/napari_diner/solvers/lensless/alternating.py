"""Averaged projections between the sensor planes and the object's plane."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from napari_diner.processors import each_apart
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

_WINDOW = 20


class AlternatingProjections(Resumable):
    """Replace the computed amplitude by the recorded one at every plane, propagate back, and average.

    The average of the projections equals a gradient step on the amplitude misfit, ``O − A^H[(|U| − √I) U/|U|]/Σw²``
    with w² the largest power response of each height, so that Nesterov's momentum (Soviet Math. Dokl. 27, 372
    (1983)) applies; it restarts when the misfit rises (O'Donoghue and Candès, Found. Comput. Math. 15, 715 (2015)).

    Parameters
    ----------
    problem, start
        See `GaussNewton`.
    settings
        Iterations, momentum, tolerance.
    """

    kept = ("_best", "_best_loss", "_iteration", "_previous", "_ahead", "_momentum_age", "_history", "_converged")
    answer = ("_best",)

    def __init__(self, problem: PhaseProblem, start: Tensor, settings: AlternatingSettings) -> None:
        self.problem = problem
        self.settings = settings
        self._best = self._previous = self._ahead = start
        self._best_loss = float("inf")
        self._iteration = self._momentum_age = 0
        self._history: list[float] = []
        self._converged = False

    def result(self) -> Tensor:
        """Return the best field so far: complex, (Y, X)."""
        return self._best

    current = result

    def steps(self) -> Iterator[Step]:
        """Iterate; one step is one round over all heights."""
        return each_apart(self._steps()) if self.problem.model.is_divided else self._steps()

    def _steps(self) -> Iterator[Step]:
        problem, settings = self.problem, self.settings
        model = problem.model
        power = model.power
        if problem.priors is not None:  # squared differences along both axes have eigenvalues up to 8
            per_value = problem.valid * model.sensor.binning**2 / math.prod(model.shape)
            power += 8 * problem.priors.smoothness_weight * per_value
        # compensate the mean over pixels, the b² object pixels per sensor pixel, and the factor
        # 2 of the gradient of a square
        step_size = problem.valid * model.sensor.binning**2 / (2 * power)
        history = self._history
        while self._iteration < settings.iterations and not self._converged:
            loss, gradient, _ = problem.evaluate(self._ahead)
            if history and loss > history[-1]:
                self._momentum_age = 0
            if loss < self._best_loss:
                self._best, self._best_loss = self._ahead, loss
            history.append(loss)
            current = self._ahead - step_size * gradient
            if settings.momentum:
                self._momentum_age += 1
                beyond = 1 + (self._momentum_age - 1) / (self._momentum_age + 2)
                self._ahead = torch.lerp(self._previous, current, beyond)
            else:
                self._ahead = current
            self._previous = current
            self._iteration += 1
            if settings.tolerance > 0 and len(history) > _WINDOW:
                before = history[-1 - _WINDOW]
                self._converged = before - loss < settings.tolerance * before
            yield Step(self._iteration, settings.iterations, loss, resumable=True)


class HasAlternating(Protocol):
    """A recipe with settings of this solver."""

    @property
    def alternating(self) -> AlternatingSettings:
        """The settings."""


def build(problem: PhaseProblem, start: Tensor, recipe: HasAlternating, budget: Budget) -> AlternatingProjections:
    """Build the solver with the settings of a recipe."""
    return AlternatingProjections(problem, start, recipe.alternating)
