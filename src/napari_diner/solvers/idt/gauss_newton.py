"""Voxels under a nonlinear model by the Gauss-Newton method within ADMM.

Instead of a fixed slope, as in `napari_diner.solvers.idt.multislice`, each x-step of `Admm` has the derivative J of the
model at the present volume x_k, with its exact adjoint:

    x ← argmin ½|P(x_k) + J (x − x_k) − g|² + ρ/2 |Dx − d + p|² + ρσ/2 |x − z + q|²,

approximately, by a few conjugate gradients. Their preconditioner is the closed form of single scattering, exact for
weak objects. ρ damps the step as in the Levenberg-Marquardt method. It begins large, so that the strongly determined,
smooth structure comes first, and falls step by step (continuation). A step that does not lower the sum above, with P
itself, is halved, and ρ rises again.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.conjugate_gradients import ConjugateGradients
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.problem import LinearisedVolume, VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm

_INNER_STEPS = 4
# ρ at first and at last, relative to the strongest response, and its factor per step
_FIRST_RHO, _LAST_RHO, _FALL = 1 / 10, 1 / 30, 0.9
# from the start if that is a good one
_NEAR_RHO = 1 / 100
# its factor after a step that was halved, and the shortest part of a step
_RISE, _SHORTEST = 2.0, 1 / 16


class GaussNewtonVoxels(Admm):
    """Approximately minimise a problem with any model over its voxels; for strong multiple scattering.

    Parameters
    ----------
    problem
        The problem to minimise; its `linear` is an approximate linear model of the same volume and frames.
    start
        Contrast to start from, (2, Z, Y, X); an empty one is a good choice.
    iterations
        Maximum number of linearisations; each takes as long as about ten predictions.
    is_near
        Whether the start already explains most of the data, so that ρ need not be large at first.
    closed
        The preconditioner (`factorised`) of an earlier run with the same model and frames; None to compute it.
    """

    kept = (*(name for name in Admm.kept if name != "data_spectrum"), "_at")

    def __init__(
        self,
        problem: VolumeProblem,
        start: Tensor,
        iterations: int = 40,
        *,
        is_near: bool = False,
        closed: ClosedForm | None = None,
    ) -> None:
        first, last = (_NEAR_RHO, _NEAR_RHO) if is_near else (_FIRST_RHO, _LAST_RHO)
        super().__init__(problem, start, iterations, closed=closed, rho=first)
        for _ in self.prepare():
            pass
        self._last_rho = self.rho * last / first

    def _model_of_step(self, problem: VolumeProblem) -> LinearModel:
        return problem.linear

    def _complete(self, volume: Tensor) -> float:
        """Linearise the model at a volume; return its loss."""
        self._at = volume
        vars(self).pop("_linearised", None)  # the fields that it stores may take as much memory as all else
        self._linearised: LinearisedVolume = self.problem.linearise(volume)
        self._misfit = float(self._linearised.residual().square().sum()) / 2
        return self._misfit + self.problem.penalty(volume)

    _look = _complete

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a state, and linearise the model there."""
        super().restore(state)
        self._complete(self._at)

    def _nearest(self, right: Tensor) -> Tensor:
        """Return the approximate x-step."""
        linearised, rho, tv = self._linearised, self.rho, self.problem.tv
        nothing = torch.zeros_like(self.model.spectrum(self.problem.seen_adjoint(linearised.residual())))

        def penalty(x: Tensor) -> Tensor:
            slopes = tv.adjoint(tv.differences(x)) if self.splits_slopes else 0
            return rho * (slopes + self._weight * x)

        def precondition(x: Tensor) -> Tensor:
            centre = self.closed.over_penalty(self.model.spectrum(x))
            return self.model.from_spectrum(self.closed.nearest(nothing, centre, rho)) / rho

        downhill = rho * right - penalty(self._at) - linearised.adjoint(linearised.residual())
        solve = ConjugateGradients(
            lambda x: linearised.adjoint(linearised.apply(x)) + penalty(x), downhill, precondition, recorded=False
        )
        for _ in range(_INNER_STEPS):
            solve.step()
        return self._at + self._length(solve.solution) * solve.solution

    def _length(self, step: Tensor) -> float:
        """Return the part of a step that lowers the sum that the x-step minimises, and adapt ρ."""
        present, length = self._sum(self._at, self._misfit), 1.0
        while not self._sum(trial := self._at + length * step, float(self.problem.misfit(trial))) < present:
            length /= 2
            if length < _SHORTEST:
                length = 0.0
                break
        factor = _RISE if length < 1 else max(_FALL, self._last_rho / self.rho)
        self.rho *= factor
        # in units of 1/ρ
        self._p /= factor
        self._q /= factor
        return length

    def _sum(self, x: Tensor, misfit: float) -> float:
        pull = self._weight * float((x - self._z + self._q).square().sum())
        if self.splits_slopes:
            pull += float((self.problem.tv.differences(x) - self._d + self._p).square().sum())
        return misfit + self.rho / 2 * pull
