"""What the layer of a lensless recording is to the engine; runs in threads, as torch takes seconds to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import LenslessRecipe, Recording

if TYPE_CHECKING:
    from napari_diner.tasks.lensless.data import LenslessData


def recorded(recipe: Recording, frames: Any) -> LenslessData:
    """Return the frames of a layer, (N, Y, X), with the files that the recipe names beside them."""
    from napari_diner.io.images import read_image
    from napari_diner.preprocess.steps import read_references
    from napari_diner.tasks.lensless.data import LenslessData

    illumination = recipe.illumination if isinstance(recipe, LenslessRecipe) else None
    return LenslessData(
        np.asarray(frames),
        illumination=None if illumination is None else read_image(illumination),
        mask=None if recipe.mask is None else read_image(recipe.mask),
        source=recipe.stack,
        references=read_references(recipe.preprocess),
    )


def prepared(recipe: Recording, frames: Any) -> tuple[NamedArray, ...]:
    """Return the frames as the recipe's preparation leaves them, and the pixels that it ignores."""
    from napari_diner.tasks.lensless.preview import preview

    return preview(recipe, recorded(recipe, frames))
