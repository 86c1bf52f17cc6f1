"""Voxels with total variation and positivity, by the alternating direction method of multipliers (ADMM).

``min ½|Mx − g|² + α/2 |x|² + τ TV(x)`` with x ≥ 0 where required is split into the slopes d = Dx and the copy z = x:

    x ← argmin ½|Mx − g|² + ρ/2 |Dx − d + p|² + ρσ/2 |x − z + q|²,
    d ← shrink(Dx + p, τ/ρ),    z ← max(0, ρσ (x + q) / (ρσ + α)),
    p ← p + Dx − d,             q ← q + x − z

(Boyd et al., Found. Trends Mach. Learn. 3, 1 (2011)). DᵀD + σ is diagonal in cosines along z and waves along y and x,
so that the first step has the closed form of `ClosedForm`, with B = DᵀD + σ; it is factorised once, for all ρ. Without
total variation, the slopes are omitted and B = 1. At saturated pixels, and beyond the edges of the field of view, g is
that of `VolumeProblem.completed` for the previous volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.best_volume import BestVolume
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import shrunk
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.step import Step

# weight of the copy x = z relative to the slopes, whose DᵀD has eigenvalues up to about 8: positivity acts through it,
# and takes ten times as many steps with a tenth of it
_COPY_WEIGHT = 2.0
# over-relaxation, Sec. 3.4.3 of Boyd et al.
_RELAXATION = 1.7
# ρ is changed if the ratio of the residuals exceeds this, by the root of the ratio but at most by this factor
_IMBALANCE = 3.0
_LARGEST_CHANGE = 4.0
# step after which ρ stays fixed, as convergence is only guaranteed for a fixed ρ
_BALANCED_FOR = 60


class Admm(BestVolume):
    """Minimise a problem with a linear model over its voxels.

    Parameters
    ----------
    problem
        The problem to minimise.
    start
        Contrast to start from, (2, Z, Y, X), ideally of the right scale, such as one of `ClosedForm`.
    iterations
        Maximum number of steps.
    tolerance
        Relative size of both residuals at which to stop; 0 for never.
    closed
        The factorised x-step (`factorised`) of an earlier run with the same model and frames; None to compute it.
    rho
        Constant ρ, relative to the strongest response; None to adapt it.

    Raises
    ------
    TypeError
        If the model of the problem is not linear.
    """

    kept: ClassVar[tuple[str, ...]] = (
        "rho",
        "_d",
        "_z",
        "_p",
        "_q",
        "_best",
        "_best_loss",
        "_iteration",
        "_converged",
        "data_spectrum",
    )
    answer = ("_best", "_best_loss")

    def __init__(
        self,
        problem: VolumeProblem,
        start: Tensor,
        iterations: int = 60,
        tolerance: float = 1e-3,
        closed: ClosedForm | None = None,
        rho: float | None = None,
    ) -> None:
        self.model = self._model_of_step(problem)
        self.iterations = iterations
        self.tolerance = tolerance
        self.closed = factorised(problem) if closed is None else closed
        self.splits_slopes = self.closed.inverse_penalty is not None
        if problem.priors.tv and not self.splits_slopes:
            raise ValueError("the closed form given is one without total variation")
        self._weight = _COPY_WEIGHT if self.splits_slopes else 1.0
        best = problem.projected(start.to(self.model.device, self.model.real_dtype))
        self.aim(problem, best)
        self._balanced, self._relative_rho = rho is None, rho
        self.rho = 0.0
        """ρ; 0 until the x-step is factorised."""
        self._d = problem.tv.differences(best) if self.splits_slopes else best.new_zeros(3, 0)
        self._z = best.clone()
        self._p, self._q = torch.zeros_like(self._d), torch.zeros_like(self._z)
        self._iteration, self._converged = 0, False

    def _model_of_step(self, problem: VolumeProblem) -> LinearModel:
        """Return the model of the x-step."""
        if not isinstance(problem.model, LinearModel):
            raise TypeError("the closed form needs a linear model")
        return problem.model

    def aim(self, problem: VolumeProblem, volume: Tensor) -> None:
        """Continue with another problem of the same model and frames, with the given best volume."""
        self.problem = problem
        self._best = volume
        self._best_loss = self._complete(volume)

    def _complete(self, volume: Tensor) -> float:
        """Complete the data for the next step with the predictions of a volume; return its loss."""
        data, loss = self.problem.completed(volume)
        self.data_spectrum = self.model.spectrum(data)
        return loss

    def copy(self) -> Tensor:
        """Return the current copy z of the volume, on which positivity acts: real, (2, Z, Y, X)."""
        return self._z

    def state(self, *, ended: bool = False) -> Mapping[str, object]:
        """Return the state, with copies of arrays that are changed in place."""
        state = super().state(ended=ended)
        return {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a state, which is not changed."""
        super().restore({name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()})

    def prepare(self) -> Iterator[float]:
        """Factorise the x-step, unless it is; yield the completed fraction."""
        yield from self.closed.factorise()
        if self.rho == 0:
            relative = self._relative_rho
            self.rho = self._first_rho() if relative is None else relative * float(self.closed.eigenvalues.max())

    def _first_rho(self) -> float:
        """Return the initial ρ, with which slopes of typical size are considerably shortened."""
        priors = self.problem.priors
        strongest = float(self.closed.eigenvalues.max())
        tiny = torch.finfo(self.model.real_dtype).tiny
        if priors.tv > 0:
            slopes = float(self.problem.tv.differences(self._best).square().mean().sqrt())
            if slopes > 0:
                return 1.5 * priors.tv / slopes
        elif priors.tikhonov > 0:
            # well below the mean of their logarithms, weak and strong responses converge equally fast
            return max(math.sqrt(priors.tikhonov * strongest) / 4, tiny)
        # without slopes: a balance between the strongest and the weakest responses
        return max(1e-2 * strongest, tiny)

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Iterate; can be called again to continue. The loss is that of the current volume with the required signs."""
        problem, tv, sigma = self.problem, self.problem.tv, self._weight
        alpha, tau = problem.priors.tikhonov, problem.priors.tv
        size = math.sqrt(self._d.numel() + self._z.numel())
        preparation = 0.0 if self.closed.is_whole else self.closed.preparation(self.iterations)
        for done in self.prepare():
            yield Step(0, self.iterations, within=done, preparation=preparation)
        while self._iteration < self.iterations and not self._converged:
            d, z, p, q = self._d, self._z, self._p, self._q
            right = (z - q).mul_(sigma)
            if self.splits_slopes:
                right += tv.adjoint(d - p)
            x = self._nearest(right)
            primal = sigma * float((x - z).square().sum())
            q.add_(x, alpha=_RELAXATION).add_(z, alpha=1 - _RELAXATION)
            old_z = z
            self._z = z = problem.projected(q * (self.rho * sigma / (self.rho * sigma + alpha)))
            q -= z
            dual = sigma * float((z - old_z).square().sum())
            scale, pull = sigma * float(z.square().sum()), sigma * float(q.square().sum())
            if self.splits_slopes:
                slopes = tv.differences(x)
                primal += float((slopes - d).square().sum())
                p.add_(slopes, alpha=_RELAXATION).add_(d, alpha=1 - _RELAXATION)
                old_d = d
                self._d = d = shrunk(p, tau / self.rho)
                p -= d
                dual += float((d - old_d).square().sum())
                scale, pull = scale + float(d.square().sum()), pull + float(p.square().sum())

            volume = problem.projected(x)
            loss = self._look(volume)
            if loss < self._best_loss:
                self._best_loss, self._best = loss, volume
            tiny = torch.finfo(x.dtype).eps * size
            norms = [math.sqrt(square) for square in (primal, dual, scale, pull)]
            self._converged = (
                norms[0] <= self.tolerance * norms[2] + tiny and norms[1] <= self.tolerance * norms[3] + tiny
            )
            self._iteration += 1
            if self._balanced and not self._converged and self._iteration <= _BALANCED_FOR:
                self._balance(norms[0] / max(norms[2], tiny), norms[1] / max(norms[3], tiny))
            yield Step(self._iteration, self.iterations, loss, resumable=True, preparation=preparation)
        self._iteration, self._converged = 0, False

    def _nearest(self, right: Tensor) -> Tensor:
        """Return ``argmin ½|Mx − g|² + ρ/2 |x|²_B − ρ ⟨x, b⟩`` for the pull b of the copies, `right`."""
        centre = self.closed.over_penalty(self.model.spectrum(right))
        return self.model.from_spectrum(self.closed.nearest(self.data_spectrum, centre, self.rho))

    def _look(self, volume: Tensor) -> float:
        """Return the loss of a new volume, and prepare the next step."""
        return self.problem.loss(volume) if self.problem.is_complete else self._complete(volume)

    def _balance(self, primal: float, dual: float) -> None:
        """Raise ρ if the copies differ too much, lower it if they move too much; p and q are in units of 1/ρ."""
        if primal <= 0 or dual <= 0:
            return
        ratio = primal / dual
        if 1 / _IMBALANCE <= ratio <= _IMBALANCE:
            return
        factor = min(max(math.sqrt(ratio), 1 / _LARGEST_CHANGE), _LARGEST_CHANGE)
        self.rho *= factor
        self._p /= factor
        self._q /= factor


def factorised(problem: VolumeProblem) -> ClosedForm:
    """Return the x-step of a problem, to be factorised; with total variation, it is valid for any weight, including 0.

    Raises
    ------
    TypeError
        If there is no linear model.
    """
    slopes = problem.tv.eigenvalues(problem.model.shape) + _COPY_WEIGHT if problem.priors.tv else None
    return ClosedForm(problem.linear, slopes, problem.frames, at_once=False)
