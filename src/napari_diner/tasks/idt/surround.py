"""The surround of a recording by diffraction tomography: mode and width."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.surround import repeat, surround_mode, surround_warnings

# extension of the reach of light by the sharp edge of the aperture, in units of λ/NA
_TAILS = 4.0


def with_surround(
    recipe: IdtRecipe, contrast: npt.NDArray[np.float32], *, is_computed: bool
) -> tuple[IdtRecipe, tuple[str, ...]]:
    """Return a recipe with resolved padding, and a warning if the field is assumed to be periodic but is not.

    Parameters
    ----------
    recipe
        With `padding`.
    contrast
        g = I / I_background − 1, (N, Y, X).
    is_computed
        Whether the models are computed; transfer functions in files are for periodic fields.
    """
    if is_computed:
        mode = surround_mode(recipe.padding.mode, contrast)
        return recipe.updated({"padding": {"mode": mode}}), surround_warnings(mode, contrast)
    doubt = (
        ()
        if repeat(contrast)
        else (
            "frames do not continue at the opposite edge, as a field of given transfer functions does; leave out "
            "transfer_functions to have the surround solved for",
        )
    )
    return recipe.updated({"padding": {"mode": "none"}}), doubt


def width_px(recipe: IdtRecipe, geometry: VolumeGeometry) -> int:
    """Return the smallest width of an unknown surround on each side, in pixels; 0 if there is none.

    By default, light reaches the frames from there within the aperture of the objective, and the edge of the aperture
    adds 4 λ/NA.
    """
    if recipe.padding.mode != "unknown":
        return 0
    width_um = recipe.padding.width_um
    if width_um is None:
        width_um = geometry.reach_um + _TAILS / geometry.cutoff
    return math.ceil(width_um / geometry.pixel_size_um)
