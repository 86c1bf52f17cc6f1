"""Voxels under a model that is not linear: its own gradient, with the curvature of a linear model.

Of ``F(x) = ½|P(x) − g|² + α/2 |x|² + τ TV(x)``, x ≥ 0 where asked, each step minimises what F looks like from the
volume x_k if only P's curvature were that of the linear model M,

    ⟨Jᵀ(P(x_k) − g), x⟩ + κ/2 |M (x − x_k)|² + μ/2 |x − x_k|² + α/2 |x|² + τ TV(x),

by a few steps of `Admm` that start where those for the last volume ended: a proximal gradient step whose metric is
MᵀM (Lee, Sun and Saunders, SIAM J. Optim. 24, 1420 (2014)). J is the exact derivative of P, so where the steps end is a
minimum of F and not of an approximation; M only has to know which changes the data feel strongly and which hardly.
With plain gradients the latter take thousands of steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.step import Step

_INNER_STEPS = 8
# μ, relative to the strongest response of M: it holds on to what the data do not feel at all
_HOLD = 1e-4
# κ grows by the first factor when a step led up, and falls by the second, not below the third, when it led down
_STIFFER, _SOFTER, _SOFTEST = 2.0, 0.8, 0.5
_STIFFEST = 1e4
# a fall of F by less than this fraction, a few times in a row, is no reason to go on
_WORTHWHILE = 1e-3
_PATIENCE = 3


class MultiSliceVoxels:
    """Minimise a problem with any model over its voxels.

    Parameters
    ----------
    problem
        What is minimised.
    linear
        A linear model of the same volume and frames that is roughly right.
    start
        Contrast to start from, (2, Z, Y, X).
    iterations
        At most this many steps; each takes one gradient of the model.
    closed
        The factorised x-step (`admm.factorised`) of the linear model; None to make it.
    """

    def __init__(
        self,
        problem: VolumeProblem,
        linear: LinearModel,
        start: Tensor,
        iterations: int = 40,
        closed: ClosedForm | None = None,
    ) -> None:
        self.problem = problem
        self.linear = linear
        self.iterations = iterations
        self._volume = problem.projected(start.to(linear.device, linear.real_dtype))
        self._misfit, self._gradient = self._look(self._volume)
        self._value = self._misfit + problem.penalty(self._volume)
        self._curvature = 1.0
        self._inner = Admm(self._seen_from_here(0.0), self._volume, _INNER_STEPS, 0.0, closed)
        rank = self._inner.closed
        self._hold = _HOLD * float(rank.eigenvalues.max() if rank.inverse_penalty is None else _strongest(linear))

    @property
    def objective(self) -> float:
        """What is minimised, at the best volume so far."""
        return self._value

    def volume(self) -> Tensor:
        """Return the best volume so far: real, (2, Z, Y, X), not negative where it must not be."""
        return self._volume

    def steps(self) -> Iterator[Step]:
        """Iterate; the loss of a step is what is minimised, at the best volume so far."""
        idle = 0
        state, curvature = self._inner.state(), self._curvature
        for iteration in range(1, self.iterations + 1):
            self._inner.restore(state, curvature / self._curvature)
            self._inner.aim(self._seen_from_here(self._hold), self._volume)
            for step in self._inner.steps():
                yield Step(iteration, self.iterations, self._value, 0.5 * step.iteration / step.iterations)
            candidate = self._inner.volume()
            misfit, gradient = self._look(candidate)
            value = misfit + self.problem.penalty(candidate)
            gained = self._value - value
            if gained > 0:
                idle = idle + 1 if gained < _WORTHWHILE * self._value else 0
                self._volume, self._value, self._misfit, self._gradient = candidate, value, misfit, gradient
                state, curvature = self._inner.state(), self._curvature
                self._curvature = max(self._curvature * _SOFTER, _SOFTEST)
            else:
                # not a number is no gain either
                self._curvature *= _STIFFER
            yield Step(iteration, self.iterations, self._value)
            if idle >= _PATIENCE or self._curvature > _STIFFEST:
                return

    def _look(self, volume: Tensor) -> tuple[float, Tensor]:
        """Return the misfit at a volume, and its gradient."""
        leaf = volume.detach().requires_grad_()
        with torch.enable_grad():
            misfit = self.problem.misfit(leaf)
            (gradient,) = torch.autograd.grad(misfit, leaf)
        return float(misfit.detach()), gradient

    @torch.no_grad()
    def _seen_from_here(self, hold: float) -> VolumeProblem:
        """Return the problem with the curvature of the linear model, divided by κ."""
        problem, priors, kappa = self.problem, self.problem.priors, self._curvature
        frames = None if problem.frames is None else list(problem.frames)
        data = torch.zeros_like(problem.data) if frames is not None else problem.data
        predicted = self.linear.forward(self._volume, frames)
        if frames is None:
            data = predicted
        else:
            data[frames] = predicted
        return replace(
            problem,
            model=self.linear,
            data=data,
            priors=replace(priors, tikhonov=(priors.tikhonov + hold) / kappa, tv=priors.tv / kappa),
            pull=(self._gradient - hold * self._volume) / kappa,
        )


def _strongest(model: LinearModel) -> float:
    """Return a bound of the squared singular values of a model: the largest sum of squares of its matrices."""
    largest = 0.0
    for block in model.blocks(model.frames * 2 * model.shape[0]):
        matrices = model.matrices(block)
        largest = max(largest, float((matrices.real.square() + matrices.imag.square()).sum((1, 2)).max()))
    return largest
