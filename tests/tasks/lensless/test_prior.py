"""Priors and weights of a recipe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_diner.errors import InputError, RecipeError
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData, resolved
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.result import Result
from tests.tasks.lensless import reconstruction

QUICK = {
    "gauss_newton": {"iterations": 12, "warm_up": 20},
    "gradient": {"iterations": 30},
    "diner": {"lattice_size": 16},
}
TV = {"prior": {"total_variation": "noise"}}


def simulated(noise_sigma: float) -> LenslessSample:
    heights = (100.0, 140.0, 200.0, 270.0)
    return simulate(LenslessSimulation(height_px=64, width_px=72, distances_um=heights, noise_sigma=noise_sigma))


@pytest.fixture(scope="module")
def noisy() -> LenslessSample:
    return simulated(0.03)


def amplitudes(sample: LenslessSample) -> np.ndarray:
    return np.sqrt(sample.frames / np.iinfo(sample.frames.dtype).max * sample.intensity_scale)


def finished(recipe: LenslessRecipe, sample: LenslessSample, support: np.ndarray | None = None) -> Result:
    recipe = recipe.updated(QUICK).updated({"intensity_scale": sample.intensity_scale})
    data = LenslessData(sample.frames, support=support)
    return reconstruction.finished(recipe, data, Truth(sample.amplitude, sample.phase))


def phase_db(result: Result) -> float:
    return float(result.report["truth"]["phase_psnr_db"])


def test_nothing_is_known_of_the_object_unless_it_is_said(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    assert "prior" not in finished(recipe, noisy).report
    assert "noise" not in finished(recipe.updated({"noise": {"weighting": "even"}}), noisy).report


@pytest.mark.parametrize("solver", ["gauss-newton", "diner", "pixels"])
def test_total_variation_helps_every_solver_that_knows_it(
    recipe: LenslessRecipe, noisy: LenslessSample, solver: str
) -> None:
    recipe = recipe.updated({"solver": solver, "start": "gauss-newton" if solver == "pixels" else "auto"})
    known = finished(recipe.updated(TV), noisy)
    assert phase_db(known) > phase_db(finished(recipe, noisy)) + 1
    told = known.report["prior"]
    assert told["weight"] > 0
    assert told["factor"] == 1
    noise = amplitudes(noisy) - amplitudes(simulated(0))
    assert told["amplitude_noise"] * noisy.intensity_scale**0.5 == pytest.approx(np.sqrt(np.mean(noise**2)), rel=0.3)


def test_a_held_out_frame_chooses_and_is_reported(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    told = finished(recipe.updated({"prior": {"total_variation": "held_out"}}), noisy).report["prior"]
    assert told["held_out_frame"] == 2
    assert told["factor"] == told["factors"][int(np.argmin(told["held_out_misfits"]))]


def test_weights_are_found_and_reported(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    result = finished(recipe.updated({"noise": {"weighting": "found"}}), noisy)
    assert result.report["noise"]["read_sigma"] == pytest.approx(0.03, rel=0.3)
    assert [stage["name"] for stage in result.report["stages"]] == ["noise estimate", "gauss-newton"]


@pytest.mark.parametrize(
    ("changes", "decided"),
    [
        ({}, "found"),
        ({"solver": "diner"}, "found"),
        ({"solver": "diner", "gradient": {"loss": "intensity"}}, "even"),
        ({"solver": "diner", "start": "flat"}, "even"),
        ({"solver": "pixels"}, "even"),
        ({"solver": "alternating"}, "even"),
        ({"solver": "alternating", "start": "gauss-newton"}, "even"),
        ({"noise": {"weighting": "even"}}, "even"),
    ],
)
def test_weights_where_gauss_newton_is_at_work_anyway(
    recipe: LenslessRecipe, noisy: LenslessSample, changes: dict[str, Any], decided: str
) -> None:
    assert resolved(recipe.updated(changes), LenslessData(noisy.frames)).noise.weighting == decided


def test_the_noise_is_looked_at_before_the_start(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    result = finished(recipe.updated({"noise": {"weighting": "found"}, "solver": "diner"}), noisy)
    names = [stage["name"] for stage in result.report["stages"]]
    assert names == ["noise estimate", "start: gauss-newton", "diner: starting values", "diner"]


def test_a_support_is_used(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    known = noisy.phase > 0.3 * noisy.phase.max()
    assert 0 < known.mean() < 1
    result = finished(recipe, noisy, support=known)
    assert result.report["prior"]["support_strength"] == 1
    # outside, the field is as even as it was said to be
    plain = finished(recipe, noisy)
    assert result["phase"].data[~known].std() < 0.7 * plain["phase"].data[~known].std()


@pytest.mark.parametrize(
    ("shape", "value", "sentence"),
    [((8, 9), 1, "The support has 8×9 pixels"), ((64, 72), 1, "all of the field"), ((64, 72), 0, "or none of it")],
)
def test_a_support_that_is_none_is_refused(
    recipe: LenslessRecipe, noisy: LenslessSample, shape: tuple[int, int], value: int, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        finished(recipe, noisy, support=np.full(shape, value, np.uint8))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({**TV, "solver": "alternating"}, "alternating does not support priors"),
        ({"noise": {"weighting": "robust"}, "solver": "alternating"}, "alternating does not support weights"),
        (
            {**TV, "solver": "pixels", "gradient": {"loss": "intensity"}},
            "priors are balanced against errors of amplitudes",
        ),
        (
            {"noise": {"weighting": "found"}, "solver": "diner", "gradient": {"loss": "intensity"}},
            "noise is estimated from errors of amplitudes",
        ),
    ],
)
def test_what_a_solver_does_not_know_is_refused(recipe: LenslessRecipe, changes: dict, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        recipe.updated(changes)


def test_uncertainty_is_of_the_weights_too(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    asked = {"uncertainty": {"map": True, "samples": 2, "cg_steps": 30}}
    even, weighed = (
        finished(recipe.updated({**asked, "noise": {"weighting": weighting}}), noisy) for weighting in ("even", "found")
    )
    # the best weights leave the least doubt
    assert weighed["uncertainty"].data.mean() < 1.02 * even["uncertainty"].data.mean()


def test_a_support_the_wrong_way_round_is_named(recipe: LenslessRecipe, noisy: LenslessSample) -> None:
    support = np.zeros(noisy.frames.shape[1:], np.uint8)
    support[10:50, 20:70] = 255

    def warnings(image: np.ndarray) -> str:
        return "\n".join(LenslessJob(recipe, LenslessData(noisy.frames, support=image)).all_warnings)

    assert "support" not in warnings(support)
    support[:, 30] = 255  # specimens may lie across the edge
    assert "support" not in warnings(support)
    support[:, 30] = support[:, 29]
    assert "not the reverse" in warnings(255 - support)
