"""The level from which pixels of a recording are saturated."""

from __future__ import annotations

import numpy as np

from napari_diner.io.arrays import Array
from napari_diner.preprocess.pixels import finite_values

# below the brightest value, this part of it tells how often a value next to it is expected
_NEAR = 0.02
# so many times as often, and so often at all, a value is a level at which light was cut off
_PILED, _FEWEST = 5.0, 8
# what most pixels show is a background, however flat
_MOST = 0.5


def saturation_level(frames: Array) -> float | None:
    """Return the value at which the light of a recording is cut off, or None if it is not.

    A camera that is overexposed gives its largest value, which may be less than that of the type (1023 or 4095 in 16
    bits), to all pixels that got more light. They pile up there: the area around the maxima of a smooth pattern is
    proportional to the range of intensities that it covers, so that the last value before a cut is as frequent as those
    just below it, or less.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type; values that are not finite do not count.
    """
    values = finite_values(frames)
    if not values.size:
        return None
    largest = values.max()
    count = int((values == largest).sum())
    if largest <= 0 or not _FEWEST <= count <= _MOST * values.size:
        return None
    near = values[(values >= (1 - _NEAR) * largest) & (values < largest)]
    usual = near.size / max(len(np.unique(near)), 1)
    return float(largest) if count > _PILED * usual else None
