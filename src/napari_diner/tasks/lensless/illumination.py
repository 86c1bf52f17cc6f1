"""The stage that estimates an unknown illumination, and its part of the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_diner.solvers.lensless.joint_illumination import JointIllumination, OneIllumination
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.data import Array
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.state import LenslessState
from napari_diner.wording import digits

# extent of positions across a line, relative to that along it
_LINE = 0.05
# variation of a phase over the field above which its unit is asked for
_MOST_RAD = 8 * np.pi


def solver_of_illumination(
    recipe: LenslessRecipe, builder: ModelBuilder, setup: Setup, problem: PhaseProblem
) -> JointIllumination | OneIllumination:
    """Return the solver of object and illumination for the frames of a problem.

    Parameters
    ----------
    recipe
        All settings.
    builder
        Builds forward models; has the illumination to start from, if one is given.
    setup
        Geometry of the frames.
    problem
        The problem of the object for that illumination.
    """
    settings, padding = recipe.unknown_illumination, problem.model.padding
    flat = problem.flat_field()
    if not recipe.moves:
        return OneIllumination(problem, flat, settings.finest_um / setup.pixel_size_um, recipe.gauss_newton)
    light = builder.lit(padding)
    light = torch.ones_like(flat) if light is None else light.to(flat.device, flat.dtype)
    positions = setup.positions_um or ((0.0, 0.0),) * setup.heights.frames
    shifts = setup.heights.shifts_um or positions
    apart = tuple((dy - y, dx - x) for (dy, dx), (y, x) in zip(shifts, positions, strict=True))
    # for a known object the frames are those of an illumination at rest
    resting = replace(setup, positions_um=tuple((-y, -x) for y, x in positions)).with_heights(shifts_um=apart)
    return JointIllumination(
        lambda light: problem.with_model(builder.moved(setup, padding, light)),
        lambda field: problem.with_model(builder.moved(resting, padding, field)),
        flat,
        light,
        finest_px=settings.finest_um / setup.pixel_size_um,
        iterations=settings.iterations,
        cg_steps=settings.cg_steps,
    )


def illumination_doubts(recipe: LenslessRecipe, phase: Array | None) -> list[str]:
    """Return warnings about a given illumination or positions that leave much of an unknown one undetermined.

    Parameters
    ----------
    recipe
        All settings.
    phase
        The given phase of the illumination, or None.
    """
    doubts = []
    span = 0.0 if phase is None else float(np.ptp(phase))
    if span > _MOST_RAD:
        doubts.append(
            f"the phase of the illumination varies by {digits(span, 3)} rad over the field, "
            f"{digits(span / (2 * np.pi), 3)} wavelengths; check that illumination_phase is in radians, not degrees "
            "or grey levels"
        )
    if recipe.unknown_illumination.solve and recipe.moves:
        places = np.array(recipe.positions_um) - np.array(recipe.positions_um).mean(0)
        across = np.linalg.svd(places, compute_uv=False)
        limit = 2 * np.abs(places).max()
        if across[1] <= _LINE * across[0] and recipe.unknown_illumination.finest_um <= limit:
            doubts.append(
                "the positions of the object lie on a line, so that stripes across it cannot be told from those of the "
                "illumination; add one beside it, or give unknown_illumination.finest_um"
            )
    return doubts


def illumination_report(state: LenslessState) -> dict[str, float]:
    """Return the variations of an estimated illumination, as the part ``illumination`` of a report."""
    light = _within_view(state)
    amplitude = light.abs()
    phase = (light * torch.exp(-1j * light.sum().angle())).angle()
    return {
        "amplitude_rms": float(amplitude.std() / amplitude.mean()),
        "phase_rms_rad": float(phase.std()),
    }


def _within_view(state: LenslessState) -> Tensor:
    if state.light is None:
        raise ValueError("the illumination was not estimated")
    return state.problem.model.padding.view(state.light)
