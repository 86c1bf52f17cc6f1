"""Simulation of lensless recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.device import check_memory
from napari_diner.errors import RecipeError
from napari_diner.physics.optics import Method, Optics
from napari_diner.simulate.lensless.illumination import illumination, lateral_positions_um
from napari_diner.simulate.lensless.phantoms import specimen
from napari_diner.simulate.lensless.settings import LenslessSimulation


@dataclass(frozen=True)
class LenslessSample:
    """A simulated recording and its specimen.

    Parameters
    ----------
    frames
        Recorded intensities, uint8 or uint16, (N, Y, X).
    amplitude, phase
        The specimen, float32, (Y·binning, X·binning); the phase in radians.
    pixel_size_um
        Pixel size of the sensor.
    wavelength_um, distances_um, medium_index, propagation
        Parameters of the recording.
    binning
        Pixels of the specimen per pixel of the sensor along each axis.
    shifts_um
        Displacement (dy, dx) of each frame, down and to the right.
    positions_um
        Displacement (dy, dx) of the specimen in its illumination for each frame.
    source_size_um, source_distance_um, bandwidth_nm
        Diameter and spectrum of the source, and its distance to the lens that makes its light parallel.
    intensity_scale
        Model intensity at the largest value of the type of the frames: data = model / scale.
    """

    frames: npt.NDArray[np.uint8 | np.uint16]
    amplitude: npt.NDArray[np.float32]
    phase: npt.NDArray[np.float32]
    pixel_size_um: float
    wavelength_um: float
    distances_um: tuple[float, ...]
    medium_index: float
    propagation: Method
    intensity_scale: float
    binning: int
    shifts_um: tuple[tuple[float, float], ...]
    positions_um: tuple[tuple[float, float], ...]
    source_size_um: float
    source_distance_um: float
    bandwidth_nm: float


def simulate(settings: LenslessSimulation) -> LenslessSample:
    """Simulate a lensless recording.

    The model is `napari_diner.physics.lensless.multiheight.MultiHeight` in double precision, without padding: specimen
    and frames are periodic. The band is limited as in reconstructions by default. The specimen is smooth enough to lose
    almost nothing by that, unless the distance is many times the width of the field, and to be reconstructed equally
    well without the limit. An incoherent source is summed point by point and line by line instead, see
    `napari_diner.simulate.lensless.source`. Full scale is the brightest pixel, so that only negative values by read
    noise are clipped.

    Parameters
    ----------
    settings
        Parameters of the simulation.

    Raises
    ------
    OutOfMemoryError
        If the frames do not fit in memory.
    RecipeError
        If light of this wavelength carries no detail of the specimen that far.
    """
    # torch takes seconds to load, and is not needed to import this module
    import torch

    from napari_diner.physics.lensless.heights import Heights
    from napari_diner.physics.lensless.moved import displaced
    from napari_diner.physics.lensless.multiheight import MultiHeight
    from napari_diner.physics.lensless.sensor import Sensor
    from napari_diner.simulate.lensless.source import Lamp

    optics = Optics(
        settings.pixel_size_um / settings.binning,
        settings.wavelength_um,
        settings.medium_index,
        settings.propagation,
    )
    sensor, shape = Sensor(settings.binning), (settings.height_px, settings.width_px)
    distances_um = settings.distances_um * settings.lateral_positions
    frames, needed = len(distances_um), 12 * len(distances_um) + 200 * settings.binning**2
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
    # the truth is rounded to float32 before the simulation, so that rounding is not an error of a reconstruction
    amplitude, phase = phantom.amplitude.astype(np.float32), phantom.phase.astype(np.float32)
    field = torch.polar(torch.from_numpy(amplitude).double(), torch.from_numpy(phase).double())
    places = lateral_positions_um(settings)
    light = torch.from_numpy(illumination(settings.illumination, fine, settings.seed))
    intensities = np.empty((frames, *shape))
    lamp = Lamp(settings.source_size_um / settings.source_distance_um, settings.bandwidth_nm * 1e-3)
    for index, distance in enumerate(distances_um):
        lit = light * displaced(field, [places[index // len(settings.distances_um)]], optics.pixel_size_um)[0]
        if lamp != Lamp(0.0, 0.0):
            blurred = lamp.intensity(lit.to(torch.complex64), optics, distance, shifts_um[index])
            intensities[index] = sensor.mean(blurred).numpy()
            continue
        model = MultiHeight(
            fine,
            Heights(optics, [distance], shifts_um=[shifts_um[index]]),
            sensor=sensor,
            dtype=torch.complex128,
        )
        intensities[index] = model.intensities(lit)[0].numpy()
    _add_noise(intensities, settings)
    scale = float(intensities.max())
    kind = np.dtype(f"uint{settings.bits}")
    return LenslessSample(
        frames=np.round(intensities / scale * np.iinfo(kind).max).astype(kind),
        amplitude=amplitude,
        phase=phase,
        pixel_size_um=settings.pixel_size_um,
        wavelength_um=settings.wavelength_um,
        distances_um=distances_um,
        medium_index=settings.medium_index,
        propagation=settings.propagation,
        intensity_scale=scale,
        binning=settings.binning,
        shifts_um=shifts_um,
        positions_um=tuple(place for place in places for _ in settings.distances_um),
        source_size_um=settings.source_size_um,
        source_distance_um=settings.source_distance_um,
        bandwidth_nm=settings.bandwidth_nm,
    )


# Standard deviation of the smoothing of the specimen times the highest frequency of the grid, and of propagation, where
# the Gaussian leaves 1e-3 and 3e-9 of an already small amplitude. Beyond the former the specimen would merely look
# jagged; beyond the latter it could not be reconstructed.
_GRID_SMOOTHING, _PASSBAND_SMOOTHING = 0.6, 1.0


def _smoothing_px(settings: LenslessSimulation) -> float:
    """Return the smoothing of the specimen, in pixels, that the grid and propagation to the nearest frame require.

    The limits are those of `napari_diner.physics.propagation.passband` along the axis where they are tighter.

    Raises
    ------
    RecipeError
        If nothing of the specimen would be left.
    """
    cutoff = settings.medium_index / settings.wavelength_um
    shortest_side_um = min(settings.height_px, settings.width_px) * settings.pixel_size_um
    steepness = 2 * min(settings.distances_um) / shortest_side_um
    exact = settings.propagation == "angular_spectrum"
    highest = cutoff / math.hypot(steepness, 1) if exact else cutoff / steepness
    smoothing = max(_GRID_SMOOTHING / 0.5, _PASSBAND_SMOOTHING * settings.binning / (highest * settings.pixel_size_um))
    if smoothing > settings.binning * min(settings.height_px, settings.width_px):
        raise RecipeError(
            "Light of {field:wavelength_um} carries no detail of the specimen to the nearest of {field}; choose "
            "shorter distances, a shorter wavelength, or more or larger pixels",
            "distances_um",
        )
    return smoothing


def _add_noise(intensities: npt.NDArray[np.float64], settings: LenslessSimulation) -> None:
    """Add shot noise and read noise in place; full scale is the brightest pixel of the noise-free stack."""
    random = np.random.default_rng((settings.seed, 1))
    brightest = intensities.max()
    if settings.photons is not None:
        photons = intensities * (settings.photons / brightest)
        intensities[:] = random.poisson(photons) * (brightest / settings.photons)
    if settings.noise_sigma > 0:
        intensities += brightest * settings.noise_sigma * random.standard_normal(intensities.shape)
        np.maximum(intensities, 0, out=intensities)
