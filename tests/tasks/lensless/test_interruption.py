"""Intermediate results of a run do not change its final result."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from tests.tasks.lensless.reconstruction import finished, start

STAGES: dict[str, Any] = {
    "registration": "shift",
    "calibration": {"z": True, "rounds": 2},
    "uncertainty": {"map": True, "samples": 2, "cg_steps": 10},
}
SOLVERS: dict[str, Any] = {
    "gauss-newton": {"gauss_newton": {"warm_up": 3, "iterations": 4}},
    "diner": {"gradient": {"iterations": 6}, "diner": {"lattice_size": 16}, "gauss_newton": {"iterations": 3}},
}


@pytest.fixture(scope="module")
def noisy() -> LenslessSample:
    heights = (100.0, 140.0, 200.0, 270.0)
    return simulate(LenslessSimulation(height_px=64, width_px=72, distances_um=heights, noise_sigma=0.01))


def asked_in_every_stage(recipe: LenslessRecipe, sample: LenslessSample) -> tuple[Result, list[str]]:
    """Return the final result of a run that is asked for one after two steps of each stage, and the stages in order."""
    names: list[str] = []
    with start(recipe, sample.frames, preview_interval_s=0.0) as run:
        for progress in run:
            names.append(progress.stage)
            if names.count(progress.stage) == 2 and not run.finished:
                assert np.isfinite(run.result()["phase"].data).all()
        return run.result(), [name for name, _ in groupby(names)]


@pytest.mark.parametrize("solver", SOLVERS)
def test_partial_results_do_not_disturb_any_stage(recipe: LenslessRecipe, noisy: LenslessSample, solver: str) -> None:
    recipe = recipe.updated({"solver": solver, **SOLVERS[solver], **STAGES, "intensity_scale": noisy.intensity_scale})
    undisturbed = finished(recipe, noisy.frames)
    asked, stages = asked_in_every_stage(recipe, noisy)
    assert not asked.partial
    assert stages[:2] == ["registration", "calibration"]
    assert stages[-2:] == [solver, "uncertainty"]
    assert [array.name for array in asked.arrays] == [array.name for array in undisturbed.arrays]
    for array, other in zip(asked.arrays, undisturbed.arrays, strict=True):
        assert array.data.tobytes() == other.data.tobytes(), array.name
    assert asked.weights.keys() == undisturbed.weights.keys()
    for name, weight in asked.weights.items():
        assert weight.tobytes() == undisturbed.weights[name].tobytes(), name
