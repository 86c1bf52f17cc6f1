"""Frames that do not match their background, and single frames of noise."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.errors import DinerError
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
