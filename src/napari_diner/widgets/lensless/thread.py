"""What a run of the lensless dock does in its thread before the first step."""

from __future__ import annotations

from typing import Any

from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.run import Reconstruction
from napari_diner.widgets.dock.run_worker import PREVIEW_INTERVAL_S, spare_a_processor
from napari_diner.widgets.lensless.recorded import recorded


def begin(recipe: LenslessRecipe, frames: Any) -> Reconstruction:
    """Prepare the reconstruction of a layer's frames; runs in the thread, as torch takes seconds to load."""
    from napari_diner.tasks.lensless.reconstruct import reconstruct

    spare_a_processor()
    return reconstruct(recipe, recorded(recipe, frames), preview_interval_s=PREVIEW_INTERVAL_S)
