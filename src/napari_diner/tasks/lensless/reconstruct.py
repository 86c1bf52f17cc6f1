"""Run a lensless recipe: frames in, amplitude and phase out."""

from __future__ import annotations

import numpy as np

from napari_diner.tasks.lensless.data import Array, LenslessData
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.reconstruction import LenslessReconstruction
from napari_diner.tasks.lensless.truth import Truth


def reconstruct(
    recipe: LenslessRecipe,
    data: LenslessData | Array,
    *,
    truth: Truth | None = None,
    preview_interval_s: float | None = None,
) -> LenslessReconstruction:
    """Prepare the reconstruction of amplitude and phase from intensities at several heights.

    Parameters
    ----------
    recipe
        All settings; see `LenslessRecipe`.
    data
        The recording, or just its frames, (N, Y, X).
    truth
        The known object, to be scored against.
    preview_interval_s
        Shortest time between two previews; no previews if None.

    Returns
    -------
    LenslessReconstruction
        Iterate it for `Progress`, then ask it for the `Result`.

    Raises
    ------
    RecipeError
        If settings are missing or do not fit the data.
    InputError
        If the data cannot be used.
    OutOfMemoryError
        If the work does not fit the memory.

    Examples
    --------
    >>> with reconstruct(recipe, frames) as run:
    ...     for progress in run:
    ...         print(progress.iteration, progress.losses["loss"])
    ...     phase = run.result()["phase"].data
    """
    if not isinstance(data, LenslessData):
        data = LenslessData(np.asarray(data))
    return LenslessReconstruction(recipe, data, truth, preview_interval_s)
