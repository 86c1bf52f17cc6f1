"""Lensless recordings of a known specimen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_diner.device import check_memory
from napari_diner.physics.optics import Optics
from napari_diner.simulate.lensless.phantoms import specimen
from napari_diner.simulate.lensless.settings import LenslessSimulation

# Standard deviation of the specimen's smoothing times the highest frequency that the grid, and that propagation
# carries. At these the Gaussian leaves 1e-3 and 3e-9 of an amplitude that is small there already. What the grid cannot
# carry would merely look jagged; what propagation loses is lost to the reconstruction.
_GRID_SMOOTHING = 0.6
_PASSBAND_SMOOTHING = 1.0


@dataclass(frozen=True)
class LenslessSample:
    """A simulated recording, and the specimen behind it.

    Parameters
    ----------
    frames
        Intensities as the sensor gives them, uint8 or uint16, (N, Y, X).
    amplitude, phase
        The specimen, float32, (Y·binning, X·binning); the phase in radians.
    pixel_size_um
        Of the sensor.
    wavelength_um, distances_um, medium_index, propagation
        How it was recorded.
    binning
        Pixels of the specimen for each pixel of the sensor along each axis.
    shifts_um
        (dy, dx) by which each frame is displaced, down and to the right.
    intensity_scale
        Model intensity that the largest value of the frames' type stands for: data = model / scale.
    """

    frames: npt.NDArray[np.unsignedinteger[Any]]
    amplitude: npt.NDArray[np.float32]
    phase: npt.NDArray[np.float32]
    pixel_size_um: float
    wavelength_um: float
    distances_um: tuple[float, ...]
    medium_index: float
    propagation: Literal["angular_spectrum", "fresnel"]
    intensity_scale: float
    binning: int
    shifts_um: tuple[tuple[float, float], ...]


def simulate(settings: LenslessSimulation) -> LenslessSample:
    """Simulate a lensless recording.

    The model is `physics.multiheight.MultiHeight` in double precision, without padding: the specimen repeats itself
    periodically, and so does what the sensor sees. The band is limited as reconstructions do by default; the specimen
    is smooth enough for next to nothing of it to be lost thereby, unless the way is many times longer than the field
    is wide, and for a reconstruction without the limit to be as good. The full scale is the brightest pixel, so that
    nothing is clipped but negative values of the read noise.

    Parameters
    ----------
    settings
        What to simulate.

    Returns
    -------
    LenslessSample
        Frames, specimen, and how it was recorded.

    Raises
    ------
    OutOfMemoryError
        If the frames do not fit the memory.
    """
    # torch takes seconds to load, and the settings of this module are shown without it
    import torch

    from napari_diner.physics.lensless.heights import Heights
    from napari_diner.physics.lensless.multiheight import MultiHeight
    from napari_diner.physics.lensless.sensor import Sensor

    optics = Optics(
        settings.pixel_size_um / settings.binning,
        settings.wavelength_um,
        settings.medium_index,
        settings.propagation,
    )
    sensor, shape = Sensor(settings.binning), (settings.height_px, settings.width_px)
    frames, needed = len(settings.distances_um), 12 * len(settings.distances_um) + 200 * settings.binning**2
    check_memory(needed * shape[0] * shape[1], f"Simulating {frames} frames of {shape[0]}×{shape[1]}")
    fine = (shape[0] * settings.binning, shape[1] * settings.binning)
    drift = np.random.default_rng((settings.seed, 2)).uniform(-1, 1, (frames, 2)) * settings.drift_px
    shifts_um = tuple((float(dy), float(dx)) for dy, dx in drift * settings.pixel_size_um)
    phantom = specimen(
        fine,
        phase_range_rad=settings.phase_range_rad,
        amplitude_min=settings.amplitude_min,
        smoothing_px=_smoothing_px(settings),
        seed=settings.seed,
    )
    # the truth is what is kept of it, so that rounding to float32 is no error of a reconstruction
    amplitude, phase = phantom.amplitude.astype(np.float32), phantom.phase.astype(np.float32)
    field = torch.polar(torch.from_numpy(amplitude).double(), torch.from_numpy(phase).double())
    intensities = np.empty((frames, *shape))
    for index, distance in enumerate(settings.distances_um):
        model = MultiHeight(
            fine,
            Heights(optics, [distance], shifts_um=[shifts_um[index]]),
            sensor=sensor,
            dtype=torch.complex128,
        )
        intensities[index] = model.intensities(field)[0].numpy()
    _add_noise(intensities, settings)
    scale = float(intensities.max())
    kind = np.dtype(f"uint{settings.bits}")
    return LenslessSample(
        frames=np.round(intensities / scale * np.iinfo(kind).max).astype(kind),
        amplitude=amplitude,
        phase=phase,
        pixel_size_um=settings.pixel_size_um,
        wavelength_um=settings.wavelength_um,
        distances_um=settings.distances_um,
        medium_index=settings.medium_index,
        propagation=settings.propagation,
        intensity_scale=scale,
        binning=settings.binning,
        shifts_um=shifts_um,
    )


def _smoothing_px(settings: LenslessSimulation) -> float:
    """Return how much to smooth the specimen, in pixels, so that grid and propagation to the nearest frame carry it.

    The limits are those of `physics.propagation.passband`, here along the axis where they are narrower.
    """
    cutoff = settings.medium_index / settings.wavelength_um
    shortest_side_um = min(settings.height_px, settings.width_px) * settings.pixel_size_um
    steepness = 2 * min(settings.distances_um) / shortest_side_um
    exact = settings.propagation == "angular_spectrum"
    highest = cutoff / math.hypot(steepness, 1) if exact else cutoff / steepness
    return max(_GRID_SMOOTHING / 0.5, _PASSBAND_SMOOTHING * settings.binning / (highest * settings.pixel_size_um))


def _add_noise(intensities: npt.NDArray[np.float64], settings: LenslessSimulation) -> None:
    """Add shot noise and read noise in place; full scale is the brightest pixel of the stack without noise."""
    random = np.random.default_rng((settings.seed, 1))
    brightest = intensities.max()
    if settings.photons is not None:
        photons = intensities * (settings.photons / brightest)
        intensities[:] = random.poisson(photons) * (brightest / settings.photons)
    if settings.noise_sigma > 0:
        intensities += brightest * settings.noise_sigma * random.standard_normal(intensities.shape)
        np.maximum(intensities, 0, out=intensities)
