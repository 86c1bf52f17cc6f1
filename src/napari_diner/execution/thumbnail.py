"""Thumbnails of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_diner.io.arrays import NamedArray

_SHOWN = 2
_PERCENTILES = (0.5, 99.5)


def write_picture(arrays: Sequence[NamedArray], path: Path, side_px: int = 128) -> None:
    """Write the central planes of the first images side by side as PNG, each scaled to its own range.

    Parameters
    ----------
    arrays
        Images, stacks or volumes.
    path
        The file.
    side_px
        Size of each picture at most.
    """
    images = [array for array in arrays if {"Y", "X"} <= set(array.axes)][:_SHOWN]
    pictures = [_picture(array, side_px) for array in images]
    width = sum(picture.width for picture in pictures) or 1
    whole = Image.new("RGB", (width, max((picture.height for picture in pictures), default=1)))
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width
    whole.save(path)


def _picture(array: NamedArray, side_px: int) -> Image.Image:
    """Return the plane in the middle of an array as 8-bit grey or colours."""
    plane = array.data[tuple(size // 2 if axis not in "YXS" else slice(None) for axis, size in _sizes(array))]
    grey = plane if plane.ndim == 2 or plane.shape[-1] == 3 else plane[..., 0]
    step = max(1, max(grey.shape[:2]) // (4 * side_px))
    picture = Image.fromarray(_bytes(grey[::step, ::step]))
    picture.thumbnail((side_px, side_px))
    return picture


def _sizes(array: NamedArray) -> list[tuple[str, int]]:
    return list(zip(array.axes, array.data.shape, strict=True))


def _bytes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return values between their outer percentiles as bytes."""
    numbers = values.astype(np.float32)
    low, high = np.percentile(numbers, _PERCENTILES)
    scaled = (numbers - low) / (high - low) if high > low else np.zeros_like(numbers)
    return (255 * np.clip(scaled, 0, 1)).astype(np.uint8)
