"""Margins without data: what registration, rotation and round fields leave at the edges of frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.io.arrays import Array

Mask = npt.NDArray[np.bool_]

UP_TO_THE_EDGES = "at the edges without data, as they hold nothing but one value,"
"""Description of `margins` in notes."""
_LEAST, _FEWEST = 0.25, 16
"""Length of a margin along the edges, relative to the shorter side and in pixels; shorter ones may be chance."""
_MOST = 0.9
"""Part of a frame that margins may take."""
_STEP, _STEEP = 0.3, 0.7
"""Least relative step of the light at the end of a margin, and the part of that end that must have it. Where light
fades to black, or a flat background varies by single counts, most of the end has none."""
_ALL = 0.9
"""Part of all pixels of this value that must belong to margins; light that is cut off is so in other places, too."""
_WHOLE = 0.99
"""Part of the other pixels that must be connected; margins do not cut a frame to pieces, as noise around zero does."""


_BAR, _RARE, _GRADED = 3, 0.02, 16
"""Least width of a bar in pixels, largest part of the other pixels that may have its value, and least number of their
values: with few bits, or in a flat background, light has one value along whole lines, too."""


def margins(frames: Array) -> Mask:
    """Return margins without data, (N, Y, X), with the pixels next to them, which interpolation may have mixed.

    A margin is an area of exactly one value that reaches the edge and ends abruptly; or a bar along a whole edge, as
    of a letterbox, whose value may be that of the light, but is rare elsewhere.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type.
    """
    found = np.zeros(frames.shape, bool)
    if min(frames.shape[1:]) < 8:
        return found
    for frame, there in zip(frames, found, strict=True):
        there[...] = _margin(frame)
    return found


def _margin(frame: Array) -> Mask:
    edge = np.concatenate([frame[0], frame[-1], frame[1:-1, 0], frame[1:-1, -1]])
    values, counts = np.unique(edge, return_counts=True)
    fewest = max(_LEAST * min(frame.shape), _FEWEST)
    # values that are not finite are refused elsewhere
    candidates = values[(counts >= fewest) & np.isfinite(values)]
    margin = np.zeros(frame.shape, bool)
    for value in candidates:
        areas, _ = ndimage.label(frame == value)
        at_edge = np.concatenate([areas[0], areas[-1], areas[1:-1, 0], areas[1:-1, -1]])
        numbers, lengths = np.unique(at_edge[at_edge > 0], return_counts=True)
        own = np.isin(areas, numbers)
        if own.sum() < _ALL * (areas > 0).sum():
            continue
        for number in numbers[lengths >= fewest]:
            area = areas == number
            if _ends_abruptly(frame, area, float(value)):
                margin |= area
    margin |= _bars(frame)
    if not margin.any():
        return margin
    grown = ndimage.binary_dilation(margin)
    areas, count = ndimage.label(~grown)
    left = np.bincount(areas.ravel())[1:]
    is_whole = count > 0 and left.max() >= max(_WHOLE * left.sum(), (1 - _MOST) * frame.size)
    return np.asarray(grown) if is_whole else np.zeros(frame.shape, bool)


def _bars(frame: Array) -> Mask:
    """Return the lines at each edge that hold nothing but one value."""
    bars = np.zeros(frame.shape, bool)
    sides = ((frame, bars), (frame[::-1], bars[::-1]), (frame.T, bars.T), (frame.T[::-1], bars.T[::-1]))
    for lines, there in sides:
        is_even = (lines == lines[0, 0]).all(1)
        width = int(is_even.argmin())
        if width >= _BAR:
            there[:width] = True
    if not bars.any():
        return bars
    others, values = frame[~bars], np.unique(frame[bars])
    if len(np.unique(others)) < _GRADED or np.isin(others, values).mean() > _RARE:
        return np.zeros(frame.shape, bool)
    # light that is cut off, or saturates the camera, has the least or the highest value
    return bars if others.min() < values.min() and values.max() < others.max() else np.zeros(frame.shape, bool)


def _ends_abruptly(frame: Array, area: Mask, value: float) -> bool:
    """Return whether the light next to an area, but for a pixel that may be mixed, differs clearly from its value."""
    near = ndimage.binary_dilation(area)
    beyond = ndimage.binary_dilation(near) & ~near
    if not beyond.any():
        return False
    usual = float(np.median(frame[~area]))
    steps = np.abs(frame[beyond].astype(np.float64) - value)
    return bool(np.mean(steps > _STEP * max(abs(value), abs(usual))) >= _STEEP)
