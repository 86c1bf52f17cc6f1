"""Rows, columns and areas of a sensor that are broken, and light that looks similar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_diner.preprocess.no_data import broken_pixels, filled

Frames = npt.NDArray[Any]
SHAPE = (5, 48, 60)


def frames(noise: float = 4.0) -> Frames:
    """Smooth patterns of light that differ from frame to frame, with noise, in counts."""
    rng = np.random.default_rng(3)
    light = ndimage.gaussian_filter(rng.standard_normal(SHAPE), (0, 2, 2))
    light = 900 + 150 * light / light.std()
    return np.round(light + noise * rng.standard_normal(SHAPE)).clip(0).astype(np.uint16)


def _halved(light: Frames) -> Frames:
    return light // 2


def _dark(light: Frames) -> Frames:
    return np.zeros_like(light)


def _bright(light: Frames) -> Frames:
    return np.full_like(light, 4095)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ((17, slice(None)), _dark),
        ((slice(None), 31), _halved),
        ((slice(None), slice(20, 23)), _bright),
        ((0, slice(None)), _dark),
        ((slice(9, 30), 44), _dark),
        ((slice(33, 37), slice(12, 16)), _dark),
    ],
    ids=["dead row", "weak column", "bright columns", "first row", "part of a column", "dark area"],
)
def test_wide_defects_are_found(part: Any, value: Callable[[Frames], Frames]) -> None:
    stack = frames()
    expected = np.zeros(SHAPE[1:], bool)
    expected[part] = True
    stack[:, expected] = value(stack[:, expected])
    np.testing.assert_array_equal(broken_pixels(stack), expected)


def test_light_is_no_defect() -> None:
    stack = frames(0.0)
    assert not broken_pixels(stack).any()
    # saturated, and cut off at black, in the same places of all frames
    assert not broken_pixels(np.clip(stack[:1] + np.arange(5)[:, None, None], 800, 1000)).any()
    # fringes along the edge of the field
    fringes = 300 * np.cos(np.linspace(0, 9, SHAPE[1]) ** 2)[:, None]
    assert not broken_pixels((stack + fringes).clip(0)).any()


def test_broken_lines_are_filled_from_the_good_pixels_beside_them() -> None:
    stack = frames(0.0).astype(np.float32)
    whole = stack.copy()
    stack[:, :, 20:23] = 0
    repaired = filled(stack, broken_pixels(stack))
    assert np.abs(repaired - whole)[:, :, 20:23].max() < 500
