"""The mean of saturated frames as their background."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.tasks.idt.data import IdtData, contrast_of
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.registry import task


def counts(seed: int) -> np.ndarray:
    """Return the frames of weak cells as fractions of an empty field, with a scale of their own each."""
    (offered,) = task("idt").samples
    made = offered.make(offered.settings(height_px=64, width_px=64, slices=8, frames=8, seed=seed))
    return made.data.data * np.linspace(0.9, 1.1, 8)[:, None, None]


@pytest.mark.parametrize(("percentile", "seed"), [(70, 0), (85, 3)])
def test_saturated_pixels_do_not_darken_the_mean(percentile: int, seed: int) -> None:
    frames = counts(seed)
    levels = np.percentile(frames, percentile, axis=(1, 2), keepdims=True)
    eight = np.clip(np.rint(frames / levels * 255), 0, 255).astype(np.uint8)
    true = (frames / frames.mean((1, 2), keepdims=True)).mean() - 1

    def error(**settings: object) -> float:
        contrast, _ = contrast_of(IdtRecipe.parse({"background": "mean", **settings}), IdtData(eight))
        free = eight < 255
        right = frames / frames.mean((1, 2), keepdims=True) - 1 - true
        return float(abs((contrast - right)[free].mean()))

    assert error() < error(saturated="believe") / 3
    assert error() < 0.006


def test_the_mean_of_other_frames_is_exact() -> None:
    frames = np.rint(3000 * counts(1)).astype(np.uint16)
    contrast, _ = contrast_of(IdtRecipe.parse({"background": "mean"}), IdtData(frames))
    assert np.abs(contrast.mean((1, 2))).max() < 1e-6
