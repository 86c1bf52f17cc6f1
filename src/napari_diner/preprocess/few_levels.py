"""Frames with so few different values that rounding, and not light, is what they show."""

from __future__ import annotations

import numpy as np

from napari_diner.io.arrays import Array
from napari_diner.preprocess.soundness import numbered

# most different values of a frame, and the least part of neighbours that are equal: with noise, rounding averages out
_MOST, _EQUAL = 16, 0.5
# pixels from which a frame has more values than that
_SAMPLED = 4096


def few_levels(frames: Array) -> list[str]:
    """Return a warning about frames whose light is rounded to a few values.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type.
    """
    counts = [_levels(frame) for frame in frames]
    few = [number for number, count in enumerate(counts) if count is not None]
    if not few:
        return []
    most = max(count for count in counts if count is not None)
    which = "all frames" if len(few) == len(frames) else numbered(few)
    return [
        f"the values of {which} are rounded to at most {most} different ones, which hides weak and slow changes; "
        "give frames with more bits, as the camera recorded them, or expose longer"
    ]


def _levels(frame: Array) -> int | None:
    """Return how many different values a frame has if they are few, and not dithered by noise."""
    if len(np.unique(frame.ravel()[:: 1 + frame.size // _SAMPLED])) > _MOST:
        return None
    count = len(np.unique(frame))
    if not 1 < count <= _MOST or np.mean(frame[:, 1:] == frame[:, :-1]) < _EQUAL:
        return None
    return count
