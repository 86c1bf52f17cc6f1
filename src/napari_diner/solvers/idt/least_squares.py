"""Least squares in closed form as a solver, with a penalty that can be chosen from the data."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import Choice, choose_tikhonov
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

# number of solutions to complete data at saturated pixels and beyond the edges of the field of view
_COMPLETIONS = 20
# a penalty that leaves more than this share of the data unexplained is compared with this part of it, by so many
# solutions
_MUCH_LEFT, _LOOSER, _LOOSE_COMPLETIONS = 0.1, 0.1, 5
# part of the frequencies, the lowest ones, from which there is a first picture, and a number of them that suffices for
# it; more pictures follow as their number grows by this factor
_FIRST, _ENOUGH, _GROWTH = 1 / 24, 1024, 2
# number of them by which the penalty of such a picture is chosen
_FEW = 512


class Regularised(NamedTuple):
    """A volume in closed form, and its penalty."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    tikhonov: float
    """α."""
    choice: Choice | None
    """The choice of α; None if it was given."""
    is_coarse: bool = False
    """Whether fine detail is missing, as the solution has been stopped early."""
    loosened: float | None = None
    """Share of the data, ``Σ (M x − g)² / Σ g²``, that a tenth of α leaves unexplained; None if α leaves little."""


class WeightedLeastSquares(Resumable):
    """Minimise ``½ Σ |M x − g|² + α/2 Σ |x|²`` for the linear model of a problem; a `Solver`.

    Parameters
    ----------
    problem
        Model and data; if its α is zero, it is chosen by leaving out one frame at a time. Other priors are ignored.
    closed
        The factorised problem of an earlier run with the same model and frames; None to compute it.
    compares
        Whether to find what a smaller penalty would explain, if this one leaves much; see `Regularised`.
    """

    kept = ("_solution", "_rounds")
    answer = ("_solution",)

    def __init__(self, problem: VolumeProblem, closed: ClosedForm | None = None, *, compares: bool = False) -> None:
        self.problem, self.compares = problem, compares
        self._given = closed
        self._solution: Regularised | None = None
        self._rounds = 0
        self._coarse: Regularised | None = None
        self._coarse_known = 0

    def steps(self) -> Iterator[Step]:
        """Factorise, then solve in a single step, or in several if data have to be completed."""
        linear = replace(self.problem, model=self.problem.linear)
        rounds = 1 if linear.is_complete else _COMPLETIONS
        preparation = 0.0
        if self._rounds < rounds and not self._closed.is_whole:
            preparation = self._closed.preparation(rounds)
            for done in self._closed.factorise():
                yield Step(0, rounds, within=done, preparation=preparation)
        while self._rounds < rounds:
            solution = self._solution or self._solved()
            if self._rounds:  # with the same weight, since data completed by a volume are predicted too well by it
                data, _ = linear.completed(solution.volume)
                solution = solution._replace(volume=self._closed.solve(data, solution.tikhonov))
            self._solution, self._rounds, self._coarse = solution, self._rounds + 1, None
            priors = replace(self.problem.priors, tikhonov=solution.tikhonov)
            loss = replace(self.problem, priors=priors).loss(solution.volume)
            yield Step(self._rounds, rounds, loss, resumable=True, preparation=preparation)
        if self.compares and self._solution is not None and self._solution.loosened is None:
            yield from self._loosened(linear, self._solution, Step(rounds, rounds, preparation=preparation))

    @torch.no_grad()
    def _loosened(self, linear: VolumeProblem, solution: Regularised, step: Step) -> Iterator[Step]:
        """Find how much of the data a smaller penalty leaves unexplained, if the present one leaves much."""
        data, volume = self.problem.data[self._closed.frames], solution.volume
        total = float(data.square().sum()) / 2
        if float(linear.misfit(volume)) <= _MUCH_LEFT * total:
            return
        for _ in range(1 if linear.is_complete else _LOOSE_COMPLETIONS):
            completed, _ = linear.completed(volume)
            volume = self._closed.solve(completed, _LOOSER * solution.tikhonov)
            yield step
        self._solution = solution._replace(loosened=float(linear.misfit(volume)) / total)

    @functools.cached_property
    def _closed(self) -> ClosedForm:
        return self._given or ClosedForm(self.problem.linear, frames=self.problem.frames, at_once=False)

    def result(self) -> Regularised:
        """Return the solution, computed on first use; while it is being factorised, that of the lowest frequencies.

        The latter is the last picture, if there was one: a run that is cancelled ends at once.
        """
        if self._solution is not None:
            return self._solution
        if self._coarse is not None:
            return self._coarse
        if 0 < self._closed.known < len(self.problem.linear.active):
            return self._from_known()
        for _ in self._closed.factorise():
            pass
        self._solution = self._solved()
        return self._solution

    def current(self) -> Regularised | None:
        """Return the solution, or while it is being factorised, an earlier coarse one; None before the first."""
        closed, known = self._closed, self._closed.known
        if self._solution is not None or closed.is_whole:
            return self.result()
        if known >= max(min(_FIRST * len(closed.model.active), _ENOUGH), _GROWTH * self._coarse_known):
            self._coarse, self._coarse_known = self._from_known(), known
        return self._coarse

    def _solved(self) -> Regularised:
        data, alpha, choice = self._data_and_penalty()
        return Regularised(self._closed.solve(data, alpha), alpha, choice)

    def _from_known(self) -> Regularised:
        """Return the solution at the frequencies factorised so far, which lacks fine detail."""
        data, alpha, choice = self._data_and_penalty(enough=_FEW)
        model = self._closed.model
        volume = model.from_spectrum(self._closed.coarse(model.spectrum(data), alpha))
        return Regularised(volume, alpha, choice, is_coarse=True)

    def _data_and_penalty(self, **enough: int) -> tuple[Tensor, float, Choice | None]:
        # assuming an empty volume beyond the edges
        data, alpha = self.problem.data[self._closed.frames], self.problem.priors.tikhonov
        data = self.problem.seen_adjoint(data)
        choice = None if alpha else choose_tikhonov(self._closed, data, **enough)
        return data, alpha if choice is None else choice.value, choice


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
