"""What a run of the lensless dock does in its thread before the first step."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.reconstruction import Reconstruction

PREVIEW_INTERVAL_S = 0.25
"""Shortest time between two previews: drawing them costs the run its processor."""


def begin(recipe: LenslessRecipe, frames: Any) -> Reconstruction:
    """Prepare the reconstruction of a layer's frames; runs in the thread, as torch takes seconds to load."""
    import torch

    from napari_diner.io.images import read_image
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.reconstruct import reconstruct

    # one processor stays free for drawing: threads of torch that wait for a busy one lose far more than it would give
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
    data = LenslessData(
        np.asarray(frames),
        illumination=None if recipe.illumination is None else read_image(recipe.illumination),
        mask=None if recipe.mask is None else read_image(recipe.mask),
        source=recipe.stack,
    )
    return reconstruct(recipe, data, preview_interval_s=PREVIEW_INTERVAL_S)
