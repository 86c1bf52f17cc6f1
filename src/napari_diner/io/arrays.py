"""An array that knows what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class NamedArray:
    """A named image, stack or volume with its axes, pixel spacing and quantity.

    Parameters
    ----------
    name
        The quantity's name, e.g. ``"phase"``; also the name of its layer and of its file.
    data
        Array of real numbers, one axis for each letter of `axes`.
    axes
        Letters of the axes in order, as in OME: ``"YX"``, ``"ZYX"``; ``"N"`` counts the recorded frames.
    scale_um
        Spacing along each axis in micrometres; 1.0 along axes that are no lengths.
    unit
        Unit of the values: ``"rad"``, or ``"1"`` where they are dimensionless.
    """

    name: str
    data: npt.NDArray[Any]
    axes: str
    scale_um: tuple[float, ...]
    unit: str = "1"

    def __post_init__(self) -> None:
        if not self.data.ndim == len(self.axes) == len(self.scale_um):
            raise ValueError(
                f"{self.name}: an array of {self.data.ndim} dimensions, axes {self.axes!r} and "
                f"{len(self.scale_um)} spacings do not go together"
            )
