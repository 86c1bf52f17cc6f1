"""Frames whose contrast was stretched one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.preprocess.stretched import stretched

Array = npt.NDArray[Any]


def each(frames: Array, cut: float, top: float, dtype: str) -> Array:
    """Return frames stretched between quantiles."""
    low, high = (np.quantile(frames, at, axis=(1, 2), keepdims=True) for at in (cut, 1 - cut))
    values = np.clip((frames - low) / (high - low), 0, 1) * top
    return (np.round(values) if dtype[0] == "u" else values).astype(dtype)


@pytest.fixture(scope="module")
def frames() -> Array:
    sample = nd.sample("lensless", height_px=70, width_px=64, seed=21, photons=5000.0)
    return np.asarray(sample.data.data, np.float64)


@pytest.mark.parametrize(
    ("cut", "top", "dtype"), [(0, 255, "u1"), (0.01, 255, "u1"), (0.0035, 65535, "u2"), (0, 1, "f4")]
)
def test_stretched_frames_are_named(frames: Array, cut: float, top: float, dtype: str) -> None:
    (text,) = stretched(each(frames, cut, top, dtype))
    assert text.startswith(f"each frame fills the range from 0 to {top:g} exactly")
    assert stretched(each(frames, cut, top, dtype)[:2]) == []


def test_recorded_frames_are_not(frames: Array) -> None:
    whole = frames / frames.max()
    random = np.random.default_rng(6)
    broken = whole.copy()
    for value in (0.0, 1.0):
        broken[random.random(broken.shape) < 0.003] = value
    for scale, dark in ((1.0, 0.0), (1.2, 0.0), (2.0, 0.3), (0.9, 0.0)):
        light = np.clip(scale * whole - dark, 0, 1)
        for values in (light, np.round(255 * light).astype(np.uint8), np.round(65535 * light).astype(np.uint16)):
            assert stretched(values) == []
    assert stretched(np.round(255 * broken).astype(np.uint8)) == []
    assert stretched((whole > 0.3).astype(bool)) == []


@pytest.mark.parametrize("kind", ["lensless", "idt"])
def test_it_is_said_before_a_run(kind: str) -> None:
    size = {"height_px": 50, "width_px": 48}
    more = {"slices": 4, "frames": 8} if kind == "idt" else {}
    sample = nd.sample(kind, **size, **more, seed=2)
    values = each(np.asarray(sample.data.data, np.float64), 0, 255, "u1")
    recipe = {key: value for key, value in sample.recipe.model_dump(exclude_unset=True).items() if key != "stack"}
    background = {"background": "mean"} if kind == "idt" else {}
    start = nd.idt.start if kind == "idt" else nd.lensless.start
    with start(values, **{**recipe, **background}) as run:
        assert any(text.startswith("each frame fills the range from 0 to 255") for text in run.job.warnings)
        # that brightness differs then is no fault of the exposure
        assert not any("another exposure" in text for text in run.job.warnings)
