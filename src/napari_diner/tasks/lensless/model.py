"""From a recipe and prepared frames to the forward model, and the question that solvers answer."""

from __future__ import annotations

import torch

from napari_diner.physics.multiheight import MultiHeight
from napari_diner.physics.padding import Padding
from napari_diner.solvers.problem import PhaseProblem
from napari_diner.tasks.lensless.data import Array, PreparedFrames, padding_width_px
from napari_diner.tasks.lensless.recipe import LenslessRecipe


def build_problem(
    recipe: LenslessRecipe, prepared: PreparedFrames, illumination: Array | None, device: torch.device
) -> PhaseProblem:
    """Build the forward model that a complete recipe describes, and the problem of explaining the frames with it."""
    assert recipe.wavelength_um is not None and recipe.pixel_size_um is not None
    height, width = prepared.amplitudes.shape[1:]
    padding = Padding(
        (height, width), recipe.padding.mode, padding_width_px(recipe, recipe.pixel_size_um), recipe.padding.apodise
    )
    model = MultiHeight(
        (height, width),
        recipe.pixel_size_um,
        recipe.wavelength_um,
        recipe.distances_um,
        medium_index=recipe.medium_index,
        method=recipe.propagation,
        band_limit=recipe.band_limit,
        shifts_um=recipe.shifts_um,
        gains=prepared.gains,
        intensity_scale=recipe.intensity_scale,
        illumination=None if illumination is None else torch.from_numpy(illumination),
        padding=padding,
        device=device,
    )
    mask = None if prepared.mask is None else torch.from_numpy(prepared.mask).to(device)
    return PhaseProblem(model, torch.from_numpy(prepared.amplitudes).to(device), mask)
