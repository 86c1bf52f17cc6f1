"""The settings of the calibration of illuminations. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class CalibrationSettings(Settings):
    """Directions and brightness of the illuminations, from the recording itself."""

    illuminations: Literal["given", "circles", "refine"] = Field(default="given", title="Directions")
    """As given; from the circles that the objective's aperture leaves in the spectra (circles); or those, then refined
    together with the object (refine)."""
    move: Literal["each", "together"] = Field(default="each", title="Move")
    """Each direction independently; or the whole pattern (together), shifted, rotated and scaled, for an LED array."""
    search_na: float = Field(default=0.05, gt=0, le=1, title="Search range (NA)")
    """How far from the given directions to search, as a numerical aperture: 0.017 is about one degree."""
    gain: bool = Field(default=False, title="Gains")
    """Estimate the brightness of each frame relative to its background."""
    iterations: int = Field(default=12, ge=1, le=1000, title="Iterations")
    """Maximum number of steps of the refinement."""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to estimate."""
        return self.illuminations != "given" or self.gain
