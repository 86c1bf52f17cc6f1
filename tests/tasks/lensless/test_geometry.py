"""Cropped and upsampled frames, and point sources: the geometry of prepared frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_diner.errors import InputError, RecipeError
from napari_diner.preprocess.steps import References
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData, prepare
from napari_diner.tasks.lensless.memory import plan
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup, magnifications
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.result import Result
from tests.tasks.lensless.reconstruction import finished, start

QUICK = {"gauss_newton": {"warm_up": 5, "iterations": 8, "cg_steps": 30}}


def run(recipe: LenslessRecipe, data: LenslessData, truth: Truth | None = None) -> Result:
    return finished(recipe.updated(QUICK), data, truth)


def test_parallel_light_and_unchanged_frames_are_what_the_recipe_says(recipe: LenslessRecipe) -> None:
    setup = Setup.of(recipe)
    assert setup.optics == setup.frame_optics == recipe.optics
    assert setup.heights.distances_um == recipe.distances_um
    assert setup.heights.shifts_um is None


def test_pixels_and_distances_of_a_point_source() -> None:
    recipe = LenslessRecipe.parse(
        {
            "pixel_size_um": 2.0, "wavelength_um": 0.5, "distances_um": [500, 1000], "source_distance_um": 1000,
            "shifts_um": [[3, 0], [0, 4]], "preprocess": {"upsample": 2},
        }
    )  # fmt: skip
    assert magnifications(recipe) == (1.5, 2.0)
    setup = Setup.of(recipe)
    assert setup.pixel_size_um == 0.5  # the finest frame's, 2 µm / 2 / 2
    assert setup.heights.distances_um == pytest.approx((500 / 1.5, 500))
    assert setup.heights.shifts_um == ((2, 0), (0, 2))


def test_a_source_behind_the_sample() -> None:
    with pytest.raises(RecipeError, match="must be in front of the sample"):
        LenslessRecipe.parse({"distances_um": [600], "source_distance_um": 500, "source_distance_to": "sensor"})


@pytest.fixture(scope="module")
def smooth() -> LenslessSample:
    """A specimen whose frames vary slowly from pixel to pixel, so that they can be resampled."""
    return simulate(
        LenslessSimulation(
            height_px=96, width_px=96, pixel_size_um=1.0, wavelength_um=0.5, distances_um=(400.0, 500.0), noise_sigma=0
        )
    )


@pytest.mark.parametrize("to", ["sample", "sensor"])
def test_frames_from_a_point_source_are_those_of_parallel_light(smooth: LenslessSample, to: str) -> None:
    """Frames enlarged and dimmed as a point source does are brought back to one scale, pixel and brightness."""
    source = 1000.0
    sample_um = [source, source] if to == "sample" else [source - 500, source - 500]
    # the real distances that belong to the effective ones of the simulation
    z1 = np.array(sample_um)
    real = (
        np.array(smooth.distances_um) * z1 / (z1 - np.array(smooth.distances_um))
        if to == "sample"
        else np.array([(source - np.sqrt(source**2 - 4 * source * z)) / 2 for z in (150.0, 240.0)])
    )
    recipe = LenslessRecipe.parse(
        {
            "pixel_size_um": 1.0, "wavelength_um": 0.5, "distances_um": real.tolist(), "source_distance_um": source,
            "source_distance_to": to,
        }
    )  # fmt: skip
    m = np.array(magnifications(recipe))
    expected = (150.0, 240.0) if to == "sensor" else smooth.distances_um
    assert Setup.of(recipe).heights.distances_um == pytest.approx(expected)
    plane = ndimage.gaussian_filter(smooth.frames / 65535, (0, 3, 3))
    # as in the sensor's pixels: larger by M than in those of the finest frame
    centre = (96 - 1) / 2
    recorded = np.stack(
        [
            ndimage.affine_transform(image, [m.max() / size] * 2, [centre * (1 - m.max() / size)] * 2, order=5)
            for image, size in zip(plane, m, strict=True)
        ]
    )
    if to == "sample":
        recorded *= (m.max() / m[:, None, None]) ** 2
    prepared = prepare(recipe, LenslessData(recorded))
    inner = slice(24, 72)
    np.testing.assert_allclose(prepared.intensities[:, inner, inner], plane[:, inner, inner], atol=0.004 * plane.max())


def test_an_upsampled_crop_is_reconstructed_on_its_own_grid(values: dict[str, Any], sample: LenslessSample) -> None:
    recipe = LenslessRecipe.parse({**values, "preprocess": {"crop_px": [8, 4, 40, 48], "upsample": 2}})
    illumination = np.full(sample.frames.shape[1:], 0.7)
    truth = Truth(np.ones((80, 96)), np.zeros((80, 96)))
    result = run(recipe, LenslessData(sample.frames, illumination=illumination), truth)
    assert result["phase"].data.shape == (80, 96)
    assert result["phase"].scale_um == (sample.pixel_size_um / 2,) * 2
    assert result["residual"].data.shape == (4, 80, 96)
    assert result.report["object_pixel_size_um"] == sample.pixel_size_um / 2
    # what is stored repeats the run: the recipe is the user's
    assert result.recipe.preprocess.upsample == 2 and result.recipe.pixel_size_um == sample.pixel_size_um  # type: ignore[attr-defined]
    coarse = recipe.updated({"preprocess": {"upsample": 1}})
    assert plan(recipe, (4, 64, 72)).work > plan(coarse, (4, 64, 72)).work


def test_uneven_light_and_bad_pixels_are_dealt_with(
    values: dict[str, Any], sample: LenslessSample, truth: Truth
) -> None:
    light = 1.2 - 0.6 * np.linspace(0, 1, 72)
    recorded = sample.frames / 65535 * light
    recorded[:, 20:22, 30] = 40.0 + np.arange(2 * len(recorded)).reshape(-1, 2)
    changes = {"preprocess": {"empty": "unused", "saturation": 30.0}}
    references = References(empty=np.broadcast_to(light, (64, 72)).copy())
    corrected = run(
        LenslessRecipe.parse({**values, **changes}), LenslessData(recorded, references=references), truth
    ).report
    uncorrected = run(LenslessRecipe.parse(values), LenslessData(recorded), truth).report
    assert corrected["truth"]["phase_psnr_db"] > 50
    assert corrected["truth"]["phase_psnr_db"] > uncorrected["truth"]["phase_psnr_db"] + 20
    assert any("hot and is ignored" in text for text in corrected["warnings"])


def test_a_truth_must_have_the_shape_of_the_crop(values: dict[str, Any], sample: LenslessSample, truth: Truth) -> None:
    recipe = LenslessRecipe.parse({**values, "preprocess": {"crop_px": [0, 0, 32, 32]}})
    with pytest.raises(InputError, match="frames have 32×32"):
        start(recipe, LenslessData(sample.frames), truth)


def test_further_phase_images_join_the_result(values: dict[str, Any], sample: LenslessSample) -> None:
    recipe = LenslessRecipe.parse({**values, "phase_output": {"remove": "plane", "optical_path": True}})
    result = run(recipe, LenslessData(sample.frames))
    assert [array.name for array in result.arrays] == [
        "amplitude", "phase", "residual", "unwrapped_phase", "optical_path_um",
    ]  # fmt: skip
    assert result["optical_path_um"].unit == "µm"
