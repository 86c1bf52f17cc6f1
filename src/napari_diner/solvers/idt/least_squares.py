"""Least squares in closed form as a solver, with a penalty that can be chosen from the data."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import Choice, choose_tikhonov
from napari_diner.solvers.solver import Budget
from napari_diner.solvers.step import Step


class Regularised(NamedTuple):
    """A volume in closed form, and its penalty."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    tikhonov: float
    """α."""
    choice: Choice | None
    """How α was chosen; None if it was given."""


class WeightedLeastSquares:
    """Minimise ``½ Σ |M x − g|² + α/2 Σ |x|²`` for the linear model of a problem; a `Solver`.

    Parameters
    ----------
    problem
        Model and data; if its α is zero, it is chosen by leaving out one frame at a time. Other priors are ignored.
    """

    def __init__(self, problem: VolumeProblem) -> None:
        self.problem = problem
        self._closed = ClosedForm(problem.linear, frames=problem.frames)
        self._data = problem.data[self._closed.frames]
        alpha = problem.priors.tikhonov
        self._choice = None if alpha else choose_tikhonov(self._closed, self._data)
        self._alpha = alpha if self._choice is None else self._choice.value

    def steps(self) -> Iterator[Step]:
        """Solve; there is a single step."""
        priors = replace(self.problem.priors, tikhonov=self._alpha)
        yield Step(1, 1, replace(self.problem, priors=priors).loss(self.result().volume))

    def result(self) -> Regularised:
        """Return the solution."""
        return Regularised(self._volume, self._alpha, self._choice)

    current = result

    @functools.cached_property
    def _volume(self) -> Tensor:
        return self._closed.solve(self._data, self._alpha)


class LeastSquares:
    """The volume of `WeightedLeastSquares` alone; a `Solver`."""

    def __init__(self, problem: VolumeProblem) -> None:
        self._weighted = WeightedLeastSquares(problem)
        self.steps = self._weighted.steps

    def result(self) -> Tensor:
        """Return the volume."""
        return self._weighted.result().volume

    current = result


def build(problem: VolumeProblem, start: Tensor, recipe: object, budget: Budget) -> LeastSquares:
    """Build the solver; it needs neither a start nor settings."""
    return LeastSquares(problem)
