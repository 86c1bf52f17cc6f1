"""Frames that were compressed as JPEG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import napari_diner as nd
from napari_diner.preprocess.blocks import compressed

Array = npt.NDArray[Any]
COMPRESSED = "the frames have the edges of blocks of 8×8 pixels"


def decoded(frame: Array, quality: int) -> Array:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("kind", ["lensless", "idt"])
def test_blocks_are_named_before_a_run(kind: str) -> None:
    more = {"slices": 4, "frames": 8} if kind == "idt" else {}
    sample = nd.sample(kind, height_px=80, width_px=72, seed=14, **more)
    light = np.asarray(sample.data.data, np.float64)
    frames = np.round(light / light.max() * 230).astype(np.uint8)
    small = np.stack([decoded(frame, 45) for frame in frames])[:, 3:, 5:]
    recipe = {key: value for key, value in sample.recipe.model_dump(exclude_unset=True).items() if key != "stack"}
    background = {"background": "mean"} if kind == "idt" else {}
    start = nd.idt.start if kind == "idt" else nd.lensless.start
    for values, expected in ((small, 1), (small.astype(np.uint16) * 200, 1), (frames[:, 3:, 5:], 0)):
        with start(values, **{**recipe, **background}) as run:
            assert sum(text.startswith(COMPRESSED) for text in run.job.warnings) == expected


def test_other_patterns_are_no_blocks() -> None:
    random = np.random.default_rng(7)
    light = 100 + 10 * random.standard_normal((3, 96, 96))
    y, x = np.mgrid[:96, :96]
    for period in (2, 4):
        assert compressed(light * (1 + 0.2 * ((x % period == 0) | (y % period == 1)))) == []
    # columns only, as of a camera with eight outputs
    assert compressed(light * (1 + 0.2 * (x % 8 == 0))) == []
    light[1, 5, 6:8] = np.inf, np.nan
    assert compressed(light) == compressed(light[:, :40]) == []
