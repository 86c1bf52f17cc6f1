"""Series of pages in TIFF files with all of their axes, in all supported versions of tifffile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import tifffile


def series_of(tif: tifffile.TiffFile) -> Sequence[tifffile.TiffPageSeries]:
    """Return the series of pages of a file."""
    series = tif.series
    if callable(series):
        # since tifffile 2026.5, series have no axes of length one unless they are asked for
        ask = cast("Callable[..., Sequence[tifffile.TiffPageSeries]]", series)
        return list(ask(squeeze=False))
    return series


def stored_axes(series: tifffile.TiffPageSeries) -> list[tuple[str, int]]:
    """Return the letter and the size of each stored axis of one of `series_of`, also of those of length one."""
    if hasattr(series, "get_axes"):
        return list(zip(series.get_axes(False), series.get_shape(False), strict=True))
    return list(zip(series.axes, series.shape, strict=True))
