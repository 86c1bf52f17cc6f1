"""Settings of a simulated recording by diffraction tomography. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from napari_diner.physics.settings import ZernikeCoefficients
from napari_diner.settings import Settings
from napari_diner.simulate.settings import Columns, Rows, Seed, Wavelength


class IdtSimulation(Settings):
    """A simulated recording by intensity diffraction tomography: cells in a medium under a ring of directions."""

    slices: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Number of slices."""
    height_px: Rows = 128
    width_px: Columns = 128
    pixel_size_um: float = Field(default=0.1625, ge=1e-6, le=1000, title="Pixel size (µm)")
    """Distance between neighbouring pixels in the sample."""
    slice_spacing_um: float = Field(default=0.5, ge=1e-6, le=1000, title="Slice spacing (µm)")
    """Distance between neighbouring slices; the volume is centred on the plane in focus."""
    wavelength_um: Wavelength = 0.515
    na: float = Field(default=0.65, gt=0, lt=5, title="Objective NA")
    """Numerical aperture of the objective."""
    zernike_rad: ZernikeCoefficients = Field(default=(), title="Aberrations (rad)")
    """RMS phases of the objective's Zernike modes from 4 (Noll) on: defocus, two of astigmatism, two of coma, …"""
    medium_index: float = Field(default=1.33, ge=1, le=5, title="Medium index")
    """Refractive index of the medium around the cells: 1.33 for water."""
    ring_na: float = Field(default=0.637, ge=0, lt=5, title="NA of the ring")
    """Numerical aperture of the circle of directions; just below that of the objective shows slow changes best."""
    source_na: float = Field(default=0.0, ge=0, le=1, title="Source size (NA)")
    """Radius of each light source over its distance, as a numerical aperture; 0 for points."""
    frames: int = Field(default=24, ge=1, le=10_000, title="Illuminations")
    """Number of directions, evenly spaced on a ring, and of frames for it."""
    more_rings_na: tuple[float, ...] = Field(default=(), title="NA of further rings")
    """Numerical apertures of further rings, with as many directions each; dark field outside the objective's."""
    dark_field_exposure: float = Field(default=50.0, gt=0, le=1e6, title="Dark-field exposure")
    """Exposure of dark-field frames relative to the others, by which their noise is lower."""
    peak_phase_rad: float = Field(default=0.3, gt=0, le=50, title="Peak phase (rad)")
    """Largest phase delay by the cells along the axis."""
    absorption: float = Field(default=0.1, ge=0, le=10, title="Absorption")
    """Largest imaginary part of the index, relative to the largest n − n0."""
    model: Literal["multislice", "born"] = Field(default="multislice", title="Model")
    """Multiple scattering, slice by slice (SSNP), or single scattering, which is linear."""
    photons: float | None = Field(default=None, ge=1e-3, le=1e12, title="Photons")
    """Photons per pixel in the empty field, for shot noise; empty for none."""
    noise_sigma: float = Field(default=0.005, ge=0, le=1, title="Noise")
    """Standard deviation of the Gaussian noise, relative to the empty field."""
    seed: Seed = 0

    @field_validator("more_rings_na")
    @classmethod
    def _possible_rings(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < value < 5 for value in values):
            raise ValueError("numerical apertures of rings are numbers above 0 and below 5")
        return values
