"""Checks of the range of the values of a fit: representable, and without outliers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.preprocess.changed import sentence_of
from napari_diner.preprocess.wrapped import wrapped
from napari_diner.tasks.fit.layout import Array

# ranges that keep their digits in single precision, in which representations compute and layers are shown
_NARROWEST, _LARGEST = 1e-30, float(np.finfo(np.float32).max)
# number of extreme values on each side, and the largest usual distance from the rest, in ranges of the rest
_FEW, _USUAL_GAP = 10, 4.0
# above this ratio, the rest has fewer than a hundred steps of single precision
_HOPELESS_GAP = 1e5
# images with fewer values, such as masks and labels, have no meaningful range
_DISTINCT, _LOOKED_AT = 16, 10_000
# images of a volume or video that are looked at for values that wrapped round
_PAGES = 32


def range_of(array: Array, missing: str = "") -> tuple[float, float, list[str]]:
    """Return the smallest and the largest value of data, and warnings about outliers.

    Parameters
    ----------
    array
        The data.
    missing
        Numbers in the file that were read as NaN, for the message; empty if there are none.

    Raises
    ------
    InputError
        If values are not finite, their range is beyond single precision, or outliers leave no precision to the others.
    """
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        if not finite.all():
            bad = ~finite
            if missing:
                raise InputError(
                    f"{bad.sum():,} of {bad.size:,} values of the data, the first at {_place(bad)}, hold {missing}; "
                    "delete this declaration if such values were recorded, otherwise replace or crop them"
                )
            raise InputError(
                f"Values of the data are not finite (NaN or infinity): {bad.sum():,} of {bad.size:,}, the first at "
                f"{_place(bad)}; replace or crop them"
            )
    low, high = float(array.min()), float(array.max())
    span, largest = high - low, max(abs(low), abs(high))
    if largest > _LARGEST or 0 < (span or largest) < _NARROWEST:
        raise InputError(
            f"The data range from {low:.4g} to {high:.4g}, which is too {'large' if largest > _LARGEST else 'narrow'} "
            "for single precision; multiply them by a constant"
        )
    return low, high, _outliers(array, low, high)


def constant(samples: Array) -> str | None:
    """Return the value that all samples have, in words, or None if they differ.

    Parameters
    ----------
    samples
        Values, (*shape, outputs).
    """
    first = samples.reshape(-1, samples.shape[-1])[0] if samples.size else samples
    # most data differ within the first line
    if not samples.size or (samples[(0,) * (samples.ndim - 2)] != first).any() or (samples != first).any():
        return None
    return ", ".join(f"{value:.6g}" for value in first.tolist())


def jumps(array: Array, axes: str) -> list[str]:
    """Return a warning if values of images, Y and X among the axes, wrapped round the range of their type."""
    places = (axes.index("Y"), axes.index("X"))
    pages = np.moveaxis(array, places, (-2, -1))
    pages = pages.reshape(-1, *pages.shape[-2:])
    around = wrapped(pages[:: 1 + len(pages) // _PAGES])
    if around is None:
        return []
    return [f"{sentence_of(around, 'the data')}; if they are angles, nothing is wrong"]


def _outliers(array: Array, low: float, high: float) -> list[str]:
    few = min(_FEW, array.size // 100)
    if array.dtype.itemsize == 1 or few == 0 or low == high:
        return []
    ordered = np.partition(array, (few, array.size - 1 - few), axis=None)
    lowest, highest = (np.sort(part).astype(np.float64) for part in (ordered[: few + 1], ordered[-1 - few :]))
    usual = _USUAL_GAP * (highest[0] - lowest[-1])
    # there can be many pixels without data
    inner_low = _beyond_gap(lowest, usual) if lowest[-1] > low else float(array.min(where=array != low, initial=high))
    inner_high = (
        -_beyond_gap(-highest[::-1], usual) if highest[0] < high else float(array.max(where=array != high, initial=low))
    )
    inner = inner_high - inner_low
    stride = max(1, array.size // _LOOKED_AT)
    if inner <= 0 or len(np.unique(array.reshape(-1)[::stride])) < _DISTINCT:
        return []
    warnings = []
    for gap, extreme, outside in (
        (inner_low - low, low, array < inner_low), (high - inner_high, high, array > inner_high),
    ):  # fmt: skip
        if gap <= _USUAL_GAP * inner:
            continue
        words = (
            f"{_counted(outside)} (up to {extreme:.6g}, first at {_place(outside)}) far from all others, which lie "
            f"between {inner_low:.6g} and {inner_high:.6g}"
        )
        if gap > _HOPELESS_GAP * inner:
            raise InputError(f"In the data, {words}: too far for single precision; replace or crop them")
        warnings.append(
            f"{words}, and make the range {(high - low) / inner:.3g} times as wide, and the PSNR as much higher; "
            "replace them if they stand for missing data"
        )
    return warnings


def _beyond_gap(extremes: npt.NDArray[np.float64], usual: float) -> float:
    """Return the value after the last unusually wide gap between the smallest values of data, in order."""
    wide = np.flatnonzero(np.diff(extremes) > usual)
    return float(extremes[wide[-1] + 1 if len(wide) else 0])


def _counted(where: Array) -> str:
    count = int(where.sum())
    return "1 value lies" if count == 1 else f"{count:,} values lie"


def _place(where: Array) -> str:
    """Return the indices of the first true value, as in ``(3, 17)``."""
    place = np.unravel_index(int(where.argmax()), where.shape)
    return f"({', '.join(str(int(index)) for index in place)})"
