"""Calibration of directions and gains by a recipe: effects and report."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.geometry_preview import check_geometry, circles, spectra
from napari_diner.tasks.idt.optics import within_aperture
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.result import Progress, Result
from tests.tasks.idt.small_recordings import SETTINGS, Recording, reconstructed, started

TRUE = ring(0.637, 12).apertures
# each about 2° off, and within the objective's aperture
WRONG = 0.97 * TRUE + 0.03 * np.roll(TRUE, 5, 0) * np.tile([[1.0], [-1.0], [0.5]], (4, 1))


def calibrated(recording: Recording, frames: Any = None, **calibration: Any) -> tuple[Result, list[Progress]]:
    settings = {key: value for key, value in SETTINGS.items() if key != "ring"}
    recipe = IdtRecipe.parse(
        {
            **settings, "illuminations": WRONG.tolist(), "solver": "tikhonov", "regularization": {"tikhonov": 10.0},
            "calibration": calibration,
        }
    )  # fmt: skip
    data = recording.frames if frames is None else frames
    with started(recipe, data, recording.truth) as work:
        progress = list(work)
        return work.result(), progress


def off(apertures: npt.ArrayLike) -> float:
    return float(np.linalg.norm(np.asarray(apertures) - TRUE, axis=1).mean())


@pytest.fixture(scope="module")
def refined(recording: Recording) -> tuple[Result, list[Progress]]:
    """The wrong directions refined."""
    return calibrated(recording, illuminations="refine", search_na=0.04, iterations=8)


def test_refined_directions_give_a_better_volume(recording: Recording, refined: tuple[Result, list[Progress]]) -> None:
    before, _ = calibrated(recording)
    after, progress = refined
    report = after.report["calibration"]
    # frames as small as these tell no more
    assert off(report["illuminations_na"]) < 0.65 * off(WRONG)
    for key in ("n_re_correlation", "n_re_psnr_db"):
        assert after.report["truth"][key] > before.report["truth"][key]
    assert after.report["residual_rms"] < before.report["residual_rms"]
    assert "calibration" not in before.report
    # the user sees what is going on
    assert list(dict.fromkeys(one.stage for one in progress)) == ["circles", "refinement", "closed form"]


def test_a_refinement_says_that_aberrations_are_left(refined: tuple[Result, list[Progress]]) -> None:
    assert not [text for text in refined[0].report["warnings"] if "refined directions" in text]
    sample = nd.sample("idt", height_px=48, width_px=48, slices=8, frames=12, zernike_rad=(0.0, 0.3, 0.2, -0.25))
    recipe = sample.recipe.updated(
        {
            "calibration": {"illuminations": "refine", "iterations": 2},
            "solver": "tikhonov",
            "regularization": {"tikhonov": 10.0},
        }
    )
    (text,) = [text for text in reconstructed(recipe, sample.data.data).report["warnings"] if "refined dir" in text]
    assert "aberrations of the objective of about 0." in text and "calibration.pupil" in text


def test_the_report_says_how_far_each_direction_moved(refined: tuple[Result, list[Progress]]) -> None:
    report = refined[0].report["calibration"]
    moved = np.asarray(report["illuminations_na"]) - np.asarray(report["illuminations_na_given"])
    np.testing.assert_allclose(report["shifts_na"], moved)
    assert report["rms_shift_na"] == pytest.approx(np.sqrt((moved**2).sum(1).mean()))
    rays = [
        np.column_stack([one, np.sqrt(1 - (np.asarray(one) ** 2).sum(1))])
        for one in (report["illuminations_na"], report["illuminations_na_given"])
    ]
    np.testing.assert_allclose(report["shift_deg"], np.rad2deg(np.arccos((rays[0] * rays[1]).sum(1))), atol=1e-5)


def test_gains_are_found_and_taken_off(recording: Recording) -> None:
    gains = np.geomspace(0.95, 1.05, 12)
    gains /= np.exp(np.log(gains).mean())
    brighter = ((1 + recording.frames) * gains[:, None, None] - 1).astype(np.float32)
    settings: dict[str, Any] = {"solver": "tikhonov", "regularization": {"tikhonov": 10.0}}
    recipe = recording.recipe.updated({**settings, "calibration": {"gain": True}})
    found = reconstructed(recipe, brighter, recording.truth)
    right = reconstructed(recording.recipe.updated(settings), recording.frames, recording.truth)
    np.testing.assert_allclose(found.report["calibration"]["gains"], gains, rtol=0.01)
    assert found.report["truth"]["n_re_rmse"] == pytest.approx(right.report["truth"]["n_re_rmse"], rel=0.05)
    # they were not asked for
    np.testing.assert_array_equal(found.report["calibration"]["shifts_na"], 0)


def test_directions_just_outside_start_at_the_edge_of_the_aperture() -> None:
    outside = Illumination.of((1.03 * TRUE).tolist())
    recipe = IdtRecipe.parse({**SETTINGS, "calibration": {"illuminations": "refine", "search_na": 0.02}})
    start, said = within_aperture(recipe, outside)
    np.testing.assert_allclose(np.hypot(*start.apertures.T), 0.65)
    assert said == ["12 of the nominal directions are outside the objective's NA; the calibration starts at its edge"]
    # those too far off are not made up for, nor is anything when directions are to stay
    for calibration in ({"illuminations": "refine", "search_na": 0.001}, {"illuminations": "given"}):
        same, said = within_aperture(IdtRecipe.parse({**SETTINGS, "calibration": calibration}), outside)
        np.testing.assert_array_equal(same.apertures, outside.apertures)
        assert not said


def test_circles_are_not_looked_for_in_frames_with_several_sources(recording: Recording) -> None:
    pairs = [[a, b] for a, b in zip(TRUE.tolist(), np.roll(TRUE, 6, 0).tolist(), strict=True)]
    settings = {key: value for key, value in SETTINGS.items() if key != "ring"}
    recipe = IdtRecipe.parse({**settings, "illuminations": pairs, "calibration": {"illuminations": "circles"}})
    with pytest.raises(RecipeError, match="one source each; set"):
        started(recipe, recording.frames)


def test_the_previewed_circles_hold_what_is_bright_in_the_spectra(recording: Recording) -> None:
    logs = spectra(recording.frames, 0.1625)
    rings = circles(ring(0.637, 12), 0.515, 0.65)
    assert logs.data.shape == recording.frames.shape
    rows, columns = np.indices(logs.data.shape[1:])
    at = np.stack([(rows - 24) * logs.scale_um[1], (columns - 24) * logs.scale_um[2]], -1)
    for frame, log in zip(rings.frames, logs.data, strict=True):
        away = np.linalg.norm(at[:, :, None] - rings.centres[frame], axis=-1).min(-1)
        inside, outside = away < rings.radius - 0.2, away > rings.radius + 0.2
        assert log[inside].mean() > log[outside].mean() + 0.3
        # where both discs overlap is the strongest of all, next to frequency zero
        assert away.flat[log.argmax()] < rings.radius + 0.2
    np.testing.assert_allclose(
        np.linalg.norm(rings.outlines() - rings.centres[:, :, None], axis=-1), 0.65 / 0.515, rtol=1e-9
    )


def test_geometry_is_checked_without_a_run(recording: Recording) -> None:
    data = IdtData(recording.frames, pixel_size_um=0.1625)
    # the pixel size comes from the data, and transfer functions are not needed
    recipe = IdtRecipe.parse({**SETTINGS, "pixel_size_um": None, "transfer_functions": "a.mat"})
    check = check_geometry(recipe, data)
    np.testing.assert_array_equal(check.spectra.data, spectra(recording.frames, 0.1625).data)
    np.testing.assert_array_equal(check.circles.centres, circles(ring(0.637, 12), 0.515, 0.65).centres)
    assert check.warnings == ()
    inner = check_geometry(recipe.updated({"ring": {"na": 0.3}}), data)
    assert any("hardly visible" in warning for warning in inner.warnings)
    # light that does not pass is left to the circles
    assert check_geometry(recipe.updated({"ring": {"na": 0.9}}), data).warnings == ()
    with pytest.raises(RecipeError, match="12 frames; give one for each"):
        check_geometry(recipe.updated({"ring": {"na": None}, "illuminations": [[0.1, 0.2]]}), data)
