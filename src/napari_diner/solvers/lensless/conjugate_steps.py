"""Conjugate directions made of Gauss-Newton steps, for data that a model does not explain completely."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_diner.solvers.conjugate_gradients import inner
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.solver import Resumable

# relative error of a prediction that is assumed before the first step
_FIRST_ERROR = 0.1
# relative error of a prediction from which steps are combined and their lengths searched for
_MISTAKEN = 0.2
# relative error of predictions that are as good as right
_RIGHT = 0.05
# part of the predicted gain that further inner steps have to add, relative to the error of predictions
_WORTHWHILE = 0.1
# parabolas along a direction, range of the next length over the last, and change of a length that is not worth trying
_PARABOLAS, _SHORTEN, _LENGTHEN, _ALIKE = 2, 0.2, 3.0, 0.2


class Trial(NamedTuple):
    """A field, and what `PhaseProblem.evaluate` returns for it."""

    field: Tensor
    """Complex, (Y, X)."""
    loss: float
    """Misfit and priors."""
    gradient: Tensor
    """Derivative of `loss` by the field."""


class ConjugateSteps(Resumable):
    """Combine Gauss-Newton steps where the linearised model is a bad prediction.

    Gauss-Newton neglects the second derivatives of the amplitudes, which count where residuals remain: noise, and what
    the model does not describe. Along slowly varying phase, JᵀJ may be several times the true curvature; each step
    then goes a fraction of the way, and dozens follow in almost the same direction. They are therefore
    the preconditioned gradients of nonlinear conjugate gradients: with steps s and the gradient g by δ,

        ``d = s + β d',  β = ⟨g − g', s⟩ / ⟨g', s'⟩``

    between zero and one (Polak and Ribière; Nocedal and Wright, Numerical Optimization, Springer 2006, Ch. 5.2), and
    the length along d is that of the least of a parabola. Inner steps end early then: an exact solution of inexact
    equations gains nothing (Dembo, Eisenstat and Steihaug, SIAM J. Numer. Anal. 19, 400 (1982)). Without residuals,
    predictions become exact, and steps those of Gauss-Newton.
    """

    kept = ("error", "_before", "_direction", "_slope", "_decrease")

    def __init__(self) -> None:
        self.error = _FIRST_ERROR
        """Relative error of the predicted gain of the last step."""
        self._before = _FIRST_ERROR
        self._direction: Tensor | None = None
        self._slope: Tensor | None = None
        self._decrease = 0.0
        self._was_shortened = False

    @property
    def worthwhile(self) -> float:
        """Part of the gain so far that ten more inner steps should add."""
        return _WORTHWHILE * self.error

    @property
    def is_linear(self) -> bool:
        """Whether two predictions in a row, of which one may be right by chance, were right."""
        return max(self.error, self._before) < _RIGHT

    def assess(self, gain: float, predicted: float, *, whole: bool) -> None:
        """Compare the gain of a step with the predicted one; after a shortened step, no prediction is believed."""
        self._before = self.error
        self.error = min(1.0, abs(gain / predicted - 1)) if whole else 1.0
        self._was_shortened = not whole
        if not whole:
            self._direction = self._slope = None

    def further(self, problem: PhaseProblem, start: Trial, step: Tensor, whole: Trial) -> Trial:
        """Return the best field found along the conjugate direction, or that of the whole step.

        Parameters
        ----------
        problem
            The problem.
        start
            Where the step begins.
        step
            Gauss-Newton step of log-amplitude and phase, complex, (Y, X).
        whole
            Where it ends.
        """
        if self._was_shortened or self.error < _MISTAKEN:
            self._direction = self._slope = None
            return whole
        slope = start.field.conj() * start.gradient
        decrease = float(inner(slope, step))
        direction, along, best = step, decrease, whole
        length, reached = 1.0, whole.loss
        if self._direction is not None and self._slope is not None:
            beta = min(max((decrease - float(inner(self._slope, step))) / self._decrease, 0.0), 1.0)
            combined = step + beta * self._direction
            if beta > 0 and float(inner(slope, combined)) < 0:
                direction, along = combined, float(inner(slope, combined))
                found = _at(problem, start, direction, length)
                reached = found.loss
                best = min(best, found, key=lambda trial: trial.loss)
        self._direction, self._slope, self._decrease = direction, slope, decrease
        for _ in range(_PARABOLAS):
            curvature = 2 * (reached - start.loss - along * length) / length**2
            least = -along / curvature if curvature > 0 else _LENGTHEN * length
            least = min(max(least, _SHORTEN * length), _LENGTHEN * length)
            if abs(least - length) < _ALIKE * length:
                break
            found = _at(problem, start, direction, least)
            length, reached = least, found.loss
            best = min(best, found, key=lambda trial: trial.loss)
        return best


def _at(problem: PhaseProblem, start: Trial, direction: Tensor, length: float) -> Trial:
    """Return the field at a length along a direction."""
    field = start.field * torch.exp(length * direction)
    loss, gradient, _ = problem.evaluate(field)
    return Trial(field, loss, gradient)
