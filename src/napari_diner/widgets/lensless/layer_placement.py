"""Placement of images that were computed from a part of a layer: they lie on that part."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import RecordingRecipe
from napari_diner.widgets.layers.layer_arguments import LayerArguments, MakeArguments, layer_arguments
from napari_diner.widgets.layers.placement import Placement


def placement_on(layer: Image, recipe: RecordingRecipe) -> MakeArguments:
    """Return a function that makes the arguments of `napari.layers.Image` for arrays computed from a layer's frames.

    Under a point source the sample is smaller than its image on the sensor by the magnification, about the centre of
    the part that is used: arrays lie around this centre.

    Parameters
    ----------
    layer
        The stack; no reference to it is kept.
    recipe
        Determines which part of it is used.
    """
    placement, plane = Placement.of(layer), Placement.of(layer).plane()
    rows, columns = layer.data.shape[-2:]
    top, left, height, width = recipe.preprocess.crop_px or (0, 0, rows, columns)
    corner, size = np.array([top, left]), np.array([height, width])
    pixel = recipe.pixel_size_um or 1.0

    def arguments(array: NamedArray) -> LayerArguments:
        step = np.asarray(array.scale_um[-2:]) / pixel
        start = corner
        if recipe.source_distance_um is not None:
            start = corner + (size - step * array.data.shape[-2:]) / 2
        place = plane.refined(start, step) if array.data.ndim == 2 else placement.refined([0, *start], [1, *step])
        return {**layer_arguments(array), **place.arguments()}

    return arguments
