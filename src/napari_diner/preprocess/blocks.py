"""Frames that were compressed as JPEG before they were saved in another format: their blocks of 8×8 pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array

Vector = npt.NDArray[np.float64]

_BLOCK, _FEWEST_BLOCKS = 8, 6
# frames and pixels along a side that are enough
_FRAMES, _MOST_PX = 4, 1024
# excess of differences across edges of blocks, relative to the mean difference, and in standard errors; and what the
# next highest may reach of it, which is as high for patterns of 2 or 4 pixels
_VISIBLE, _CERTAIN, _NEXT = 0.1, 6.0, 0.5


def compressed(frames: Array) -> list[str]:
    """Return a warning if the frames have the edges of blocks of 8×8 pixels, as JPEG leaves them.

    Some of the frames are looked at, in their upper left part.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X).
    """
    frames = frames[:: -(-len(frames) // _FRAMES), :_MOST_PX, :_MOST_PX]
    if min(frames.shape[1:]) < _BLOCK * _FEWEST_BLOCKS or not all(_has_edges(frames, axis) for axis in (1, 2)):
        return []
    return [
        "the frames have the edges of blocks of 8×8 pixels, as after a compression as JPEG, which does not keep fine "
        "detail; record and save them without loss, as PNG or TIFF"
    ]


def _has_edges(frames: Array, axis: int) -> bool:
    """Return whether differences of neighbours along an axis, 1 or 2, are larger at one of eight places."""
    size = frames.shape[axis]
    steps: Vector = np.zeros(size - 1)
    for frame in frames:
        values = np.where(np.isfinite(frame), frame, 0).astype(np.float64)
        values /= float(np.abs(values).max()) or 1.0
        steps += np.abs(np.diff(values, axis=axis - 1)).mean(2 - axis)
    excess = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    places = [excess[place::_BLOCK] for place in range(_BLOCK)]
    means = np.array([part.mean() for part in places])
    highest = int(means.argmax())
    others = np.concatenate([part for place, part in enumerate(places) if place != highest])
    error = float(np.std(others)) / len(places[highest]) ** 0.5
    rest = np.delete(means, highest)
    return bool(
        means[highest] > max(_VISIBLE * float(steps.mean()), _CERTAIN * error) and rest.max() < _NEXT * means[highest]
    )
