"""Checks before a reconstruction: sampling, and response to slow changes of the index."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.transfer import born_amplitude


class Sampling(NamedTuple):
    """A sampling distance and the largest one without aliasing."""

    value_um: float
    limit_um: float

    @property
    def fine(self) -> bool:
        """Whether the distance is within the limit."""
        return self.value_um <= self.limit_um * (1 + 1e-9)


class LowFrequencies(NamedTuple):
    """Response of the data to slow changes of the real part of the contrast."""

    rms: float
    """Root mean square of |H_re| of a slice next to the focus, over the frames and the band of frequencies."""
    strongest: float
    """|H| of a frequency with only one sideband within the pupil, k0² Δz/(4π η(u_i))."""

    @property
    def ratio(self) -> float:
        """`rms` over `strongest`: close to 1 for illumination at the edge of the pupil, close to 0 well inside it."""
        return self.rms / self.strongest


def lateral_sampling(geometry: VolumeGeometry) -> Sampling:
    """Return the pixel size, and the largest one that samples the intensity, λ/(4 NA).

    Intensities have frequencies up to 2 NA/λ.
    """
    return Sampling(geometry.pixel_size_um, geometry.wavelength_um / (4 * geometry.na))


def axial_sampling(geometry: VolumeGeometry, illumination: Illumination) -> Sampling:
    """Return the slice spacing, and the largest one that samples all axial frequencies in the data.

    A scattered wave carries the axial frequency ``Δη = η(u + u_i) − η(u_i)`` of the object, and the intensity also −Δη;
    its maximum is on the optical axis or at the edge of the pupil. The limit is 1/(2 max |Δη|).
    """
    squared = (illumination.apertures**2).sum(1) / geometry.wavelength_um**2
    eta = np.sqrt(geometry.medium_frequency**2 - squared)
    edge = math.sqrt(geometry.medium_frequency**2 - geometry.cutoff**2)
    highest = float(max((geometry.medium_frequency - eta).max(), (eta - edge).max()))
    return Sampling(geometry.slice_spacing_um, 1 / (2 * highest))


def low_frequencies(
    geometry: VolumeGeometry, illumination: Illumination, band: tuple[float, float] = (0.04, 0.12)
) -> LowFrequencies:
    """Return the response of the data to slow changes of phase.

    If both sidebands u_i ± u of a slow change pass the objective, they cancel in the intensity except for defocus. If
    one of them is blocked, as for illumination from the edge of the pupil, the phase becomes visible.

    Parameters
    ----------
    geometry, illumination
        As in `BornModel`.
    band
        Lowest and highest frequency, in cycles/µm.
    """
    steps = (torch.arange(40, dtype=torch.float64)[:, None] + 0.5) / 40
    radius = band[0] + (band[1] - band[0]) * steps
    angle = torch.arange(0, 2 * math.pi, math.pi / 36, dtype=torch.float64)
    fy, fx = radius * torch.sin(angle), radius * torch.cos(angle)
    z_um = geometry.slice_spacing_um / 2
    transfer = torch.zeros(len(illumination), *fy.shape, dtype=torch.complex128)
    strongest = 0.0
    sources = zip(
        illumination.apertures.tolist(), illumination.weights.tolist(), illumination.frame_of_source, strict=True
    )
    for aperture, weight, frame in sources:
        for sign in (1, -1):
            a, delta, pupil = born_amplitude(sign * fy, sign * fx, aperture, geometry)
            transfer[frame] += weight * sign * a * torch.exp(1j * sign * (pupil - 2 * math.pi * z_um * delta))
        u2 = (aperture[0] ** 2 + aperture[1] ** 2) / geometry.wavelength_um**2
        eta = math.sqrt(geometry.medium_frequency**2 - u2)
        strongest += weight * geometry.wavenumber**2 * geometry.slice_spacing_um / (4 * math.pi * eta)
    # each radius is weighted by the area of its ring
    shares = (radius / radius.sum()).expand_as(fy) / len(angle)
    rms = float((transfer.abs() ** 2 * shares).sum(dim=(1, 2)).mean().sqrt())
    return LowFrequencies(rms, strongest / len(illumination))
