"""The picture at the distance of the slider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.task import AnyTask, Frames
from napari_diner.widgets.layers.layer_part import LayerPart

if TYPE_CHECKING:
    from napari_diner.preprocess.focus import Refocus
    from napari_diner.tasks.lensless.setup import Setup

LIVE = "refocused (live)"
"""Name of the picture that follows the slider."""


class LivePicture:
    """Refocuses one frame to any distance; caches what does not depend on the distance.

    Parameters
    ----------
    task
        The task, which assembles the data.
    """

    def __init__(self, task: AnyTask) -> None:
        self._task = task
        self._key: tuple[object, ...] = ()
        self._refocus: Refocus | None = None

    def at(self, recipe: FocusRecipe, part: LayerPart, number: int, distance_um: float) -> tuple[NamedArray]:
        """Return the amplitude of a frame at a distance in front of the sensor, (Y, X).

        Parameters
        ----------
        recipe
            Description of the recording; its distances are ignored.
        part
            The stack; only one of its frames is read.
        number
            The frame, counted from 0.
        distance_um
            Distance from the sample to the sensor.

        Raises
        ------
        DinerError
            If the recipe or the frame cannot be used.
        """
        # it loads torch, which takes seconds
        from napari_diner.tasks.lensless.setup import Setup

        here = recipe.updated({"distances_um": [distance_um]})
        here.check_complete(1)
        setup = Setup.of(here)
        rest = here.updated({"distances_um": [1.0], "source_distance_um": None})
        key = (id(part.layer.data), part.points, number, rest, setup.pixel_size_um)
        if self._refocus is None or key != self._key:
            self._refocus, self._key = self._prepare(here, np.asarray(part.frame(number))[None], setup), key
        picture = self._refocus.at(setup.heights.distances_um[0]).abs().numpy()
        return (NamedArray(LIVE, picture, "YX", (setup.pixel_size_um,) * 2),)

    def _prepare(self, recipe: FocusRecipe, frame: npt.NDArray[np.generic], setup: Setup) -> Refocus:
        import torch

        from napari_diner.preprocess.focus import Refocus
        from napari_diner.tasks.lensless.data import corrected

        data = self._task.assemble(recipe, Frames(frame, "NYX" + "S" * (frame.ndim > 3)))
        intensity = np.clip(corrected(recipe, data).intensities[0], 0, None)
        return Refocus(torch.from_numpy(np.sqrt(intensity)), setup.optics)
