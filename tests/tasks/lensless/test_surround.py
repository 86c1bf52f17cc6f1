"""An unknown surround beyond the sensor: choice and benefit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.optics import Optics
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.memory import plan
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.surround import repeat
from tests.tasks.lensless.reconstruction import finished, start

DISTANCES_UM = (150.0, 190.0, 240.0, 300.0)
INSIDE = np.s_[..., 32:96, 32:96]


@pytest.fixture(scope="module")
def wide() -> LenslessSample:
    """A recording of a specimen of which the sensor sees the middle."""
    settings = LenslessSimulation(height_px=128, width_px=128, distances_um=DISTANCES_UM, noise_sigma=0.003, seed=1)
    return simulate(settings)


@pytest.fixture(scope="module")
def part(wide: LenslessSample) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(wide.frames[INSIDE])


def recipe_of(sample: LenslessSample, **changes: Any) -> LenslessRecipe:
    values = {
        "wavelength_um": sample.wavelength_um,
        "pixel_size_um": sample.pixel_size_um,
        "distances_um": sample.distances_um,
        "intensity_scale": sample.intensity_scale,
        "noise": {"weighting": "even"},
    }
    return LenslessRecipe.parse(values | changes)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("seed", [0, 1])
def test_frames_that_repeat_are_told_from_parts_of_them(noise: float, seed: int) -> None:
    settings = LenslessSimulation(height_px=72, width_px=96, noise_sigma=noise, seed=seed, drift_px=3)
    amplitudes = np.sqrt(simulate(settings).frames / np.float32(65535))
    assert repeat(amplitudes)
    assert not repeat(amplitudes[:, 5:-7])
    assert not repeat(amplitudes[:, :, 3:-9])
    # pixels that do not count tell nothing, and where none are left at the edges nothing repeats
    mask = np.ones(amplitudes.shape, bool)
    spoilt = amplitudes.copy()
    spoilt[:, 0, 10:30], mask[:, 0, 10:30] = 5, False
    assert repeat(spoilt, mask)
    mask[:, 0] = False
    assert not repeat(amplitudes, mask)


def test_it_is_chosen_where_the_frames_do_not_repeat(wide: LenslessSample, part: npt.NDArray[np.uint16]) -> None:
    recipe = recipe_of(wide, solver="alternating", alternating={"iterations": 2})
    found = {name: finished(recipe, frames) for name, frames in (("whole", wide.frames), ("part", part))}
    assert found["whole"].recipe.padding.mode == "none"  # type: ignore[attr-defined]
    assert found["part"].recipe.padding.mode == "unknown"  # type: ignore[attr-defined]
    assert "surround" not in found["whole"].report
    before, pixels = found["part"].report["surround"]["before_px"], found["part"].report["surround"]["object_px"]
    assert pixels[0] >= 64 + 2 * before[0] > 64 + 20
    # what repeats is reconstructed as if nothing had been decided
    plain = finished(recipe.updated({"padding": {"mode": "none"}}), wide.frames)
    assert np.array_equal(plain["phase"].data, found["whole"]["phase"].data)


def test_a_field_that_does_not_repeat_but_is_taken_to_is_warned_of(
    wide: LenslessSample, part: npt.NDArray[np.uint16]
) -> None:
    recipe = recipe_of(wide, padding={"mode": "none"})
    assert any("opposite edge" in warning for warning in LenslessJob(recipe, LenslessData(part)).all_warnings)
    for mode, frames in (("none", wide.frames), ("auto", part), ("reflect", part)):
        assert LenslessJob(recipe.updated({"padding": {"mode": mode}}), LenslessData(frames)).all_warnings == ()


@pytest.mark.parametrize("solver", ["gauss-newton", "alternating", "pixels", "diner"])
@pytest.mark.parametrize("tiles", ["never", "always"])
def test_every_solver_solves_for_it(
    wide: LenslessSample, part: npt.NDArray[np.uint16], solver: str, tiles: str
) -> None:
    mask, support = np.ones((64, 64)), np.ones((64, 64))
    mask[20:24, 30:50], support[:, :8] = 0, 0
    light = np.sqrt(1 + 0.3 * np.sin(np.arange(64) / 10)) * np.ones((64, 1))
    recipe = recipe_of(
        wide,
        solver=solver,
        start="contrast-transfer",
        padding={"mode": "unknown"},
        tiles={"use": tiles, "size_px": 16},
        gauss_newton={"iterations": 3, "warm_up": 10},
        alternating={"iterations": 40},
        gradient={"iterations": 25},
        diner={"lattice_size": 16},
        uncertainty={"map": True, "samples": 2, "cg_steps": 10},
        **({} if solver == "alternating" else {"prior": {"total_variation": "noise"}}),
    )
    data = LenslessData(
        (part * light**2).astype(np.float32) / 65535,
        mask=mask,
        illumination=light,
        support=None if solver == "alternating" else support,
    )
    run = start(recipe, data, Truth(wide.amplitude[INSIDE], wide.phase[INSIDE]), preview_interval_s=0.0)
    with run:
        shapes = {image.data.shape for progress in run for image in progress.preview}
        result = run.result()
    assert shapes == {(64, 64)}
    assert all(image.data.shape[-2:] == (64, 64) and np.isfinite(image.data).all() for image in result.arrays)
    assert result.report["measurement_psnr_db"] > 25


def test_its_width_follows_diffraction_and_displacements() -> None:
    recipe = LenslessRecipe.parse(
        {"wavelength_um": 0.5, "pixel_size_um": 1.0, "distances_um": [200.0, 800.0], "padding": {"mode": "unknown"}}
    )
    width = Setup.of(recipe).padding_px
    assert width == 50  # 2.5 √(0.5 · 800)
    assert Setup.of(recipe.updated({"medium_index": 4.0})).padding_px == 25
    assert Setup.of(recipe.updated({"shifts_um": [(0.0, 0.0), (-7.0, 2.0)]})).padding_px == width + 7
    assert Setup.of(recipe.updated({"padding": {"width_um": 12.5}})).padding_px == 13
    # no wider than light is diffracted at all
    assert (
        Setup.of(recipe.updated({"distances_um": [1.0, 2.0]})).padding_px == Heights(Optics(1.0, 0.5), [2.0]).spread_px
    )


def test_the_plan_of_memory_counts_it(wide: LenslessSample, part: npt.NDArray[np.uint16]) -> None:
    needed = {
        mode: max(plan(recipe_of(wide, padding={"mode": mode}, solver="alternating"), part.shape).parts.values())
        for mode in ("none", "unknown")
    }
    width = Setup.of(recipe_of(wide, padding={"mode": "unknown"})).padding_px
    area = ((64 + 2 * width) / 64) ** 2
    assert 0.6 * area < needed["unknown"] / needed["none"] <= area


def test_calibration_and_super_resolution_go_along(wide: LenslessSample, part: npt.NDArray[np.uint16]) -> None:
    quick = {"padding": {"mode": "unknown"}, "solver": "alternating", "alternating": {"iterations": 5}}
    calibrated = finished(recipe_of(wide, **quick, calibration={"z": True, "rounds": 1}), part)
    assert calibrated["phase"].data.shape == (64, 64)
    finer = finished(recipe_of(wide, **quick, super_resolution=2), part)
    assert finer["phase"].data.shape == (128, 128) and finer["residual"].data.shape == part.shape
