"""Frames that do not match their background, and single frames of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.errors import DinerError
from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.tasks.idt.data import IdtData, contrast_of
from napari_diner.tasks.idt.recipe import IdtRecipe
from tests.tasks.idt.small_recordings import reconstructed, record, started


@pytest.mark.parametrize("change", [-0.05, 0.035, 0.08])
def test_a_background_of_another_brightness_is_named(change: float) -> None:
    recording = record()
    empty = np.full(recording.frames.shape[1:], 900.0)
    frames = (900 * (1 + recording.frames)).astype(np.float32)
    recipe = recording.recipe.updated({"background": "empty.tif"})
    assert contrast_of(recipe, IdtData(frames, empty))[1] == []
    (text,) = contrast_of(recipe, IdtData(frames, empty / (1 + change)))[1]
    side = "brighter" if change > 0 else "darker"
    assert text.startswith("all frames are ") and f"% {side} than their background; the background was" in text
    assert float(text.split()[3]) == pytest.approx(100 * abs(change), abs=0.5)


def test_an_array_is_the_background_whatever_the_recipe_says() -> None:
    recording = record()
    shading = np.linspace(700, 1500, 48).astype(np.float32) * np.ones((48, 1), np.float32)
    counts = ((1 + recording.frames) * shading).astype(np.float32)
    for word in ("mean", "ratio"):
        run = started(recording.recipe.updated({"background": word}), counts, background=shading)
        assert run.job.recipe.background not in ("mean", "ratio")
        assert np.allclose(run.job.recording.contrast, recording.frames, atol=1e-4)


def test_an_offset_far_above_the_light_is_named_and_subtracted_exactly() -> None:
    recording = record()
    counts = (np.rint((1 + recording.frames.astype(float)) * 3000) + 3_000_000_000).astype(np.uint32)
    recipe = recording.recipe.updated({"background": "mean"})
    with pytest.raises(DinerError, match=r"vary by only .* set background_offset to the grey level"):
        started(recipe, counts)
    run = started(recipe.updated({"background_offset": 3e9}), counts)
    assert np.abs(run.job.recording.contrast - recording.frames).max() < 2e-3


def test_a_pattern_that_all_frames_share_is_named() -> None:
    recording = record()
    quick = {"iterations": 6, "regularization": {"tikhonov": 10.0, "tv": 0.002}}
    frames = recording.frames.copy()
    assert not [text for text in warnings_of(recording.recipe.updated(quick), frames) if "same in all frames" in text]
    frames += 0.02 * np.sin(2 * np.pi * np.arange(48) / 48).astype(np.float32)
    (text,) = [text for text in warnings_of(recording.recipe.updated(quick), frames) if "unexplained" in text]
    assert "most of it is the same in all frames" in text


@pytest.mark.parametrize("count", [1, 3])
def test_few_frames_are_told(count: int) -> None:
    few = record(count=count)
    assert any(text.startswith(f"{count} frame") for text in started(few.recipe, few.frames).warnings)


@pytest.mark.parametrize(("blur_um", "is_fine"), [(0.5, True), (4.0, False)])
def test_a_blur_that_removes_the_sample_is_told(blur_um: float, is_fine: bool) -> None:
    recording = record()
    recipe = recording.recipe.updated({"background": "blur", "background_blur_um": blur_um})
    said = started(recipe, recording.frames + 1).warnings
    assert any("becomes part of its background" in text for text in said) == is_fine


def warnings_of(recipe: IdtRecipe, frames: np.ndarray) -> list[str]:
    return [str(text) for text in reconstructed(recipe, frames).report["warnings"]]


def strong_ball(radius_um: float, phase_rad: float, size: int = 48) -> tuple[IdtRecipe, np.ndarray]:
    """Return frames, relative to the empty field, of a ball in a square field, and their recipe."""
    geometry = VolumeGeometry((16, size, size), 0.5, 0.515, 1.33, 0.1625, 0.65)
    z, y, x = np.mgrid[:16, :size, :size].astype(float)
    z, y, x = (z - 7.5) * 0.5, (y - size / 2 + 0.5) * 0.1625, (x - size / 2 + 0.5) * 0.1625
    ball = 1 / (1 + np.exp((np.sqrt(z**2 + y**2 + x**2) - radius_um) / 0.1))
    delay = ball.sum(0).max() * 0.5 * geometry.wavenumber
    n_re = torch.from_numpy(1.33 + phase_rad / delay * ball)
    contrast = permittivity_contrast(n_re, torch.zeros_like(n_re), 1.33).float()
    frames = SSNPModel(geometry, ring(0.637, 12)).intensities(contrast).numpy()
    recipe = record().recipe.updated({"slice_count": 16, "slice_spacing_um": 0.5, "background": "ratio"})
    return recipe, frames


@pytest.mark.parametrize("phase_rad", [4.0, 7.0])
def test_a_strong_sample_that_fills_the_field_may_be_dark(phase_rad: float) -> None:
    recipe, frames = strong_ball(3.3, phase_rad)
    assert frames.mean() < 0.8
    assert contrast_of(recipe, IdtData(frames))[1] == []
    # a weak one cannot
    recipe, frames = strong_ball(3.3, 0.2)
    (text,) = contrast_of(recipe, IdtData(frames * np.float32(0.8)))[1]
    assert "darker than" in text
    # and the level shows where there is room beside a strong one
    recipe, frames = strong_ball(1.5, phase_rad, 96)
    (text,) = contrast_of(recipe, IdtData(frames * np.float32(0.8)))[1]
    assert "darker than" in text
