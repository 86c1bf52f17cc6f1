"""Arrays with axes, spacing and quantity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

DType: TypeAlias = np.dtype[np.number]
Array: TypeAlias = npt.NDArray[np.number]
"""Numbers of any type in a file, or booleans of masks."""


@dataclass(frozen=True)
class NamedArray:
    """A named image, stack or volume.

    Raises
    ------
    ValueError
        If the numbers of dimensions, letters and spacings differ.
    """

    name: str
    """Name of the quantity, e.g. ``"phase"``; also the name of its layer and of its file."""
    data: Array
    """Real numbers, with one axis for each letter of `axes`."""
    axes: str
    """Letters of the axes in order, as in OME: ``"YX"``, ``"ZYX"``; ``"N"`` counts the recorded frames."""
    scale_um: tuple[float, ...]
    """Spacing along each axis in micrometres; 1.0 along axes that are not lengths."""
    unit: str = "1"
    """Unit of the values: ``"rad"``, or ``"1"`` if they are dimensionless."""

    def __post_init__(self) -> None:
        if not self.data.ndim == len(self.axes) == len(self.scale_um):
            raise ValueError(
                f"{self.name}: {self.data.ndim} dimensions do not match the axes {self.axes!r} and "
                f"{len(self.scale_um)} spacings"
            )
