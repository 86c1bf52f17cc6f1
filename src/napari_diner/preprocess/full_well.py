"""Detection of saturation with noise, as of a sensor whose pixels are full below the range of its converter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_diner.io.arrays import Array
from napari_diner.preprocess.pixels import MEDIAN_OF_NORMAL, finite_values
from napari_diner.preprocess.saturation import Levels
from napari_diner.wording import digits

_BINS = (64, 128, 256, 512, 1024, 2048)
"""Numbers of bins of the histogram: noise may be wide or narrow."""
_BELOW = 6
"""Bins between a peak and where its lower flank has ended."""
_PEAK, _FEWEST = 3.0, 100
"""Ratio of the peak to the frequency of values below it, and number of pixels in it."""
_SIGMAS, _ABOVE = 3.5, 0.003
"""Standard deviations within which noise lies, and largest part of the upper half of the peak beyond."""
_FLANK, _ON_FLANK = 1.5, 0.05
"""Standard deviations beyond which noise lies, too, and least part there; light without noise ends at its maximum."""
_LEAST, _MOST = 0.003, 0.4
"""Parts of the field; more often, a value is the background."""
_OVEREXPOSED = 0.5
"""Part of the field above which saturated pixels do not count as bounds; see `saturation_levels`."""
_WIDEST = 0.05
"""Largest noise relative to the level."""
_WHITE = 0.2
"""Largest correlation of neighbouring pixels of noise."""

_SAMPLED = 500_000
"""Largest number of pixels whose values are sorted."""


@dataclass(frozen=True)
class FullWell:
    """Level at which light is cut off before noise is added."""

    level: float
    """Mean of saturated pixels, in the unit of the frames."""
    noise: float
    """Their standard deviation."""
    share: float
    """Part of the pixels that are saturated."""


def full_well(frames: Array) -> FullWell | None:
    """Return the level at which the light of frames is cut off with noise, or None.

    There the histogram has a narrow, symmetric peak with nothing above it, and neighbouring pixels of it are
    independent. The maxima of light without noise have a smooth surface, and those of light with noise no peak.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type; values that are not finite are ignored.
    """
    values = finite_values(frames).ravel()
    values = values[:: 1 + values.size // _SAMPLED]
    if frames.dtype.kind in "ui":  # rounding hides narrow peaks
        values = values + np.random.default_rng(0).uniform(-0.5, 0.5, values.size)
    upper = np.sort(values)[int((1 - _MOST) * values.size) :].astype(np.float64)
    if upper.size < _FEWEST or upper[-1] <= 0:
        return None
    for bins in _BINS:
        counts, edges = np.histogram(upper, bins)
        width = float(edges[1] - edges[0])
        flank = ndimage.uniform_filter1d(counts.astype(np.float64), 3, mode="nearest")[:-_BELOW]
        rise = counts[_BELOW:] / (1 + flank)
        for bin_number in np.argsort(-rise)[:3]:
            peak = _peak(upper, float(edges[bin_number + _BELOW]) + width / 2, width)
            if peak is not None and _is_noise(frames, *peak):
                level, noise = peak
                return FullWell(level, noise, 2 * float(np.mean(values > level)))
    return None


def _peak(values: Array, level: float, width: float) -> tuple[float, float] | None:
    """Return centre and standard deviation of a symmetric peak near a level that ends the histogram, or None.

    The values are sorted.
    """
    noise = width
    for _ in range(8):
        near = values[slice(*np.searchsorted(values, (level - 1.5 * noise, level + 1.5 * noise)))]
        if near.size < _FEWEST / 2:
            return None
        level = float(near.mean())
        above = values[np.searchsorted(values, level) :]
        noise = max((float(above[above.size // 2]) - level) / MEDIAN_OF_NORMAL, width / 4)
    total = values.size / _MOST
    if not _LEAST * total <= 2 * above.size <= _MOST * total or noise > _WIDEST * level:
        return None
    at = level + noise * np.array([-6, -4, -1, 1, _SIGMAS, _FLANK])
    deep, valley, low, high, top, flank = np.searchsorted(values, at)
    is_end = values.size - top <= _ABOVE * above.size and values.size - flank >= _ON_FLANK * above.size
    is_peak = high - low >= max(_FEWEST, _PEAK * (valley - deep))
    return (level, noise) if is_end and is_peak else None


def _is_noise(frames: Array, level: float, noise: float) -> bool:
    """Return whether pixels near a level have neighbours near it that deviate from it independently."""
    product = square = count = 0.0
    for frame in frames:
        near = np.abs(frame - level) < _SIGMAS * noise
        pairs = near[:, 1:] & near[:, :-1]
        left, right = (part[pairs] - level for part in (frame[:, :-1].astype(np.float64), frame[:, 1:]))
        product += float((left * right).sum())
        square += float((left**2 + right**2).sum()) / 2
        count += pairs.sum()
    return count >= _FEWEST and abs(product) < _WHITE * square


def full_well_doubts(frames: Array, levels: Levels) -> list[str]:
    """Return a warning about frames whose light is cut off with noise; see `full_well`.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X).
    levels
        Exact saturation levels of frames, (N,); nothing is said if any is finite.
    """
    if np.isfinite(levels).any():
        return []
    largest = frames.max()
    share = float(np.mean(frames == largest))
    if _OVEREXPOSED < share < 1:
        return [
            f"{digits(100 * share)} % of the pixels hold the largest value, {largest:g}, as of an overexposed camera; "
            "record them with less light"
        ]
    full = full_well(frames)
    if full is None:
        return []
    return [
        f"about {digits(100 * full.share)} % of the pixels lie around {digits(full.level, 4)} with noise of "
        f"{digits(full.noise)}, and nothing lies above, as of a camera that is saturated there; with saturation set to "
        f"{digits(full.level - 3 * full.noise, 4)}, they count as lower bounds of the light"
    ]
