"""Estimation of the levels at which the light of a recording is cut off: saturation and black."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array
from napari_diner.preprocess.pixels import finite_values

Levels = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# range below the brightest value, relative to it and in number of values, that gives the expected frequency of a value
_NEAR, _NEXT = 0.02, 3
# factor over the expected frequency, and number of occurrences, above which a value is a saturation level
_PILED, _FEWEST = 5.0, 8
# largest part of saturated pixels, unless the value is the largest of a camera of so many bits or more; any other value
# that is more frequent is a flat background
_MOST, _BITS = 0.5, 8
# part of the pixels of a frame that are cut off at black, and the widest step between values that are not single counts
_BLACK, _COUNTS = 0.05, 0.005


def saturation_levels(frames: Array, valid: Mask | None = None) -> Levels:
    """Return the saturation levels of frames, (N,); infinite for frames without saturation.

    An overexposed camera returns its largest value, which may be less than that of the type (1023 or 4095 in 16 bits),
    for all pixels with more light, so that they accumulate there: the area around the maxima of a smooth pattern is
    proportional to the range of intensities that it covers, so that without saturation the largest value is at most as
    frequent as those just below it. The level is common to all frames, but frames that were divided by their exposure
    or their mean have individual ones below it.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type; values that are not finite are ignored.
    valid
        True at valid pixels, (N, Y, X); all if None.
    """
    pages = list(frames) if valid is None else [frame[good] for frame, good in zip(frames, valid, strict=True)]
    common = _piled_up(finite_values(frames if valid is None else frames[valid]))
    return np.minimum([_piled_up(finite_values(page)) for page in pages], common)


def saturated(frames: Array, levels: Levels) -> Mask:
    """Return whether pixels reach the saturation levels of their frames, (N, Y, X)."""
    return np.asarray(frames >= levels[:, None, None])


def at_levels(levels: Levels) -> str:
    """Return saturation levels in words, e.g. ``"at 255"``."""
    least, most = (f"{level:g}" for level in (levels.min(), levels[np.isfinite(levels)].max(initial=levels.min())))
    return f"at {least}" if least == most else f"at {least} to {most}"


def black_level(frames: Array) -> tuple[float, list[int]] | None:
    """Return the value at which dark pixels are cut off, and the numbers of these frames; None if there are none.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type, finite.
    """
    low = float(frames.min())
    cut = []
    for number, frame in enumerate(frames):
        count = int((frame == low).sum())
        if not _BLACK * frame.size <= count <= _MOST * frame.size:
            continue
        # for reversed values, black is the brightest
        levels = np.unique(frame)[: 4 * _NEXT]
        steps = np.diff(levels) / (float(frame.max()) - low)
        if len(steps) > _NEXT and float(np.median(steps)) < _COUNTS:
            cut += [number] if _is_piled_up(count, frame[(frame > low) & (frame <= levels[-1])]) else []
    return (low, cut) if cut else None


def _piled_up(values: Array) -> float:
    """Return the largest value if it is a saturation level, otherwise infinity."""
    if not values.size:
        return np.inf
    largest = values.max()
    count = int((values == largest).sum())
    if largest <= 0 or count < _FEWEST or (count > _MOST * values.size and not _is_full_scale(largest)):
        return np.inf
    near = values[(values >= (1 - _NEAR) * largest) & (values < largest)]
    if len(np.unique(near)) < _NEXT:
        levels = np.unique(values)[-1 - _NEXT :]
        near = values[(values >= levels[0]) & (values < largest)]
    return float(largest) if _is_piled_up(count, near) else np.inf


def _is_full_scale(value: np.generic) -> bool:
    """Return whether a value is the largest integer of some number of bits."""
    return value.dtype.kind in "ui" and int(value) >= 2**_BITS - 1 and (int(value) + 1) & int(value) == 0


def _is_piled_up(count: int, near: Array) -> bool:
    """Return whether a value is more frequent than expected from nearby ones."""
    return count > _PILED * near.size / max(len(np.unique(near)), 1)
