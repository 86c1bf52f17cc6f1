"""Defects of a sensor that are wider than a pixel: rows and columns, and pixels that always hold the same value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.io.arrays import Array
from napari_diner.preprocess.spread import spread

Mask = npt.NDArray[np.bool_]
Line = npt.NDArray[np.bool_]

_FEWEST_FRAMES = 3
"""Smallest number of frames; in fewer, a sharp edge of the sample may look the same."""
_WIDEST = 4
"""Number of adjacent rows or columns that are recognised as broken."""
_LINE_SIGMAS, _LEAST = 8.0, 0.05
"""Deviation of a broken line from those around: in standard deviations of the others, and relative to the mean."""
_AROUND, _ABRUPT = 10, 1.5
"""Number of lines around broken ones, and ratio of the step to a broken line to the largest one between these."""
_STEP = 0.3
"""Relative step from a stuck pixel to those around it; light has no such steps in all frames."""
_MOST = 0.05
"""Largest part of stuck pixels of a sensor; more are something else."""


def broken_lines(frames: Array) -> Mask:
    """Return rows and columns that deviate from those around in all frames to the same side, (Y, X).

    The medians along all lines are compared with their running median.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    """
    broken = np.zeros(frames.shape[1:], bool)
    if len(frames) < _FEWEST_FRAMES:
        return broken
    for along in (1, 0):
        if frames.shape[2 - along] <= 2 * (2 * _WIDEST + 1):
            continue
        profiles = np.median(frames, axis=1 + along).astype(np.float64)
        off = profiles - ndimage.median_filter(profiles, (1, 2 * _WIDEST + 1), mode="nearest")
        usual = spread(off, axis=1)
        least = np.maximum(_LINE_SIGMAS * usual, _LEAST * np.abs(profiles.mean(1, keepdims=True)))
        odd = (off > least).all(0) | (off < -least).all(0)
        groups, count = ndimage.label(odd)
        for group in range(1, count + 1):
            if not _is_abrupt(profiles, odd, groups == group):
                odd[groups == group] = False
        broken |= odd[:, None] if along else odd
    return broken


def _is_abrupt(profiles: Array, odd: Line, group: Line) -> bool:
    """Return whether lines differ more from both sides than the lines around from each other, unlike fringes."""
    inside = np.flatnonzero(group)
    if len(inside) > _WIDEST:
        return False
    near = np.arange(max(inside[0] - _AROUND, 0), min(inside[-1] + _AROUND + 1, len(group)))
    good = near[~odd[near]]
    sides = [part for part in (good[good < inside[0]], good[good > inside[-1]]) if len(part) > 1]
    if not sides:
        return False
    usual = np.max([np.abs(np.diff(profiles[:, part], axis=1)).max(1) for part in sides], axis=0)
    steps = [profiles[:, inside] - profiles[:, [part[np.abs(part - inside[0]).argmin()]]] for part in sides]
    least = np.min([np.abs(step).min(1) for step in steps], axis=0)
    return bool((least > _ABRUPT * usual).all())


def stuck_pixels(frames: Array) -> Mask:
    """Return areas that hold the same values in all frames, unlike the light around them, (Y, X).

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    """
    stuck = np.zeros(frames.shape[1:], bool)
    if len(frames) < _FEWEST_FRAMES:
        return stuck
    same = (frames == frames[0]).all(0)
    if not 0 < same.mean() <= _MOST:
        return stuck
    areas, count = ndimage.label(same, np.ones((3, 3)))
    inside = areas.ravel()
    # the brightest and darkest values around each area; the light continues where an area ends
    brightest, darkest = (np.full((len(frames), count + 1), value) for value in (-np.inf, np.inf))
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        neighbour = np.roll(areas, (down, right), (0, 1))
        edge = (neighbour > 0) & (areas == 0)
        edge[{-1: -1, 1: 0}.get(down, slice(0, 0)), :] = False
        edge[:, {-1: -1, 1: 0}.get(right, slice(0, 0))] = False
        for number, frame in enumerate(frames):
            values = frame[edge].astype(np.float64)
            np.maximum.at(brightest[number], neighbour[edge], values)
            np.minimum.at(darkest[number], neighbour[edge], values)
    value = ndimage.median(frames[0].astype(np.float64), areas, np.arange(count + 1))
    # the largest value may be light that saturates the sensor
    hot = ((1 - _STEP) * value > brightest).all(0) & (value < float(frames.max()))
    odd = (value < (1 - _STEP) * darkest).all(0) | hot
    odd[0] = False
    return np.asarray(odd[inside].reshape(same.shape))
