"""What is to be found out about a recording besides its object. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class CalibrationSettings(Settings):
    """Directions and brightness of the illuminations, from the recording itself."""

    illuminations: Literal["given", "circles", "refine"] = Field(default="given", title="Directions")
    """As given; from the circles that the objective's aperture leaves in the spectra (circles); or those, and then
    refined together with the object (refine)."""
    move: Literal["each", "together"] = Field(default="each", title="Move")
    """Each direction by itself; or the whole pattern (together): shifted, turned and scaled, for an array of LEDs."""
    search_na: float = Field(default=0.05, gt=0, le=1, title="Search range (NA)")
    """How far from the directions given others are looked for, as a numerical aperture: 0.017 is about one degree."""
    gain: bool = Field(default=False, title="Gains")
    """Find by how much each frame is brighter than its background says."""
    iterations: int = Field(default=12, ge=1, le=1000, title="Iterations")
    """At most this many steps of the refinement."""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to find out."""
        return self.illuminations != "given" or self.gain
