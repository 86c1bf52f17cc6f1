"""Self-calibration of distances, shifts, gains and tilt, and its report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom

from napari_diner.errors import RecipeError
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.solvers.calibration.frame_geometry import trend
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from tests.tasks.lensless.reconstruction import finished, start

SIZE, PIXEL_UM, WAVELENGTH_UM = 96, 1.12, 0.532
DISTANCES_UM = np.array([80.0, 115.0, 155.0, 205.0, 260.0])
QUICK = {"gauss_newton": {"iterations": 1}}


def record(shifts_um: Any = None, gains: Any = None, noise: float = 0.0) -> np.ndarray:
    """Intensities, float32, (N, Y, X), of a specimen with edges."""
    specimen = simulate(LenslessSimulation(height_px=SIZE, width_px=SIZE, distances_um=(80.0,)))
    shifts = np.zeros((5, 2)) if shifts_um is None else np.asarray(shifts_um)
    model = MultiHeight(
        (SIZE, SIZE),
        Heights(
            Optics(PIXEL_UM, WAVELENGTH_UM),
            DISTANCES_UM.tolist(),
            shifts_um=[(dy, dx) for dy, dx in shifts.tolist()],
            gains=gains,
        ),
        dtype=torch.complex128,
    )
    field = torch.polar(torch.from_numpy(specimen.amplitude).double(), torch.from_numpy(specimen.phase).double())
    frames = model.intensities(field).numpy()
    noisy: np.ndarray = frames + noise * np.random.default_rng(0).standard_normal(frames.shape)
    return noisy.astype(np.float32)


def recipe_of(distances_um: Any = DISTANCES_UM, **values: Any) -> LenslessRecipe:
    return LenslessRecipe.parse(
        {
            "wavelength_um": WAVELENGTH_UM,
            "pixel_size_um": PIXEL_UM,
            "distances_um": tuple(np.asarray(distances_um).tolist()),
            **values,
        }
    )


def test_wrong_distances_and_drifted_frames_are_found() -> None:
    random = np.random.default_rng(1)
    shifts = PIXEL_UM * random.uniform(-3, 3, (5, 2))
    wrong = DISTANCES_UM * (1 + random.uniform(-0.03, 0.03, 5))
    recipe = recipe_of(wrong, calibration={"z": True, "shift": True}, **QUICK)
    report = finished(recipe, record(shifts)).report
    found = report["calibration"]
    away = np.array(found["distances_um"]) - DISTANCES_UM
    # between the frames; which plane all of them are seen from, only the sample's look tells
    assert abs(away - away.mean()).max() < 1e-3 * DISTANCES_UM.min()
    depth_of_field_um = 4 * PIXEL_UM**2 / WAVELENGTH_UM
    assert abs(away.mean()) < 0.1 * depth_of_field_um
    line = trend(DISTANCES_UM, shifts)
    assert np.abs(np.array(found["shifts_um"]) - line.rest_um).max() < 0.05 * PIXEL_UM
    np.testing.assert_allclose(found["tilt"], line.tilt, atol=2e-4)
    rest = np.array(found["shifts_um"])
    assert np.abs(rest.sum(0)).max() < 1e-9 and np.abs(found["distances_um"] @ rest).max() < 1e-6
    assert report["measurement_psnr_db"] > 50
    assert report["stages"][0]["name"] == "calibration"
    assert "shifts" in found["summary"] and "\n" not in found["summary"]


def test_what_is_not_asked_for_stays_as_assumed_and_certain() -> None:
    shifts = ((0.1, 0.0), (0.0, 0.2), (-0.3, 0.0), (0.0, 0.0), (0.1, -0.1))
    recipe = recipe_of(1.01 * DISTANCES_UM, shifts_um=shifts, calibration={"z": True}, **QUICK)
    found = finished(recipe, record(shifts)).report["calibration"]
    np.testing.assert_allclose(found["total_shifts_um"], shifts, atol=1e-12)
    assert not np.any(found["shifts_um_se"]) and not np.any(found["gains_se"])
    assert found["gains"] == [1.0] * 5
    assert all(error > 0 for error in found["distances_um_se"])
    np.testing.assert_allclose(found["moved_um"], np.array(found["distances_um"]) - 1.01 * DISTANCES_UM)


def test_gains_and_a_tilt_that_is_no_whole_number_of_turns_are_found() -> None:
    gains = [1.1, 0.95, 1.0, 0.9, 1.06]
    tilt = np.array([0.4, -0.3]) * WAVELENGTH_UM / (SIZE * PIXEL_UM)
    recipe = recipe_of(calibration={"gain": True, "tilt": True}, **QUICK)
    found = finished(recipe, record(np.outer(DISTANCES_UM, tilt), gains)).report["calibration"]
    relative = np.array(found["gains"]) / gains
    np.testing.assert_allclose(relative / relative.mean(), 1, atol=2e-3)
    np.testing.assert_allclose(found["tilt"], tilt, rtol=0.05)
    np.testing.assert_allclose(found["shifts_um"], 0, atol=1e-9)
    assert found["distances_um"] == DISTANCES_UM.tolist() and found["distances_um_se"] == [0.0] * 5


def test_errors_grow_with_the_noise_and_cover_the_truth() -> None:
    calm, noisy = (
        finished(recipe_of(1.005 * DISTANCES_UM, calibration={"z": True}, **QUICK), record(noise=noise)).report[
            "calibration"
        ]
        for noise in (0.005, 0.02)
    )
    assert noisy["noise"] > 2.5 * calm["noise"]
    for found in (calm, noisy):
        away = np.abs(np.array(found["distances_um"]) - DISTANCES_UM)
        assert (away < 3 * np.array(found["distances_um_se"])).all()


def test_frames_are_compared_only_up_to_the_detail_that_they_hold() -> None:
    # as real recordings are: a part of a wider field, pixels that were interpolated, and the noise of the sensor
    distances = np.array([200.0, 230.0, 262.0, 290.0, 325.0, 350.0])
    specimen = simulate(LenslessSimulation(height_px=256, width_px=256, distances_um=(80.0,), seed=5))
    model = MultiHeight(
        (256, 256), Heights(Optics(PIXEL_UM, WAVELENGTH_UM), distances.tolist()), dtype=torch.complex128
    )
    field = torch.polar(torch.from_numpy(specimen.amplitude).double(), torch.from_numpy(specimen.phase).double())
    coarse = model.intensities(field).numpy()[:, 64:-64, 64:-64].reshape(6, 64, 2, 64, 2).mean((2, 4))
    coarse += 0.01 * np.random.default_rng(5).standard_normal(coarse.shape)
    frames = zoom(coarse, (1, 2, 2), order=3, mode="nearest", grid_mode=True).clip(0).astype(np.float32)
    recipe = recipe_of(
        distances * (1 + np.array([0.02, -0.01, 0.0, 0.01, -0.02, 0.0])),
        calibration={"z": True, "shift": True, "rounds": 8},
        padding={"mode": "reflect", "width_um": 40},
        solver="alternating",
        alternating={"iterations": 1},
    )
    found = finished(recipe, frames).report["calibration"]
    assert 2 * PIXEL_UM < found["finest_um"] < 8 * PIXEL_UM
    away, depth_of_field_um = np.array(found["distances_um"]) - distances, 4 * PIXEL_UM**2 / WAVELENGTH_UM
    assert (abs(away) < 3 * np.array(found["distances_um_se"])).all()
    assert abs(away).max() < 0.25 * depth_of_field_um
    # without, detail that no frame holds decides, and the plane is not seen at all
    assert found["common_distance_um_se"] < 0.1 * depth_of_field_um


def test_a_continued_field_is_begun_anew_once_its_geometry_is_found() -> None:
    values = {"solver": "alternating", "alternating": {"iterations": 5, "tolerance": 0}, "padding": {"mode": "reflect"}}
    calibrated = finished(recipe_of(1.01 * DISTANCES_UM, calibration={"z": True, "rounds": 2}, **values), record())
    anew = recipe_of(calibrated.report["calibration"]["distances_um"], **values)
    expected = finished(anew, record()).report["measurement_psnr_db"]
    assert calibrated.report["measurement_psnr_db"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("solver", ["alternating", "diner", "pixels"])
def test_every_solver_goes_on_with_what_was_found(solver: str) -> None:
    values = {
        "solver": solver,
        "alternating": {"iterations": 5},
        "gradient": {"iterations": 5},
        "diner": {"lattice_size": 32},
    }
    recipe = recipe_of(1.01 * DISTANCES_UM, calibration={"z": True, "rounds": 4}, **values, **QUICK)
    result = finished(recipe, record())
    assert result.report["stages"][-1]["name"] == solver
    # with distances wrong by 1 % it would stay below 40 dB
    assert result.report["measurement_psnr_db"] > 45
    assert result.recipe.distances_um == recipe.distances_um  # type: ignore[attr-defined]


def test_a_wide_field_is_calibrated_by_its_middle() -> None:
    settings = {"z": True, "field_px": 64, "rounds": 3}
    recipe = recipe_of(1.01 * DISTANCES_UM, calibration=settings, **QUICK)
    result = finished(recipe, record())
    assert result["phase"].data.shape == (SIZE, SIZE)
    assert any("middle 64 pixels" in warning for warning in result.report["warnings"])


def test_a_calibration_that_is_cut_short_still_gives_a_result() -> None:
    recipe = recipe_of(1.01 * DISTANCES_UM, calibration={"z": True, "shift": True}, **QUICK)
    with start(recipe, record()) as run:
        for number, _ in enumerate(run):
            if number == 80:
                break
        result = run.result()
    assert result.partial
    assert len(result.report["calibration"]["distances_um"]) == 5
    # it takes seconds to find the plane of the object
    assert "common_distance_um" not in result.report["calibration"]
    assert np.isfinite(result["phase"].data).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_too_few_heights_are_refused(frames: int) -> None:
    recipe = recipe_of(DISTANCES_UM[:frames], calibration={"z": True, "gain": True})
    with pytest.raises(RecipeError, match="record at least 3"):
        start(recipe, record()[:frames])


def test_a_tilt_of_frames_at_one_distance_is_refused() -> None:
    recipe = recipe_of([100.0] * 5, calibration={"tilt": True})
    with pytest.raises(RecipeError, match="calibrate the shift instead"):
        start(recipe, record())
