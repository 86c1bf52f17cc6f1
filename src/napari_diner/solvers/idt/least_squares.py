"""Least squares in closed form as a solver, with a penalty that can be chosen from the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import Choice, choose_tikhonov
from napari_diner.solvers.solver import Budget
from napari_diner.solvers.step import Step

# solutions by which saturated pixels are completed
_COMPLETIONS = 20


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
        data, alpha = problem.data[self._closed.frames], problem.priors.tikhonov
        choice = None if alpha else choose_tikhonov(self._closed, data)
        alpha = alpha if choice is None else choice.value
        self._solution = Regularised(self._closed.solve(data, alpha), alpha, choice)

    def steps(self) -> Iterator[Step]:
        """Solve: in a single step, unless saturated pixels have to be completed by one solution after the other."""
        linear = replace(self.problem, model=self.problem.linear)
        rounds, alpha = 1 if linear.at_least is None else _COMPLETIONS, self._solution.tikhonov
        for number in range(1, rounds + 1):
            if number > 1:  # with the same weight: data that a volume has completed are predicted too well by it
                data = linear.completed(self._solution.volume).data[self._closed.frames]
                self._solution = self._solution._replace(volume=self._closed.solve(data, alpha))
            priors = replace(self.problem.priors, tikhonov=alpha)
            yield Step(number, rounds, replace(self.problem, priors=priors).loss(self._solution.volume))

    def result(self) -> Regularised:
        """Return the solution."""
        return self._solution

    current = result


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
