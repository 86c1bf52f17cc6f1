"""Pixel super-resolution: bars finer than the sensor's pixels, from frames displaced against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from napari_diner.errors import InputError
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.sensor import Sensor
from napari_diner.physics.optics import Optics
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless import model as models
from napari_diner.tasks.lensless.data import LenslessData, prepare
from napari_diner.tasks.lensless.memory import plan
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.preview import preview
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import Truth
from tests.tasks.lensless.reconstruction import finished

# pixels of the sensor; the object has twice as many along each axis
SIZE, FRAMES = 32, 12
PIXEL_UM, WAVELENGTH_UM = 2.2, 0.532


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Bars of a period of three fine pixels, one and a half of the sensor: some absorb, some delay."""
    bars = np.arange(2 * SIZE) % 3 == 0
    amplitude, phase = np.ones((2 * SIZE,) * 2), np.zeros((2 * SIZE,) * 2)
    amplitude[8:28, 8:56] = np.where(bars, 0.4, 1.0)[8:56]
    phase[36:56, 8:56] = np.where(bars, 0.8, 0.0)[8:56]
    return Truth(amplitude, phase)


@pytest.fixture(scope="module")
def heights() -> Heights:
    shifts = np.random.default_rng(0).uniform(-2.2, 2.2, (FRAMES, 2))
    distances = tuple(np.linspace(100.0, 250.0, FRAMES).tolist())
    return Heights(Optics(PIXEL_UM / 2, WAVELENGTH_UM), distances, shifts_um=[(dy, dx) for dy, dx in shifts.tolist()])


@pytest.fixture(scope="module")
def frames(truth: Truth, heights: Heights) -> npt.NDArray[np.float32]:
    field = torch.polar(torch.from_numpy(truth.amplitude), torch.from_numpy(truth.phase))
    sensor = MultiHeight((2 * SIZE,) * 2, heights, sensor=Sensor(2), dtype=torch.complex128)
    noise = 0.001 * np.random.default_rng(1).standard_normal((FRAMES, SIZE, SIZE))
    return np.clip(sensor.intensities(field).numpy() + noise, 0, None).astype(np.float32)


def recipe_of(heights: Heights, **changes: Any) -> LenslessRecipe:
    values = {
        "wavelength_um": WAVELENGTH_UM,
        "pixel_size_um": PIXEL_UM,
        "distances_um": heights.distances_um,
        "shifts_um": heights.shifts_um,
        "super_resolution": 2,
        "gauss_newton": {"iterations": 12, "cg_steps": 40},
    }
    return LenslessRecipe.parse(values | changes)


def contrast(image: npt.NDArray[Any], rows: slice) -> float:
    """The strength of a period of three pixels in the middle of the bars."""
    return float(np.abs(np.fft.fft(image[rows, 11:53].mean(0))[14])) / 21


@pytest.mark.parametrize("prior", ["off", "noise"])
def test_bars_finer_than_the_pixels_appear(
    truth: Truth, heights: Heights, frames: npt.NDArray[np.float32], prior: str
) -> None:
    found = finished(recipe_of(heights, prior={"total_variation": prior}), LenslessData(frames))
    amplitude, phase = found["amplitude"], found["phase"]
    assert amplitude.data.shape == (2 * SIZE,) * 2 and amplitude.scale_um == (1.1, 1.1)
    absorbing, delaying = slice(11, 25), slice(39, 53)
    assert contrast(amplitude.data, absorbing) == pytest.approx(contrast(truth.amplitude, absorbing), rel=0.03)
    assert contrast(phase.data, delaying) == pytest.approx(contrast(truth.phase, delaying), rel=0.03)
    assert found["residual"].data.shape == frames.shape and found["residual"].scale_um == (1.0, 2.2, 2.2)
    assert found.report["object_pixel_size_um"] == 1.1
    coarse = finished(recipe_of(heights, super_resolution=1), LenslessData(frames))
    fine = coarse["amplitude"].data.repeat(2, 0).repeat(2, 1)
    assert contrast(fine, absorbing) < 0.3 * contrast(truth.amplitude, absorbing)


@pytest.mark.parametrize("solver", ["alternating", "diner"])
def test_other_solvers_know_the_pixels_too(
    truth: Truth, heights: Heights, frames: npt.NDArray[np.float32], solver: str
) -> None:
    recipe = recipe_of(heights, solver=solver, gradient={"iterations": 5}, alternating={"iterations": 150})
    found = finished(recipe, LenslessData(frames), truth)
    assert found.report["measurement_psnr_db"] > 45
    assert contrast(found["amplitude"].data, slice(11, 25)) > 0.8 * contrast(truth.amplitude, slice(11, 25))


def test_tiles_keep_to_whole_pixels_of_the_sensor() -> None:
    sample = simulate(LenslessSimulation(height_px=64, width_px=48, pixel_size_um=2.2, binning=2))
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um,
            "pixel_size_um": sample.pixel_size_um,
            "distances_um": (30.0, 40.0, 50.0, 60.0, 70.0, 80.0),
            "super_resolution": 2,
            "gauss_newton": {"iterations": 1, "warm_up": 5, "cg_steps": 20},
        }
    )
    whole = finished(recipe.updated({"tiles": {"use": "never"}}), LenslessData(sample.frames))
    tiled = finished(recipe.updated({"tiles": {"use": "always", "size_px": 25}}), LenslessData(sample.frames))
    assert whole.report["loss"] == pytest.approx(tiled.report["loss"], rel=0.01)
    assert np.abs(whole["amplitude"].data - tiled["amplitude"].data).mean() < 0.01


def test_illumination_mask_and_support_are_given_in_the_sensors_pixels(
    truth: Truth, heights: Heights, frames: npt.NDArray[np.float32]
) -> None:
    mask = np.ones((SIZE, SIZE), bool)
    mask[5:9, 20:24] = False
    spoilt = np.where(mask, frames, 5.0).astype(np.float32)
    support = np.zeros((SIZE, SIZE))
    support[3:29, 3:29] = 1
    data = LenslessData(spoilt, illumination=np.ones((SIZE, SIZE)), mask=mask, support=support)
    found = finished(recipe_of(heights, prior={"support_strength": 0.1}), data, truth)
    assert found.report["truth"]["amplitude_psnr_db"] > 25
    with pytest.raises(InputError, match="truth has 32×32 pixels"):
        finished(recipe_of(heights), data, Truth(np.ones((SIZE, SIZE)), np.ones((SIZE, SIZE))))


def test_too_few_frames_are_named(heights: Heights, frames: npt.NDArray[np.float32]) -> None:
    few = recipe_of(heights, distances_um=heights.distances_um[:4], shifts_um=(heights.shifts_um or ())[:4])
    report = finished(few.updated({"max_seconds": 0.5}), LenslessData(frames[:4])).report
    assert any("record at least 8" in warning for warning in report["warnings"])


def test_shifts_are_calibrated_in_the_sensors_pixels() -> None:
    distances = (100.0, 130.0, 160.0, 190.0, 220.0, 250.0)
    optics: dict[str, Any] = {"pixel_size_um": 2.2, "wavelength_um": 0.532, "distances_um": distances}
    sample = simulate(LenslessSimulation(height_px=64, width_px=64, binning=2, drift_px=2, **optics))
    calibration = {"shift": True, "rounds": 8}
    recipe = LenslessRecipe.parse(
        {**optics, "super_resolution": 2, "calibration": calibration, "gauss_newton": {"iterations": 1}}
    )
    found = finished(recipe, LenslessData(sample.frames))
    shifts, total = np.array(sample.shifts_um), np.array(found.report["calibration"]["total_shifts_um"])
    away = (total - total.mean(0)) - (shifts - shifts.mean(0))
    assert np.abs(away).max() < 0.1 * sample.pixel_size_um
    assert found["phase"].data.shape == (128, 128)


@pytest.mark.parametrize("pixel_size_um", [PIXEL_UM, None])
def test_prepared_frames_are_shown_in_the_sensors_pixels(
    heights: Heights, frames: npt.NDArray[np.float32], pixel_size_um: float | None
) -> None:
    (prepared,) = preview(recipe_of(heights, pixel_size_um=pixel_size_um), LenslessData(frames))
    assert prepared.data.shape == frames.shape
    assert prepared.scale_um[1:] == pytest.approx((pixel_size_um or 1.0,) * 2)


def test_a_card_too_small_for_one_piece_gets_tiles(
    heights: Heights, frames: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(heights)
    needed = plan(recipe, frames.shape, pixel_size_um=PIXEL_UM).work
    asked: list[str] = []
    # nothing is computed on a card: which model would be is all that counts
    monkeypatch.setattr(models, "TiledMultiHeight", lambda *_, **__: asked.append("tiles"))
    monkeypatch.setattr(models, "MultiHeight", lambda *_, **__: asked.append("one piece"))
    monkeypatch.setattr(models, "problem_of", lambda *_: None)
    card, prepared = ModelBuilder(None, torch.device("meta"), needed), prepare(recipe, LenslessData(frames))
    for free in (needed, needed - 1):
        monkeypatch.setattr(models, "available_memory", lambda device, free=free: free)
        card.problem(Setup.of(recipe), prepared)
    assert asked == ["one piece", "tiles"]


def test_a_simulated_recording_comes_with_its_pixels_and_drift() -> None:
    plain = {"height_px": 32, "width_px": 40, "pixel_size_um": 2.2}
    sample = simulate(LenslessSimulation(**plain, binning=2, drift_px=1.5))
    assert sample.frames.shape == (6, 32, 40) and sample.phase.shape == (64, 80)
    shifts = np.array(sample.shifts_um)
    assert 0 < np.abs(shifts).max() <= 1.5 * 2.2 and sample.binning == 2
    still = simulate(LenslessSimulation(**plain))
    assert not np.any(still.shifts_um) and still.binning == 1
