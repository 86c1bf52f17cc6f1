"""Octaves of the spatial frequencies of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from napari_diner.wording import digits


@dataclass(frozen=True)
class Band:
    """An octave of spatial frequencies, or the lowest ones, in cycles/µm."""

    low: float
    high: float

    @property
    def text(self) -> str:
        """Periods of the band, as text."""
        if self.low == 0:
            return f"periods above {digits(1 / self.high, 3)} µm"
        return f"periods of {digits(1 / self.high, 3)} to {digits(1 / self.low, 3)} µm"


def octaves(shape: tuple[int, int], pixel_size_um: float) -> tuple[Band, ...]:
    """Return the octaves of a grid from fine to coarse; the corners beyond Nyquist belong to the first.

    The last band is the remainder above zero, at least the two lowest frequencies of the longer side.
    """
    lowest = 1 / (max(shape) * pixel_size_um)
    high = math.sqrt(0.5) / pixel_size_um
    low = 0.25 / pixel_size_um
    bands = []
    while low > 2 * lowest:
        bands.append(Band(low, high))
        low, high = low / 2, low
    return (*bands, Band(0.0, high))


def band_mask(band: Band, frequency: Tensor) -> Tensor:
    """Return whether frequencies (cycles/µm, any shape) belong to a band; zero belongs to none."""
    return (frequency > band.low) & (frequency <= band.high)
