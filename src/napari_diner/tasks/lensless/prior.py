"""Priors of a recipe, for solvers and for the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.errors import InputError
from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.solvers.lensless.held_out import WeightChoice
from napari_diner.solvers.lensless.noise import fine_noise
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.geometry import support_on_object
from napari_diner.tasks.lensless.recipe import LenslessRecipe

_SMOOTHEST = 0.3

Support = npt.NDArray[np.bool_]


def checked_support(recipe: LenslessRecipe, data: LenslessData) -> Support | None:
    """Return where there may be a specimen, on the grid of the object, (Y, X), or None.

    Raises
    ------
    InputError
        If the image has another shape than the frames, or is zero or non-zero everywhere.
    """
    if data.support is None:
        return None
    support, shape = np.squeeze(data.support) != 0, data.frames.shape[1:]
    if support.shape != shape:
        raise InputError(
            f"The support has {'×'.join(map(str, support.shape))} pixels but the frames have {shape[0]}×{shape[1]}; "
            "draw it on a frame"
        )
    inside: Support = support_on_object(recipe, support)
    if inside.all() or not inside.any():
        raise InputError("The support covers all of the field, or none of it; make it zero where there is no specimen")
    return inside


def support_doubts(support: Support | None) -> list[str]:
    """Return a warning about a support that is probably inverted.

    The surroundings of a specimen are empty; an inverted support covers all of the edge of the field and has a hole.
    """
    if support is None:
        return []
    edge = np.concatenate([support[0], support[-1], support[1:-1, 0], support[1:-1, -1]])
    if not edge.all():
        return []
    return [
        "the support leaves out a part within the field and covers all of its edge; it must be non-zero where there "
        "may be a specimen, not the reverse"
    ]


def priors_of(recipe: LenslessRecipe, problem: PhaseProblem, support: Support | None) -> Priors | None:
    """Return the priors of a recipe for a problem; None if there are none."""
    settings = recipe.prior
    padding = problem.model.padding
    # incoherent light transmits almost none of the finest detail
    smooths = padding.is_unknown or not problem.model.heights.is_coherent
    if settings.total_variation == "off" and support is None and not smooths:
        return None
    even = problem.flat_field()
    in_view = padding.view_adjoint(torch.ones(padding.shape, dtype=torch.bool, device=even.device))
    inside = None
    if support is not None:
        # the support does not restrict the object beyond the sensor
        inside = ~padding.view_adjoint(~torch.from_numpy(support).to(even.device))
    return Priors(
        settings,
        float(even.abs().mean()),
        periodic=recipe.padding.mode == "none",
        values_per_pixel=problem.valid / even.numel(),
        freedom=problem.freedom,
        # pixels finer than the sensor's serve detail that frames with few values would not justify
        smooth_part=~in_view if problem.model.sensor.binning > 1 else None,
        most_smooth=_most_smooth(problem) if smooths else 0.0,
        support=inside,
        factor=settings.strength,
    )


def _most_smooth(problem: PhaseProblem) -> float:
    """Return the weight with which smoothness counts as much as `_SMOOTHEST` of the data for the finest structure.

    A pixel's data have half the curvature Σw² / 2M for M values; the differences, at most eight times their weight.
    A larger weight would hide detail, which would then count as noise.
    """
    model = problem.model
    per_pixel = math.prod(model.shape) / (problem.valid * model.sensor.binning**2)
    return _SMOOTHEST * model.power * per_pixel / 16


def weighed(problem: PhaseProblem, field: Tensor) -> PhaseProblem:
    """Return a problem with priors adapted to the noise in the residual of a field."""
    if problem.priors is None:
        return problem
    misfit = min(problem.misfit(field), fine_noise(problem.filled_amplitudes()).shot)
    return problem.with_priors(problem.priors.adapted(misfit))


def smoothed(problem: PhaseProblem, field: Tensor) -> PhaseProblem:
    """Return a problem in incoherent light whose smoothness is that of a first object; see `Priors.with_spectrum`."""
    if problem.priors is None or problem.model.heights.is_coherent or problem.model.sensor.binning > 1:
        return problem
    priors = problem.priors.adapted(problem.misfit(field))
    return problem.with_priors(priors.with_spectrum(field, contrast_power(problem.model)))


def middle_frame(distances_um: Sequence[float]) -> int:
    """Return the number of the frame with the median distance."""
    order = np.argsort(distances_um, kind="stable")
    return int(order[len(order) // 2])


def prior_report(priors: Priors, choice: WeightChoice | None, unit: float) -> dict[str, object]:
    """Return the part ``prior`` of a report: weights, the corresponding noise, and the method of their choice.

    Weights and misfits are those for amplitudes of order one; `unit` is the intensity that counts as one.
    """
    settings = priors.settings
    report: dict[str, object] = {"total_variation": settings.total_variation}
    if settings.total_variation != "off":
        report |= {
            "of": settings.of,
            "weight": priors.weight,
            "factor": priors.factor,
            "amplitude_noise": (unit * priors.variance) ** 0.5,
        }
    if choice is not None:
        report |= {
            "held_out_frame": choice.frame,
            "factors": list(choice.factors),
            "held_out_misfits": list(choice.misfits),
        }
    if priors.support is not None:
        report["support_strength"] = settings.support_strength
    return report
