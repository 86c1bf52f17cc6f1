"""Placement of images that were computed from a part of a layer: they lie on that part."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import RecordingRecipe
from napari_diner.widgets.layers.layer_arguments import LayerArguments, MakeArguments, layer_arguments


def placement_on(layer: Image, recipe: RecordingRecipe) -> MakeArguments:
    """Return a function that makes the arguments of `napari.layers.Image` for arrays computed from a layer's frames.

    Under a point source, sample and frames differ in size and cannot lie on each other; then the arrays begin where
    the layer does.

    Parameters
    ----------
    layer
        The stack; no reference to it is kept.
    recipe
        Determines which part of it is used.
    """
    crop = recipe.preprocess.crop_px or (0, 0)
    part = (0, 0) if recipe.source_distance_um is not None else crop[:2]
    # the corner, because pixels of another size have their centres elsewhere
    corner = np.asarray(layer.translate)[-2:] + (np.asarray(part) - 0.5) * np.asarray(layer.scale)[-2:]

    def arguments(array: NamedArray) -> LayerArguments:
        translate = np.zeros(array.data.ndim)
        translate[-2:] = corner + np.asarray(array.scale_um[-2:]) / 2
        return {**layer_arguments(array), "translate": translate}

    return arguments
