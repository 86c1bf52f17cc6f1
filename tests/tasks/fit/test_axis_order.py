"""Exchanged axes of stacks and films are told by how the data change along each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_diner.tasks.fit.axis_order import exchanged_axes, narrow_images
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.job import FitJob
from tests.tasks.fit.test_job import QUICK, FitRecipe


def film(shape: tuple[int, ...] = (14, 44, 52), seed: int = 2) -> np.ndarray:
    """Return a scene in which something slowly changes."""
    rng = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(rng.standard_normal(shape), (6, 2, 2))
    return np.uint8(128 + 25 * blurred / blurred.std() + 2 * rng.standard_normal(shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("order", "axes", "stored", "named"),
    [
        ((0, 1, 2), "TYX", "", None),
        ((1, 2, 0), "TYX", "", "YXT"),
        ((1, 0, 2), "ZYX", "", "YZX"),
        ((1, 2, 0), "ZYX", "YXZ", "XZY"),
    ],
)
def test_exchanged_axes_are_named(order: tuple[int, ...], axes: str, stored: str, named: str | None) -> None:
    texts = exchanged_axes(np.transpose(film(), order), axes, stored)
    assert len(texts) == (named is not None)
    assert all(f"name the axes as stored, such as {named} (axes)" in text for text in texts)


def test_colours_count_as_one_and_are_kept() -> None:
    coloured = np.stack([film()] * 3, -1)
    assert exchanged_axes(coloured, "TYXS") == []
    (text,) = exchanged_axes(np.transpose(coloured, (1, 2, 0, 3)), "TYXS")
    assert text.startswith("the data change along T as they do along Y, but not along X") and "YXTS" in text


def test_alike_axes_few_frames_and_other_data_are_not_doubted() -> None:
    rng = np.random.default_rng(0)
    cube = ndimage.gaussian_filter(rng.standard_normal((30, 32, 34)), 2)
    assert exchanged_axes(cube, "ZYX") == [] and exchanged_axes(cube[:4], "ZYX") == []
    assert exchanged_axes(rng.standard_normal((9, 20, 20)), "TYX") == []
    assert exchanged_axes(np.zeros((9, 20, 20)), "TYX") == []
    assert exchanged_axes(cube[0], "YX") == [] and exchanged_axes(cube[None], "TZYX") == []


def test_colours_that_are_read_as_columns_are_named() -> None:
    (text,) = narrow_images((40, 50, 3), "ZYX")
    assert "read as 40 images of 50×3 pixels; if the axis of 3 holds colours" in text and "YXS (axes)" in text
    assert "TYXC" in narrow_images((5, 40, 50, 2), "TZYX")[0]
    for shape, axes in (((3, 40, 50), "ZYX"), ((40, 50, 3), "YXS"), ((9, 12, 3), "ZYX"), ((40, 3), "YX")):
        assert narrow_images(shape, axes) == []


def test_a_fit_warns() -> None:
    data = FitData(np.ascontiguousarray(np.transpose(film(), (1, 2, 0))), "TYX")
    (text,) = FitJob(FitRecipe.parse(QUICK), data).warnings
    assert "as if axes were exchanged" in text
