"""The spatial frequencies of a volume that a recording contains, and those of the missing cone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.transfer import born_amplitude

_ANGLES = 96


def recorded_power(
    geometry: VolumeGeometry, illumination: Illumination, lateral: Tensor, axial: Tensor, height_um: float | None = None
) -> Tensor:
    """Return how strongly the frames respond to each spatial frequency of the volume, averaged over lateral angles.

    Light from u_i that is scattered by the transverse frequency u carries the axial frequency
    ``±Δη = ±(η(u + u_i) − η(u_i))`` of a volume of the height L, within about 1/L, with the power
    ``|A|² sinc²(L (k_z ∓ Δη))``. Frequencies without any are those of the missing cone.

    Parameters
    ----------
    geometry, illumination
        The optics, and the directions of the frames.
    lateral
        Transverse frequencies |u| in cycles/µm, (R,).
    axial
        Axial frequencies k_z in cycles/µm, (K,).
    height_um
        L; that of the volume if None.

    Returns
    -------
    Tensor
        Relative to the largest response, float64, (K, R).
    """
    height = geometry.shape[0] * geometry.slice_spacing_um if height_um is None else height_um
    power = torch.zeros(len(axial), len(lateral), dtype=torch.float64)
    for amplitude, delta in _scattered(geometry, illumination, lateral):
        for sign in (1, -1):
            spread = torch.sinc(height * (axial.double()[:, None, None] - sign * delta)).square()
            power += (amplitude.square() * spread).mean(-1)
    return power / power.max().clamp_min(torch.finfo(torch.float64).tiny)


def axial_reach(geometry: VolumeGeometry, illumination: Illumination, lateral: Tensor) -> float:
    """Return the highest axial frequency, in cycles/µm, with which any of some transverse frequencies is recorded.

    Parameters
    ----------
    geometry, illumination
        The optics, and the directions of the frames.
    lateral
        Transverse frequencies |u| in cycles/µm, (R,).

    Returns
    -------
    float
        Its inverse is the finest period along z in the data. Zero if no frame responds to any |u|.
    """
    deltas = (
        float(delta.abs().where(amplitude > 0, 0.0).max())
        for amplitude, delta in _scattered(geometry, illumination, lateral)
    )
    return max(deltas, default=0.0)


def _scattered(geometry: VolumeGeometry, illumination: Illumination, lateral: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return amplitude and axial frequency of light from each source that is scattered by |u| at all angles, (R, A)."""
    angle = torch.arange(_ANGLES, dtype=torch.float64) * (2 * math.pi / _ANGLES)
    fy, fx = lateral.double()[:, None] * torch.sin(angle), lateral.double()[:, None] * torch.cos(angle)
    return [born_amplitude(fy, fx, source, geometry)[:2] for source in illumination.apertures.tolist()]
