"""Frames whose values were changed by a curve after they were digitised, such as a gamma for display."""

from __future__ import annotations

import numpy as np

from napari_diner.io.arrays import Array
from napari_diner.wording import percent

# central part of a frame, and frames, that are looked at, at most
_MOST_PX, _MOST_FRAMES = 512, 8
# least mean number of pixels at a level and its neighbours, so that an empty one is no chance, and fewest such levels
_LEAST, _FEWEST = 30.0, 24
_NEIGHBOURS = 5
# factor by which more pixels than at its neighbours show that a level holds two of the camera's
_DOUBLE = 1.5
# Factor between the mean spacings in the dark and the bright third of levels from which there is a curve, in most
# frames and in each of them. Without one, and with any gain and offset, it is 0.94 to 1.14 in most frames; a gamma of
# 1/2.2 gives 1.4 to 2.9 where frames have some contrast.
_CURVED, _IN_EACH = 1.25, 1.08
# The same for the usual spacing of levels that are far apart, in steps of their type, and so not rounded: this is
# exact, and tells in frames of little contrast, too.
_FAR_APART, _CURVED_EXACTLY, _IN_EACH_EXACTLY = 64, 1.04, 1.02


def tone_curve(frames: Array) -> list[str]:
    """Return a warning if the levels of the camera are farther apart where frames are dark than where they are bright.

    A curve that is applied to numbers leaves levels empty where it is steep, and puts two of them into one where it is
    flat; in numbers with more digits, it is the distance of levels that differs. Gains and offsets change it equally
    everywhere, and cameras that join two amplifiers or ramps are coarser where it is bright.

    Parameters
    ----------
    frames
        Recorded values, (N, Y, X), of any type.
    """
    if frames.dtype.kind not in "uif":
        return []
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).astype(int))
    found = [spacings for number in chosen if (spacings := _spacings(frames[number])) is not None]
    if 2 * len(found) < len(chosen):
        return []
    factors = np.array(found)
    most, least = np.median(factors, 0), factors.min(0)
    is_curved = most[0] > _CURVED and least[0] > _IN_EACH
    if not (is_curved or (most[1] > _CURVED_EXACTLY and least[1] > _IN_EACH_EXACTLY)):
        return []
    factor = float(most[0] if is_curved else most[1])
    return [
        f"the grey levels of the frames are {percent(factor - 1)} farther apart where it is dark than where it is "
        "bright, as after a gamma or another curve for display, so that values do not measure light; save the frames "
        "as the camera recorded them"
    ]


def _spacings(frame: Array) -> tuple[float, float] | None:
    """Return how much farther apart the camera's levels are in the dark third of them than in the bright one.

    By the mean, and by the median of levels that are far apart, 1.0 if they are not; None if levels do not show.
    """
    rows, columns = (slice(max(size - _MOST_PX, 0) // 2, (size + _MOST_PX) // 2) for size in frame.shape)
    values = frame[rows, columns].ravel()
    values = values[np.isfinite(values)]
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) < _FEWEST or values.size < _LEAST * _FEWEST:
        return None
    filled = np.convolve(counts, np.full(_NEIGHBOURS, 1 / _NEIGHBOURS), "same")
    fullest = int(filled.argmax())
    low, high = np.flatnonzero(filled[:fullest] < _LEAST), np.flatnonzero(filled[fullest:] < _LEAST)
    # without the ends, which may be cut off
    first = int(low[-1]) + 2 if low.size else 1
    last = fullest + int(high[0]) - 2 if high.size else len(levels) - 2
    if last + 1 - first < _FEWEST:
        return None
    kept, beside = counts[first : last + 1], (counts[first - 1 : last] + counts[first + 1 : last + 2]) / 2
    doubled = kept > _DOUBLE * beside
    steps = np.diff(levels[first : last + 1].astype(np.float64))
    dark, _, bright = np.array_split(np.arange(len(steps)), 3)
    mean = [steps[part].mean() / (1 + doubled[part].mean()) for part in (dark, bright)]
    usual = [float(np.median(steps[part])) for part in (dark, bright)]
    if frame.dtype.kind == "f":
        is_rounded = frame.dtype.itemsize < 4 or not np.any(levels % 1)
    else:
        is_rounded = min(usual) < _FAR_APART
    return float(mean[0] / mean[1]), 1.0 if is_rounded else usual[0] / usual[1]
