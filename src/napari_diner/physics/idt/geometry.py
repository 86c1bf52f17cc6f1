"""The volume and the optics that image it. Does not import torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from napari_diner.errors import RecipeError


@dataclass(frozen=True)
class Slices:
    """The slices of a volume in a medium, and the wavelength of the light.

    Raises
    ------
    RecipeError
        If a size is less than one, or another number is not positive and finite.
    """

    shape: tuple[int, int, int]
    """Voxels (Z, Y, X)."""
    slice_spacing_um: float
    """Distance Δz between the centres of neighbouring slices, and thickness of each."""
    wavelength_um: float
    """Wavelength λ in vacuum."""
    medium_index: float
    """Refractive index n0 of the medium."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise RecipeError(f"A volume has at least one slice, row and column; its shape cannot be {self.shape}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not math.isfinite(value):
                raise RecipeError(f"{{field}} is {value}; it must be a finite number", field.name)
            if isinstance(value, int | float) and value <= 0 and field.name != "first_slice_um":
                raise RecipeError(f"{{field}} is {value}; it must be a number above zero", field.name)

    @property
    def wavenumber(self) -> float:
        """k0 = 2π/λ in vacuum, in rad/µm."""
        return 2 * math.pi / self.wavelength_um

    @property
    def medium_frequency(self) -> float:
        """n0/λ, in cycles/µm: the spatial frequency of light in the medium."""
        return self.medium_index / self.wavelength_um


@dataclass(frozen=True)
class VolumeGeometry(Slices):
    """The slices of a volume, their pixels, and the objective that images them.

    Parameters
    ----------
    shape, slice_spacing_um, wavelength_um, medium_index
        As in `Slices`.
    pixel_size_um
        Distance between neighbouring pixels, in the object.
    na
        Numerical aperture of the objective.
    first_slice_um
        z of the centre of the first slice; if None, the volume is centred on the plane in focus, z = 0.
    zernike_rad
        Phase of the objective's pupil: coefficients of the Zernike modes from 4 on, in rad; see `physics.zernike`.

    Raises
    ------
    RecipeError
        As in `Slices`, or if the NA is not below the index of the medium.
    """

    pixel_size_um: float
    na: float
    first_slice_um: float | None = None
    zernike_rad: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.na >= self.medium_index:
            raise RecipeError(
                f"The objective's NA of {self.na:g} is not below the medium's index of {self.medium_index:g}; "
                "correct {field} or {field:medium_index}",
                "na",
            )

    @property
    def slice_positions_um(self) -> NDArray[np.float64]:
        """Positions z of the centres of the slices, (Z,)."""
        count = self.shape[0]
        first = self.first_slice_um if self.first_slice_um is not None else -self.slice_spacing_um * (count - 1) / 2
        return np.asarray(first + self.slice_spacing_um * np.arange(count))

    @property
    def steps_needed(self) -> int:
        """Steps per slice of at most a third of a wavelength in the medium."""
        return math.ceil(3 * self.slice_spacing_um * self.medium_frequency)

    @property
    def reach_um(self) -> float:
        """Sideways reach of light within the objective's aperture between the plane in focus and a face."""
        depth_um = float(np.abs(self.slice_positions_um).max()) + self.slice_spacing_um / 2
        return depth_um * self.na / math.sqrt(self.medium_index**2 - self.na**2)

    @property
    def cutoff(self) -> float:
        """NA/λ, in cycles/µm: the highest transverse frequency that passes the objective."""
        return self.na / self.wavelength_um

    @property
    def is_aberrated(self) -> bool:
        """Whether the phase of the pupil is not constant."""
        return any(self.zernike_rad)
