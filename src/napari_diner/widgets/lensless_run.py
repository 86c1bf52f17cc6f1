"""What a run of the lensless dock does in its thread before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.reconstruction import Reconstruction
from napari_diner.widgets.run_worker import PREVIEW_INTERVAL_S, spare_a_processor


def begin(recipe: LenslessRecipe, frames: Any) -> Reconstruction:
    """Prepare the reconstruction of a layer's frames; runs in the thread, as torch takes seconds to load."""
    from napari_diner.io.images import read_image
    from napari_diner.preprocess.steps import read_references
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.reconstruct import reconstruct

    spare_a_processor()
    data = LenslessData(
        np.asarray(frames),
        illumination=None if recipe.illumination is None else read_image(recipe.illumination),
        mask=None if recipe.mask is None else read_image(recipe.mask),
        source=recipe.stack,
        references=read_references(recipe.preprocess),
    )
    return reconstruct(recipe, data, preview_interval_s=PREVIEW_INTERVAL_S)
