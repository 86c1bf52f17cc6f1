"""Pixels from the sensor's grid to the object's: crops, upsampling, super-resolution, point sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.pixels import magnify, magnify_mask, split, upsample
from napari_diner.preprocess.steps import Prepared, onto_grid, prepared_shape
from napari_diner.tasks.lensless.recipe import LenslessRecipe, RecordingRecipe
from napari_diner.tasks.lensless.setup import magnifications

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def finer(recipe: RecordingRecipe) -> int:
    """Return the number of pixels of the object per pixel of the prepared frames, along each axis."""
    return recipe.super_resolution if isinstance(recipe, LenslessRecipe) else 1


def object_shape(recipe: RecordingRecipe, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of the object, (Y, X), for recorded frames of a shape."""
    height, width = prepared_shape(recipe.preprocess, shape)
    return height * finer(recipe), width * finer(recipe)


def onto_object(recipe: RecordingRecipe, image: npt.NDArray[Any]) -> Floats:
    """Return an image of the sensor's shape, such as an illumination, (Y, X), on the grid of the object."""
    return np.asarray(upsample(onto_grid(recipe.preprocess, image), finer(recipe)), np.float32)


def support_on_object(recipe: RecordingRecipe, support: Mask) -> Mask:
    """Return the support on the grid of the object for one of the sensor's shape, (Y, X)."""
    inside: Mask = onto_grid(recipe.preprocess, support.astype(np.float32)) > 0.5
    return split(inside, finer(recipe))


def to_one_scale(recipe: RecordingRecipe, prepared: Prepared) -> Prepared:
    """Rescale frames that a point source magnified differently to the scale of the largest magnification.

    The centre of scaling is that of the field, assumed to lie on the axis; a source beside it displaces frames, as
    described by `shifts_um`. If the sensor moved, farther frames are fainter by M², which is corrected.

    Parameters
    ----------
    recipe
        The user's recipe.
    prepared
        The corrected frames.
    """
    by, intensities = magnifications(recipe), prepared.intensities
    if len(by) != len(intensities) or max(by, default=1.0) == min(by, default=1.0):
        return prepared
    most = max(by)
    scaled = np.empty_like(intensities)
    for number, (frame, m) in enumerate(zip(intensities, by, strict=True)):
        gain = (m / most) ** 2 if recipe.source_distance_to == "sample" else 1.0
        scaled[number] = np.float32(gain) * magnify(frame, most / m)
        if frame.min() >= 0:
            np.maximum(scaled[number], 0, out=scaled[number])  # splines overshoot
    mask, at_least = prepared.mask, prepared.at_least
    if mask is not None:
        mask = np.stack([magnify_mask(page, most / m) for page, m in zip(mask, by, strict=True)])
    if at_least is not None:  # pixels interpolated from a saturated one count as saturated
        at_least = np.stack([~magnify_mask(~page, most / m) for page, m in zip(at_least, by, strict=True)])
    return Prepared(scaled, mask, prepared.notes, at_least)
