"""The settings of the simulations, as they stand in a file or a form. Free of torch."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator

from napari_diner.settings import Settings


class LenslessSimulation(Settings):
    """A lensless recording to simulate: the specimen, the light, the heights and the sensor."""

    height_px: int = Field(default=256, ge=16, le=16384, title="Height (pixels)")
    """Rows of each frame."""
    width_px: int = Field(default=256, ge=16, le=16384, title="Width (pixels)")
    """Columns of each frame."""
    pixel_size_um: float = Field(default=1.12, gt=0, le=1000, title="Pixel size (µm)")
    """Distance between neighbouring pixels of the sensor."""
    wavelength_um: float = Field(default=0.532, gt=0, le=1000, title="Wavelength (µm)")
    """Wavelength of the light in vacuum."""
    distances_um: tuple[float, ...] = Field(
        default=(300.0, 380.0, 460.0, 540.0, 620.0, 700.0), min_length=1, max_length=1000, title="Distances (µm)"
    )
    """Distance from the sample to the sensor for each frame."""
    medium_index: float = Field(default=1.0, ge=1, le=5, title="Medium index")
    """Refractive index between sample and sensor: 1 for air."""
    propagation: Literal["angular_spectrum", "fresnel"] = Field(default="angular_spectrum", title="Propagation")
    """Exact angular spectrum, or its paraxial (Fresnel) approximation."""
    phase_range_rad: float = Field(default=1.7, ge=0, le=20, title="Phase range (rad)")
    """The phase of the specimen runs from zero to this."""
    amplitude_min: float = Field(default=0.3, gt=0, le=1, title="Darkest amplitude")
    """The amplitude runs from this to one; one is a specimen that absorbs nothing."""
    photons: float | None = Field(default=None, gt=0, le=1e12, title="Photons")
    """Photons that fill a pixel at full scale, for shot noise; empty for a recording without."""
    noise_sigma: float = Field(default=0.0, ge=0, le=1, title="Read noise")
    """Standard deviation of the sensor's Gaussian noise, as a fraction of full scale."""
    bits: Literal[8, 16] = Field(default=16, title="Bits")
    """Bits of each pixel."""
    binning: int = Field(default=1, ge=1, le=8, title="Binning")
    """Pixels of the specimen for each pixel of the sensor along each axis, which adds up their light."""
    drift_px: float = Field(default=0.0, ge=0, le=100, title="Drift (pixels)")
    """Frames are displaced at random by up to this many pixels of the sensor."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes the specimen, the drift and the noise."""

    @field_validator("distances_um")
    @classmethod
    def _positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"every value must be a positive number, not {value:g}")
        return values


class ImageSimulation(Settings):
    """An image to draw, with coarse and fine structure, sharp edges and smooth gradients."""

    height_px: int = Field(default=256, ge=16, le=16384, title="Height (pixels)")
    """Rows of the image."""
    width_px: int = Field(default=256, ge=16, le=16384, title="Width (pixels)")
    """Columns of the image."""
    bits: Literal[8, 16] = Field(default=8, title="Bits")
    """Bits of each number."""
    colours: bool = Field(default=True, title="Colours")
    """Red, green and blue, or grey."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes the drawing."""


class VideoSimulation(Settings):
    """A video to draw: a camera that pans over a scene, with something moving in front of it."""

    frames: int = Field(default=30, ge=1, le=10_000, title="Frames")
    """Points of time."""
    height_px: int = Field(default=135, ge=16, le=16384, title="Height (pixels)")
    """Rows of each frame."""
    width_px: int = Field(default=240, ge=16, le=16384, title="Width (pixels)")
    """Columns of each frame."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes the drawing."""


class VolumeSimulation(Settings):
    """A volume to draw, as a fluorescence microscope records it: nuclei, vesicles and filaments, with photon noise."""

    slices: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Points along Z."""
    height_px: int = Field(default=128, ge=16, le=16384, title="Height (pixels)")
    """Rows of each slice."""
    width_px: int = Field(default=128, ge=16, le=16384, title="Width (pixels)")
    """Columns of each slice."""
    pixel_size_um: float = Field(default=0.1, ge=0.01, le=10, title="Pixel size (µm)")
    """Distance between neighbouring pixels."""
    z_step_um: float = Field(default=0.3, ge=0.01, le=10, title="Slice spacing (µm)")
    """Distance between neighbouring slices."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes the specimen and the noise."""


class IdtSimulation(Settings):
    """A recording by intensity diffraction tomography to simulate: cells in a medium, lit from a ring of directions."""

    slices: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Slices of the volume."""
    height_px: int = Field(default=128, ge=16, le=16384, title="Height (pixels)")
    """Rows of each frame."""
    width_px: int = Field(default=128, ge=16, le=16384, title="Width (pixels)")
    """Columns of each frame."""
    pixel_size_um: float = Field(default=0.1625, gt=0, le=1000, title="Pixel size (µm)")
    """Distance between neighbouring pixels in the sample."""
    slice_spacing_um: float = Field(default=0.5, gt=0, le=1000, title="Slice spacing (µm)")
    """Distance between neighbouring slices; the volume is centred on the plane in focus."""
    wavelength_um: float = Field(default=0.515, gt=0, le=1000, title="Wavelength (µm)")
    """Wavelength of the light in vacuum."""
    na: float = Field(default=0.65, gt=0, lt=5, title="Objective NA")
    """Numerical aperture of the objective."""
    medium_index: float = Field(default=1.33, ge=1, le=5, title="Medium index")
    """Refractive index of the medium around the cells: 1.33 for water."""
    ring_na: float = Field(default=0.637, ge=0, lt=5, title="NA of the ring")
    """Numerical aperture of the circle of directions; just below the objective's shows slow changes best."""
    frames: int = Field(default=24, ge=1, le=10_000, title="Illuminations")
    """Directions, evenly spaced on the ring, and as many frames."""
    peak_phase_rad: float = Field(default=0.3, gt=0, le=50, title="Peak phase (rad)")
    """The largest phase that the cells give to light along the axis."""
    absorption: float = Field(default=0.1, ge=0, le=10, title="Absorption")
    """Largest imaginary part of the index, relative to the largest n − n0."""
    model: Literal["multislice", "born"] = Field(default="multislice", title="Model")
    """Multiple scattering, slice by slice (SSNP), or single scattering, which is linear."""
    photons: float | None = Field(default=None, gt=0, le=1e12, title="Photons")
    """Photons that the empty field gives to a pixel, for shot noise; empty for a recording without."""
    noise_sigma: float = Field(default=0.005, ge=0, le=1, title="Noise")
    """Standard deviation of the Gaussian noise, relative to the empty field."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes the cells and the noise."""
