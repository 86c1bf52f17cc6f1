"""Raw frames of colour cameras: one light, seen through the filters of a mosaic.

Light of one wavelength passes the filter of each pixel by a factor that depends on the place of the pixel in a cell of
2 by 2 alone (Bayer, US patent 3971065, 1976), so that dividing by these factors restores the light.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.wording import digits

Factors = npt.NDArray[np.float64]

_LEAST, _SIGMAS = 0.02, 8.0
"""Smallest relative difference between the pixels of a cell, and in standard errors, in every frame."""
_ALIKE = 0.25
"""Largest change of the differences from frame to frame, relative to them."""
_CELLS = 2**18
"""Largest number of cells that are looked at."""
_DARKEST = 0.2
"""Factor, relative to the largest, below which noise would be amplified too much."""


def mosaic(frames: Array) -> Factors | None:
    """Return the brightness of the four pixels of a cell, (2, 2), with a mean of one; None if they do not differ.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite; cells begin at the first pixel.

    Raises
    ------
    InputError
        If some of them are too dark to be of use.
    """
    height, width = (size - size % 2 for size in frames.shape[1:])
    if min(height, width) < 16:
        return None
    found = []
    for frame in frames:
        cells = frame[:height, :width].reshape(height // 2, 2, width // 2, 2).swapaxes(1, 2).reshape(-1, 4)
        cells = cells[:: -(-len(cells) // _CELLS)].astype(np.float64)
        mean = float(cells.mean())
        if not mean > 0:  # nor for values that are not finite, which are refused elsewhere
            return None
        factors = cells.mean(0) / mean
        deviations = cells / mean - (cells.mean(1, keepdims=True) / mean) * factors
        error = float(deviations.std()) / np.sqrt(len(cells))
        if np.abs(factors - 1).max() < max(_LEAST, _SIGMAS * error):
            return None
        found.append(factors)
    usual = np.median(found, axis=0)
    usual /= usual.mean()
    if np.abs(np.array(found) - usual).max() > _ALIKE * np.abs(usual - 1).max():
        return None
    if usual.min() < _DARKEST * usual.max():
        raise InputError(
            f"Of the pixels in even and odd rows and columns, some are {digits(usual.max() / max(usual.min(), 1e-9))} "
            "times as bright as others, as behind the filters of a colour camera; keep those of one colour, such as "
            "every second row and column, and double the pixel size"
        )
    return np.asarray(usual.reshape(2, 2))


def tiled(factors: Factors, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the factors of all pixels, (Y, X), float32."""
    rows, columns = (np.arange(size) % 2 for size in shape[-2:])
    return factors[np.ix_(rows, columns)].astype(np.float32)


def note(factors: Factors) -> str:
    """Return a sentence about the factors."""
    listed = " : ".join(digits(factor) for factor in (factors / factors.max()).ravel())
    return (
        f"the pixels in even and odd rows and columns differ in brightness by {listed}, as behind the filters of a "
        "colour camera, and are divided by these factors"
    )
