"""The width of a distribution, whatever its outliers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# median absolute deviation of a normal distribution of unit standard deviation
_NORMAL = 0.6744897501960817


def spread(
    values: npt.NDArray[np.floating], axis: int | None = None, *, around_zero: bool = False
) -> npt.NDArray[np.float64]:
    """Return the median absolute deviation as a standard deviation of a normal distribution.

    That of scipy.stats takes a second to import, before the first picture of a run.

    Parameters
    ----------
    values
        The values.
    axis
        Axis along which the median is taken, and which is kept; all if None, then the result is a scalar, ().
    around_zero
        Whether deviations are those from zero instead of from the median.
    """
    keeps = axis is not None
    off = values if around_zero else values - np.median(values, axis, keepdims=keeps)
    return np.asarray(np.median(np.abs(off), axis, keepdims=keeps) / _NORMAL)
