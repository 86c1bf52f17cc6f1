"""Fits that take moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run
from tests.kit.runs import finish

SMALL_NETWORKS: dict[str, Any] = {
    "diner": {"lattice_size": 24, "hidden_features": 24},
    "network": {"hidden_features": 24},
}


def start(recipe: FitRecipe, data: Any, preview_interval_s: float | None = None) -> Run[Any]:
    """Return the run of a fit to data, which may be just an array."""
    return Run(FitJob(recipe, data if isinstance(data, FitData) else FitData(np.asarray(data))), preview_interval_s)


def fit(recipe: FitRecipe, data: Any) -> Result:
    """Return the result of a fit."""
    return finish(start(recipe, data))
