"""What a run of the fit dock does in its thread before the first step."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from napari_diner.device import check_memory
from napari_diner.errors import DinerError
from napari_diner.io.signals import probe_signal
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.run import Reconstruction
from napari_diner.widgets.dock.run_worker import PREVIEW_INTERVAL_S, spare_a_processor


def begin(recipe: FitRecipe, array: Any, scale_um: tuple[float, ...]) -> Reconstruction:
    """Prepare the fit to a layer's data; runs in the thread, as torch takes seconds to load.

    Parameters
    ----------
    recipe
        All settings, the axes among them.
    array
        The layer's data, which may be lazy.
    scale_um
        Spacing along each axis.
    """
    from napari_diner.tasks.fit.reconstruct import reconstruct

    spare_a_processor()
    return reconstruct(recipe, fit_data(recipe, array, scale_um), preview_interval_s=PREVIEW_INTERVAL_S)


def begin_comparison(
    recipe: FitRecipe, array: Any, scale_um: tuple[float, ...], names: tuple[str, ...], seconds: float
) -> AbstractContextManager[Any]:
    """Prepare the fits of several representations to a layer's data, each of which gets the same time."""
    from napari_diner.tasks.fit.compare import compare

    spare_a_processor()
    data = fit_data(recipe, array, scale_um)
    return compare(recipe, data, representations=names, seconds=seconds, preview_interval_s=PREVIEW_INTERVAL_S)


def fit_data(recipe: FitRecipe, array: Any, scale_um: tuple[float, ...]) -> Any:
    """Return what is fitted, with the size of the files behind it; lazy data are held against the free memory first.

    Raises
    ------
    OutOfMemoryError
        If they do not fit.
    """
    from napari_diner.tasks.fit.data import FitData, memory_needed

    shape = tuple(int(size) for size in array.shape)
    nbytes = 0 if isinstance(array, np.ndarray) else int(np.prod(shape, dtype=np.int64)) * array.dtype.itemsize
    check_memory(nbytes + memory_needed(recipe, shape, recipe.axes), f"A fit to {'×'.join(map(str, shape))} numbers")
    source_bytes = None
    if recipe.image is not None:
        try:
            info = probe_signal(recipe.image)
            # a file that holds something else by now has nothing to do with the layer
            source_bytes = info.file_bytes if info.may_hold(shape) else None
        except DinerError:
            pass
    return FitData(np.asarray(array), recipe.axes, scale_um, recipe.image, source_bytes)
