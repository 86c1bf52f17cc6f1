"""The picture at the distance of the focus dock's slider, computed in a thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from napari_diner.widgets.dock.run_worker import spare_a_processor

LIVE = "refocused (live)"
"""Name of the picture that follows the slider."""


class LivePicture:
    """One frame brought to any distance; what does not depend on the distance is kept from one call to the next."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._refocus: Any = None

    def at(self, recipe: FocusRecipe, frames: Any, number: int, distance_um: float) -> tuple[NamedArray]:
        """Return the amplitude of a frame at a distance before the sensor, (Y, X).

        Parameters
        ----------
        recipe
            How it was recorded; its own distances do not count.
        frames
            The layer's frames, (N, Y, X); only one of them is read.
        number
            Which one, from 0.
        distance_um
            Distance from the sample to the sensor.

        Raises
        ------
        DinerError
            If the recipe or the frame cannot be used.
        """
        import torch

        from napari_diner.preprocess.focus import Refocus
        from napari_diner.tasks.lensless.data import corrected
        from napari_diner.tasks.lensless.setup import Setup

        here = recipe.updated({"distances_um": [distance_um]})
        here.check_complete(1)
        heights = Setup.of(here).heights
        pixel = heights.optics.pixel_size_um
        key = (id(frames), number, here.updated({"distances_um": [1.0], "source_distance_um": None}), pixel)
        if key != self._key:
            spare_a_processor()
            data = task("focus").assemble(recipe, Frames(np.asarray(frames[number])[None]))
            intensity = np.clip(corrected(here, data).intensities[0], 0, None)
            self._refocus = Refocus(torch.from_numpy(np.sqrt(intensity)), heights.optics)
            self._key = key
        picture = self._refocus.at(heights.distances_um[0]).abs().numpy()
        return (NamedArray(LIVE, picture, "YX", (pixel,) * 2),)
