"""Frames that do not match their background, and single frames of noise."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.tasks.idt.data import IdtData, contrast_of
from tests.tasks.idt.small_recordings import record


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


def test_a_frame_of_noise_is_named() -> None:
    recording = record()
    frames = recording.frames.copy()
    frames[7] = np.random.default_rng(1).normal(0, frames.std(), frames.shape[1:])
    assert any(
        text.startswith("frame 8 shows nothing but noise") for text in contrast_of(recording.recipe, IdtData(frames))[1]
    )
