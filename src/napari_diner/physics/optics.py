"""Light in a medium, sampled by pixels. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["angular_spectrum", "fresnel"]


@dataclass(frozen=True)
class Optics:
    """Light of one wavelength in a homogeneous medium, on a grid of square pixels."""

    pixel_size_um: float
    """Distance p between neighbouring pixels."""
    wavelength_um: float
    """Wavelength λ in vacuum."""
    medium_index: float = 1.0
    """Refractive index n of the medium."""
    method: Method = "angular_spectrum"
    """Model of propagation: ``"angular_spectrum"`` (exact) or ``"fresnel"`` (paraxial)."""

    @property
    def wavelength_in_medium_um(self) -> float:
        """λ/n."""
        return self.wavelength_um / self.medium_index

    @property
    def medium_frequency(self) -> float:
        """n/λ, in cycles/µm: the highest spatial frequency of waves that propagate."""
        return self.medium_index / self.wavelength_um

    @property
    def depth_of_field_um(self) -> float:
        """Depth of field n λ/NA², with the aperture λ/2p that the pixels resolve or n if less: often 4n p²/λ."""
        aperture = min(self.wavelength_um / (2 * self.pixel_size_um), self.medium_index)
        return self.medium_index * self.wavelength_um / aperture**2
