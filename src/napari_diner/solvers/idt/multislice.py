"""Voxels under a nonlinear model by the chord method: its predictions, with the slope of a linear model.

Near a volume x_k with the prediction P(x_k), the model P is approximated by ``P(x_k) + M (x −
x_k)`` with an approximate linear model M. The data for M are then

    g_k = θ (g − P(x_k)) + M x_k,

and a few steps of `Admm`, which continue from the previous volume, explain them under all priors. This is Newton's
method with a constant slope (the chord method), so that the x-step is factorised once and no gradient of P is needed.
At convergence, P explains the data within the range of M. With single scattering for M and multiple scattering for P,
it takes about ten chords, compared with hundreds of steps of gradient descent. If a chord fails, θ is halved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.best_volume import BestVolume
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

_INNER_STEPS = 3
# ρ of these steps, relative to the strongest response: weakly determined components move little in a chord
_RHO = 1 / 120
# a chord fails if the objective grows by more than this factor
_ASTRAY = 1.3
_SHORTEST = 1 / 64
# if the objective grows at all, the next chord is shortened, but not below this
_SHORT = 1 / 4
# relative decrease below which, a few times in a row, the solver stops
_WORTHWHILE = 3e-3
_PATIENCE = 3


class MultiSliceVoxels(BestVolume):
    """Approximately minimise a problem with any model over its voxels.

    Parameters
    ----------
    problem
        The problem to minimise; its `linear` is an approximate linear model of the same volume and frames.
    start
        Contrast to start from, (2, Z, Y, X); an empty one, for which M is exact, is a good choice.
    iterations
        Maximum number of chords; each takes one prediction of the model.
    """

    kept = ("_best", "_best_loss", "_left", "_part", "_present", "_admm", "_iteration", "_idle", "_converged")
    answer = ("_best", "_best_loss", "_left", "_part")

    def __init__(self, problem: VolumeProblem, start: Tensor, iterations: int = 30) -> None:
        self.problem = problem
        self.linear = problem.linear
        self.iterations = iterations
        self._best = problem.projected(start.to(self.linear.device, self.linear.real_dtype))
        self._frames = None if problem.frames is None else list(problem.frames)
        self._best_loss, self._left = self._look(self._best)
        self._present = _Seen(self._best, self._best_loss, self._left)
        self._part = 1.0
        self._iteration = self._idle = 0
        self._converged = False
        self._admm = Admm(self._seen_from(self._best, self._left), self._best, _INNER_STEPS, 0.0, rho=_RHO)

    def linearised(self) -> Tensor:
        """Return the data for the linear model at the best volume, (N, Y, X)."""
        return self._seen_from(self._best, self._left).data

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Iterate; the loss of a step is that of the best volume so far."""
        closed = self._admm.closed
        preparation = 0.0 if closed.is_whole else closed.preparation(self.iterations * _INNER_STEPS)
        for done in self._admm.prepare():
            yield Step(0, self.iterations, self._best_loss, done, preparation=preparation)
        state = self._admm.state()
        while self._iteration < self.iterations and not self._converged:
            volume, value, left = self._present
            iteration = self._iteration + 1
            self._admm.aim(self._seen_from(volume, left), volume)
            for step in self._admm.steps():
                within = step.iteration / (1 + step.iterations)
                yield Step(iteration, self.iterations, self._best_loss, within, preparation=preparation)
            candidate = self._admm.copy()
            loss, remains = self._look(candidate)
            # NaN fails, too
            if not loss <= _ASTRAY * value or not math.isfinite(loss):
                self._part /= 2
                self._admm.restore(state)
                if self._part < _SHORTEST:
                    return
                self._iteration = iteration
                yield Step(iteration, self.iterations, self._best_loss, resumable=True, preparation=preparation)
                continue
            if loss > value:
                self._part = max(self._part / 2, _SHORT)
            self._idle = self._idle + 1 if loss > (1 - _WORTHWHILE) * self._best_loss else 0
            self._present = _Seen(candidate, loss, remains)
            state = self._admm.state()
            if loss < self._best_loss:
                self._best, self._best_loss, self._left = self._present
            self._iteration, self._converged = iteration, self._idle >= _PATIENCE
            yield Step(iteration, self.iterations, self._best_loss, resumable=True, preparation=preparation)

    @torch.no_grad()
    def _look(self, volume: Tensor) -> tuple[float, Tensor]:
        """Return the loss of a volume, and its residual for the valid data."""
        left = -self.problem.residual(volume, self._frames)
        return float(left.square().sum()) / 2 + self.problem.penalty(volume), left

    @torch.no_grad()
    def _seen_from(self, volume: Tensor, left: Tensor) -> VolumeProblem:
        """Return the problem with the model replaced by its chord at a volume."""
        data = seen = self.problem.seen(self.linear.forward(volume, self._frames)).add(left, alpha=self._part)
        if self._frames is not None:
            data = torch.zeros_like(self.problem.data)
            data[self._frames] = seen
        return replace(self.problem, model=self.linear, data=data, at_least=None)


class _Seen(NamedTuple):
    """A volume, its loss, and its residual."""

    volume: Tensor
    value: float
    left: Tensor


class LinearisedData(NamedTuple):
    """A volume, and the data for a linear model from there on."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    data: Tensor
    """Real, (N, Y, X)."""


class DataLinearisation(Resumable):
    """A few chords to obtain data for the linear model; a `Solver`."""

    kept = answer = ("_chords",)

    def __init__(self, chords: MultiSliceVoxels) -> None:
        self.steps = chords.steps
        self._chords = chords

    def result(self) -> LinearisedData:
        """Return the best volume so far, and the data linearised about it."""
        return LinearisedData(self._chords.result(), self._chords.linearised())

    current = result
