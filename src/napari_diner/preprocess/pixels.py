"""Pixels: which of them are no good, what stands in for them, and finer grids of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.stats import median_abs_deviation

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

# expected distance between the second smallest and the second largest of eight normal values, in standard deviations
_SECOND_OF_EIGHT = 1.705


def saturated_pixels(frames: Array, level: float) -> Mask:
    """Return where values have reached the level at which the sensor is full: boolean, of the shape of `frames`."""
    full: Mask = frames >= level
    return full


def dead_pixels(frames: Array, sigmas: float) -> Mask:
    """Find pixels that stand out from their neighbours in every frame, and in the same direction.

    A pixel stands out by as much as it lies above the second largest, or below the second smallest, of the eight
    around it, measured in standard deviations as the range of these eight or the fine noise of the whole frame tells
    them. Diffraction fringes move and change sign from height to height; dead, hot and dusty pixels stay.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    sigmas
        How many standard deviations a pixel must stand out by.

    Returns
    -------
    Mask
        True at the pixels found, (Y, X).
    """
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    above = np.full(frames.shape[1:], np.inf)
    below = np.full(frames.shape[1:], np.inf)
    for frame in frames:
        values = frame.astype(np.float64)
        # the second ones, so that of two dead neighbours neither hides the other
        low, high = (ndimage.rank_filter(values, rank, footprint=around, mode="mirror") for rank in (1, -2))
        noise = median_abs_deviation(values - (low + high) / 2, None, center=lambda _, axis: 0.0, scale="normal")
        # a picture without noise, all flat but for its dead pixels, has no spread
        noise = noise or 1e-6 * float(np.abs(values).max()) or 1.0
        spread = np.maximum((high - low) / _SECOND_OF_EIGHT, noise)
        np.minimum(above, (values - high) / spread, out=above)
        np.minimum(below, (low - values) / spread, out=below)
    dead: Mask = (above > sigmas) | (below > sigmas)
    return dead


def fill(image: Array, mask: Mask) -> Array:
    """Return an image whose pixels outside the mask have the value of the nearest pixel inside it, (Y, X)."""
    if mask.all():
        return image
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    filled: Array = image[tuple(nearest)]
    return filled


def upsample(image: Array, factor: int) -> Array:
    """Return an image on a grid that is finer by a whole factor, (Y·factor, X·factor), float32.

    Cubic splines through the centres of the pixels, each of which is split into factor² smaller ones: the field of view
    stays as it is.
    """
    if factor == 1:
        return image.astype(np.float32, copy=False)
    fine: Array = ndimage.zoom(image.astype(np.float32), factor, order=3, mode="reflect", grid_mode=True)
    return fine


def split(mask: Mask, factor: int) -> Mask:
    """Return a mask on a grid that is finer by a whole factor: each pixel becomes factor² equal ones."""
    return mask.repeat(factor, axis=-2).repeat(factor, axis=-1)


def magnify(image: Array, factor: float, order: int = 3) -> Array:
    """Enlarge an image about its centre by a factor of 1 or more, keeping its shape; its border falls off.

    Parameters
    ----------
    image
        Real values or a boolean mask, (Y, X).
    factor
        How much larger details become.
    order
        Degree of the interpolating splines.
    """
    if factor == 1:
        return image
    offset = [(size - 1) / 2 * (1 - 1 / factor) for size in image.shape]
    values = image.astype(np.float32)
    larger: Array = ndimage.affine_transform(values, [1 / factor] * 2, offset, order=order, mode="nearest")
    # of a mask, only what is made of good pixels alone counts
    return larger > 0.999 if image.dtype == bool else larger


def crop(image: Array, rectangle: Sequence[int] | None) -> Array:
    """Return the part (top, left, height, width) of the last two axes of an array; all of it if None."""
    if rectangle is None:
        return image
    top, left, height, width = rectangle
    return image[..., top : top + height, left : left + width]
