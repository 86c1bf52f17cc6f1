"""Second-order phase retrieval: Gauss-Newton steps, each solved by preconditioned conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import ContrastPower, contrast_power, shift_power
from napari_diner.processors import each_apart
from napari_diner.solvers.conjugate_gradients import ConjugateGradients, Operator, inner
from napari_diner.solvers.lensless import smoothness
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.conjugate_steps import ConjugateSteps, Trial
from napari_diner.solvers.lensless.linearised import by_frequency
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.lensless.slow_phase import SlowPhase
from napari_diner.solvers.settings import AlternatingSettings, GaussNewtonSettings
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

# response, relative to the strongest, below which the preconditioner does not use the contrast transfer
_CONTRAST_FLOOR = 1e-2
# fraction of the response by shifted texture that is used: in smooth objects, texture is as slow as the phase
_TEXTURE_SHARE = 0.05
# factors of the damping: after a step that gains what the linearised model predicts, after one that gains less, and
# after one that had to be shortened
_DAMPING_FAR_DOWN, _DAMPING_DOWN, _DAMPING_UP = 1e-3, 0.1, 16.0
_AGREEMENT = 0.7
# damping that holds back no phase that the heights determine
_UNDAMPED = 1e-9
_FRACTIONS = (1.0, 0.5, 0.25, 0.125)
_RETRIES = 3
_CG_TOLERANCE = 1e-3
# conjugate-gradient steps after which their gain is assessed, and the least that they must gain, relative to the
# tolerance of the outer steps: slowly varying phase converges last, and hardly changes the loss
_LOOK_AT_GAIN, _LEAST_GAIN = 10, 0.2
# the same as a fraction of the loss where the matrix of slow phase lets it converge as fast as the rest: another
# linearisation then gains more than further steps with this one
_LEAST_GAIN_QUICK = 6e-6
# default tolerances; an unknown surround converges slowly where the data hardly determine it
_TOLERANCE, _TOLERANCE_SURROUND = 1e-6, 1e-3
# misfit, relative to the mean intensity, below which single precision leaves two digits of the residuals, and the
# tolerance there: further steps follow rounding errors
_ROUNDING, _TOLERANCE_ROUNDING = 1e-10, 1e-3


class HasGaussNewton(Protocol):
    """A recipe with settings of this solver."""

    @property
    def gauss_newton(self) -> GaussNewtonSettings:
        """The settings."""


class GaussNewton(Resumable):
    """Levenberg-Marquardt on log-amplitude and phase with the amplitude residual.

    The unknown is δ = δl + iδφ in ``O ← O exp(δ)``. With Û = U/|U| the residual r = |U| − √I has the derivative
    ``J δ = Re[Û* A(O δ)]``, and ``Jᵀ r = O* A^H(Û r)``, read as (real part, imaginary part). Each step solves
    ``(JᵀJ + μ) δ = −Jᵀ r`` by conjugate gradients; the damping μ falls when the misfit falls, and rises when it rises.
    It falls fast while the misfit falls as much as the linearised model predicts (as the gain ratio of Nielsen, IMM-REP
    1999-05, Technical University of Denmark): slowly varying phase, whose response is weak, is held back by damping.

    Three things make it fast. The unknowns are scaled by 1/√|O|, halfway between those in which amplitudes and those in
    which log-amplitudes have equal weight; with weights w of the amplitudes, by 1/√(|O| √w). And the preconditioner is
    the inverse Hessian of a weak object, ``Σ_z |C_z|²`` for the log-amplitude and ``Σ_z |S_z|²`` for the phase, with
    the contribution of shifted patterns for slow phase (see `physics.contrast_transfer`): without it, slowly varying
    phase, to which all heights respond weakly, takes thousands of steps. For fields that are wide enough for even
    slower phase, its normal matrix is measured on a coarse grid, see `solvers.slow_phase`. Far from the solution,
    Gauss-Newton steps do not correct wrongly wrapped phases and converge to local minima. They are therefore preceded
    by some rounds of alternating projections, which are cheap and more robust.

    Parameters
    ----------
    problem
        The problem to minimise.
    start
        Complex field to start from, (Y, X).
    settings
        Warm-up, iterations, inner steps, initial damping, tolerance.
    exaggerate
        Whether to start with too strong priors; not if the start was computed with them.
    """

    kept = ("_field", "_iteration", "_converged", "_damping", "_power", "_slow", "_excess", "_conjugate")
    answer = ("_field",)

    def __init__(
        self, problem: PhaseProblem, start: Tensor, settings: GaussNewtonSettings, *, exaggerate: bool = True
    ) -> None:
        self.problem = problem
        self.settings = settings
        self._exaggerate = exaggerate
        self._field = start
        self._iteration = 0
        self._converged = False
        self._damping = settings.damping
        self._power: ContrastPower | None = None
        self._slow = SlowPhase(problem.model) if settings.coarse_grid else None
        self._conjugate = ConjugateSteps()

    def result(self) -> Tensor:
        """Return the best field so far: complex, (Y, X)."""
        return self._field

    current = result

    def steps(self) -> Iterator[Step]:
        """Iterate; inner steps are reported, too, so that a run can be paused quickly."""
        return each_apart(self._steps()) if self.problem.model.is_divided else self._steps()

    def _steps(self) -> Iterator[Step]:
        settings = self.settings
        model, power = self.problem.model, self._power
        if power is None:
            yield from self._warm_up()
            power = contrast_power(model)
            power = power._replace(phase=power.phase + _TEXTURE_SHARE * shift_power(model, self._field))
            self._power = power
            if self.problem.priors is not None and self._exaggerate:
                self.problem = self.problem.with_priors(self.problem.priors.exaggerated())
        strongest = float(torch.maximum(power.amplitude, power.phase).max())
        tolerance = settings.tolerance
        if tolerance is None:
            tolerance = _TOLERANCE_SURROUND if model.padding.is_unknown else _TOLERANCE
        rounding = _ROUNDING * float(self.problem.amplitudes.square().sum()) / self.problem.valid
        slow, conjugate = self._slow, self._conjugate
        loss, gradient = self._evaluate()
        while self._iteration < settings.iterations and not self._converged:
            iteration, damping = self._iteration + 1, self._damping
            problem, priors = self.problem, self.problem.priors
            scaling = self._scaling()
            scaled = self._field * scaling
            brightness = strongest * self._mean_square(scaled)
            linear = problem.linearise(self._field)
            # the first step from a rough start changes too much for a matrix to pay off, and the last ones too little
            is_rough, is_last = iteration == 1 and settings.warm_up > 0, loss < rounding
            if slow is not None and not is_rough and not (is_last and slow.measured):
                for _ in slow.follow(linear.normal(torch.ones_like(scaling)), loss):
                    yield Step(iteration, settings.iterations, loss, within=0.0)
            normal = problem.with_curvature(linear.normal(scaling), self._field, scaling)
            # the misfit is a mean of squares: compensate the factor 2 and the mean
            right = -(problem.valid / 2) * scaled.conj() * gradient
            for _ in range(_RETRIES):
                stiffness = (0.0, 0.0) if priors is None else priors.stiffness(self._field, scaling)
                precondition = self._preconditioner(power, damping, brightness / strongest, strongest, stiffness)
                if slow is not None and slow.measured:
                    curvature = problem.valid * stiffness[1] / float(scaling.square().mean())
                    precondition = _sum(precondition, slow.inverse(damping * brightness, scaling, curvature))
                solve = ConjugateGradients(normal, right, precondition, damping * brightness)
                predicted, levelled_off = 0.0, False
                for turn in range(1, settings.cg_steps + 1):
                    solve.step()
                    if solve.converged(_CG_TOLERANCE):
                        break
                    if turn % _LOOK_AT_GAIN == 0:
                        before, predicted = predicted, _predicted(solve, right, damping * brightness) / problem.valid
                        gain = (predicted - before) / (loss - predicted)
                        levelled_off = gain < _LEAST_GAIN * tolerance
                        if levelled_off or (slow is not None and slow.measured and gain < _LEAST_GAIN_QUICK):
                            break
                        if predicted - before < conjugate.worthwhile * predicted:
                            break
                    yield Step(iteration, settings.iterations, loss, within=turn / (settings.cg_steps + 1))
                step = solve.solution * scaling
                # a step that is too long is first shortened: this costs one evaluation instead of another solve
                for fraction in _FRACTIONS:
                    trial = self._field * torch.exp(fraction * step)
                    trial_loss, trial_gradient, _ = problem.evaluate(trial)
                    if trial_loss < loss:
                        break
                if fraction < 1 or trial_loss >= loss:
                    damping *= _DAMPING_UP
                else:
                    predicted = _predicted(solve, right, damping * brightness) / problem.valid
                    damping *= _DAMPING_FAR_DOWN if loss - trial_loss > _AGREEMENT * predicted else _DAMPING_DOWN
                if trial_loss < loss:
                    break
            else:
                return  # short steps along a descent direction fail: only rounding errors remain
            del solve, precondition, normal, linear  # their memory is needed for other fields, and the next derivative
            begin, whole = Trial(self._field, loss, gradient), Trial(trial, trial_loss, trial_gradient)
            conjugate.assess(loss - trial_loss, predicted, whole=fraction == 1)
            trial, trial_loss, trial_gradient = conjugate.further(problem, begin, step, whole)
            improvement, mistaken = 1 - trial_loss / loss, abs(loss - trial_loss - predicted) / loss
            is_solved = levelled_off and mistaken < tolerance and conjugate.is_linear and self._damping <= _UNDAMPED
            self._field, loss, gradient = trial, trial_loss, trial_gradient
            self._iteration, self._damping = iteration, damping
            least = max(tolerance, _TOLERANCE_ROUNDING) if loss < rounding and tolerance > 0 else tolerance
            # another step would not gain more where the problem is linear, and solved
            ends = improvement < least or is_solved
            self._converged = ends and (priors is None or priors.relaxed().settled)
            if priors is not None:
                self.problem = problem.with_priors(priors.relaxed())
            yield Step(iteration, settings.iterations, loss, resumable=True)
            if priors is not None and not self._converged:
                # the misfit becomes a better estimate of the noise; update the weight of the priors
                loss, gradient = self._evaluate()

    @property
    def _excess(self) -> float:
        """Factor of the weight of the priors over the one for the noise."""
        return 1.0 if self.problem.priors is None else self.problem.priors.excess

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a state; the weight of the priors follows from the misfit and its excess."""
        values = dict(state)
        excess = values.pop("_excess", None)
        if self.problem.priors is not None and isinstance(excess, float):
            self.problem = self.problem.with_priors(replace(self.problem.priors, excess=excess))
        super().restore(values)

    def _evaluate(self) -> tuple[float, Tensor]:
        """Return loss and gradient at the current field, with priors weighted for its misfit."""
        loss, gradient, misfit = self.problem.evaluate(self._field)
        if self.problem.priors is not None:
            self.problem = self.problem.with_priors(self.problem.priors.adapted(misfit))
            loss, gradient, _ = self.problem.evaluate(self._field)
        return loss, gradient

    def _warm_up(self) -> Iterator[Step]:
        """Run the alternating projections, which count as a part of the first iteration.

        Where the phase is still wrong, the bounds of saturated pixels can hold it there. They are therefore ignored for
        some rounds, and respected again. The step of the projections holds for equal weights only.
        """
        if self.settings.warm_up == 0:
            return
        rounds, problem = AlternatingSettings(iterations=self.settings.warm_up), self.problem.with_weights(None)
        parts = [problem] if problem.at_least is None else [problem, problem.without_bounds(), problem]
        for part in parts:
            projections = AlternatingProjections(part, self._field, rounds)
            best = float("inf")
            for step in projections.steps():
                self._field = projections.result()
                best = min(best, step.loss)
                yield Step(1, self.settings.iterations, best, within=0.0)

    def _scaling(self) -> Tensor:
        """Return the factor from the scaled unknowns to log-amplitude and phase, (Y, X)."""
        bright, weights = self._field.abs(), self._weights
        if weights is not None:
            bright = bright * weights.sqrt()
        return bright.clamp_min(1e-6).rsqrt()

    @cached_property
    def _weights(self) -> Tensor | None:
        """Mean weight of the frames at each pixel of the object, (Y, X), or None where they do not match."""
        weights, model = self.problem.weights, self.problem.model
        if weights is None or model.sensor.binning > 1 or model.padding.is_unknown:
            return None
        mean: Tensor = weights.mean(0)
        return mean.clamp_min(1e-6)

    def _mean_square(self, field: Tensor) -> float:
        """Return the weighted mean square of the illuminated field, per pixel of the sensor."""
        model, weights = self.problem.model, self._weights
        lit = model.lit(field)
        if weights is not None:
            lit = lit * weights.sqrt()
        return float((lit.real**2 + lit.imag**2).mean()) / model.sensor.binning**2

    def _preconditioner(
        self,
        power: ContrastPower,
        damping: float,
        brightness: float,
        strongest: float,
        stiffness: tuple[float, float],
    ) -> Operator:
        """Return the inverse of a weak object's damped Hessian."""
        padding = self.problem.model.padding
        half = padding.padded_shape[1] // 2 + 1
        floor = (damping + _CONTRAST_FLOOR) * strongest
        priors = self.problem.priors
        factors = None if priors is None else priors.smooth_factors
        curvature = smoothness.curvature(padding.padded_shape, power.phase.device, factors)[:, :half]
        return by_frequency(
            padding,
            [
                1 / (brightness * (response[:, :half] + floor) + self.problem.valid * stiff * curvature)
                for response, stiff in zip(power, stiffness, strict=True)
            ],
        )


def build(problem: PhaseProblem, start: Tensor, recipe: HasGaussNewton, budget: Budget) -> GaussNewton:
    """Build the solver with the settings of a recipe."""
    return GaussNewton(problem, start, recipe.gauss_newton)


def _predicted(solve: ConjugateGradients, right: Tensor, shift: float) -> float:
    """Return ``2 bᵀx − xᵀA x``, the fall of the sum of squares that the linearised model predicts for the solution x.

    ``(A + μ) x = b`` holds along x after any number of steps, so that A itself is not applied again.
    """
    step = solve.solution
    return float(inner(right, step) + shift * inner(step, step))


def _sum(first: Operator, second: Operator) -> Operator:
    return lambda residual: first(residual) + second(residual)
