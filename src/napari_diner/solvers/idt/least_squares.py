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
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

# number of solutions to complete data at saturated pixels and beyond the edges of the field of view
_COMPLETIONS = 20


class Regularised(NamedTuple):
    """A volume in closed form, and its penalty."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    tikhonov: float
    """α."""
    choice: Choice | None
    """The choice of α; None if it was given."""


class WeightedLeastSquares(Resumable):
    """Minimise ``½ Σ |M x − g|² + α/2 Σ |x|²`` for the linear model of a problem; a `Solver`.

    Parameters
    ----------
    problem
        Model and data; if its α is zero, it is chosen by leaving out one frame at a time. Other priors are ignored.
    closed
        The factorised problem of an earlier run with the same model and frames; None to compute it.
    """

    kept = ("_solution", "_rounds")
    answer = ("_solution",)

    def __init__(self, problem: VolumeProblem, closed: ClosedForm | None = None) -> None:
        self.problem = problem
        self._given = closed
        self._solution: Regularised | None = None
        self._rounds = 0

    def steps(self) -> Iterator[Step]:
        """Solve in a single step, or in several if data have to be completed."""
        linear = replace(self.problem, model=self.problem.linear)
        rounds = 1 if linear.is_complete else _COMPLETIONS
        while self._rounds < rounds:
            solution = self.result()
            if self._rounds:  # with the same weight, since data completed by a volume are predicted too well by it
                data, _ = linear.completed(solution.volume)
                solution = solution._replace(volume=self._closed.solve(data, solution.tikhonov))
            self._solution, self._rounds = solution, self._rounds + 1
            priors = replace(self.problem.priors, tikhonov=solution.tikhonov)
            loss = replace(self.problem, priors=priors).loss(solution.volume)
            yield Step(self._rounds, rounds, loss, resumable=True)

    @functools.cached_property
    def _closed(self) -> ClosedForm:
        return self._given or ClosedForm(self.problem.linear, frames=self.problem.frames)

    def result(self) -> Regularised:
        """Return the solution, computed on first use."""
        if self._solution is None:
            # assuming an empty volume beyond the edges
            data, alpha = self.problem.data[self._closed.frames], self.problem.priors.tikhonov
            data = self.problem.seen_adjoint(data)
            choice = None if alpha else choose_tikhonov(self._closed, data)
            alpha = alpha if choice is None else choice.value
            self._solution = Regularised(self._closed.solve(data, alpha), alpha, choice)
        return self._solution

    current = result


class LeastSquares(Resumable):
    """The volume of `WeightedLeastSquares` alone; a `Solver`."""

    kept = answer = ("_weighted",)

    def __init__(self, problem: VolumeProblem, closed: ClosedForm | None = None) -> None:
        self._weighted = WeightedLeastSquares(problem, closed)
        self.steps = self._weighted.steps

    def result(self) -> Tensor:
        """Return the volume."""
        return self._weighted.result().volume

    current = result


def build(problem: VolumeProblem, start: Tensor, recipe: object, budget: Budget) -> LeastSquares:
    """Build the solver; it needs neither a start nor settings."""
    return LeastSquares(problem)
