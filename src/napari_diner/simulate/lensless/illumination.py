"""Illuminations that are not even, and places of a specimen in them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_diner.simulate.lensless.settings import LenslessSimulation

# of speckles: size in pixels, and standard deviations of log-amplitude and phase; and depths of the vignette
_SPECKLE_PX, _SPECKLE, _SPECKLE_RAD = 4.0, 0.3, 0.5
_VIGNETTE, _VIGNETTE_RAD = 0.7, 1.5
# angle between neighbours on a spiral without gaps
_GOLDEN_RAD = math.pi * (3 - math.sqrt(5))


def illumination(kind: str, shape: tuple[int, int], seed: int) -> npt.NDArray[np.complex128]:
    """Return the field of an illumination, periodic, (Y, X), with a mean square of one.

    Parameters
    ----------
    kind
        ``even``, ``vignetted`` or ``speckled``.
    shape
        Pixels (Y, X).
    seed
        Seed of the speckles.
    """
    log = np.zeros(shape, complex)
    if kind == "vignetted":
        y, x = (np.cos(2 * np.pi * (np.arange(size) / size - 0.5)) for size in shape)
        log += (y[:, None] + x) / 4 * (_VIGNETTE + 1j * _VIGNETTE_RAD)
    elif kind == "speckled":
        random = np.random.default_rng((seed, 3))
        for unit, strength in ((1, _SPECKLE), (1j, _SPECKLE_RAD)):
            speckles = gaussian_filter(random.standard_normal(shape), _SPECKLE_PX, mode="wrap")
            log += unit * strength * speckles / speckles.std()
    light = np.exp(log)
    return np.asarray(light / np.sqrt(np.mean(np.abs(light) ** 2)))


def lateral_positions_um(settings: LenslessSimulation) -> list[tuple[float, float]]:
    """Return the displacements (dy, dx) of the specimen in its illumination, on a spiral from the middle."""
    step = settings.lateral_step_px * settings.pixel_size_um
    places = [(step * math.sqrt(n), n * _GOLDEN_RAD) for n in range(settings.lateral_positions)]
    return [(radius * math.sin(angle), radius * math.cos(angle)) for radius, angle in places]
