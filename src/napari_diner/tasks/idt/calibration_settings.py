"""Settings of the calibration of illuminations and pupil. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class CalibrationSettings(Settings):
    """Self-calibration of the directions and the brightness of the illuminations, and of the objective's pupil."""

    illuminations: Literal["given", "circles", "refine"] = Field(default="given", title="Directions")
    """Keep the nominal ones (given), estimate them from the circles that the objective's aperture leaves in the spectra
    (circles), or also refine them together with the object (refine)."""
    move: Literal["each", "together"] = Field(default="each", title="Move")
    """Each direction independently; or the whole pattern (together), shifted, rotated and scaled, for an LED array."""
    search_na: float = Field(default=0.05, gt=0, le=1, title="Search range (NA)")
    """Largest distance from the nominal directions to search, as a numerical aperture: 0.017 is about one degree."""
    gain: bool = Field(default=False, title="Gains")
    """Estimate the brightness of each frame relative to its background."""
    pupil: bool = Field(default=False, title="Aberrations")
    """Estimate the aberrations of the objective: the Zernike modes 5 to 11 of its pupil, from given ones or zero."""
    iterations: int = Field(default=12, ge=1, le=1000, title="Iterations")
    """Maximum number of steps of the refinement."""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to estimate."""
        return self.illuminations == "circles" or self.refines

    @property
    def refines(self) -> bool:
        """Whether directions, gains or the pupil are refined together with the object."""
        return self.illuminations == "refine" or self.gain or self.pupil
