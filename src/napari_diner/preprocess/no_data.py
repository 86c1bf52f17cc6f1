"""Invalid pixels: islands without data, broken pixels of the sensor, and single outliers."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array
from napari_diner.preprocess.defects import broken_lines, stuck_pixels
from napari_diner.preprocess.pixels import MEDIAN_OF_NORMAL, SECOND_OF_EIGHT, fill, finite_values

Mask = npt.NDArray[np.bool_]

_FEWEST = 3
"""Number of pixels with exactly one isolated value above which it is not chance."""
_MOST = 0.5
"""Largest part of the pixels that may be without data; a more frequent value is light."""
_FAR_BELOW = 1 / 8
"""Ratio of all other values to the largest one below which that is not light."""
_STAND_INS = (-999.0, -9999.0, -32768.0, -99999.0)
"""Negative values used by programs for missing data."""
_BROKEN_SIGMAS = 5.0
"""Deviation of a broken pixel from its neighbours in all frames, in standard deviations."""
_ISOLATED_SIGMAS, _BRIGHT_AROUND = 3.0, 0.8
"""Deviation of a saturated pixel without saturating light, in standard deviations, and light around it; light that is
cut off deviates by two at most."""
NOT_AROUND = "saturated but not around, as from cosmic rays or hot pixels,"
"""Description of `isolated` pixels in notes."""
_FEWEST_FRAMES = 3
"""Smallest number of frames; in fewer, a bright spot of the sample may stand out in all."""
_MOST_BROKEN = 0.005
"""Largest part of broken pixels of a sensor; more are something else."""
_OUTLYING = 4.0
"""Ratio of an outlier to nearly all pixels of a frame, and to its neighbours."""
_NEARLY_ALL = 99.9
"""Percentile for nearly all pixels."""
_MOST_OUTLIERS = 0.001
"""Largest part of outliers; more are something else."""
_SAMPLED = 100_000
"""Largest number of pixels for percentiles."""
_AROUND = [(down, right) for down, right in itertools.product((-1, 0, 1), repeat=2) if (down, right) != (0, 0)]
_NEXT = [(-1, 0), (0, -1), (0, 1), (1, 0)]


def no_data_value(frames: Array) -> float | None:
    """Return the value of missing data in a recording, or None.

    It is the largest or the smallest of all values, several pixels have it exactly, and no other values are near: none
    is between the largest and an eighth of it, unlike for light with its gradients; a negative value must be a common
    code, or as far below all others as their range.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type; values that are not finite are ignored.
    """
    values = finite_values(frames)
    if not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    for value in (low, high):
        there = values == value
        if not _FEWEST <= int(there.sum()) <= _MOST * values.size:
            continue
        others = values[~there]
        least, most = float(others.min()), float(others.max())
        if value == high and least < most < _FAR_BELOW * value:
            return value
        if value < 0 and ((value in _STAND_INS and least >= 0) or least - value > most - least):
            return value
    return None


def broken_pixels(frames: Array) -> Mask:
    """Return pixels that stand out from their neighbours in all frames, (Y, X): dead or hot ones.

    They are among the `stuck_pixels`, in `broken_lines`, or single. A single one is above, or below, its eight
    neighbours in every frame, unlike a pattern of light that changes from frame to frame, by a number of standard
    deviations: of these eight, estimated from their second smallest and second largest, or of the fine noise of the
    frame, whichever is larger.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    """
    stuck = stuck_pixels(frames)
    broken = stuck | broken_lines(np.stack([fill(frame, ~stuck) for frame in frames]) if stuck.any() else frames)
    if len(frames) < _FEWEST_FRAMES or min(frames.shape[1:]) < 3:
        return broken
    rows, columns = np.nonzero(_extreme(frames, _NEXT))
    if not len(rows) or len(rows) > _MOST_BROKEN * broken.size:
        return broken
    above, below = np.full(len(rows), np.inf), np.full(len(rows), np.inf)
    for frame in frames:
        values = frame.astype(np.float64)
        around = np.sort([values[rows + 1 + down, columns + 1 + right] for down, right in _AROUND], axis=0)
        low, high = around[1], around[-2]
        spread = np.maximum((high - low) / SECOND_OF_EIGHT, _fine_noise(values) or 1e-6 * float(np.abs(values).max()))
        here = values[rows + 1, columns + 1]
        above, below = np.minimum(above, (here - high) / spread), np.minimum(below, (low - here) / spread)
    is_broken = np.maximum(above, below) > _BROKEN_SIGMAS
    broken[rows[is_broken] + 1, columns[is_broken] + 1] = True
    return broken


def _extreme(frames: Array, neighbours: list[tuple[int, int]]) -> Mask:
    """Return whether inner pixels are above, or below, their neighbours in all frames, (Y − 2, X − 2)."""
    height, width = frames.shape[1] - 2, frames.shape[2] - 2
    above = below = np.ones((height, width), bool)
    for frame in frames:
        inner = frame[1:-1, 1:-1]
        for down, right in neighbours:
            other = frame[1 + down : 1 + down + height, 1 + right : 1 + right + width]
            above, below = above & (inner > other), below & (inner < other)
    return above | below


def _fine_noise(frame: Array) -> float:
    """Return the standard deviation of pixels about the mean of their neighbours along X, from the median."""
    fine = frame[:, 1:-1] - (frame[:, :-2] + frame[:, 2:]) / 2
    return float(np.median(np.abs(fine))) / float(MEDIAN_OF_NORMAL * np.sqrt(1.5))


def outliers(frames: Array) -> Mask:
    """Return single outlying pixels of their frames, (N, Y, X), such as from cosmic rays and errors.

    Such a pixel is several times as bright as 99.9 % of the frame and as all but two of its eight neighbours; or it is
    negative, and below the others by more than their range, or one of the values that stand for missing data.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    """
    outlying = np.zeros(frames.shape, bool)
    for frame, there in zip(frames, outlying, strict=True):
        if frame.dtype == np.float16:  # its range is less than several times its values
            frame = frame.astype(np.float32)
        sample = frame.reshape(-1)[:: -(-frame.size // _SAMPLED)]
        low, high = (float(value) for value in np.percentile(sample, (100 - _NEARLY_ALL, _NEARLY_ALL)))
        if high > 0:
            rows, columns = np.nonzero(frame > _OUTLYING * high)
            if len(rows) <= max(1, _MOST_OUTLIERS * frame.size):
                around = np.sort(_around(frame[None], rows, columns)[:, 0].astype(np.float64), axis=0)
                alone = frame[rows, columns] > _OUTLYING * around[-3]
                there[rows[alone], columns[alone]] = True
        if frame.dtype.kind in "if":
            below = (frame < 0) & ((frame < low - (high - low)) | ((low >= 0) & np.isin(frame, _STAND_INS)))
            if below.sum() <= max(1, _MOST_OUTLIERS * frame.size):
                there |= below
    return outlying


def isolated(frames: Array, full: Mask) -> Mask:
    """Return the saturated pixels that no light explains, (N, Y, X), such as from cosmic rays and hot pixels.

    Such a pixel stands out from its eight neighbours, as a broken one does, and they are clearly darker: light that
    saturates a pixel is bright around it.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X).
    full
        Whether a pixel is saturated, (N, Y, X).
    """
    alone = np.zeros(full.shape, bool)
    if min(frames.shape[1:]) < 3:
        return alone
    for frame, there, found in zip(frames, full, alone, strict=True):
        rows, columns = np.nonzero(there)
        around = np.sort(_around(frame[None], rows, columns)[:, 0].astype(np.float64), axis=0)
        low, high = around[1], around[-2]
        values = frame.astype(np.float64)
        here = values[rows, columns]
        with np.errstate(invalid="ignore"):  # values that are not finite are refused later
            spread = np.maximum((high - low) / SECOND_OF_EIGHT, _fine_noise(values))
            stands_out = (here - high > _ISOLATED_SIGMAS * spread) & (high < _BRIGHT_AROUND * here)
        found[rows, columns] = stands_out & np.isfinite(here)
    return alone


def filled(frames: npt.NDArray[np.float32], bad: Mask) -> npt.NDArray[np.float32]:
    """Return frames, (N, Y, X), with bad pixels, (Y, X) or (N, Y, X), replaced by the median of the eight around.

    Bad ones of these count as the nearest good pixel.
    """
    frames = frames.copy()
    for frame, there in zip(frames, np.broadcast_to(bad, frames.shape), strict=True):
        rows, columns = np.nonzero(there)
        frame[...] = fill(frame, ~there)  # neighbours may be bad, too
        frame[rows, columns] = np.median(_around(frame[None], rows, columns)[:, 0], axis=0)
    return frames


def _around(frames: Array, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Array:
    """Return the eight neighbours of pixels, (8, N, pixels); beyond the edges, mirrored ones."""
    height, width = frames.shape[1:]

    def mirrored(places: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.intp]:
        return np.where(places < 0, 1, np.where(places >= size, size - 2, places))

    places = [(mirrored(rows + down, height), mirrored(columns + right, width)) for down, right in _AROUND]
    return np.stack([frames[:, row, column] for row, column in places])
