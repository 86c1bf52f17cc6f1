"""What a recipe knows of the object beforehand, for a solver and for the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.errors import InputError
from napari_diner.solvers.lensless.held_out import HeldOutFrame
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.geometry import support_on_object
from napari_diner.tasks.lensless.recipe import LenslessRecipe

Support = npt.NDArray[np.bool_]


def checked_support(recipe: LenslessRecipe, data: LenslessData) -> Support | None:
    """Return where there may be a specimen, on the grid of the object, (Y, X), or None.

    Raises
    ------
    InputError
        If the image has another shape than the frames, or leaves nothing inside or nothing outside.
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
        raise InputError("The support is all of the field, or nothing of it; make it zero where there is no specimen")
    return inside


def add_priors(recipe: LenslessRecipe, problem: PhaseProblem, support: Support | None) -> None:
    """Tell a problem what the recipe knows of the object."""
    settings = recipe.prior
    if settings.total_variation == "off" and support is None:
        return
    even = problem.flat_field()
    problem.priors = Priors(
        settings,
        float(even.abs().mean()),
        periodic=recipe.padding.mode == "none",
        values_per_pixel=problem.valid / even.numel(),
        support=None if support is None else torch.from_numpy(support).to(even.device),
    )


def middle_frame(recipe: LenslessRecipe) -> int:
    """Return the number of the frame whose distance is in the middle."""
    order = np.argsort(recipe.distances_um, kind="stable")
    return int(order[len(order) // 2])


def prior_report(priors: Priors, choice: HeldOutFrame | None) -> dict[str, Any]:
    """Return what a report says of the priors: weights, the noise that they were chosen for, and how."""
    settings = priors.settings
    report: dict[str, Any] = {"total_variation": settings.total_variation}
    if settings.total_variation != "off":
        report |= {
            "of": settings.of,
            "weight": priors.weight,
            "factor": priors.factor,
            "amplitude_noise": priors.variance**0.5,
        }
    if choice is not None:
        report |= {
            "held_out_frame": choice.frame,
            "factors": list(choice.factors[: len(choice.misfits)]),
            "held_out_misfits": list(choice.misfits),
        }
    if priors.has_support:
        report["support_strength"] = settings.support_strength
    return report
