"""Displaced, rotated and magnified frames are registered before the reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_diner.errors import RecipeError
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.point_source import magnification
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.similarity import Similarity
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.preview import preview
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.stages import LenslessStages
from napari_diner.tasks.lensless.state import LenslessState
from napari_diner.tasks.lensless.truth import Truth
from tests.tasks.lensless.reconstruction import finished, start

LARGE, SIZE, PIXEL_UM, WAVELENGTH_UM = 224, 160, 1.12, 0.532
DISTANCES_UM = (200.0, 250.0, 300.0, 350.0)
# the third of four is the middle one
SHIFTS_PX = np.array([[6.3, -9.4], [-3.8, 2.1], [0.0, 0.0], [4.7, 8.2]])
TURNS_DEG, SCALES = np.array([1.6, -0.7, 0.0, -1.9]), np.array([1.024, 0.988, 1.0, 0.973])
QUICK: dict[str, Any] = {"solver": "alternating", "alternating": {"iterations": 60}, "start": "contrast-transfer"}
CUT = slice((LARGE - SIZE) // 2, (LARGE + SIZE) // 2)


@pytest.fixture(scope="module")
def specimen() -> Truth:
    sample = simulate(LenslessSimulation(height_px=LARGE, width_px=LARGE, distances_um=DISTANCES_UM))
    return Truth(sample.amplitude, sample.phase)


def recorded(
    specimen: Truth,
    places: list[Similarity] | None = None,
    distances_um: tuple[float, ...] = DISTANCES_UM,
    noise: float = 0.01,
) -> np.ndarray:
    """Intensities, float32, (N, Y, X), of the middle of a specimen as it lies before each frame."""
    model = MultiHeight((LARGE, LARGE), Heights(Optics(PIXEL_UM, WAVELENGTH_UM), distances_um), dtype=torch.complex128)
    field = torch.polar(torch.from_numpy(specimen.amplitude).double(), torch.from_numpy(specimen.phase).double())
    patterns = model.intensities(field).numpy()
    centre = np.full(2, (SIZE - 1) / 2)
    frames = []
    for pattern, place in zip(patterns, places or [Similarity()] * len(patterns), strict=True):
        back = np.linalg.inv(place.matrix)
        offset = (LARGE - 1) / 2 - place.shift_px - back @ centre
        frames.append(ndimage.affine_transform(pattern, back, offset, output_shape=(SIZE, SIZE), order=5))
    noisy = np.stack(frames) + noise * np.random.default_rng(3).standard_normal((len(frames), SIZE, SIZE))
    return np.clip(noisy, 0, None).astype(np.float32)


def recipe_of(registration: str, **values: Any) -> LenslessRecipe:
    known = {"wavelength_um": WAVELENGTH_UM, "pixel_size_um": PIXEL_UM, "distances_um": DISTANCES_UM}
    return LenslessRecipe.parse({**known, "registration": registration, **QUICK, **values})


def displaced() -> list[Similarity]:
    return [Similarity(*shift) for shift in SHIFTS_PX.tolist()]


def turned() -> list[Similarity]:
    return [Similarity(*shift, turn, scale) for shift, turn, scale in zip(SHIFTS_PX, TURNS_DEG, SCALES, strict=True)]


def test_shifts_are_found_and_the_frames_stay_as_they_are(specimen: Truth) -> None:
    frames = recorded(specimen, displaced())
    report = finished(recipe_of("shift"), frames, compares_settings=True).report
    found = report["registration"]
    np.testing.assert_allclose(found["shifts_um"], PIXEL_UM * (SHIFTS_PX - SHIFTS_PX.mean(0)), atol=0.1 * PIXEL_UM)
    assert found["rotation_deg"] == [0, 0, 0, 0] and found["scale"] == [1, 1, 1, 1]
    assert min(found["correlation"]) > 0.95 and not report["warnings"]
    assert report["stages"][0]["name"] == "registration"
    prepared, *others = preview(recipe_of("shift"), LenslessData(frames))
    np.testing.assert_allclose(prepared.data, frames, rtol=1e-5)
    assert not others


def test_turns_and_magnifications_are_found_and_the_reconstruction_gains(specimen: Truth) -> None:
    frames = recorded(specimen, turned())
    seen = Truth(specimen.amplitude[CUT, CUT], specimen.phase[CUT, CUT])
    plain = finished(recipe_of("off"), frames, seen).report
    result = finished(recipe_of("similarity"), frames, seen)
    found = result.report["registration"]
    np.testing.assert_allclose(found["rotation_deg"], TURNS_DEG, atol=0.05)
    np.testing.assert_allclose(found["scale"], SCALES, rtol=1e-3)
    np.testing.assert_allclose(found["shifts_um"], PIXEL_UM * (SHIFTS_PX - SHIFTS_PX.mean(0)), atol=0.2 * PIXEL_UM)
    assert "turned by up to 1.9" in found["summary"]
    assert result.report["measurement_psnr_db"] > plain["measurement_psnr_db"] + 5
    for band in ("amplitude_psnr_db", "phase_psnr_db"):
        assert result.report["truth"][band] > plain["truth"][band] + 1
    # pixels beyond the edge of a frame count for nothing
    residual = result["residual"].data
    assert not residual[0, :2, -20:].any() and residual[2, :2, -20:].all()


def test_identity_in_identity_out(specimen: Truth) -> None:
    frames = recorded(specimen)
    found = finished(recipe_of("similarity"), frames).report["registration"]
    np.testing.assert_allclose(found["shifts_um"], 0, atol=0.1)
    assert found["rotation_deg"] == [0, 0, 0, 0] and found["scale"] == [1, 1, 1, 1]


def test_what_is_found_adds_to_the_shifts_given(specimen: Truth) -> None:
    given = PIXEL_UM * (np.round(SHIFTS_PX) + np.array([5, -7]))
    recipe = recipe_of("shift", shifts_um=tuple(map(tuple, given.tolist())))
    found = finished(recipe, recorded(specimen, displaced())).report["registration"]
    assert np.abs(found["shifts_um"]).max() < PIXEL_UM
    total = np.array(found["total_shifts_um"])
    np.testing.assert_allclose(total.mean(0), given.mean(0), atol=1e-9)
    away = total / PIXEL_UM - SHIFTS_PX
    np.testing.assert_allclose(away - away.mean(0), 0, atol=0.1)


def test_calibration_starts_from_what_was_registered(specimen: Truth) -> None:
    frames = recorded(specimen, displaced(), noise=0.0)
    calibration = {"shift": True, "rounds": 2, "cg_steps": 10, "shift_range_px": 0.5}
    report = finished(recipe_of("shift", calibration=calibration), frames).report
    assert [stage["name"] for stage in report["stages"][:2]] == ["registration", "calibration"]
    # without a start it could not go farther than half a pixel
    total = np.array(report["calibration"]["total_shifts_um"])
    np.testing.assert_allclose(total - total.mean(0), PIXEL_UM * (SHIFTS_PX - SHIFTS_PX.mean(0)), atol=0.6 * PIXEL_UM)


def test_a_point_source_that_is_farther_than_thought(specimen: Truth) -> None:
    source_um, thought_um = 9000.0, 9900.0
    real_um = np.array([magnification(source_um, z) for z in DISTANCES_UM])
    effective_um = tuple((np.array(DISTANCES_UM) / real_um).tolist())
    # the pixels of the frame with the largest magnification, which is the last one
    places = [Similarity(scale=scale) for scale in real_um / real_um[-1]]
    patterns = recorded(specimen, places, effective_um, noise=0.0) / real_um[:, None, None] ** 2
    recipe = recipe_of("similarity", source_distance_um=thought_um, pixel_size_um=PIXEL_UM * real_um[-1])
    report = finished(recipe, patterns.astype(np.float32)).report
    thought = np.array([magnification(thought_um, z) for z in DISTANCES_UM])
    expected = real_um / thought
    found = np.array(report["registration"]["scale"])
    np.testing.assert_allclose(found, expected / expected[2], rtol=1.5e-3)
    np.testing.assert_allclose(report["effective_distances_um"], DISTANCES_UM / thought / found, rtol=1e-12)


def test_a_frame_with_nothing_in_common_is_named_and_left_alone(specimen: Truth) -> None:
    frames = recorded(specimen, displaced())
    frames[1] = 1 + 0.2 * np.random.default_rng(0).standard_normal(frames[1].shape)
    report = finished(recipe_of("similarity"), np.clip(frames, 0, None)).report
    found = report["registration"]
    assert any("frame 2 has too little in common with frame 3" in text for text in report["warnings"])
    assert found["rotation_deg"][1] == 0 and found["scale"][1] == 1
    away = np.array(found["shifts_um"]) / PIXEL_UM
    np.testing.assert_allclose((away - away[2])[[0, 3]], SHIFTS_PX[[0, 3]], atol=0.2)


def test_a_flat_frame_is_named(specimen: Truth) -> None:
    frames = recorded(specimen, displaced())
    frames[0] = 1 + 1e-3 * np.random.default_rng(0).normal(size=frames[0].shape)
    report = finished(recipe_of("shift"), frames).report
    assert any("frame 1 has too little in common" in text for text in report["warnings"])
    assert np.isfinite(report["registration"]["shifts_um"]).all()


def test_two_frames_are_registered_more_roughly(specimen: Truth) -> None:
    frames = recorded(specimen, turned())[:2]
    report = finished(recipe_of("shift", distances_um=DISTANCES_UM[:2]), recorded(specimen, displaced())[:2]).report
    shifts = np.array(report["registration"]["shifts_um"]) / PIXEL_UM
    np.testing.assert_allclose(shifts[1] - shifts[0], SHIFTS_PX[1] - SHIFTS_PX[0], atol=0.5)
    assert report["registration"]["rounds"] == 0
    report = finished(recipe_of("similarity", distances_um=DISTANCES_UM[:2]), frames).report
    assert any("two frames determine scales" in text for text in report["warnings"])


def test_prepared_frames_are_shown_without_turn_and_magnification(specimen: Truth) -> None:
    straight, frames = recorded(specimen, displaced(), noise=0.0), recorded(specimen, turned(), noise=0.0)
    prepared, ignored = preview(recipe_of("similarity"), LenslessData(frames))
    inner = slice(16, -16)
    for number in range(4):
        before, after = (
            np.corrcoef(stack[number, inner, inner].ravel(), straight[number, inner, inner].ravel())[0, 1]
            for stack in (frames, prepared.data)
        )
        assert after > 0.99 and (number == 2 or after > before)
    assert ignored.data[0, :2, -20:].all() and not ignored.data[2].any()


def test_a_run_that_is_interrupted_shows_what_there_is(specimen: Truth) -> None:
    with start(recipe_of("shift"), recorded(specimen, displaced())) as run:
        assert next(iter(run)).stage == "registration"
        result = run.result()
    assert result.partial and result.report["registration"]["rounds"] == 0
    assert np.isfinite(result["phase"].data).all()
    assert result.report["registration"]["summary"] == "not finished, frames as recorded"
    assert any("the run ended before it was finished" in text for text in result.report["warnings"])


@pytest.mark.parametrize("stage", ["registration", "deformation"])
def test_a_run_that_is_ended_does_not_resample_frames_again(
    specimen: Truth, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel should not wait for what takes seconds with large frames."""
    begun = list[int]()
    begin = LenslessStages.begin

    def counted(*given: Any) -> LenslessState:
        begun.append(1)
        return begin(*given)

    monkeypatch.setattr(LenslessStages, "begin", counted)
    with start(recipe_of("deformation"), recorded(specimen, displaced())) as run:
        while next(run).stage != stage:
            pass
        before = len(begun)
        result = run.result()
    assert len(begun) == before and result.partial
    assert result.report["registration"]["summary"].endswith("not finished, frames as recorded")


def test_what_cannot_be_registered_is_refused() -> None:
    frames = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32)
    with pytest.raises(RecipeError, match=r"compares frames, but the stack has 1; record at least 2"):
        start(recipe_of("shift", distances_um=(100.0,)), frames[:1])
    with pytest.raises(RecipeError, match="distances are missing"):
        start(recipe_of("shift", distances_um=()), frames)
    with pytest.raises(RecipeError, match="wavelength is missing"):
        preview(recipe_of("shift", wavelength_um=None), LenslessData(frames))


def test_a_time_limit_ends_the_rounds_but_not_the_first_look(specimen: Truth) -> None:
    report = finished(recipe_of("shift", max_seconds=0.01), recorded(specimen, displaced())).report
    assert report["stopped_by_time_limit"] and report["registration"]["rounds"] == 0
    shifts = np.array(report["registration"]["shifts_um"]) / PIXEL_UM
    np.testing.assert_allclose(shifts - shifts[2], SHIFTS_PX, atol=1.0)
