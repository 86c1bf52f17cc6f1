"""Reconstructions of recordings in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run
from tests.kit import runs

Recorded = LenslessData | npt.NDArray[Any]


def start(
    recipe: LenslessRecipe, data: Recorded, truth: Truth | None = None, preview_interval_s: float | None = None
) -> Run[Any]:
    """Return the run of a reconstruction of frames, or of a recording."""
    recorded = LenslessData(data) if isinstance(data, np.ndarray) else data
    return Run(LenslessJob(recipe, recorded, truth), preview_interval_s)


def finished(
    recipe: LenslessRecipe, data: Recorded, truth: Truth | None = None, *, compares_settings: bool = False
) -> Result:
    """Return the result of a reconstruction; only tests of its warnings need other settings to be compared."""
    return runs.finished(start(recipe, data, truth), compares_settings)
