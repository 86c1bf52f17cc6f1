"""The grid of the volume and the optics that look at it. Free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_diner.errors import RecipeError


@dataclass(frozen=True)
class Geometry:
    """A volume of Z slices of Y × X pixels in a medium, and the objective that looks at it.

    Raises
    ------
    RecipeError
        If a length or index is not positive and finite, or the objective's NA is not below the index of the medium.
    """

    shape: tuple[int, int, int]
    """Voxels (Z, Y, X)."""
    pixel_size_um: float
    """Distance between neighbouring pixels, in the object."""
    slice_spacing_um: float
    """Distance Δz between the centres of neighbouring slices, and thickness of each."""
    first_slice_um: float | None
    """z of the first slice's centre; if None, the volume is centred on the plane in focus, z = 0."""
    wavelength_um: float
    """Wavelength λ in vacuum."""
    na: float
    """Numerical aperture of the objective."""
    medium_index: float
    """Refractive index n0 of the medium."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise RecipeError(
                f"A volume has slices, rows and columns, all at least one; the shape {self.shape} has not"
            )
        for name in ("pixel_size_um", "slice_spacing_um", "wavelength_um", "na", "medium_index"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise RecipeError(f"{name} is {value}; it must be a number above zero")
        if self.first_slice_um is not None and not math.isfinite(self.first_slice_um):
            raise RecipeError(f"first_slice_um is {self.first_slice_um}; it must be a number")
        if self.na >= self.medium_index:
            raise RecipeError(
                f"The objective's NA of {self.na:g} is not below the medium's index of {self.medium_index:g}; "
                "correct na or medium_index"
            )

    @property
    def slice_positions_um(self) -> NDArray[np.float64]:
        """Where the centre of each slice is along the axis, (Z,)."""
        count = self.shape[0]
        first = self.first_slice_um if self.first_slice_um is not None else -self.slice_spacing_um * (count - 1) / 2
        return np.array([first + self.slice_spacing_um * plane for plane in range(count)], dtype=np.float64)

    @property
    def wavenumber(self) -> float:
        """k0 = 2π/λ in vacuum, in rad/µm."""
        return 2 * math.pi / self.wavelength_um

    @property
    def medium_frequency(self) -> float:
        """n0/λ, in cycles/µm: the spatial frequency of light in the medium."""
        return self.medium_index / self.wavelength_um

    @property
    def cutoff(self) -> float:
        """NA/λ, in cycles/µm: the highest transverse frequency that passes the objective."""
        return self.na / self.wavelength_um
