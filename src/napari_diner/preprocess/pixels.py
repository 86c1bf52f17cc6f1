"""Pixels: detection and replacement of bad ones, resampling, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.io.arrays import Array
from napari_diner.preprocess.spread import spread

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Value = TypeVar("Value", bound=np.generic)

SECOND_OF_EIGHT = 1.705
"""Expected range between the second smallest and second largest of eight normal values, in standard deviations."""
MEDIAN_OF_NORMAL = 0.6745
"""Median of the absolute value of a normally distributed number, in standard deviations."""


def finite_values(frames: Array) -> Array:
    """Return the values of frames that are finite, of any shape."""
    return frames if frames.dtype.kind in "ui" else frames[np.isfinite(frames)]


def dead_pixels(frames: Array, sigmas: float) -> Mask:
    """Find pixels that deviate from their neighbours in every frame in the same direction: True where dead, (Y, X).

    The deviation of a pixel is its distance above the second largest, or below the second smallest, of its eight
    neighbours, in standard deviations estimated from the range of these eight or from the fine noise of the whole
    frame, whichever is larger. Diffraction fringes move and change sign from height to height; dead, hot and dusty
    pixels do not.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    sigmas
        Smallest deviation, in standard deviations.
    """
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    above = np.full(frames.shape[1:], np.inf)
    below = np.full(frames.shape[1:], np.inf)
    for frame in frames:
        values = frame.astype(np.float64)
        # the second smallest and largest, so that two dead neighbours do not hide each other
        low, high = (ndimage.rank_filter(values, rank, footprint=around, mode="mirror") for rank in (1, -2))
        noise = float(spread(values - (low + high) / 2, around_zero=True))
        # a noise-free image that is flat except for its dead pixels has no spread
        noise = noise or 1e-6 * float(np.abs(values).max()) or 1.0
        usual = np.maximum((high - low) / SECOND_OF_EIGHT, noise)
        np.minimum(above, (values - high) / usual, out=above)
        np.minimum(below, (low - values) / usual, out=below)
    return np.asarray((above > sigmas) | (below > sigmas))


def fill(image: npt.NDArray[Value], mask: Mask) -> npt.NDArray[Value]:
    """Replace the pixels of an image (Y, X) outside the mask by the nearest pixel inside it."""
    if mask.all():
        return image
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return np.asarray(image[tuple(nearest)])


def upsample(image: Array, factor: int) -> Floats:
    """Interpolate an image on a grid that is finer by an integer factor, (Y·factor, X·factor), float32.

    Cubic splines through the centres of the pixels, each of which is split into factor² smaller ones; the field of view
    does not change.
    """
    if factor == 1:
        return image.astype(np.float32, copy=False)
    return np.asarray(ndimage.zoom(image.astype(np.float32), factor, order=3, mode="reflect", grid_mode=True))


def split(mask: Mask, factor: int) -> Mask:
    """Split each pixel of a mask into factor² equal ones."""
    return mask.repeat(factor, axis=-2).repeat(factor, axis=-1)


def split_and_spread(mask: Mask, factor: int) -> Mask:
    """Split the pixels of a mask (N, Y, X); True where `upsample` interpolates from any nearby True pixel."""
    if factor == 1:
        return mask
    return split(ndimage.binary_dilation(mask, np.ones((1, 3, 3), bool)), factor)


def magnify(image: Array, factor: float, order: int = 3) -> Floats:
    """Enlarge an image about its centre by a factor of 1 or more, keeping its shape; float32, (Y, X)."""
    values = image.astype(np.float32, copy=False)
    if factor == 1:
        return values
    offset = [(size - 1) / 2 * (1 - 1 / factor) for size in image.shape]
    return np.asarray(ndimage.affine_transform(values, [1 / factor] * 2, offset, order=order, mode="nearest"))


def magnify_mask(mask: Mask, factor: float) -> Mask:
    """Enlarge a mask as `magnify` does; True where all pixels that it is interpolated from are."""
    return magnify(mask.astype(np.float32), factor, order=1) > 0.999


def crop(image: npt.NDArray[Value], rectangle: Sequence[int] | None) -> npt.NDArray[Value]:
    """Return the rectangle (top, left, height, width) of the last two axes of an array; all of it if None."""
    if rectangle is None:
        return image
    top, left, height, width = rectangle
    return image[..., top : top + height, left : left + width]
