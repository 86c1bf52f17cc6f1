"""Checks of flat and empty fields: whether they can be what frames are divided by."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array
from napari_diner.preprocess.saturation import saturation_levels

Floats = npt.NDArray[np.float32]

_BLOCKS = 8
"""Parts of the field along each axis whose brightness is compared: a sample averages out in them."""
_UNEVEN = 0.02
"""Standard deviation of the logarithm of a reference from which its pattern can be recognised in the frames."""
_FOLLOWS, _CERTAIN = 0.5, 4.0
"""Frames follow a reference with a slope of one; below this, by so many standard errors, they do not."""
_SATURATED = 0.001
"""Part of saturated pixels that matters."""


def doubts(reference: Array, divisor: Floats, frames: Array, name: str) -> list[str]:
    """Return sentences about a reference that is saturated, or whose pattern the frames do not show.

    The logarithms of both, in blocks, lie on a line of slope one if the frames were recorded with the light, and on the
    sensor, of the reference.

    Parameters
    ----------
    reference
        As recorded, cropped as the frames, (Y, X) or (N, Y, X).
    divisor
        The reference without the dark frame, relative to its mean, cropped as the frames.
    frames
        Recorded intensities, (N, Y, X).
    name
        Of the reference.
    """
    texts = []
    (level,) = saturation_levels(reference.reshape(1, *reference.shape[-2:])) if reference.ndim == 2 else (math.inf,)
    share = float(np.mean(reference >= level))
    if share > _SATURATED:
        texts.append(
            f"{100 * share:.2g} % of the pixels of the {name} are saturated at {level:g}, and do not correct the "
            "frames; record it with a shorter exposure"
        )
    pattern = _blocks(divisor if divisor.ndim == 2 else divisor.mean(0))
    light = _blocks(frames.mean(0, dtype=np.float64))
    if pattern is None or light is None or pattern.std() < _UNEVEN:
        return texts
    x, y = pattern - pattern.mean(), light - light.mean()
    slope = float((x * y).sum() / (x * x).sum())
    error = float((y - slope * x).std() / (x.std() * math.sqrt(x.size)))
    if slope + _CERTAIN * error < _FOLLOWS:
        change = f"{abs(10 * slope):.2g} % {'brighter' if slope > 0 else 'darker'}"
        texts.append(
            f"the frames do not show the pattern of the {name}: where it is 10 % brighter, they are {change} on "
            "average; it may be mirrored, or of another recording, or the frames are corrected already"
        )
    return texts


def _blocks(image: npt.NDArray[np.floating]) -> npt.NDArray[np.float64] | None:
    """Return the logarithm of the brightness of blocks, (B, B); None of small or dark images."""
    rows, columns = (size // _BLOCKS for size in image.shape)
    if min(rows, columns) == 0:
        return None
    part = image[: rows * _BLOCKS, : columns * _BLOCKS].reshape(_BLOCKS, rows, _BLOCKS, columns)
    means = part.mean((1, 3), dtype=np.float64)
    return np.asarray(np.log(means)) if (means > 0).all() else None
