"""Voxels under a model that is not linear, by chords: its own predictions, with the slope of a linear model.

Near a volume x_k, where the prediction of the model P is known, it is approximated by ``P(x_k) + M (x − x_k)`` with a
linear model M that is roughly right. The data that M has to explain are then

    g_k = θ (g − P(x_k)) + M x_k,

and a few steps of `Admm`, which go on from those for the last volume, explain them under all priors: Newton's method
with a constant slope (the chord method), so that its x-step is factorised once and no gradient of P is ever needed.
Where it ends, P explains the data as far as M can tell. With single scattering for M and multiple scattering for P it
takes about ten chords where gradient descent takes hundreds of steps. When a chord leads astray, θ is halved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

_INNER_STEPS = 3
# ρ of these steps, relative to the strongest response: what the data hardly feel moves little in a chord
_RHO = 1 / 120
# a chord leads astray when what is minimised grows by more than this factor
_ASTRAY = 1.3
_SHORTEST = 1 / 64
# and when it grows at all, the next is shortened, but not below this
_SHORT = 1 / 4
# a fall by less than this fraction, a few times in a row, is no reason to go on
_WORTHWHILE = 3e-3
_PATIENCE = 3


class MultiSliceVoxels(Resumable):
    """Minimise a problem with any model over its voxels, about.

    Parameters
    ----------
    problem
        What is minimised; its `linear` is a linear model of the same volume and frames, roughly right.
    start
        Contrast to start from, (2, Z, Y, X); an empty one, where M is right, is a good choice.
    iterations
        Maximum number of chords; each takes one prediction of the model.
    """

    kept = ("_volume", "_value", "_left", "_part", "_present", "_admm", "_iteration", "_idle", "_converged")
    answer = ("_volume", "_value", "_left", "_part")

    def __init__(self, problem: VolumeProblem, start: Tensor, iterations: int = 30) -> None:
        self.problem = problem
        self.linear = problem.linear
        self.iterations = iterations
        self._volume = problem.projected(start.to(self.linear.device, self.linear.real_dtype))
        self._frames = None if problem.frames is None else list(problem.frames)
        self._value, self._left = self._look(self._volume)
        self._present = _Seen(self._volume, self._value, self._left)
        self._part = 1.0
        self._iteration = self._idle = 0
        self._converged = False
        self._admm = Admm(self._seen_from(self._volume, self._left), self._volume, _INNER_STEPS, 0.0, rho=_RHO)

    @property
    def objective(self) -> float:
        """Loss of the best volume so far."""
        return self._value

    def result(self) -> Tensor:
        """Return the best volume so far: real, (2, Z, Y, X), not negative where it must not be."""
        return self._volume

    current = result

    def linearised(self) -> Tensor:
        """Return the data that the linear model has to explain from the best volume on, (N, Y, X)."""
        return self._seen_from(self._volume, self._left).data

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Iterate; the loss of a step is that of the best volume so far."""
        state = self._admm.state()
        while self._iteration < self.iterations and not self._converged:
            volume, value, left = self._present
            iteration = self._iteration + 1
            self._admm.aim(self._seen_from(volume, left), volume)
            for step in self._admm.steps():
                yield Step(iteration, self.iterations, self._value, step.iteration / (1 + step.iterations))
            candidate = self._admm.copy()
            loss, remains = self._look(candidate)
            # NaN is astray, too
            if not loss <= _ASTRAY * value or not math.isfinite(loss):
                self._part /= 2
                self._admm.restore(state)
                if self._part < _SHORTEST:
                    return
                self._iteration = iteration
                yield Step(iteration, self.iterations, self._value, resumable=True)
                continue
            if loss > value:
                self._part = max(self._part / 2, _SHORT)
            self._idle = self._idle + 1 if loss > (1 - _WORTHWHILE) * self._value else 0
            self._present = _Seen(candidate, loss, remains)
            state = self._admm.state()
            if loss < self._value:
                self._volume, self._value, self._left = self._present
            self._iteration, self._converged = iteration, self._idle >= _PATIENCE
            yield Step(iteration, self.iterations, self._value, resumable=True)

    @torch.no_grad()
    def _look(self, volume: Tensor) -> tuple[float, Tensor]:
        """Return the loss of a volume, and what it leaves unexplained of the data that count."""
        left = -self.problem.residual(volume, self._frames)
        return float(left.square().sum()) / 2 + self.problem.penalty(volume), left

    @torch.no_grad()
    def _seen_from(self, volume: Tensor, left: Tensor) -> VolumeProblem:
        """Return the problem with the chord of the model at a volume in place of the model."""
        data = seen = self.problem.seen(self.linear.forward(volume, self._frames)).add(left, alpha=self._part)
        if self._frames is not None:
            data = torch.zeros_like(self.problem.data)
            data[self._frames] = seen
        return replace(self.problem, model=self.linear, data=data, at_least=None)


class _Seen(NamedTuple):
    """A volume, its loss, and what it leaves unexplained of the data."""

    volume: Tensor
    value: float
    left: Tensor


class LinearisedData(NamedTuple):
    """A volume, and the data that a linear model has to explain from it on."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    data: Tensor
    """Real, (N, Y, X)."""


class DataLinearisation(Resumable):
    """A few chords for the data that they leave to the linear model; a `Solver`."""

    kept = answer = ("_chords",)

    def __init__(self, chords: MultiSliceVoxels) -> None:
        self.steps = chords.steps
        self._chords = chords

    def result(self) -> LinearisedData:
        """Return the best volume so far, and the data linearised there."""
        return LinearisedData(self._chords.result(), self._chords.linearised())

    current = result
