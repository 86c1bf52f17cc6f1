"""Settings of a simulated lensless recording. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from napari_diner.settings import Settings
from napari_diner.simulate.settings import Columns, Rows, Seed, Wavelength

_SHORTEST_UM, _LONGEST_UM = 1e-6, 1e9


class LenslessSimulation(Settings):
    """A simulated lensless recording: specimen, light, heights and sensor."""

    height_px: Rows = 256
    width_px: Columns = 256
    pixel_size_um: float = Field(default=1.12, ge=1e-6, le=1000, title="Pixel size (µm)")
    """Distance between neighbouring pixels of the sensor."""
    wavelength_um: Wavelength = 0.532
    distances_um: tuple[float, ...] = Field(
        default=(300.0, 380.0, 460.0, 540.0, 620.0, 700.0), min_length=1, max_length=1000, title="Distances (µm)"
    )
    """Distance from the sample to the sensor for each frame."""
    medium_index: float = Field(default=1.0, ge=1, le=5, title="Medium index")
    """Refractive index between sample and sensor: 1 for air."""
    propagation: Literal["angular_spectrum", "fresnel"] = Field(default="angular_spectrum", title="Propagation")
    """Exact angular spectrum, or its paraxial (Fresnel) approximation."""
    source_size_um: float = Field(default=0.0, ge=0, le=1e5, title="Source size (µm)")
    """Diameter of the source behind the lens that makes its light parallel; 0 for a point."""
    source_distance_um: float = Field(default=10_000.0, ge=1e-6, le=1e7, title="Source distance (µm)")
    """Distance from the source to that lens, its focal length."""
    bandwidth_nm: float = Field(default=0.0, ge=0, le=200, title="Bandwidth (nm)")
    """Width of the source's spectrum at half its height; 0 for a single wavelength."""
    phase_range_rad: float = Field(default=1.7, ge=0, le=20, title="Phase range (rad)")
    """The phase of the specimen ranges from zero to this."""
    amplitude_min: float = Field(default=0.3, gt=0, le=1, title="Darkest amplitude")
    """The amplitude ranges from this to one; one means that the specimen does not absorb."""
    photons: float | None = Field(default=None, ge=1e-3, le=1e12, title="Photons")
    """Photons in a pixel at full scale, for shot noise; empty for none."""
    noise_sigma: float = Field(default=0.0, ge=0, le=1, title="Read noise")
    """Standard deviation of the sensor's Gaussian noise, as a fraction of full scale."""
    bits: Literal[8, 16] = Field(default=16, title="Bits")
    """Bits per pixel."""
    binning: int = Field(default=1, ge=1, le=8, title="Binning")
    """Pixels of the specimen per pixel of the sensor along each axis; the sensor adds up their light."""
    drift_px: float = Field(default=0.0, ge=0, le=100, title="Drift (pixels)")
    """Frames are displaced randomly by up to this many pixels of the sensor."""
    illumination: Literal["even", "vignetted", "speckled"] = Field(default="even", title="Illumination")
    """Even, weaker and curved towards the edges, or uneven in amplitude and phase, as behind a weak diffuser."""
    lateral_positions: int = Field(default=1, ge=1, le=100, title="Lateral positions")
    """All distances are recorded at each of these places of the specimen in its illumination."""
    lateral_step_px: float = Field(default=12.0, ge=0, le=1000, title="Lateral step (pixels)")
    """Distance between neighbouring places."""
    seed: Seed = 0

    @field_validator("distances_um")
    @classmethod
    def _positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not _SHORTEST_UM <= value <= _LONGEST_UM:
                raise ValueError(f"every value must lie between {_SHORTEST_UM:g} and {_LONGEST_UM:g}, not {value:g}")
        return values
