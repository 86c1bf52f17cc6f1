"""Frames whose histograms were equalised, so that their values are ranks instead of light."""

from __future__ import annotations

import numpy as np

from napari_diner.io.arrays import Array

# largest difference of the cumulative histogram from an even one, 0.15 or more in recordings, apart from that of values
# that are this frequent at most
_DIFFERENCE, _MOST = 0.03, 0.1
_FEWEST_PIXELS, _SAMPLED = 1000, 100_000


def equalised(frames: Array) -> list[str]:
    """Return a warning if all values are equally frequent in each frame.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type, finite.
    """
    if frames.dtype.kind not in "uif" or frames[0].size < _FEWEST_PIXELS or not all(map(_is_even, frames)):
        return []
    return [
        "all values between black and white are equally frequent in each frame, as if its histogram had been "
        "equalised, so that values do not measure light; save the frames as the camera recorded them"
    ]


def _is_even(frame: Array) -> bool:
    """Return whether values are distributed evenly between zero and the largest one."""
    values = frame.ravel()[:: 1 + frame.size // _SAMPLED].astype(np.float64)
    largest = float(values.max())
    if largest <= 0 or float(values.min()) < 0:
        return False
    levels, counts = np.unique(values, return_counts=True)
    # equal values stand for the middle of the ranks that they share
    ranks = (np.cumsum(counts) - counts / 2) / values.size
    step = counts.max() / values.size
    return bool(step < _MOST and np.abs(ranks - levels / largest).max() < _DIFFERENCE + step)
