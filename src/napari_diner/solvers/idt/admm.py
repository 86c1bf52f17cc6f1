"""Voxels with total variation and positivity, by the alternating direction method of multipliers (ADMM).

``min ½|Mx − g|² + α/2 |x|² + τ TV(x)`` with x ≥ 0 where asked is split into the slopes d = Dx and the copy z = x:

    x ← argmin ½|Mx − g|² + ρ/2 |Dx − d + p|² + ρσ/2 |x − z + q|²,
    d ← shrink(Dx + p, τ/ρ),    z ← max(0, ρσ (x + q) / (ρσ + α)),
    p ← p + Dx − d,             q ← q + x − z

(Boyd et al., Found. Trends Mach. Learn. 3, 1 (2011)). DᵀD + σ is diagonal in cosines along z and waves along y and x,
so that the first step has the closed form of `ClosedForm`, with B = DᵀD + σ; it is factorised once, for all ρ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import shrunk
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.step import Step

# weight of the copy x = z beside the slopes, whose DᵀD has eigenvalues up to about 8
_COPY_WEIGHT = 0.1
# over-relaxation, Sec. 3.4.3 of Boyd et al.
_RELAXATION = 1.7
# ρ is changed when one residual is this many times the other, by the root of their ratio but no more than this factor
_IMBALANCE = 3.0
_LARGEST_CHANGE = 4.0
# and no more once it should have settled, as convergence is only known for a fixed ρ
_BALANCED_FOR = 60


class Admm:
    """Minimise a problem with a linear model over its voxels.

    Parameters
    ----------
    problem
        What is minimised.
    start
        Contrast to start from, (2, Z, Y, X), best of the right scale, such as one of `ClosedForm`.
    iterations
        At most this many steps.
    tolerance
        Stop when both residuals are below this fraction of what they are the difference of; 0 for never.
    closed
        The factorised x-step of an earlier run with the same model, frames and total variation (`factorised`); None
        to make it.

    Raises
    ------
    TypeError
        If the model is not linear.
    """

    def __init__(
        self,
        problem: VolumeProblem,
        start: Tensor,
        iterations: int = 60,
        tolerance: float = 1e-3,
        closed: ClosedForm | None = None,
    ) -> None:
        if not isinstance(problem.model, LinearModel):
            raise TypeError("the closed form needs a linear model")
        self.problem = problem
        self.model = problem.model
        self.iterations = iterations
        self.tolerance = tolerance
        self.closed = factorised(problem) if closed is None else closed
        self.data_spectrum = self.model.spectrum(problem.data[self.closed.frames])
        self._best = problem.projected(start.to(self.model.device, self.model.real_dtype))
        self._best_value, self._best_misfit = problem.objective(self._best)
        self.rho = self._first_rho()

    @property
    def objective(self) -> float:
        """What is minimised, at the best volume so far."""
        return self._best_value

    def volume(self) -> Tensor:
        """Return the best volume so far: real, (2, Z, Y, X), not negative where it must not be."""
        return self._best

    def _first_rho(self) -> float:
        """Return the ρ that has slopes of the usual size at the start shortened by a good part of themselves."""
        slopes = float(self.problem.tv.differences(self._best).square().mean().sqrt())
        if self.problem.priors.tv > 0 and slopes > 0:
            return 1.5 * self.problem.priors.tv / slopes
        # without slopes to shorten: where half of the strongest and half of the weakest responses are penalised
        strongest = float(self.closed.eigenvalues.max())
        return max(1e-2 * strongest, torch.finfo(self.model.real_dtype).tiny)

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Iterate; the loss of a step is what is minimised, at the present volume made positive."""
        problem, tv, sigma = self.problem, self.problem.tv, _COPY_WEIGHT
        alpha, tau = problem.priors.tikhonov, problem.priors.tv
        d, z = tv.differences(self._best), self._best.clone()
        p, q = torch.zeros_like(d), torch.zeros_like(z)
        size = math.sqrt(d.numel() + z.numel())
        for iteration in range(1, self.iterations + 1):
            wanted = self.model.spectrum(tv.adjoint(d - p).add_(z - q, alpha=sigma))
            x = self.model.from_spectrum(
                self.closed.nearest(self.data_spectrum, self.closed.over_penalty(wanted), self.rho)
            )
            slopes = tv.differences(x)
            primal = (slopes - d).square().sum(), (x - z).square().sum()
            p.add_(slopes, alpha=_RELAXATION).add_(d, alpha=1 - _RELAXATION)
            q.add_(x, alpha=_RELAXATION).add_(z, alpha=1 - _RELAXATION)
            old_d, old_z = d, z
            d = shrunk(p, tau / self.rho)
            z = problem.projected(q * (self.rho * sigma / (self.rho * sigma + alpha)))
            p -= d
            q -= z
            primal_norm = math.sqrt(float(primal[0]) + sigma * float(primal[1]))
            dual_norm = math.sqrt(float((d - old_d).square().sum()) + sigma * float((z - old_z).square().sum()))
            scale = math.sqrt(float(d.square().sum()) + sigma * float(z.square().sum()))
            pull = math.sqrt(float(p.square().sum()) + sigma * float(q.square().sum()))

            volume = problem.projected(x)
            value, misfit = problem.objective(volume)
            if value < self._best_value:
                self._best_value, self._best_misfit, self._best = value, misfit, volume
            yield Step(iteration, self.iterations, value)
            tiny = torch.finfo(x.dtype).eps * size
            if primal_norm <= self.tolerance * scale + tiny and dual_norm <= self.tolerance * pull + tiny:
                return
            if iteration <= _BALANCED_FOR:
                self._balance(primal_norm / max(scale, tiny), dual_norm / max(pull, tiny), p, q)

    def _balance(self, primal: float, dual: float, p: Tensor, q: Tensor) -> None:
        """Raise ρ where the copies differ too much, lower it where they move too much; p and q are in units of 1/ρ."""
        if primal <= 0 or dual <= 0:
            return
        ratio = primal / dual
        if 1 / _IMBALANCE <= ratio <= _IMBALANCE:
            return
        factor = min(max(math.sqrt(ratio), 1 / _LARGEST_CHANGE), _LARGEST_CHANGE)
        self.rho *= factor
        p /= factor
        q /= factor


def factorised(problem: VolumeProblem) -> ClosedForm:
    """Return the x-step of a problem with a linear model, for any priors and any data of the same size."""
    if not isinstance(problem.model, LinearModel):
        raise TypeError("the closed form needs a linear model")
    return ClosedForm(problem.model, problem.tv.eigenvalues(problem.model.shape) + _COPY_WEIGHT, problem.frames)
