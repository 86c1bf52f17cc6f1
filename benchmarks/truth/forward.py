"""Forward models of a known index: the field behind it, by multiple and by single scattering."""

from __future__ import annotations

import math

import numpy as np
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import born_amplitude
from truth.sets import Field, Scattering

# all waves that propagate in the medium, but for grazing ones
_WIDEST = 0.98


def ssnp(case: Scattering) -> Field:
    """Return the field by the split-step non-paraxial model of the package."""
    model = SSNPModel(_geometry(case), Illumination.of([[0.0, 0.0]]), dtype=torch.complex128)
    index = torch.from_numpy(case.contrast) + case.medium_index
    fields = model.fields(permittivity_contrast(index, None, case.medium_index))
    return np.asarray(fields[0].numpy())


def born(case: Scattering) -> Field:
    """Return the field by the first Born approximation of the package."""
    return 1 + _scattered(case)


def rytov(case: Scattering) -> Field:
    """Return the field by the Rytov approximation: the exponential of the scattered field in the middle plane.

    The exponential is taken in the plane of the middle of the volume, and the field propagated from there.
    """
    middle = np.exp(_scattered(case, plane_um=0.0))
    return 1 + _moved(case, middle - 1, case.plane_um)


def beam(case: Scattering) -> Field:
    """Return the field by beam propagation: thin phase masks, and the angular spectrum between them."""
    middle = case.contrast.shape[0] / 2 * case.voxel_um
    field = np.ones(case.contrast.shape[1:], complex)
    for plane in case.contrast:
        field = _moved(case, field, case.voxel_um / 2)
        field = field * np.exp(2j * math.pi / case.wavelength_um * case.voxel_um * plane)
        field = _moved(case, field, case.voxel_um / 2)
    return _moved(case, field, case.plane_um - middle)


def projection(case: Scattering) -> Field:
    """Return the field of a thin phase object in the middle plane."""
    phase = 2 * math.pi / case.wavelength_um * case.voxel_um * case.contrast.sum(0)
    return 1 + _moved(case, np.exp(1j * phase) - 1, case.plane_um)


MODELS = {
    "SSNP (ours)": ssnp,
    "Born (ours)": born,
    "Rytov": rytov,
    "beam propagation": beam,
    "projection": projection,
}


def error(predicted: Field, case: Scattering) -> float:
    """Return ‖u − v‖ relative to the scattered part of the true field v, with the best complex factor of u.

    References of rigorous codes have an arbitrary phase and amplitude of the incident wave.
    """
    factor = np.vdot(predicted, case.field) / np.vdot(predicted, predicted)
    scattered = case.field / factor - 1
    return float(np.linalg.norm(predicted - case.field / factor) / np.linalg.norm(scattered))


def _geometry(case: Scattering, plane_um: float | None = None) -> VolumeGeometry:
    planes = case.contrast.shape[0]
    plane = case.plane_um if plane_um is None else plane_um
    first = -plane - (planes - 1) / 2 * case.voxel_um
    return VolumeGeometry(
        case.contrast.shape, case.voxel_um, case.wavelength_um, case.medium_index, case.voxel_um,
        _WIDEST * case.medium_index, first,
    )  # fmt: skip


def _scattered(case: Scattering, plane_um: float | None = None) -> Field:
    """Return the singly scattered field, summed over the slices."""
    geometry = _geometry(case, plane_um)
    fy, fx = (np.fft.fftfreq(size, case.voxel_um) for size in case.contrast.shape[1:])
    amplitude, delta, _ = born_amplitude(torch.from_numpy(fy)[:, None], torch.from_numpy(fx), (0.0, 0.0), geometry)
    a, shift = amplitude.numpy(), delta.numpy()
    permittivity = case.contrast * (case.contrast + 2 * case.medium_index)
    total = np.zeros(case.contrast.shape[1:], complex)
    for z, plane in zip(geometry.slice_positions_um, permittivity, strict=True):
        total += 1j * a * np.exp(-2j * math.pi * z * shift) * np.fft.fft2(plane)
    return np.fft.ifft2(total)


def _moved(case: Scattering, field: Field, distance_um: float) -> Field:
    """Return a field farther along z in the medium, relative to the incident wave; periodic."""
    fy, fx = (np.fft.fftfreq(size, case.voxel_um) for size in field.shape)
    medium = case.medium_index / case.wavelength_um
    root = np.sqrt(np.maximum(medium**2 - fy[:, None] ** 2 - fx**2, 0))
    return np.fft.ifft2(np.fft.fft2(field) * (root > 0) * np.exp(2j * math.pi * distance_um * (root - medium)))
