"""waveorder (BSD-3), where it is installed: thin objects by weak-object transfer functions and Tikhonov's method.

Its model of a thin object (`waveorder.models.isotropic_thin_3d`) takes frames at several distances, and tilted light:
the phase from heights, and the index slice by slice, each as if there were no others. The light of its tilt goes the
other way than that of a direction here.
"""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import torch

from truth.inverse import MEDIUM, NA, RING_NA, WAVELENGTH_UM, Frame
from truth.sets import Array, Stack

IS_INSTALLED = importlib.util.find_spec("waveorder") is not None
PHASE_WEIGHTS = (0.001, 0.003, 0.01, 0.03, 0.1)
INDEX_WEIGHTS = (30.0, 100.0, 300.0, 1000.0)
"""`regularization_strength`, for which there is no rule: the one closest to the truth is taken."""
_POINT_NA = 1e-3


def phase(stack: Stack, weight: float) -> Array:
    """Return the phase in rad from frames at several heights."""
    from waveorder.models import isotropic_thin_3d as thin

    optics = stack.pixel_size_um, stack.distances_um, stack.wavelength_um, 1.0, _POINT_NA, 0.98
    _, phase = thin.reconstruct(torch.from_numpy(stack.frames), *optics, regularization_strength=weight)
    return phase.numpy().astype(np.float64)


def index(frames: Frame, voxel_um: tuple[float, float], planes: int, weight: float) -> Array:
    """Return n − n0, (Z, Y, X), from frames under light of a ring, one for each direction."""
    from waveorder.models import isotropic_thin_3d as thin

    count, spacing = len(frames), 2 * voxel_um[0]
    zenith = torch.full((count,), math.asin(RING_NA / MEDIUM))
    azimuth = math.pi + 2 * math.pi * torch.arange(count) / count
    slices = []
    for z in (np.arange(planes) - (planes - 1) / 2) * spacing:
        absorption, phase = thin.calculate_transfer_function(
            frames.shape[1:], voxel_um[1], [-float(z)], WAVELENGTH_UM, MEDIUM, _POINT_NA, NA,
            tilt_angle_zenith=zenith, tilt_angle_azimuth=azimuth,
        )  # fmt: skip
        # the directions take the place of the distances
        system = thin.calculate_singular_system(absorption[:, 0], phase[:, 0])
        _, plane = thin.apply_inverse_transfer_function(
            torch.from_numpy(frames), system, regularization_strength=weight
        )
        slices.append(plane.numpy() * WAVELENGTH_UM / (2 * math.pi * spacing))
    return np.array(slices, np.float64)
