"""Uncertainty requested by a recipe: images, and figures and sentences in the report."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import phase_error
from napari_diner.tasks.result import Result
from tests.tasks.lensless import reconstruction

ASKED = {"uncertainty": {"map": True, "samples": 3, "cg_steps": 60}}


@pytest.fixture(scope="module")
def noisy() -> LenslessSample:
    heights = (100.0, 140.0, 200.0, 270.0)
    return simulate(LenslessSimulation(height_px=64, width_px=72, distances_um=heights, noise_sigma=0.01))


def finished(recipe: LenslessRecipe, sample: LenslessSample) -> Result:
    return reconstruction.finished(recipe.updated({"intensity_scale": sample.intensity_scale}), sample.frames)


def test_nothing_is_estimated_unless_asked_for(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    result = finished(recipe, noisy)
    assert "uncertainty" not in result.report
    assert "uncertainty" not in {array.name for array in result.arrays}


@pytest.mark.parametrize("solver", ["gauss-newton", "diner"])
def test_the_map_is_of_the_phase_and_as_large_as_its_error(
    recipe: LenslessRecipe, noisy: LenslessSample, solver: str
) -> None:
    few = {"solver": solver, "gradient": {"iterations": 20}, "diner": {"lattice_size": 16}}
    result = finished(recipe.updated({**ASKED, **few, "uncertainty": {**ASKED["uncertainty"], "bands": True}}), noisy)
    phase, sigma = result["phase"], result["uncertainty"]
    assert (sigma.data.shape, sigma.data.dtype, sigma.scale_um, sigma.unit) == (
        phase.data.shape, np.float32, phase.scale_um, "rad",
    )  # fmt: skip
    assert 0.5 < np.std(phase_error(phase.data, noisy.phase) / sigma.data) < 2
    octaves = result["uncertainty_bands"].data
    assert octaves.shape == (len(result.report["uncertainty"]["bands"]), *phase.data.shape)
    np.testing.assert_allclose(np.sqrt((octaves**2).sum(0)), sigma.data, rtol=1e-4)


def test_the_report_says_what_is_not_seen_and_what_would_help(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    found = finished(recipe.updated(ASKED), noisy).report["uncertainty"]
    seen = [band["seen"] for band in found["bands"]]
    assert min(seen) == seen[-1] < 0.05  # slow changes, at these short distances
    assert "periods above" in found["statements"][0]
    assert 270 < found["extra_height_um"] <= 540
    assert f"one at {found['extra_height_um']:.4g} µm would help most" in found["statements"][-1]
    assert 0.3 < found["freedom"] < 0.6  # two numbers a pixel out of four


def test_a_run_that_is_ended_before_has_no_map(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    with reconstruction.start(recipe.updated(ASKED), noisy.frames) as run:
        next(run)
        assert "uncertainty" not in run.result().report


def test_a_time_limit_leaves_one_sample(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    result = finished(recipe.updated({**ASKED, "max_seconds": 0.01}), noisy)
    assert result.report["uncertainty"]["samples"] == 1
