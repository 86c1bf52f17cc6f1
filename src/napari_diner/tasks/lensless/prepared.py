"""The frames of a lensless recording, prepared for solvers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PreparedFrames:
    """A recording, prepared for solvers."""

    amplitudes: npt.NDArray[np.float32]
    """Square roots of the intensities in the unit below, float32, (N, Y, X)."""
    mask: npt.NDArray[np.bool_] | None
    """True where pixels count, (N, Y, X), or None if all do."""
    peak: float
    """Range of the intensities, the peak of a peak signal-to-noise ratio."""
    unit: float
    """Unit of intensity, such that fields are of order one for any camera."""
    gains: tuple[float, ...]
    """Relative brightness of each frame."""
    warnings: tuple[str, ...]
    """Sentences for the report."""
    at_least: npt.NDArray[np.bool_] | None = None
    """True where pixels are saturated, (N, Y, X), or None if none is."""
    odd: tuple[int, ...] = ()
    """Faulty frames, from zero, that say nothing about the geometry (see `napari_diner.preprocess.odd_frames`)."""
    measures_light: bool = True
    """Whether the values are proportional to the light, and not changed after they were recorded, as a warning says."""

    def part(self, rows: slice, columns: slice) -> PreparedFrames:
        """Return a part of the field."""
        at = (slice(None), rows, columns)
        mask, at_least = (None if image is None else image[at] for image in (self.mask, self.at_least))
        return replace(self, amplitudes=self.amplitudes[at], mask=mask, at_least=at_least)

    @property
    def intensities(self) -> npt.NDArray[np.float32]:
        """Intensities in the units of the camera, (N, Y, X)."""
        return np.float32(self.unit) * self.amplitudes**2

    def of(self, frames: Sequence[int]) -> PreparedFrames:
        """Return the frames of these numbers, from zero."""
        at = list(frames)
        mask, at_least = (None if image is None else image[at] for image in (self.mask, self.at_least))
        gains = tuple(self.gains[number] for number in at)
        odd = tuple(place for place, number in enumerate(at) if number in self.odd)
        return replace(self, amplitudes=self.amplitudes[at], mask=mask, gains=gains, at_least=at_least, odd=odd)
