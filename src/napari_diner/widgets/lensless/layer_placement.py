"""Placement of images on the part of a layer that they were computed from."""

from __future__ import annotations

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import RecordingRecipe
from napari_diner.widgets.layers.layer_arguments import LayerArguments, MakeArguments
from napari_diner.widgets.layers.layer_part import LayerPart


def placement_on(part: LayerPart, recipe: RecordingRecipe) -> MakeArguments:
    """Return a function that gives the arguments of `napari.layers.Image` for arrays computed from a layer's frames.

    Under a point source the sample is smaller than its image on the sensor by the magnification, about the centre of
    the part that is used: arrays lie around this centre.

    Parameters
    ----------
    part
        The stack.
    recipe
        Determines which part of the frames is used.
    """
    place = part.place
    _, rows, columns = part.shape
    top, left, height, width = recipe.preprocess.crop_px or (0, 0, rows, columns)
    corner, size = np.array([top, left]), np.array([height, width])
    pixel = recipe.pixel_size_um or 1.0

    def arguments(array: NamedArray) -> LayerArguments:
        step = np.asarray(array.scale_um[-2:]) / pixel
        start = corner
        if recipe.magnifies:
            start = corner + (size - step * array.data.shape[-2:]) / 2
        return place.arguments(array, start, step)

    return arguments
