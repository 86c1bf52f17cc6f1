"""The forward model that a recipe of diffraction tomography describes, and what is to be said of it beforehand."""

from __future__ import annotations

import math

import torch

from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.preflight import axial_sampling, lateral_sampling, low_frequencies
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.tasks.idt.recipe import IdtRecipe

# response to slow changes of the index, relative to the strongest, below which they are hardly seen
_WEAK_LOW_FREQUENCIES = 0.2
# operations a second of Fourier transforms: on a core, and on a graphics card
_SPEED = 2.5e9
_SPEED_OF_A_CARD = 1e12


def illumination_of(recipe: IdtRecipe, frames: int) -> Illumination:
    """Return the illumination that a recipe describes for a number of frames."""
    if recipe.ring.na is not None:
        return ring(recipe.ring.na, frames, offset_deg=recipe.ring.first_angle_deg)
    return Illumination.of(recipe.illuminations)


def build_born(
    recipe: IdtRecipe, shape: tuple[int, int, int], illumination: Illumination, device: torch.device
) -> BornModel:
    """Build the linear model of a complete recipe for a volume (Z, Y, X).

    Raises
    ------
    RecipeError
        If the geometry is impossible, or an illumination is outside the objective's aperture.
    """
    return BornModel(
        recipe.geometry(shape),
        illumination,
        dispersion=recipe.dispersion,
        device=device,
    )


def build_multislice(
    recipe: IdtRecipe, shape: tuple[int, int, int], illumination: Illumination, device: torch.device
) -> SSNPModel:
    """Build the multi-slice model of a complete recipe for a volume (Z, Y, X).

    Raises
    ------
    RecipeError
        If the geometry is impossible, or an illumination is outside the objective's aperture.
    """
    return SSNPModel(
        recipe.geometry(shape),
        illumination,
        steps_per_slice=recipe.multislice.steps_per_slice,
        device=device,
    )


def prediction_seconds(model: SSNPModel) -> float:
    """Estimate how long the multi-slice model takes to predict all frames: two Fourier transforms a step and source."""
    planes, rows, columns = model.shape
    transforms = 2 * planes * model.steps_per_slice * len(model.frame_of_source)
    operations = 5 * rows * columns * math.log2(rows * columns)
    speed = _SPEED * torch.get_num_threads() if model.device.type == "cpu" else _SPEED_OF_A_CARD
    return transforms * operations / speed


def preflight(model: BornModel) -> list[str]:
    """Return what is to be said of the optics before anything is computed."""
    warnings = []
    lateral = lateral_sampling(model.geometry)
    if not lateral.fine:
        warnings.append(
            f"the pixel of {lateral.value_um:.3g} µm is coarser than λ/(4 NA) = {lateral.limit_um:.3g} µm; "
            "fine detail is folded into coarse"
        )
    axial = axial_sampling(model.geometry, model.illumination)
    if not axial.fine:
        warnings.append(
            f"the slice spacing of {axial.value_um:.3g} µm is above the axial Nyquist limit of {axial.limit_um:.3g} µm"
        )
    low = low_frequencies(model.geometry, model.illumination)
    if low.ratio < _WEAK_LOW_FREQUENCIES:
        warnings.append(
            f"slow changes of the index are hardly seen (response {low.ratio:.2f} of the strongest); light from the "
            "edge of the objective's aperture would show them"
        )
    return warnings
