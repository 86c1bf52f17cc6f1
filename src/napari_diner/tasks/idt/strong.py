"""Samples that scatter too strongly for chords."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.body import STEPS, BodySearch
from napari_diner.solvers.idt.body_shapes import sign_of
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.weight_choice import noise_in_volume
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.idt.optics import ComputedModels, prediction_seconds
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.job import Stage
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.wording import digits, percent

# phase from which chords can fail, and share of the data, beyond noise, that they leave then: 0.05 at 5 rad, 0.0005 at
# 2.5 rad
_STRONG_PHASE_RAD, _LOST = 2.0, 0.01
# the share that steps without a body may leave under a large weight of the total variation: 0.06 at 5 rad, 0.009 at
# 2.5 rad
_ENOUGH = 0.02
# part of the time of the solver by which it is found
_BODY_SHARE = 0.5
_THINNER = "an index below the medium's, as in bubbles, explains the frames better than one above: n ≤ n0 is assumed"
# predictions that take as long as one step: the linearisation, a gradient, and two for each conjugate gradient
_PREDICTIONS = 10
# weight of the total variation in units of `noise_in_volume`
_TV = 8.0


def weighted_by_noise(problem: VolumeProblem, volume: Tensor) -> VolumeProblem:
    """Return a problem with a weight of the total variation that suits the noise of its data."""
    tau = _TV * noise_in_volume(problem.linear, problem.exact(volume))
    return problem.with_priors(replace(problem.priors, tv=tau))


def body(recipe: IdtRecipe, share: float) -> Stage[IdtState]:
    """Return the stage that finds a body to start from, for samples whose solver would start empty.

    Parameters
    ----------
    recipe
        The resolved recipe.
    share
        Part of the time limit by which the solver that follows ends.
    """

    def search(state: IdtState, budget: Budget) -> BodySearch | None:
        problem, models = state.problem, state.models
        if not state.is_strong or state.is_multiply_scattering or not isinstance(models, ComputedModels):
            return None
        return BodySearch(
            weighted_by_noise(problem, state.estimate),
            recipe.voxel_um,
            0.5 / models.geometry.cutoff,
            lambda volume: _unexplained(problem, volume) <= _ENOUGH,
            # single scattering, from which the sign is taken otherwise, does not describe such samples
            either_sign=recipe.regularization.sign == "auto",
        )

    def absorb(state: IdtState, volume: Tensor) -> IdtState:
        state = replace(state, volume=volume, is_multiply_scattering=True)
        priors, sign = state.problem.priors, sign_of(volume)
        if priors.sign_re in (0, sign):
            return state
        warnings = (*state.warnings, _THINNER) if sign < 0 else state.warnings
        return replace(state.with_priors(replace(priors, sign_re=sign)), warnings=warnings)

    return Stage("body", search, absorb, _BODY_SHARE * share)


def with_method(recipe: IdtRecipe, state: IdtState) -> IdtRecipe:
    """Return a recipe with the method that a state needs."""
    if not state.is_strong:
        return recipe
    return recipe.model_copy(update={"multislice": recipe.multislice.model_copy(update={"method": "gauss-newton"})})


def are_lost(problem: VolumeProblem, volume: Tensor) -> bool:
    """Return whether chords, which led to a volume, fail to explain a sample of several radians."""
    if problem.linear.peak_phase(problem.seen(volume)) < _STRONG_PHASE_RAD:
        return False
    return _unexplained(problem, volume) > _LOST


@torch.no_grad()
def _unexplained(problem: VolumeProblem, volume: Tensor) -> float:
    """Return the share of the data that a volume leaves unexplained beyond noise."""
    residual = problem.residual(volume, problem.frames)
    return Unexplained.of(residual.cpu().numpy(), problem.data.cpu().numpy()).beyond_noise


def warnings_of_reach(unexplained: Unexplained, phase_rad: float) -> list[str]:
    """Return a warning if Gauss-Newton steps leave a part of the data unexplained, too."""
    if unexplained.beyond_noise <= _LOST:
        return []
    return [
        f"{percent(unexplained.beyond_noise)} of the data are left unexplained beyond noise by a volume that delays "
        f"light by {digits(phase_rad)} rad; the sample may scatter too strongly for these frames, and its index and "
        "shape be wrong"
    ]


def newton_seconds(model: IDTModel, iterations: int) -> float:
    """Estimate how long Gauss-Newton steps under the multi-slice model take."""
    return _PREDICTIONS * (STEPS + iterations) * prediction_seconds(model) if isinstance(model, SSNPModel) else 0.0
